"""BBR's cycle: DOWN, CRUISE, REFILL, UP (draft-ietf-ccwg-bbr, 5.3.3).

Every two to three seconds, or as often as Reno would meet a loss, it fills the pipe and looks
for more than the path was known to hold. Departure from the draft: where it found much more, and
no queue, it looks again at once; a path that has become ten times faster is used in two seconds.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from .base import AckSample, LossSample
from .path_model import BETA, PathModel
from .phases import FullPipe, Phase

__all__ = ["ProbeBandwidth"]

RENO_ROUNDS = 63
"""Probe at least every so many round trips."""
GREW = 1.2
"""UP found so many times the bandwidth from before it: most likely there is still more."""
UP_INFLIGHT = 1.25
"""Multiple of the bandwidth-delay product in flight at which UP ends."""


class ProbeBandwidth:
    """The position in the cycle, and the updates of the model that follow from probing."""

    def __init__(self, model: PathModel, random: Callable[[int], bytes], mss: int) -> None:
        """Begin with DOWN.

        Args:
            model: Gets its bounds and its bandwidth filter moved.
            random: Returns that many random bytes.
            mss: Wire bytes of a full packet.
        """
        self.mss = mss
        self.phase = Phase.DOWN
        self._model = model
        self._random = random
        self._pipe = FullPipe()
        self._began_at = 0.0
        self._phase_began_at = 0.0
        self._down_since = 0
        """Bytes delivered when the latest DOWN began: what left later has a larger count."""
        self._wait = 0.0
        self._rounds = 0
        self._judging = False
        """Whether losses now concern the data that UP put in flight."""
        self._heard_last_of_up = True
        self._held_back = False
        self._bw_before_up = math.inf
        self._up_rounds = 0
        self._up_acked = 0
        self._up_step = math.inf

    def end_round(self) -> None:
        """Judge the round that ended (draft, 5.5.10): did we, outside probing, send too much?"""
        model = self._model
        self._rounds += 1
        if self.phase is Phase.CRUISE:
            model.learn_background_loss()
        # Losses and queues of the round after UP are UP's own, judged by `on_loss`.
        if self._heard_last_of_up and self.phase in (Phase.DOWN, Phase.CRUISE):
            if model.round_in_queue:
                model.give_way()
            elif not model.round_queued.moved:
                model.regain()
            if model.lost_too_much:
                model.save_bounds()
                model.lower_bounds()

    def advance(self, sample: AckSample, *, cwnd: int, quantum: int) -> None:
        """Take the cycle's next step, if it is time (draft, 5.3.3.6)."""
        self._adapt_long_term_bound(sample, cwnd, quantum)
        model = self._model
        if self.phase is Phase.REFILL:
            if model.round_start:
                self._enter_up(sample)
        elif self.phase is Phase.UP:
            if self._up_is_done(sample, cwnd, quantum):
                self.enter_down(sample)
        elif self._is_time_to_probe(sample.now):
            self._enter_refill(sample)
        elif self.phase is Phase.DOWN and self._is_time_to_cruise(sample, quantum):
            self.phase = Phase.CRUISE

    def _is_time_to_probe(self, now: float) -> bool:
        if now > self._began_at + self._wait:
            return True
        packets = self._model.bdp(self._model.bw) / self.mss
        return self._rounds >= min(packets, RENO_ROUNDS)

    def _is_time_to_cruise(self, sample: AckSample, quantum: int) -> bool:
        model = self._model
        if sample.in_flight > model.inflight_with_headroom:
            return False
        return sample.in_flight <= model.bdp(model.max_bw) + quantum

    def _up_is_done(self, sample: AckSample, cwnd: int, quantum: int) -> bool:
        """The pipe is full: bandwidth stays flat though more than the product is in flight."""
        model = self._model
        # The window is whole bytes and the bound is not: one byte apart they are equal.
        if sample.prior_in_flight >= cwnd - quantum and cwnd + 1 > model.inflight_hi:
            self._held_back = True
        if self._held_back and model.round_start:
            # By the bound that UP is raising: not the path's answer yet.
            self._held_back = False
            self._pipe.reset(model.max_bw)
            return False
        elapsed = sample.now - self._phase_began_at
        if elapsed > model.min_rtt and sample.in_flight > UP_INFLIGHT * model.bdp(model.max_bw):
            return True
        return self._pipe.check(model, sample)

    def enter_down(self, sample: AckSample | LossSample) -> None:
        """Drain the queues that probing made, and draw the time of the next probing."""
        self.phase = Phase.DOWN
        self._phase_began_at = self._began_at = sample.now
        self._down_since = sample.delivered
        self._heard_last_of_up = False
        self._up_step = math.inf
        # Two to three seconds, at a time that other flows do not pick too (draft, 5.3.3.5).
        dice = self._random(2)
        self._wait = 2.0 + dice[0] / 256
        self._rounds = dice[1] & 1
        self._model.begin_round(sample.delivered, sample.lost_total)

    def _enter_refill(self, sample: AckSample) -> None:
        self.phase = Phase.REFILL
        self._phase_began_at = sample.now
        self._heard_last_of_up = True
        self._up_rounds = 0
        self._up_acked = 0
        self._model.reset_lower_bounds()
        self._model.begin_round(sample.delivered, sample.lost_total)

    def _enter_up(self, sample: AckSample) -> None:
        self.phase = Phase.UP
        self._phase_began_at = sample.now
        self._judging = True
        self._held_back = False
        self._bw_before_up = self._model.max_bw
        self._pipe.reset(self._model.max_bw)
        self._raise_slope(self._model.bdp(self._model.max_bw))
        self._model.begin_round(sample.delivered, sample.lost_total)

    # The long-term bound

    def on_loss(self, sample: LossSample, cwnd: int) -> None:
        """Stop UP when it lost too much, and set the long-term bound (draft, 5.5.10.2)."""
        model = self._model
        if sample.snapshot.delivered < self._down_since:
            model.excuse(sample.lost)  # concerns the rate of then, not of now
        if not self._judging or not model.is_inflight_too_high(
            sample.snapshot, sample.lost_total, sample.delivered
        ):
            return
        model.save_bounds()
        self._judging = False
        if not sample.snapshot.app_limited:
            target = min(model.bdp(model.bw), cwnd)
            model.inflight_hi = max(sample.snapshot.in_flight, BETA * target)
        if model.queue_stands:
            model.cut_bounds(sample.snapshot.in_flight)
        if self.phase is Phase.UP:
            self.enter_down(sample)

    def _adapt_long_term_bound(self, sample: AckSample, cwnd: int, quantum: int) -> None:
        model = self._model
        if not self._heard_last_of_up and model.round_start:
            # A cycle of measurements is complete.
            self._heard_last_of_up = True
            grew = model.max_bw >= GREW * self._bw_before_up
            if self._judging and grew and not model.round_queued.moved:
                self._wait = 0.0
            self._judging = False
            if not sample.snapshot.app_limited:
                model.advance_bw_filter()
        if model.inflight_hi == math.inf:
            return
        if not model.is_inflight_too_high(sample.snapshot, sample.lost_total, sample.delivered):
            model.inflight_hi = max(model.inflight_hi, sample.snapshot.in_flight)
            if self.phase is Phase.UP:
                self._raise_long_term_bound(sample, cwnd, quantum)

    def _raise_long_term_bound(self, sample: AckSample, cwnd: int, quantum: int) -> None:
        """One more packet per step acknowledged, twice as fast each round (draft, 5.3.3.6)."""
        if sample.prior_in_flight < cwnd - quantum and cwnd + 1 <= self._model.inflight_hi:
            return
        self._up_acked += sample.acked
        if self._up_acked >= self._up_step:
            steps = int(self._up_acked / self._up_step)
            self._up_acked -= int(steps * self._up_step)
            self._model.inflight_hi += steps * self.mss
        if self._model.round_start:
            self._raise_slope(cwnd)

    def _raise_slope(self, cwnd: float) -> None:
        growth = 1 << self._up_rounds
        self._up_rounds = min(self._up_rounds + 1, 30)
        self._up_step = max(cwnd / growth, self.mss)
