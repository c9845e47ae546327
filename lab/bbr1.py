"""BBR as kernels have had it since 2016: a competitor in the simulator, not one of ours.

Version 1 (draft-cardwell-iccrg-bbr-congestion-control-00): no answer to losses but one round of
packet conservation, up to two bandwidth-delay products in flight.
"""

from __future__ import annotations

import math
from collections import deque

from peer.sctp.congestion.base import AckSample, LossSample, PathProfile

__all__ = ["BBRv1"]

_HIGH_GAIN = 2.885
_CYCLE = (1.25, 0.75, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0)
_CWND_GAIN = 2.0
_BW_ROUNDS = 10
_MIN_RTT_WINDOW = 10.0
_PROBE_RTT_TIME = 0.2
_MARGIN = 0.99


class BBRv1:
    """Startup, drain, eight phases of probing, and a fifth of a second of PROBE_RTT."""

    name = "bbr1"

    def __init__(self, profile: PathProfile) -> None:
        self._mss = profile.mss
        self.cwnd = 10 * profile.mss
        self.pacing_rate = _HIGH_GAIN * self.cwnd / 0.001
        self.quantum = 2 * profile.mss
        self.slack = 0.0
        self._state = "startup"
        self._bws: deque[tuple[int, float]] = deque()
        self._rounds = 0
        self._round_ends_at = 0
        self._full_bw = 0.0
        self._full_rounds = 0
        self._min_rtt = math.inf
        self._min_rtt_at = 0.0
        self._phase = 2 + profile.random(1)[0] % 6
        self._phase_at = 0.0
        self._lost_in_phase = False
        self._conserve_until = -1
        self._cwnd_before = 0
        self._probe_rtt_ends_at = math.inf

    def on_sent(
        self, *, now: float, sent: int, in_flight: int, app_limited: bool, late: bool
    ) -> None:
        """Take in a burst."""

    def on_ack(self, sample: AckSample) -> None:
        """Take in a SACK."""
        round_start = sample.snapshot.delivered >= self._round_ends_at
        if round_start:
            self._rounds += 1
            self._round_ends_at = sample.delivered
        self._update_bw(sample)
        expired = sample.now > self._min_rtt_at + _MIN_RTT_WINDOW
        if sample.rtt > 0 and (sample.rtt <= self._min_rtt or expired):
            self._min_rtt, self._min_rtt_at = sample.rtt, sample.now
        if not self._bws or self._min_rtt == math.inf:
            return
        product = self._bw * self._min_rtt
        if self._state == "startup":
            self._check_full_pipe(sample, round_start)
        if self._state == "drain" and sample.in_flight <= product:
            self._state, self._phase_at = "probe", sample.now
        if self._state == "probe":
            self._advance(sample, product)
        if expired and self._state != "probe_rtt":
            self._state, self._cwnd_before = "probe_rtt", self.cwnd
            self._probe_rtt_ends_at = math.inf
        self._set_cwnd(sample, product)
        if self._state == "probe_rtt":
            self._probe_rtt(sample)
        gain = {"startup": _HIGH_GAIN, "drain": 1 / _HIGH_GAIN, "probe_rtt": 1.0}.get(
            self._state, _CYCLE[self._phase]
        )
        rate = gain * self._bw * _MARGIN
        if self._state != "startup" or rate > self.pacing_rate or self._rounds < 2:
            self.pacing_rate = rate
        self.quantum = max(min(int(self.pacing_rate * 0.001), 64_000), 2 * self._mss)

    def on_loss(self, sample: LossSample) -> None:
        """Take in lost packets."""
        self._lost_in_phase = True
        if self._rounds > self._conserve_until:
            self._conserve_until = self._rounds + 1
            self._cwnd_before = max(self._cwnd_before, self.cwnd)
            self.cwnd = max(sample.in_flight + self._mss, 4 * self._mss)

    def on_spurious_loss(self, *, now: float) -> None:
        """Undo the last reduction."""
        self._conserve_until = -1

    def on_timeout(self, *, now: float, in_flight: int) -> None:
        """React to T3-rtx."""
        self._cwnd_before = max(self._cwnd_before, self.cwnd)
        self.cwnd = 4 * self._mss

    def on_mss(self, mss: int) -> None:
        """Take in a new packet size."""
        self._mss = mss

    def trace(self) -> dict[str, float | str]:
        """Return internal variables by name."""
        return {"phase": self._state, "cwnd": self.cwnd, "rate": self.pacing_rate}

    @property
    def _bw(self) -> float:
        return self._bws[0][1]

    def _update_bw(self, sample: AckSample) -> None:
        """A maximum over the last rounds: the queue holds falling rates."""
        bws = self._bws
        while bws and bws[0][0] < self._rounds - _BW_ROUNDS:
            bws.popleft()
        if sample.rate > 0 and (
            not sample.snapshot.app_limited or not bws or sample.rate >= bws[0][1]
        ):
            while bws and bws[-1][1] <= sample.rate:
                bws.pop()
            bws.append((self._rounds, sample.rate))

    def _check_full_pipe(self, sample: AckSample, round_start: bool) -> None:
        if not round_start or sample.snapshot.app_limited:
            return
        if self._bw >= 1.25 * self._full_bw:
            self._full_bw, self._full_rounds = self._bw, 0
            return
        self._full_rounds += 1
        if self._full_rounds >= 3:
            self._state = "drain"

    def _advance(self, sample: AckSample, product: float) -> None:
        gain = _CYCLE[self._phase]
        over = sample.now - self._phase_at > self._min_rtt
        if gain > 1:
            over = over and (self._lost_in_phase or sample.prior_in_flight >= gain * product)
        elif gain < 1:
            over = over or sample.prior_in_flight <= product
        if over:
            self._phase = (self._phase + 1) % len(_CYCLE)
            self._phase_at = sample.now
            self._lost_in_phase = False

    def _set_cwnd(self, sample: AckSample, product: float) -> None:
        if self._rounds <= self._conserve_until:
            self.cwnd = max(self.cwnd, sample.in_flight + sample.acked)
            return
        if self._cwnd_before and self._state != "probe_rtt":
            self.cwnd, self._cwnd_before = max(self.cwnd, self._cwnd_before), 0
        gain = _HIGH_GAIN if self._state in ("startup", "drain") else _CWND_GAIN
        target = int(gain * product) + 3 * self.quantum
        grown = self.cwnd + sample.acked
        self.cwnd = max(grown if self._state == "startup" else min(grown, target), 4 * self._mss)

    def _probe_rtt(self, sample: AckSample) -> None:
        self.cwnd = min(self.cwnd, 4 * self._mss)
        if self._probe_rtt_ends_at == math.inf:
            if sample.in_flight <= 4 * self._mss:
                self._probe_rtt_ends_at = sample.now + _PROBE_RTT_TIME
        elif sample.now >= self._probe_rtt_ends_at:
            self._min_rtt_at = sample.now
            self.cwnd = max(self.cwnd, self._cwnd_before)
            self._cwnd_before = 0
            self._state = "probe" if self._full_rounds >= 3 else "startup"
            self._phase_at = sample.now
