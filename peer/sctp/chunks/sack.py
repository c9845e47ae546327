"""
SACK: what has arrived (RFC 9260, 3.3.4).

::

     0                   1                   2                   3
     0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |   Type = 3    |  Chunk Flags  |         Chunk Length          |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |                      Cumulative TSN Ack                       |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |          Advertised Receiver Window Credit (a_rwnd)           |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    | Number of Gap Ack Blocks = N  |  Number of Duplicate TSNs = M |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |    Gap Ack Block #1 Start     |     Gap Ack Block #1 End      |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    /                              ...                              /
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |                        Duplicate TSN 1                        |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    /                              ...                              /
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+

Gap block edges are offsets from the cumulative TSN.
"""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct, pack, unpack_from

import msgspec

from peer.sctp.errors import Malformed

from .base import ChunkType, serialize_chunk

__all__ = ["Sack"]

_FIXED = Struct("!LLHH")


class Sack(msgspec.Struct, gc=False):
    """A selective acknowledgement, all numbers as on the wire."""

    cumulative_tsn: int
    window: int
    """a_rwnd, bytes."""
    gaps: Sequence[int] = ()
    """Start, end, start, end, ...: offsets from ``cumulative_tsn``, both inclusive."""
    duplicates: Sequence[int] = ()
    """TSNs that arrived more than once."""

    @classmethod
    def parse(cls, flags: int, value: bytes) -> Sack:
        """
        Parse the value of a SACK chunk.

        Raises:
            Malformed: The counts do not fit the length.
        """
        if len(value) < _FIXED.size:
            raise Malformed(f"SACK is {len(value)} bytes, needs {_FIXED.size}")
        cumulative_tsn, window, blocks, duplicates = _FIXED.unpack_from(value)
        if len(value) < _FIXED.size + 4 * (blocks + duplicates):
            raise Malformed(f"SACK is too short for {blocks} blocks and {duplicates} duplicates")
        return cls(
            cumulative_tsn,
            window,
            unpack_from(f"!{2 * blocks}H", value, 12) if blocks else (),
            unpack_from(f"!{duplicates}L", value, 12 + 4 * blocks) if duplicates else (),
        )

    def serialize(self) -> bytes:
        """Return the wire form."""
        gaps = self.gaps
        duplicates = self.duplicates
        value = _FIXED.pack(self.cumulative_tsn, self.window, len(gaps) // 2, len(duplicates))
        if gaps:
            value += pack(f"!{len(gaps)}H", *gaps)
        if duplicates:
            value += pack(f"!{len(duplicates)}L", *duplicates)
        return serialize_chunk(ChunkType.SACK, 0, value)
