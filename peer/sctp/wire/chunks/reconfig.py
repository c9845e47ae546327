"""RE-CONFIG and its parameters (RFC 6525, 3 and 4).

::

     0                   1                   2                   3
     0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    | Type = 130    |  Chunk Flags  |      Chunk Length             |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    /                  Re-configuration Parameter                   /
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    /             Re-configuration Parameter (optional)             /
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+

Outgoing SSN Reset Request (4.1)::

    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |     Parameter Type = 13       | Parameter Length = 16 + 2 * N |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |           Re-configuration Request Sequence Number            |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |           Re-configuration Response Sequence Number           |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |                Sender's Last Assigned TSN                     |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |  Stream Number 1 (optional)   |    Stream Number 2 (optional) |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+

Incoming SSN Reset Request (4.2) is the first sequence number and the streams, type 14;
Re-configuration Response (4.4)::

    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |     Parameter Type = 16       |      Parameter Length         |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |         Re-configuration Response Sequence Number             |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |                            Result                             |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from struct import pack, unpack_from

from peer.sctp.errors import Malformed
from peer.sctp.wire.params import ParamType, serialize_params

from .base import ChunkType, serialize_chunk

__all__ = ["IncomingReset", "OutgoingReset", "Response", "Result", "reconfig"]


class Result(enum.IntEnum):
    """Results of a re-configuration request (RFC 6525, 4.4)."""

    NOTHING_TO_DO = 0
    PERFORMED = 1
    DENIED = 2
    WRONG_SSN = 3
    ALREADY_IN_PROGRESS = 4
    BAD_SEQUENCE_NUMBER = 5
    IN_PROGRESS = 6


def _streams(value: bytes, offset: int) -> tuple[int, ...]:
    if (len(value) - offset) % 2:
        raise Malformed("half a stream number in a reset request")
    return unpack_from(f"!{(len(value) - offset) // 2}H", value, offset)


@dataclass(frozen=True, slots=True)
class OutgoingReset:
    """Request of a sender that resets streams of its own."""

    request: int
    response: int
    """The request of the other side that this one answers, or one less than the next expected."""
    last_tsn: int
    """The last TSN that may belong to these streams."""
    streams: tuple[int, ...]
    """Empty for all."""

    @classmethod
    def parse(cls, value: bytes) -> OutgoingReset:
        """Parse the parameter's value.

        Raises:
            Malformed: It does not fit.
        """
        if len(value) < 12:
            raise Malformed(f"Outgoing SSN Reset Request of {len(value)} bytes")
        request, response, last_tsn = unpack_from("!LLL", value)
        return cls(request, response, last_tsn, _streams(value, 12))

    def param(self) -> tuple[int, bytes]:
        """Return the parameter, for ``reconfig``."""
        value = pack("!LLL", self.request, self.response, self.last_tsn)
        return ParamType.OUTGOING_RESET, value + pack(f"!{len(self.streams)}H", *self.streams)


@dataclass(frozen=True, slots=True)
class IncomingReset:
    """Request that the receiver reset streams of its own."""

    request: int
    streams: tuple[int, ...]
    """Empty for all."""

    @classmethod
    def parse(cls, value: bytes) -> IncomingReset:
        """Parse the parameter's value.

        Raises:
            Malformed: It does not fit.
        """
        if len(value) < 4:
            raise Malformed(f"Incoming SSN Reset Request of {len(value)} bytes")
        return cls(int.from_bytes(value[:4], "big"), _streams(value, 4))

    def param(self) -> tuple[int, bytes]:
        """Return the parameter, for ``reconfig``."""
        value = pack(f"!L{len(self.streams)}H", self.request, *self.streams)
        return ParamType.INCOMING_RESET, value


@dataclass(frozen=True, slots=True)
class Response:
    """The answer to a request."""

    response: int
    """The sequence number of the request."""
    result: int

    @classmethod
    def parse(cls, value: bytes) -> Response:
        """Parse the parameter's value.

        Raises:
            Malformed: It does not fit.
        """
        if len(value) < 8:
            raise Malformed(f"Re-configuration Response of {len(value)} bytes")
        return cls(*unpack_from("!LL", value))

    def param(self) -> tuple[int, bytes]:
        """Return the parameter, for ``reconfig``."""
        return ParamType.RECONFIG_RESPONSE, pack("!LL", self.response, self.result)


def reconfig(*params: tuple[int, bytes]) -> bytes:
    """Return a RE-CONFIG chunk of one or two parameters."""
    return serialize_chunk(ChunkType.RE_CONFIG, 0, serialize_params(params))
