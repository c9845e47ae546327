r"""Common parts of all chunks.

::

     0                   1                   2                   3
     0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |  Chunk Type   | Chunk  Flags  |         Chunk Length          |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    \\                                                               \\
    /                          Chunk Value                          /
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+

RFC 9260, 3.2. The length counts header and value, not the padding to four bytes. Every
``serialize`` returns a padded chunk; every ``parse`` takes the flags and the value.
"""

from __future__ import annotations

import enum
from struct import Struct
from typing import NamedTuple

from peer.sctp.wire.params import pad

__all__ = ["HEADER", "ChunkType", "RawChunk", "serialize_chunk"]

HEADER = Struct("!BBH")


class ChunkType(enum.IntEnum):
    """Chunk types, with the RFC that defines each when it is not 9260."""

    DATA = 0
    INIT = 1
    INIT_ACK = 2
    SACK = 3
    HEARTBEAT = 4
    HEARTBEAT_ACK = 5
    ABORT = 6
    SHUTDOWN = 7
    SHUTDOWN_ACK = 8
    ERROR = 9
    COOKIE_ECHO = 10
    COOKIE_ACK = 11
    SHUTDOWN_COMPLETE = 14
    I_DATA = 0x40
    """RFC 8260, 2.1."""
    RE_CONFIG = 0x82
    """RFC 6525, 3.1."""
    PAD = 0x84
    """RFC 4820, 3."""
    FORWARD_TSN = 0xC0
    """RFC 3758, 3.2."""
    I_FORWARD_TSN = 0xC2
    """RFC 8260, 2.3.1."""


class RawChunk(NamedTuple):
    """A chunk that is cut out of a packet but not parsed."""

    kind: int
    flags: int
    value: bytes


def serialize_chunk(kind: int, flags: int = 0, value: bytes = b"") -> bytes:
    """Return a chunk in wire form, padded to four bytes."""
    return pad(HEADER.pack(kind, flags, 4 + len(value)) + value)
