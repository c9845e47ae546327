"""
How far behind others a chunk may be before it counts as lost (RFC 8985, 6.2; RFC 9002, 6.1).

Paths that reorder are given more, a step for each round trip in which a loss proved to be none;
sixteen losses that were real take a step back, for paths that have changed.
"""

from __future__ import annotations

from peer.sctp.wire.serial import Tsn

__all__ = ["ReorderingTolerance"]

_PACKETS = 3
_MAX_PACKETS = 200
_FACTOR = 1.125
_MAX_FACTOR = 2.0
_FACTOR_STEP = 0.125
"""A path that reorders by much of a round trip is given more of it (RFC 8985, 6.2, step 4)."""
_RECOVERIES = 16
"""RFC 8985, 6.2, step 4; there all is taken back at once, to be learned anew by false losses."""


class ReorderingTolerance:
    """The two thresholds of loss detection."""

    __slots__ = ("_raised_at", "_recoveries", "factor", "packets")

    def __init__(self) -> None:
        self.packets = _PACKETS
        """A chunk is lost when one sent so many later has arrived."""
        self.factor = _FACTOR
        """Or when one sent later has, and so many round trips have passed since it left."""
        self._raised_at: Tsn = 0
        self._recoveries = 0

    def on_spurious(self, base: Tsn, next_tsn: Tsn) -> None:
        """
        A loss was none: wait for more evidence from now on.

        Args:
            base: Everything below is acknowledged.
            next_tsn: Of the next new chunk: what is sent before is still judged as before.
        """
        self._recoveries = 0
        if base > self._raised_at:
            self._raised_at = next_tsn
            self.packets = min(self.packets * 5 // 4 + 1, _MAX_PACKETS)
            self.factor = min(self.factor + _FACTOR_STEP, _MAX_FACTOR)

    def on_episode(self) -> None:
        """Something was lost, the first in a round trip: so far it counts as real."""
        self._recoveries += 1
        if self._recoveries > _RECOVERIES:
            self._recoveries = 0
            self.packets = max(self.packets * 4 // 5, _PACKETS)
            self.factor = max(self.factor - _FACTOR_STEP, _FACTOR)
