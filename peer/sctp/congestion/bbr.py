"""
BBR, version 3 (draft-ietf-ccwg-bbr): sends at the bandwidth it measured, and probes for more.

Theory of operation. `STARTUP` doubles the rate each round trip until the measured bandwidth stops
growing or a round loses too much; `DRAIN` empties the queue this made. Then four phases take
turns, about every two to three seconds::

    DOWN  (x0.90)  gives back what probing put into queues
    CRUISE (x1.0)  sends at the estimate, with headroom left for others
    REFILL (x1.0)  forgets short-term bounds and fills the pipe
    UP    (x1.25)  looks for more, until loss or a full pipe says stop

`PROBE_RTT` drops the window for a moment when no low round trip was seen for ten seconds. What
is known of the path lives in :class:`.path_model.PathModel`, the departures from the draft too.
"""

from __future__ import annotations

import math
from enum import Enum

from .base import AckSample, LossSample, PathProfile
from .path_model import BETA, PathModel

__all__ = ["BBR", "Phase"]


class Phase(Enum):
    """What the controller is doing; see the module's theory of operation."""

    STARTUP = "startup"
    DRAIN = "drain"
    DOWN = "down"
    CRUISE = "cruise"
    REFILL = "refill"
    UP = "up"
    PROBE_RTT = "probe_rtt"


_GAINS = {
    Phase.STARTUP: (2.77, 2.0),
    Phase.DRAIN: (0.5, 2.0),
    Phase.DOWN: (0.9, 2.0),
    Phase.CRUISE: (1.0, 2.0),
    Phase.REFILL: (1.0, 2.0),
    Phase.UP: (1.25, 2.25),
    Phase.PROBE_RTT: (1.0, 0.5),
}
"""Pacing gain over the bandwidth, window gain over the bandwidth-delay product."""

PACING_MARGIN = 0.99
"""Stay a little below the estimate, so that queues drain (draft, 5.6.2)."""
HEADROOM = 0.15
"""Share of the long-term bound left to others while cruising."""
STARTUP_GROWTH = 1.25
STARTUP_FLAT_ROUNDS = 3
PROBE_RTT_DURATION = 0.1
"""Seconds with a small window; half of the draft's, for links that must stay 95 % full."""
MIN_PIPE_PACKETS = 4
INITIAL_PACKETS = 32
INITIAL_RTT = 0.005
"""Before a round trip is known the initial window leaves over this time, seconds."""
RENO_ROUNDS = 63
"""Probe at least every so many round trips, as often as Reno would meet a loss."""


class BBR:
    """The default controller. Deterministic but for the random bytes of its profile."""

    name = "bbr"

    def __init__(self, profile: PathProfile) -> None:
        self._mss = profile.mss
        self._random = profile.random
        self._max_quantum = 40_000 if profile.equal else 20_000
        self.model = PathModel(rtt_floor=0.004 if profile.equal else 0.001)
        self.phase = Phase.STARTUP
        self._initial_cwnd = INITIAL_PACKETS * profile.mss
        self.cwnd = self._initial_cwnd
        self.pacing_rate = self.cwnd / INITIAL_RTT
        self.quantum = 10 * profile.mss
        # STARTUP
        self._filled = False
        self._full_bw = 0.0
        self._flat_rounds = 0
        # The probing cycle
        self._phase_began_at = 0.0
        self._cycle_began_at = 0.0
        self._probe_wait = 0.0
        self._rounds_since_probe = 0
        self._probe_samples = False  # losses now tell about what UP put in flight
        self._stopping = False  # in DOWN: samples still show what UP did
        self._up_rounds = 0
        self._up_acked = 0
        self._up_step = math.inf
        # PROBE_RTT
        self._probe_rtt_ends_at = math.inf
        self._probe_rtt_lowest = math.inf
        self._cwnd_before = 0

    # Hooks of `CongestionController`

    def on_sent(self, *, now: float, sent: int, in_flight: int, app_limited: bool) -> None:
        if in_flight == 0 and self._filled and self.phase is not Phase.PROBE_RTT:
            # Restart from idle at the estimate, not at a probing rate (draft, 5.4.1).
            if self.model.known:
                self.pacing_rate = PACING_MARGIN * self.model.bw
            self._phase_began_at = max(self._phase_began_at, now - self.model.min_rtt)

    def on_ack(self, sample: AckSample) -> None:
        model = self.model
        model.update(sample)
        if not model.known:
            self.cwnd += sample.acked
            if sample.srtt > 0:
                self.pacing_rate = _GAINS[Phase.STARTUP][0] * self.cwnd / max(sample.srtt, 0.001)
            return
        if model.round_start:
            self._end_round(sample)
        match self.phase:
            case Phase.STARTUP:
                self._check_pipe_full(sample)
            case Phase.DRAIN:
                if sample.in_flight <= model.bdp(model.max_bw):
                    self._enter_down(sample)
            case Phase.PROBE_RTT:
                self._handle_probe_rtt(sample)
            case _:
                self._cycle(sample)
        if self.phase is not Phase.PROBE_RTT and self._filled and model.min_rtt_expired(sample.now):
            self._enter_probe_rtt(sample.now)
        self._set_pacing_rate()
        self._set_cwnd(sample)

    def on_loss(self, sample: LossSample) -> None:
        model = self.model
        if self._probe_samples and model.is_inflight_too_high(
            sample.flight, sample.lost_total, sample.delivered
        ):
            model.save_bounds()
            self._probe_samples = False
            if not sample.flight.app_limited:
                target = min(model.bdp(model.bw), self.cwnd)
                model.inflight_hi = max(sample.flight.in_flight, BETA * target)
            if self.phase is Phase.UP:
                self._begin_down(sample.now)
            if model.queue_stands:
                model.cut_bounds(sample.flight.in_flight)

    def on_spurious_loss(self, *, now: float) -> None:
        self.model.restore_bounds()

    def on_timeout(self, *, now: float, in_flight: int) -> None:
        self.model.save_bounds()
        self.cwnd = MIN_PIPE_PACKETS * self._mss

    def on_mss(self, mss: int) -> None:
        self._mss = mss
        self._initial_cwnd = INITIAL_PACKETS * mss
        self.cwnd = max(self.cwnd, MIN_PIPE_PACKETS * mss)
        self._set_quantum()

    def trace(self) -> dict[str, float | str]:
        return {
            "phase": self.phase.value,
            "cwnd": self.cwnd,
            "rate": self.pacing_rate,
            "bw": self.model.bw,
            "max_bw": self.model.max_bw,
            "min_rtt": self.model.min_rtt,
            "inflight_hi": self.model.inflight_hi,
            "inflight_lo": self.model.inflight_lo,
            "background_loss": self.model.background_loss,
        }

    # Rounds

    def _end_round(self, sample: AckSample) -> None:
        model = self.model
        self._rounds_since_probe += 1
        if self.phase in (Phase.CRUISE, Phase.STARTUP):
            model.learn_background_loss()
        quiet = self.phase is Phase.CRUISE or (self.phase is Phase.DOWN and not self._stopping)
        if quiet and model.round_in_queue:
            model.give_way()
        probing = self.phase in (Phase.STARTUP, Phase.REFILL, Phase.UP)
        if not probing and model.lost_too_much:
            model.save_bounds()
            model.lower_bounds()
        model.end_round_signals(sample)

    # STARTUP and DRAIN

    def _check_pipe_full(self, sample: AckSample) -> None:
        """Leave STARTUP when bandwidth stays flat for three rounds, or a round loses too much."""
        model = self.model
        if not model.round_start:
            return
        lossy = model.startup_lost_too_much
        if lossy:
            model.inflight_hi = max(
                model.bdp(model.max_bw), sample.delivered - sample.flight.delivered
            )
        elif sample.flight.app_limited:
            return
        elif model.max_bw >= self._full_bw * STARTUP_GROWTH:
            self._full_bw = model.max_bw
            self._flat_rounds = 0
            return
        else:
            self._flat_rounds += 1
        if lossy or self._flat_rounds >= STARTUP_FLAT_ROUNDS:
            self._filled = True
            self.phase = Phase.DRAIN

    # The probing cycle

    def _cycle(self, sample: AckSample) -> None:
        self._adapt_long_term_bound(sample)
        match self.phase:
            case Phase.DOWN:
                if self._time_to_probe(sample):
                    self._enter_refill(sample)
                elif self._time_to_cruise(sample):
                    self.phase = Phase.CRUISE
                    self._phase_began_at = sample.now
            case Phase.CRUISE:
                if self._time_to_probe(sample):
                    self._enter_refill(sample)
            case Phase.REFILL:
                if self.model.round_start:
                    self._enter_up(sample)
            case Phase.UP:
                if self._up_is_done(sample):
                    self._enter_down(sample)

    def _time_to_probe(self, sample: AckSample) -> bool:
        if sample.now > self._cycle_began_at + self._probe_wait:
            return True
        packets = self.model.bdp(self.model.bw) / self._mss
        return self._rounds_since_probe >= min(packets, RENO_ROUNDS)

    def _time_to_cruise(self, sample: AckSample) -> bool:
        model = self.model
        if sample.in_flight > self._with_headroom():
            return False
        return sample.in_flight <= model.bdp(model.max_bw) + self.quantum

    def _up_is_done(self, sample: AckSample) -> bool:
        """The pipe is full: bandwidth stays flat though more than the product is in flight."""
        model = self.model
        if sample.prior_in_flight >= self.cwnd - self._mss and self.cwnd >= model.inflight_hi:
            # Held back by the bound that UP is raising: not the path's answer yet.
            self._full_bw = model.max_bw
            self._flat_rounds = 0
            return False
        elapsed = sample.now - self._phase_began_at
        if elapsed > model.min_rtt and sample.in_flight > 1.25 * model.bdp(model.max_bw):
            return True
        if model.round_start and not sample.flight.app_limited:
            if model.max_bw >= self._full_bw * STARTUP_GROWTH:
                self._full_bw = model.max_bw
                self._flat_rounds = 0
            else:
                self._flat_rounds += 1
        return self._flat_rounds >= STARTUP_FLAT_ROUNDS

    def _enter_down(self, sample: AckSample) -> None:
        self._begin_down(sample.now)
        self.model.begin_round(sample)

    def _begin_down(self, now: float) -> None:
        self.phase = Phase.DOWN
        self._phase_began_at = now
        self._cycle_began_at = now
        self._stopping = True
        self._up_step = math.inf
        # Two to three seconds, at a time that other flows do not pick too (draft, 5.3.3.4).
        dice = self._random(2)
        self._probe_wait = 2.0 + dice[0] / 256
        self._rounds_since_probe = dice[1] & 1

    def _enter_refill(self, sample: AckSample) -> None:
        self.phase = Phase.REFILL
        self._phase_began_at = sample.now
        self._stopping = False
        self._up_rounds = 0
        self._up_acked = 0
        self.model.reset_lower_bounds()
        self.model.begin_round(sample)

    def _enter_up(self, sample: AckSample) -> None:
        self.phase = Phase.UP
        self._phase_began_at = sample.now
        self._probe_samples = True
        self._full_bw = self.model.max_bw
        self._flat_rounds = 0
        self._raise_slope()
        self.model.begin_round(sample)

    def _adapt_long_term_bound(self, sample: AckSample) -> None:
        model = self.model
        if self._stopping and model.round_start:
            # The last round trip of UP has been heard: a cycle of measurements is complete.
            self._stopping = False
            self._probe_samples = False
            if not sample.flight.app_limited:
                model.advance_bw_filter()
        if model.inflight_hi == math.inf:
            return
        if not model.is_inflight_too_high(sample.flight, sample.lost_total, sample.delivered):
            model.inflight_hi = max(model.inflight_hi, sample.flight.in_flight)
            if self.phase is Phase.UP:
                self._raise_long_term_bound(sample)

    def _raise_long_term_bound(self, sample: AckSample) -> None:
        """One more packet per step acknowledged, twice as fast each round (draft, 5.3.3.6)."""
        if sample.prior_in_flight < self.cwnd - self._mss and self.cwnd < self.model.inflight_hi:
            return
        self._up_acked += sample.acked
        if self._up_acked >= self._up_step:
            steps = int(self._up_acked / self._up_step)
            self._up_acked -= int(steps * self._up_step)
            self.model.inflight_hi += steps * self._mss
        if self.model.round_start:
            self._raise_slope()

    def _raise_slope(self) -> None:
        growth = 1 << self._up_rounds
        self._up_rounds = min(self._up_rounds + 1, 30)
        packets = max(self.cwnd / self._mss / growth, 1.0)
        self._up_step = packets * self._mss

    # PROBE_RTT

    def _enter_probe_rtt(self, now: float) -> None:
        self._cwnd_before = self.cwnd
        self.phase = Phase.PROBE_RTT
        self._probe_rtt_ends_at = math.inf
        self._probe_rtt_lowest = math.inf

    def _handle_probe_rtt(self, sample: AckSample) -> None:
        model = self.model
        if sample.rtt > 0:
            self._probe_rtt_lowest = min(self._probe_rtt_lowest, sample.rtt)
        if self._probe_rtt_ends_at == math.inf:
            if sample.in_flight <= self._probe_rtt_cwnd() + self._mss:
                self._probe_rtt_ends_at = sample.now + max(PROBE_RTT_DURATION, model.min_rtt)
                self._probe_rtt_lowest = math.inf
        elif sample.now >= self._probe_rtt_ends_at:
            model.forget_min_rtt(self._probe_rtt_lowest, sample.now)
            self.cwnd = max(self.cwnd, self._cwnd_before)
            model.reset_lower_bounds()
            self._enter_down(sample)
            self.phase = Phase.CRUISE

    def _probe_rtt_cwnd(self) -> float:
        gain = _GAINS[Phase.PROBE_RTT][1]
        return max(gain * self.model.bdp(self.model.bw), MIN_PIPE_PACKETS * self._mss)

    # The two numbers

    def _with_headroom(self) -> float:
        bound = self.model.inflight_hi
        if bound == math.inf:
            return bound
        return max(bound * (1 - HEADROOM), MIN_PIPE_PACKETS * self._mss)

    def _set_pacing_rate(self) -> None:
        rate = _GAINS[self.phase][0] * self.model.bw * PACING_MARGIN
        if self._filled or rate > self.pacing_rate:
            self.pacing_rate = rate
        self._set_quantum()

    def _set_quantum(self) -> None:
        # A millisecond's worth, two on longer paths: fewer, larger sends.
        span = 0.002 if 0.015 < self.model.min_rtt < math.inf else 0.001
        self.quantum = max(min(int(self.pacing_rate * span), self._max_quantum), 2 * self._mss)

    def _set_cwnd(self, sample: AckSample) -> None:
        model = self.model
        gain = _GAINS[self.phase][1]
        target = gain * model.bdp(model.bw) + 3 * self.quantum + model.extra_acked
        if self.phase is Phase.UP:
            target += 2 * self._mss
        cwnd = float(self.cwnd)
        if self._filled:
            cwnd = min(cwnd + sample.acked, target)
        elif cwnd < target or sample.delivered < self._initial_cwnd:
            cwnd += sample.acked
        bound = math.inf
        if self.phase is Phase.PROBE_RTT:
            bound = min(self._probe_rtt_cwnd(), self._with_headroom())
        elif self.phase is Phase.CRUISE:
            bound = self._with_headroom()
        elif self._filled:
            bound = model.inflight_hi
        bound = min(bound, model.inflight_lo)
        floor = MIN_PIPE_PACKETS * self._mss
        self.cwnd = int(max(min(cwnd, max(bound, floor)), floor))
