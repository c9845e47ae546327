"""Data in flight, and the effect of SACKs on it (RFC 9260, 6.2.1 and 6.3).

TSNs that are not cumulatively acknowledged are in a dict. A SACK's gap blocks are compared with
those of the SACK before it, so the work is proportional to the new blocks, never to the window.
Chunks acknowledged by a gap block stay in the dict until the cumulative TSN passes them: the peer
may renege, which is detected when T3-rtx expires.
"""

from __future__ import annotations

from collections.abc import Sequence

from peer.sctp.wire.serial import Tsn

from .outgoing_chunks import OutgoingChunk

__all__ = ["Outstanding"]

_CUT_BLOCKS = 20
"""dcsctp lists at most 20 gap blocks, and says nothing about TSNs above the last one listed."""
_NOTHING_CUT = 1 << 80


class Outstanding:
    """Chunks from their first transmission to their cumulative acknowledgement."""

    __slots__ = ("_blocks", "base", "in_flight", "payload", "reported_to", "unacked")

    def __init__(self, initial_tsn: Tsn) -> None:
        self.base = initial_tsn
        """Lowest TSN that is not cumulatively acknowledged."""
        self.unacked: dict[Tsn, OutgoingChunk] = {}
        """From ``base`` on, in order of TSN."""
        self.in_flight = 0
        """Wire bytes presumed in the network, as congestion control counts."""
        self.payload = 0
        """Payload bytes not acknowledged in any way, as the peer's window counts."""
        self.reported_to: Tsn = _NOTHING_CUT
        """The last SACK says nothing about TSNs above this."""
        self._blocks: list[tuple[Tsn, Tsn]] = []

    def collect(self, cumulative: Tsn, gaps: Sequence[int], top: Tsn) -> list[OutgoingChunk]:
        """Mark and return the chunks that a SACK acknowledges for the first time.

        Args:
            cumulative: The SACK's cumulative TSN, not below ``base - 1``, not above ``top``.
            gaps: Start, end, ... of its gap blocks, offsets from ``cumulative``.
            top: Highest TSN that was sent.

        Returns:
            Chunks in ascending order of TSN, ``acked`` set.
        """
        newly: list[OutgoingChunk] = []
        base = self.base
        if cumulative >= base:
            pop = self.unacked.pop
            append = newly.append
            for tsn in range(base, cumulative + 1):
                chunk = pop(tsn)
                if not chunk.acked:
                    chunk.acked = True
                    append(chunk)
            self.base = cumulative + 1
        if gaps:
            self._collect_gaps(cumulative, gaps, top, newly)
        else:
            if self._blocks:
                self._blocks = []
            self.reported_to = _NOTHING_CUT
        return newly

    def _collect_gaps(
        self, cumulative: Tsn, gaps: Sequence[int], top: Tsn, newly: list[OutgoingChunk]
    ) -> None:
        """Process the gap blocks, without the TSNs that the previous SACK had in its blocks."""
        previous = self._blocks
        count = len(previous)
        index = 0
        unacked = self.unacked
        blocks: list[tuple[Tsn, Tsn]] = []
        reached = cumulative + 1
        for i in range(0, len(gaps) - 1, 2):
            first = cumulative + gaps[i]
            last = cumulative + gaps[i + 1]
            # Blocks of a valid SACK ascend and do not touch the cumulatively acked range. Ignore
            # the rest of an invalid one: overlapping blocks would cost quadratic time.
            if first < reached or last < first or last > top:
                break
            reached = last + 1
            blocks.append((first, last))
            tsn = first
            while tsn <= last:
                while index < count and previous[index][1] < tsn:
                    index += 1
                stop = last
                if index < count:
                    known_first, known_last = previous[index]
                    if known_first <= tsn:
                        tsn = known_last + 1
                        continue
                    stop = min(last, known_first - 1)
                for acked in range(tsn, stop + 1):
                    chunk = unacked[acked]
                    if not chunk.acked:
                        chunk.acked = True
                        newly.append(chunk)
                tsn = stop + 1
        self._blocks = blocks
        self.reported_to = blocks[-1][1] if len(blocks) >= _CUT_BLOCKS else _NOTHING_CUT

    def take_back(self) -> None:
        """Revert gap acknowledgements that the last SACK did not repeat (RFC 9260, 6.2.1, D iii).

        Called when T3-rtx expires: before that, a reordered SACK looks the same.
        """
        blocks = iter(self._blocks)
        block = next(blocks, None)
        for tsn, chunk in self.unacked.items():
            while block is not None and block[1] < tsn:
                block = next(blocks, None)
            if chunk.acked and not (block is not None and block[0] <= tsn):
                chunk.acked = False
                if not chunk.abandoned:
                    self.payload += chunk.size
