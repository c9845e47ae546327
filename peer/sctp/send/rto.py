"""Round-trip times and the retransmission timeout (RFC 9260, 6.3.1)."""

from __future__ import annotations

import math

__all__ = ["RttEstimator"]

_ALPHA = 0.125
_BETA = 0.25


class RttEstimator:
    """Smoothed round trip, its variation, its minimum, and the retransmission timeout."""

    __slots__ = ("_initial", "_max", "_min", "latest", "minimum", "smoothed", "variation")

    def __init__(self, *, initial: float, minimum: float, maximum: float) -> None:
        self._initial = initial
        self._min = minimum
        self._max = maximum
        self.smoothed = 0.0
        """SRTT, seconds; 0.0 before the first measurement."""
        self.variation = 0.0
        self.minimum = math.inf
        self.latest = 0.0

    def update(self, rtt: float) -> None:
        """Take in a measurement (rules C2 and C3), never of a retransmitted chunk (C5, Karn)."""
        self.latest = rtt
        if rtt < self.minimum:
            self.minimum = rtt
        if self.smoothed == 0.0:
            self.smoothed = rtt
            self.variation = rtt / 2
            return
        self.variation += (abs(self.smoothed - rtt) - self.variation) * _BETA
        self.smoothed += (rtt - self.smoothed) * _ALPHA

    def rto(self, doublings: int = 0) -> float:
        """Return RTO, doubled for each expiry since the last answer (rules C1, C6, C7 and E2).

        Args:
            doublings: Expiries in a row.
        """
        if self.smoothed == 0.0:
            base = self._initial
        else:
            base = max(self.smoothed + 4 * self.variation, self._min)
        return min(base * (1 << min(doublings, 16)), self._max)
