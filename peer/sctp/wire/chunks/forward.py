"""FORWARD-TSN and I-FORWARD-TSN (RFC 3758, 3.2; RFC 8260, 2.3.1).

::

     0                   1                   2                   3
     0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |  Type = 192   |  Flags = 0x00 |        Length = Variable      |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |                      New Cumulative TSN                       |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |           Stream-1            |       Stream Sequence-1       |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    /                              ...                              /
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+

I-FORWARD-TSN (type 194) names unordered messages too, by their U bit::

    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |       Stream Identifier       |          Reserved           |U|
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |                       Message Identifier                      |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
"""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct
from typing import NamedTuple

from peer.sctp.errors import Malformed

from .base import ChunkType, serialize_chunk

__all__ = ["ForwardTsn", "Skipped"]

_PAIR = Struct("!HH")
_TRIPLE = Struct("!HHL")


class Skipped(NamedTuple):
    """The last message of a stream that will not be completed."""

    stream_id: int
    unordered: bool
    """Always false in a FORWARD-TSN."""
    message: int
    """Stream sequence number or message identifier."""


@dataclass(frozen=True, slots=True)
class ForwardTsn:
    """FORWARD-TSN or I-FORWARD-TSN."""

    new_cumulative_tsn: int
    skipped: tuple[Skipped, ...]

    @classmethod
    def parse(cls, kind: int, value: bytes) -> ForwardTsn:
        """Parse the value of a FORWARD-TSN or I-FORWARD-TSN.

        Raises:
            Malformed: It is not a TSN and whole entries.
        """
        entry = _PAIR if kind == ChunkType.FORWARD_TSN else _TRIPLE
        if len(value) < 4 or (len(value) - 4) % entry.size:
            raise Malformed(f"FORWARD-TSN of {len(value)} bytes")
        skipped = tuple(
            Skipped(fields[0], False, fields[1])
            if entry is _PAIR
            else Skipped(fields[0], bool(fields[1] & 1), fields[2])
            for fields in entry.iter_unpack(value[4:])
        )
        return cls(int.from_bytes(value[:4], "big"), skipped)

    def serialize(self, kind: ChunkType) -> bytes:
        """Return the wire form as ``kind``, FORWARD_TSN or I_FORWARD_TSN."""
        value = self.new_cumulative_tsn.to_bytes(4, "big")
        for stream_id, unordered, message in self.skipped:
            if kind == ChunkType.FORWARD_TSN:
                value += _PAIR.pack(stream_id, message)
            else:
                value += _TRIPLE.pack(stream_id, int(unordered), message)
        return serialize_chunk(kind, 0, value)
