"""BBR, version 3 (draft-ietf-ccwg-bbr): sends at the measured bandwidth, and probes for more.

Theory of operation. `STARTUP` doubles the rate each round trip until the measured bandwidth stops
growing or a round loses too much; `DRAIN` empties the queue this made. Then four phases take
turns, about every two to three seconds (:mod:`.probe_bw`)::

    DOWN  (x0.90)  gives back what probing put into queues
    CRUISE (x1.0)  sends at the estimate, with headroom left for others
    REFILL (x1.0)  forgets short-term bounds and fills the pipe
    UP    (x1.25)  looks for more, until loss or a full pipe says stop

`PROBE_RTT` drops the window for a moment when no low round trip was seen for five seconds.
:class:`.path_model.PathModel` holds the estimates of the path, and documents the departures from
the draft.
"""

from __future__ import annotations

import math

from .base import AckSample, LossSample, PathProfile
from .path_model import PathModel
from .phases import GAINS, FullPipe, Phase
from .probe_bw import ProbeBandwidth

__all__ = ["BBR"]

PACING_MARGIN = 0.99
"""Share of the estimate to send at, so that queues drain (draft, 5.6.2)."""
PROBE_RTT_DURATION = 0.1
"""Seconds with a small window; half of the draft's, for links that must stay 95 % full."""
SLACK_TIME = 0.05
"""Longest stall of this process to make up for, seconds."""
MIN_PIPE_PACKETS = 4
FALSE_LOSS_ROUNDS = 3
"""Round trips in which losses that ended STARTUP may prove spurious."""
INITIAL_PACKETS = 32
INITIAL_RTT = 0.005
"""Before a round trip is known the initial window leaves over this time, seconds."""


class BBR:
    """The default controller, deterministic except for the random bytes of its profile."""

    name = "bbr"

    def __init__(self, profile: PathProfile) -> None:
        self._mss = profile.mss
        self._max_quantum = 40_000 if profile.same_implementation else 20_000
        # More than a millisecond toward others overflows browsers' sockets on short paths: 24
        # instead of 22 MB/s of a gigabit, but up to half of a burst of unreliable messages lost.
        self.model = PathModel(rtt_floor=0.004 if profile.same_implementation else 0.001)
        self._initial_cwnd = INITIAL_PACKETS * profile.mss
        self.cwnd = self._initial_cwnd
        self.pacing_rate = self.cwnd / INITIAL_RTT
        self.quantum = 10 * profile.mss
        self.slack = 0.0
        self._pipe = FullPipe()
        self._filled = False
        self._left_for_loss_in = -math.inf
        """Round in which losses ended STARTUP."""
        self._cycle = ProbeBandwidth(self.model, profile.random, profile.mss)
        self._outside: Phase | None = Phase.STARTUP  # of the cycle
        self._probe_rtt_ends_at = math.inf
        self._probe_rtt_lowest = math.inf
        self._cwnd_before = 0

    @property
    def phase(self) -> Phase:
        """The present phase."""
        return self._outside or self._cycle.phase

    # Hooks of `CongestionController`

    def on_sent(
        self, *, now: float, sent: int, in_flight: int, app_limited: bool, late: bool
    ) -> None:
        """Take in a burst."""
        if late:
            self.model.was_late = True
        if in_flight == 0 and self._outside is None and self.model.known:
            # Restart from idle at the estimate, not at a probing rate (draft, 5.4.1).
            self.pacing_rate = PACING_MARGIN * self.model.bw

    def on_ack(self, sample: AckSample) -> None:
        """Take in a SACK."""
        model = self.model
        model.update(sample)
        if not model.known:
            self.cwnd += sample.acked
            if sample.srtt > 0:
                self.pacing_rate = GAINS[Phase.STARTUP][0] * self.cwnd / max(sample.srtt, 0.001)
            return
        if model.round_start:
            if self._outside is None:
                self._cycle.end_round()
            elif self._outside is Phase.STARTUP:
                model.learn_background_loss()
            model.end_round_signals(sample)
        match self._outside:
            case Phase.STARTUP:
                self._check_pipe_full(sample)
            case Phase.DRAIN:
                if sample.in_flight <= model.bdp(model.max_bw):
                    self._outside = None
                    self._cycle.enter_down(sample)
            case Phase.PROBE_RTT:
                self._handle_probe_rtt(sample)
            case _:
                self._cycle.advance(sample, cwnd=self.cwnd, quantum=self.quantum)
        if (
            self._filled
            and self._outside is not Phase.PROBE_RTT
            and model.min_rtt_expired(sample.now)
        ):
            self._enter_probe_rtt()
        self._set_pacing_rate()
        self._set_cwnd(sample)

    def on_loss(self, sample: LossSample) -> None:
        """Take in lost packets."""
        if self._outside is None:
            self._cycle.on_loss(sample, self.cwnd)

    def on_spurious_loss(self, *, now: float) -> None:
        """Undo the last reduction."""
        self.model.restore_bounds()
        if self.model.rounds <= self._left_for_loss_in + FALSE_LOSS_ROUNDS:
            self._reenter_startup()

    def on_timeout(self, *, now: float, in_flight: int) -> None:
        """React to T3-rtx."""
        self.model.save_bounds()
        self.cwnd = MIN_PIPE_PACKETS * self._mss

    def on_mss(self, mss: int) -> None:
        """Take in a new packet size."""
        self._mss = self._cycle.mss = mss
        self._initial_cwnd = INITIAL_PACKETS * mss
        self.cwnd = max(self.cwnd, MIN_PIPE_PACKETS * mss)
        self._set_quantum()

    def trace(self) -> dict[str, float | str]:
        """Return internal variables by name."""
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

    # STARTUP (draft, 5.3.1)

    def _check_pipe_full(self, sample: AckSample) -> None:
        """Leave STARTUP when bandwidth stays flat for three rounds, or a round loses too much."""
        model = self.model
        lossy = model.round_start and model.startup_lost_too_much
        if lossy:
            delivered = sample.delivered - sample.snapshot.delivered
            model.inflight_hi = max(model.bdp(model.max_bw), delivered)
            self._left_for_loss_in = model.rounds
        if self._pipe.check(model, sample) or lossy:
            self._filled = True
            self._outside = Phase.DRAIN

    def _reenter_startup(self) -> None:
        """Resume STARTUP: the losses that ended it were spurious (draft, 5.5.10.1)."""
        self._left_for_loss_in = -math.inf
        self.model.inflight_hi = math.inf
        self._pipe.reset(self.model.max_bw)
        self._filled = False
        self._outside = Phase.STARTUP

    # PROBE_RTT (draft, 5.3.4)

    def _enter_probe_rtt(self) -> None:
        self._cwnd_before = self.cwnd
        self._outside = Phase.PROBE_RTT
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
            self._outside = None
            self._cycle.enter_down(sample)
            self._cycle.phase = Phase.CRUISE

    def _probe_rtt_cwnd(self) -> float:
        gain = GAINS[Phase.PROBE_RTT][1]
        return max(gain * self.model.bdp(self.model.bw), MIN_PIPE_PACKETS * self._mss)

    # The two numbers (draft, 5.6)

    def _set_pacing_rate(self) -> None:
        rate = GAINS[self.phase][0] * self.model.bw * PACING_MARGIN
        if self._filled or rate > self.pacing_rate:
            self.pacing_rate = rate
        self._set_quantum()

    def _set_quantum(self) -> None:
        # A millisecond's worth, two on longer paths: fewer, larger sends.
        span = 0.002 if 0.015 < self.model.min_rtt < math.inf else 0.001
        self.quantum = max(min(int(self.pacing_rate * span), self._max_quantum), 2 * self._mss)

    def _set_cwnd(self, sample: AckSample) -> None:
        model = self.model
        phase = self.phase
        target = GAINS[phase][1] * model.bdp(model.bw) + 3 * self.quantum + model.extra_acked
        if phase is Phase.UP:
            target += 2 * self._mss
        cwnd = float(self.cwnd)
        if self._filled:
            cwnd = min(cwnd + sample.acked, target)
        elif cwnd < target or sample.delivered < self._initial_cwnd:
            cwnd += sample.acked
        bound = math.inf
        if phase is Phase.PROBE_RTT:
            bound = min(self._probe_rtt_cwnd(), model.inflight_with_headroom)
        elif phase is Phase.CRUISE:
            bound = model.inflight_with_headroom
        elif self._filled:
            bound = model.inflight_hi
        bound = min(bound, model.inflight_lo)
        floor = MIN_PIPE_PACKETS * self._mss
        self.cwnd = int(max(min(cwnd, bound), floor))
        self.slack = self._slack()

    def _slack(self) -> float:
        """Return the bytes to make up after a stall: the known queue beyond the product.

        0 where the queue is short; UP may exceed it, because it measures the queue.
        """
        model = self.model
        product = model.bdp(model.max_bw)
        spare = self.cwnd - product
        if self.phase is Phase.UP:
            spare = max(spare, product / 2)
        return max(0.0, min(spare, SLACK_TIME * model.bw))
