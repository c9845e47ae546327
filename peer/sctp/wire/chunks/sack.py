"""SACK: selective acknowledgement (RFC 9260, 3.3.4).

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
from peer.sctp.wire.serial import MASK32

from .base import ChunkType, serialize_chunk

__all__ = ["Sack", "drop_outdated"]

_FIXED = Struct("!LLHH")
_PACKET_SIZE = 28
"""Bytes of a packet that holds a SACK without lists, and nothing else."""
_NONE = bytes(2)


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
        """Parse the value of a SACK chunk.

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


def drop_outdated(datagrams: Sequence[bytes]) -> Sequence[bytes]:
    """Leave out SACKs that the next packet supersedes.

    A peer that acknowledges every second packet (RFC 9260, 6.2) sends hundreds of thousands in a
    GB, and each costs as much time as a packet of data. One that arrives together with a later one
    and reports no duplicates (which are reported once) may be dropped as if lost.

    Args:
        datagrams: SCTP packets that arrived together, oldest first.
    """
    if not (_is_sack(datagrams[0]) or _is_sack(datagrams[-1])):
        return datagrams  # bulk data: two of the packets are representative
    kept: list[bytes] = []
    outdated = False
    for datagram in datagrams:
        before, outdated = outdated, _is_sack(datagram)
        if not (before and outdated):
            kept.append(datagram)
        elif _cumulative(datagram) - _cumulative(kept[-1]) & MASK32 < 1 << 31:
            kept[-1] = datagram
    return kept


def _is_sack(datagram: bytes) -> bool:
    """Return whether a packet holds only a SACK, without duplicates."""
    return (
        len(datagram) >= _PACKET_SIZE
        and datagram[12] == ChunkType.SACK
        and datagram[26:28] == _NONE
        and len(datagram) == _PACKET_SIZE + 4 * int.from_bytes(datagram[24:26], "big")
    )


def _cumulative(datagram: bytes) -> int:
    return int.from_bytes(datagram[16:20], "big")
