"""Spurious losses: undoing their effect, and tolerating the reordering that causes them.

A *loss episode* holds the chunks declared lost within one round trip, for which the congestion
window is reduced once. A loss is spurious when the chunk is acknowledged before its retransmission,
or too soon after it to be an answer to it (RFC 3522, Eifel), or when the peer reports the TSN as a
duplicate (RFC 3708). When all losses of an episode prove spurious, the reduction is undone.

Each round trip with a spurious loss also raises the thresholds of loss detection one step (RFC
8985, 6.2; RFC 9002, 6.1). Sixteen episodes of real loss lower them one step, for paths that have
changed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from peer.sctp.wire.serial import Tsn

__all__ = ["LossEpisode", "ReorderingTolerance"]

_PACKETS = 3
_MAX_PACKETS = 200
_FACTOR = 1.125
_MAX_FACTOR = 2.0
_FACTOR_STEP = 0.125
"""Steps for paths that reorder by a large part of a round trip (RFC 8985, 6.2, step 4)."""
_RECOVERIES = 16
"""RFC 8985, 6.2, step 4, which resets the threshold at once instead of by one step."""


class LossEpisode:
    """The TSNs for which the window was last reduced, without those that proved to arrive."""

    __slots__ = ("_pending", "_started_at")

    def __init__(self) -> None:
        self._pending: set[Tsn] = set()
        self._started_at = -math.inf

    def on_lost(self, tsns: Iterable[Tsn], *, now: float, sent_at: float) -> bool:
        """Add TSNs that are declared lost; begin a new episode if they left after the last began.

        Args:
            tsns: TSNs that are declared lost.
            now: Monotonic time in seconds.
            sent_at: Send time of the most recent of them.

        Returns:
            Whether a new episode begins.
        """
        begins = sent_at > self._started_at
        if begins:
            self._pending.clear()
            self._started_at = now
        self._pending.update(tsns)
        return begins

    def on_spurious(self, tsn: Tsn) -> bool:
        """Return whether ``tsn`` is the last loss of the episode to prove spurious."""
        if tsn not in self._pending:
            return False
        self._pending.remove(tsn)
        return not self._pending


class ReorderingTolerance:
    """The two thresholds of loss detection."""

    __slots__ = ("_raised_at", "_recoveries", "factor", "packets")

    def __init__(self) -> None:
        self.packets = _PACKETS
        """A chunk is lost when one that was sent at least so many chunks later has arrived."""
        self.factor = _FACTOR
        """It is also lost after so many round trips, when one that was sent later has arrived."""
        self._raised_at: Tsn = 0
        self._recoveries = 0

    def on_spurious(self, base: Tsn, next_tsn: Tsn) -> None:
        """Raise the thresholds after a spurious loss, once per round trip.

        Args:
            base: Lowest TSN that is not acknowledged.
            next_tsn: TSN of the next new chunk.
        """
        self._recoveries = 0
        if base > self._raised_at:
            self._raised_at = next_tsn
            self.packets = min(self.packets * 5 // 4 + 1, _MAX_PACKETS)
            self.factor = min(self.factor + _FACTOR_STEP, _MAX_FACTOR)

    def on_episode(self) -> None:
        """Count a new loss episode, which is presumed real."""
        self._recoveries += 1
        if self._recoveries > _RECOVERIES:
            self._recoveries = 0
            self.packets = max(self.packets * 4 // 5, _PACKETS)
            self.factor = max(self.factor - _FACTOR_STEP, _FACTOR)
