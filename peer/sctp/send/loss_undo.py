"""
Losses that were none: noticing them, so that the congestion window can be given back.

An *episode* is what was declared lost within one round trip, for which the window is reduced
once. Each of its TSNs may turn out to have arrived: it is acknowledged before it was sent
again, or too soon after that to be an answer (RFC 3522, Eifel), or the peer reports it as a
duplicate (RFC 3708). When every one did, the whole reduction was a mistake.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from peer.sctp.wire.serial import Tsn

__all__ = ["LossEpisode"]


class LossEpisode:
    """The TSNs for which the window was last reduced, less those that proved to have arrived."""

    __slots__ = ("_pending", "_started_at")

    def __init__(self) -> None:
        self._pending: set[Tsn] = set()
        self._started_at = -math.inf

    def on_lost(self, tsns: Iterable[Tsn], *, now: float, sent_at: float) -> bool:
        """
        Add TSNs that are declared lost; begin a new episode when they left after the last began.

        Args:
            tsns: What is declared lost.
            now: Monotonic time in seconds.
            sent_at: When the most recent of them was sent.

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
        """Tell whether with ``tsn`` the last loss of the episode has proved to be none."""
        if tsn not in self._pending:
            return False
        self._pending.remove(tsn)
        return not self._pending
