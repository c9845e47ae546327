r"""Parameters: the type-length-value records inside INIT, RE-CONFIG, ERROR and others.

::

     0                   1                   2                   3
     0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |        Parameter Type         |       Parameter Length        |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    \\                                                               \\
    /                        Parameter Value                        /
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+

RFC 9260, 3.2.1. Error causes (3.3.10) have the same form.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from struct import Struct
from typing import NamedTuple

from peer.sctp.errors import Malformed

__all__ = [
    "Cause",
    "Param",
    "ParamType",
    "cause",
    "is_reported",
    "pad",
    "parse_params",
    "serialize_params",
    "stops_parsing",
]

_HEADER = Struct("!HH")
_MAX_PARAMS = 128
"""No honest chunk has more; a hostile one must not make us build long lists."""


class ParamType(enum.IntEnum):
    """Types of the parameters that mean something to us."""

    HEARTBEAT_INFO = 1
    STATE_COOKIE = 7
    UNRECOGNIZED = 8
    COOKIE_PRESERVATIVE = 9
    OUTGOING_RESET = 13
    INCOMING_RESET = 14
    SSN_TSN_RESET = 15
    RECONFIG_RESPONSE = 16
    ADD_OUTGOING_STREAMS = 17
    ADD_INCOMING_STREAMS = 18
    ZERO_CHECKSUM = 0x8001
    """RFC 9653, 4."""
    SUPPORTED_EXTENSIONS = 0x8008
    """RFC 5061, 4.2.7."""
    SAME_IMPLEMENTATION = 0xBF5A
    """Private: the peer is this engine. Its two upper bits make all others skip it in silence."""
    FORWARD_TSN_SUPPORTED = 0xC000
    """RFC 3758, 3.1."""


class Cause(enum.IntEnum):
    """Error causes (RFC 9260, 3.3.10)."""

    INVALID_STREAM = 1
    MISSING_PARAMETER = 2
    STALE_COOKIE = 3
    OUT_OF_RESOURCE = 4
    UNRECOGNIZED_CHUNK = 6
    INVALID_PARAMETER = 7
    UNRECOGNIZED_PARAMETERS = 8
    NO_USER_DATA = 9
    COOKIE_WHILE_SHUTTING_DOWN = 10
    USER_ABORT = 12
    PROTOCOL_VIOLATION = 13


class Param(NamedTuple):
    """One parameter or error cause."""

    kind: int
    value: bytes


def pad(data: bytes) -> bytes:
    """Return ``data`` filled up with zero bytes to a multiple of four."""
    return data + b"\0" * (-len(data) & 3)


def parse_params(data: bytes) -> list[Param]:
    """Split ``data`` into parameters, in order.

    Raises:
        Malformed: A length does not fit, or there are too many.
    """
    params: list[Param] = []
    position = 0
    while position + 4 <= len(data):
        kind, length = _HEADER.unpack_from(data, position)
        if length < 4 or position + length > len(data):
            raise Malformed(f"parameter {kind:#06x} has a length of {length} bytes")
        if len(params) == _MAX_PARAMS:
            raise Malformed(f"more than {_MAX_PARAMS} parameters")
        params.append(Param(kind, data[position + 4 : position + length]))
        position += length + (-length & 3)
    return params


def serialize_params(params: Iterable[tuple[int, bytes]]) -> bytes:
    """Return the wire form of ``params``, each padded but the last.

    The padding of the last one belongs to the chunk and is not in the chunk's length (3.2).
    """
    out = b""
    for kind, value in params:
        out = pad(out) + _HEADER.pack(kind, 4 + len(value)) + value
    return out


def cause(kind: Cause, value: bytes = b"") -> bytes:
    """Return one error cause in wire form."""
    return serialize_params([(kind, value)])


def stops_parsing(kind: int) -> bool:
    """Tell whether an unknown parameter of this type ends the parsing of its chunk (3.2.1)."""
    return not kind & 0x8000


def is_reported(kind: int) -> bool:
    """Tell whether an unknown parameter of this type is reported to the peer (3.2.1)."""
    return bool(kind & 0x4000)
