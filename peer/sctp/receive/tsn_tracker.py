"""Received TSNs, and the SACKs that report them (RFC 9260, 6.2).

The log is the cumulative TSN and the sorted list of blocks above it. In-order data touches
only the former; the number of blocks, not of packets, is what anything here costs.
"""

from __future__ import annotations

from bisect import bisect_left
from operator import itemgetter

from peer.sctp.wire.chunks.sack import Sack
from peer.sctp.wire.serial import MASK32, Tsn

__all__ = ["TsnTracker"]

_MAX_OFFSET = 0xFFFF
"""Gap edges have 16 bits; TSNs farther ahead cannot be acknowledged."""
_MAX_BLOCKS = 4096
"""Limit of holes, far above that of honest senders; data that opens another is dropped."""
_MAX_DUPLICATES = 20
_last = itemgetter(1)


class TsnTracker:
    """The receiver's log of TSNs."""

    __slots__ = ("blocks", "cumulative", "duplicates", "out_of_order")

    def __init__(self, cumulative: Tsn) -> None:
        self.cumulative = cumulative
        """All TSNs up to this one have arrived or were abandoned by the peer."""
        self.blocks: list[list[int]] = []
        """[first, last, bytes] of each run above, ascending, never touching."""
        self.duplicates: list[int] = []
        """Wire TSNs that arrived repeatedly, for the next SACK."""
        self.out_of_order = 0
        """Bytes in ``blocks``."""

    @property
    def highest(self) -> Tsn:
        """The highest TSN that has arrived."""
        return self.blocks[-1][1] if self.blocks else self.cumulative

    @property
    def may_extend(self) -> bool:
        """Whether the TSN after the highest is near enough to be kept; there is a hole."""
        return self.blocks[-1][1] - self.cumulative < _MAX_OFFSET

    def extend(self, size: int) -> None:
        """Log the TSN after the highest, above a hole, with `size` payload bytes."""
        last = self.blocks[-1]
        last[1] += 1
        last[2] += size
        self.out_of_order += size

    def is_duplicate(self, tsn: Tsn) -> bool:
        """Return whether ``tsn`` arrived before, and note it for the next SACK if so."""
        blocks = self.blocks
        if tsn > self.cumulative:
            if not blocks or tsn > blocks[-1][1]:
                return False
            block = blocks[bisect_left(blocks, tsn, key=_last)]
            if tsn < block[0]:
                return False
        if len(self.duplicates) < _MAX_DUPLICATES:
            self.duplicates.append(tsn & MASK32)
        return True

    def may_add(self, tsn: Tsn) -> bool:
        """Return whether a new ``tsn`` is near enough to be kept."""
        return tsn - self.cumulative <= _MAX_OFFSET and (
            len(self.blocks) < _MAX_BLOCKS or tsn == self.cumulative + 1
        )

    def add(self, tsn: Tsn, size: int) -> None:
        """Log ``tsn``, which is neither a duplicate nor too far ahead.

        Args:
            tsn: Unwrapped.
            size: Payload bytes it brought.
        """
        blocks = self.blocks
        if tsn == self.cumulative + 1:
            self.cumulative = tsn
            self._absorb()
            return
        self.out_of_order += size
        if not blocks or tsn > blocks[-1][1] + 1:
            blocks.append([tsn, tsn, size])
            return
        if tsn == blocks[-1][1] + 1:
            blocks[-1][1] = tsn
            blocks[-1][2] += size
            return
        index = bisect_left(blocks, tsn, key=_last)
        block = blocks[index]
        before = blocks[index - 1] if index else None
        if before is not None and before[1] + 1 == tsn:
            before[1] = tsn
            before[2] += size
            if block[0] - 1 == tsn:
                before[1] = block[1]
                before[2] += block[2]
                del blocks[index]
        elif block[0] - 1 == tsn:
            block[0] = tsn
            block[2] += size
        else:
            blocks.insert(index, [tsn, tsn, size])

    def forward(self, tsn: Tsn) -> bool:
        """Skip all TSNs up to ``tsn`` (RFC 3758, 3.6); return whether the cumulative TSN moved."""
        if tsn <= self.cumulative:
            return False
        self.cumulative = tsn
        self._absorb()
        return True

    def _absorb(self) -> None:
        """Remove blocks that the cumulative TSN has reached."""
        blocks = self.blocks
        cumulative = self.cumulative
        count = 0
        for first, last, size in blocks:
            if first > cumulative + 1:
                break
            count += 1
            self.out_of_order -= size
            if last > cumulative:
                cumulative = last
        if count:
            del blocks[:count]
            self.cumulative = cumulative

    def sack(self, window: int, max_blocks: int) -> Sack:
        """Return the present SACK; duplicates are reported once.

        Args:
            window: A_rwnd, bytes.
            max_blocks: Gap blocks and duplicates that fit the packet; others are omitted.
        """
        cumulative = self.cumulative
        gaps: list[int] = []
        for first, last, _ in self.blocks[:max_blocks]:
            if last - cumulative > _MAX_OFFSET:
                break
            gaps += (first - cumulative, last - cumulative)
        duplicates: list[int] = []
        if self.duplicates:
            duplicates = self.duplicates[: max(0, max_blocks - len(gaps) // 2)]
            self.duplicates = []
        return Sack(cumulative & MASK32, window, gaps, duplicates)
