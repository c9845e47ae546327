"""NewReno: the congestion window of RFC 9260, 7.2, paced over the round trip."""

from __future__ import annotations

import math

from .base import AckSample, LossSample, PathProfile

__all__ = ["NewReno"]

_PACING_GAIN_SLOW_START = 2.0
_PACING_GAIN = 1.25
_MIN_RTT_FOR_PACING = 0.0005


class NewReno:
    """Slow start, additive increase, halving once per round with a loss (RFC 9260, 7.2)."""

    name = "reno"

    def __init__(self, profile: PathProfile) -> None:
        self._mss = profile.mss
        self._max_quantum = 40_000 if profile.same_implementation else 20_000
        # RFC 6928 raised TCP's ten segments; RFC 9260, 7.2.1 allows min(4*PMDCS, ...). WebRTC
        # stacks and QUIC start at ten.
        self.cwnd = 10 * profile.mss
        self.ssthresh = math.inf
        self.pacing_rate = math.inf
        self.quantum = 2 * profile.mss
        self.slack = 0.0
        self._recovery_started_at = -math.inf
        self._partial = 0
        self._undo: tuple[int, float] | None = None

    def on_sent(
        self, *, now: float, sent: int, in_flight: int, app_limited: bool, late: bool
    ) -> None:
        """Take in a burst."""

    def on_ack(self, sample: AckSample) -> None:
        """Take in a SACK."""
        in_recovery = sample.snapshot.sent_at <= self._recovery_started_at
        # RFC 9260, 7.2.1: the window grows only when it was in full use.
        if not in_recovery and not sample.app_limited:
            if self.cwnd <= self.ssthresh:
                self.cwnd += sample.acked
            else:
                self._partial += sample.acked
                if self._partial >= self.cwnd:
                    self._partial -= self.cwnd
                    self.cwnd += self._mss
        if sample.srtt > 0:
            gain = _PACING_GAIN_SLOW_START if self.cwnd <= self.ssthresh else _PACING_GAIN
            self.pacing_rate = gain * self.cwnd / max(sample.srtt, _MIN_RTT_FOR_PACING)
            self._set_quantum()

    def on_loss(self, sample: LossSample) -> None:
        """Take in lost packets."""
        # RFC 9260, 7.2.4: one reduction per window of data.
        if sample.snapshot.sent_at <= self._recovery_started_at:
            return
        self._recovery_started_at = sample.now
        self._undo = (self.cwnd, self.ssthresh)
        self.ssthresh = max(self.cwnd // 2, 4 * self._mss)
        self.cwnd = int(self.ssthresh)
        self._partial = 0

    def on_spurious_loss(self, *, now: float) -> None:
        """Undo the last reduction."""
        if self._undo is not None:
            cwnd, self.ssthresh = self._undo
            self.cwnd = max(self.cwnd, cwnd)
            self._undo = None
            self._recovery_started_at = -math.inf

    def on_timeout(self, *, now: float, in_flight: int) -> None:
        """React to T3-rtx."""
        # RFC 9260, 7.2.3.
        self._undo = (self.cwnd, self.ssthresh)
        self.ssthresh = max(self.cwnd // 2, 4 * self._mss)
        self.cwnd = self._mss
        self._partial = 0
        self._recovery_started_at = now

    def on_mss(self, mss: int) -> None:
        """Take in a new packet size."""
        self.cwnd = max(self.cwnd, 2 * mss)
        self._mss = mss
        self._set_quantum()

    def _set_quantum(self) -> None:
        # A millisecond's worth, at least two packets: fewer, larger sends.
        if self.pacing_rate < math.inf:
            quantum = min(int(self.pacing_rate * 0.001), self._max_quantum)
            self.quantum = max(quantum, 2 * self._mss)

    def trace(self) -> dict[str, float | str]:
        """Return internal variables by name."""
        return {"cwnd": self.cwnd, "ssthresh": self.ssthresh, "rate": self.pacing_rate}
