"""CUBIC (RFC 9438) with HyStart++ (RFC 9406), as most TCP stacks use it.

For comparison and for tests of fairness; it needs a loss-free path to be fast.
"""

from __future__ import annotations

import math

from .base import AckSample, LossSample, PathProfile

__all__ = ["Cubic"]

_C = 0.4
_BETA = 0.7
_RENO_SLOPE = 3 * (1 - _BETA) / (1 + _BETA)
_MIN_RTT_FOR_PACING = 0.0005

# HyStart++, RFC 9406, 4.3
_MIN_RTT_THRESHOLD = 0.004
_MAX_RTT_THRESHOLD = 0.016
_RTT_SAMPLES = 8
_CSS_GROWTH_DIVISOR = 4
_CSS_ROUNDS = 5


class Cubic:
    """A window that grows with the cube of the time since the last loss."""

    name = "cubic"

    def __init__(self, profile: PathProfile) -> None:
        self._mss = profile.mss
        self._max_quantum = 40_000 if profile.same_implementation else 20_000
        self.cwnd = 10 * profile.mss
        self.ssthresh = math.inf
        self.pacing_rate = math.inf
        self.quantum = 2 * profile.mss
        self.slack = 0.0
        self._recovery_started_at = -math.inf
        self._undo: tuple[int, float, float] | None = None
        # The cubic curve (RFC 9438, 4.1); sizes in bytes
        self._w_max = 0.0
        self._epoch: float | None = None
        self._k = 0.0
        self._w_est = 0.0
        # HyStart++
        self._round_ends_at = 0
        self._lowest = math.inf
        self._lowest_before = math.inf
        self._samples = 0
        self._css_rounds: int | None = None
        self._css_baseline = 0.0

    def on_sent(
        self, *, now: float, sent: int, in_flight: int, app_limited: bool, late: bool
    ) -> None:
        """Take in a burst."""

    def on_ack(self, sample: AckSample) -> None:
        """Take in a SACK."""
        in_recovery = sample.snapshot.sent_at <= self._recovery_started_at
        if not in_recovery and not sample.app_limited:
            if self.cwnd < self.ssthresh:
                slow = 1 if self._css_rounds is None else _CSS_GROWTH_DIVISOR
                self.cwnd += sample.acked // slow
                self._hystart(sample)
            else:
                self._avoid_congestion(sample)
        if sample.srtt > 0:
            gain = 2.0 if self.cwnd < self.ssthresh else 1.25
            self.pacing_rate = gain * self.cwnd / max(sample.srtt, _MIN_RTT_FOR_PACING)
            self._set_quantum()

    def _avoid_congestion(self, sample: AckSample) -> None:
        """RFC 9438, 4.2 to 4.5."""
        mss = self._mss
        if self._epoch is None:
            self._epoch = sample.now
            self._w_max = max(self._w_max, float(self.cwnd))
            self._k = ((self._w_max - self.cwnd) / mss / _C) ** (1 / 3)
            self._w_est = float(self.cwnd)
        t = sample.now - self._epoch + sample.srtt
        target = _C * (t - self._k) ** 3 * mss + self._w_max
        slope = 1.0 if self._w_est >= self._w_max else _RENO_SLOPE
        self._w_est += slope * mss * sample.acked / self.cwnd
        target = min(max(target, self._w_est), 1.5 * self.cwnd)
        if target > self.cwnd:
            self.cwnd += int((target - self.cwnd) * sample.acked / self.cwnd)

    def _hystart(self, sample: AckSample) -> None:
        """Leave slow start when the round trip rises, before a queue overflows (RFC 9406, 4.2)."""
        if sample.rtt > 0:
            self._samples += 1
            self._lowest = min(self._lowest, sample.rtt)
        if self._samples >= _RTT_SAMPLES and self._lowest_before < math.inf:
            threshold = min(max(self._lowest_before / 8, _MIN_RTT_THRESHOLD), _MAX_RTT_THRESHOLD)
            if self._css_rounds is None:
                if self._lowest >= self._lowest_before + threshold:
                    self._css_rounds = 0
                    self._css_baseline = self._lowest
            elif self._lowest < self._css_baseline:
                self._css_rounds = None
        if sample.snapshot.delivered >= self._round_ends_at:
            self._round_ends_at = sample.delivered
            self._lowest_before, self._lowest = self._lowest, math.inf
            self._samples = 0
            if self._css_rounds is not None:
                self._css_rounds += 1
                if self._css_rounds >= _CSS_ROUNDS:
                    self.ssthresh = self.cwnd

    def on_loss(self, sample: LossSample) -> None:
        """Take in lost packets."""
        if sample.snapshot.sent_at <= self._recovery_started_at:
            return
        self._recovery_started_at = sample.now
        self._reduce()

    def _reduce(self) -> None:
        """RFC 9438, 4.6 and 4.7 (fast convergence)."""
        self._undo = (self.cwnd, self.ssthresh, self._w_max)
        shrinking = self.cwnd < self._w_max
        self._w_max = self.cwnd * (1 + _BETA) / 2 if shrinking else float(self.cwnd)
        self.ssthresh = max(int(self.cwnd * _BETA), 4 * self._mss)
        self.cwnd = int(self.ssthresh)
        self._epoch = None

    def on_spurious_loss(self, *, now: float) -> None:
        """Undo the last reduction."""
        if self._undo is not None:
            cwnd, self.ssthresh, self._w_max = self._undo
            self.cwnd = max(self.cwnd, cwnd)
            self._undo = None
            self._recovery_started_at = -math.inf
            self._epoch = None

    def on_timeout(self, *, now: float, in_flight: int) -> None:
        """React to T3-rtx."""
        self._reduce()
        self.cwnd = self._mss
        self._recovery_started_at = now

    def on_mss(self, mss: int) -> None:
        """Take in a new packet size."""
        self.cwnd = max(self.cwnd, 2 * mss)
        self._mss = mss
        self._set_quantum()

    def _set_quantum(self) -> None:
        if self.pacing_rate < math.inf:
            quantum = min(int(self.pacing_rate * 0.001), self._max_quantum)
            self.quantum = max(quantum, 2 * self._mss)

    def trace(self) -> dict[str, float | str]:
        """Return internal variables by name."""
        return {
            "cwnd": self.cwnd,
            "ssthresh": self.ssthresh,
            "rate": self.pacing_rate,
            "w_max": self._w_max,
        }
