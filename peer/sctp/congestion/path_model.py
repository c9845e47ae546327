"""
What BBR believes of the path: its bandwidth, its round trip, and how much it holds.

The measuring half of draft-ietf-ccwg-bbr (BBRv3, sections 5.5 and 5.6); :mod:`.bbr` is the half
that acts on it. Rates are bytes per second, volumes wire bytes, times monotonic seconds.

Departures from the draft, each for a measured reason (figures: ``bench/simulate.py``):

- **What counts as congestion.** There any loss in a round lowers the short-term bounds and 2 % of
  a flight lowers the long-term one, so paths that lose 2 to 5 % at random are given up (5 % over
  100 Mbit: 14 % of the link). Here a loss counts by itself only while a *queue stands*: the round
  trip is well above the lowest. Without one it counts by what it exceeds the path's background
  loss, the rate seen while nothing queued (5 %: 95 % of what the link lets through).
  Single long round trips are no queue, all of them for a while are: our machine may have stalled.
- **Whose losses.** There a loss counts in the round that hears of it. Here what left before the
  phase that gives back, in STARTUP or UP, does not count against the rate after it; other stacks'
  SACKs tell of few gaps at a time and so of some losses rounds later (queue of 50 packets, to
  libwebrtc: 80 to 88 % of the link).
- **Not falling for ever.** There each such round takes 30 % until probing begins again. Here seven
  tenths are kept until then, unless a tenth is lost (a third of both processors taken away, 1 %
  of loss: 45 to 87 % of the link).
- **Giving way.** The draft's flows meet only in losses, and a queue that somebody keeps standing
  is left to stand. Here, while not probing, each round that never saw the queue empty lowers the
  bandwidth acted on a little (two flows' queue: 29 to 11 ms, their shares after 10 s: 67:33 to
  57:43), each that saw none takes some back (used of the link by two flows: 92 to 97 %), and
  overfilling a queue while probing cuts it until the next time, as CUBIC would be (beside CUBIC,
  queue of 0.4 bandwidth-delay products: 80 to 63 %). A queue that we made ourselves, making up
  for a stall, is not taken for somebody else's.
  Version 1 of BBR, the kernels' own, answers no loss, so giving way leaves us a sixth of a link
  whose queue it can overfill. Insisting too was tried twice. The second time only after eight
  lossy rounds that lost a tenth, and an examination (half the rate until the queue is empty) after
  which losses came back; with another one every 10 to 20 s, which frees two of ours from each
  other. Queues of a half and one product, begun together: 57 and 47 % in virtual time, but 23 to 29
  and 33 % beside real kernels, for twice the loss and up to a sixth of our packets; and where we
  begin ten seconds later it sees too little loss to notice (13 %). Asking for less loss makes
  crowds of ours insist against each other. Not worth its risk.
"""

from __future__ import annotations

import math

from .base import AckSample, SendSnapshot

__all__ = ["BETA", "PathModel"]

BETA = 0.7
"""Multiplicative decrease when a bound proves too high."""
LOSS_THRESHOLD = 0.02
"""Loss beyond the background that means "too much in flight", as a share of what was sent."""
MAX_BACKGROUND_LOSS = 0.06
"""Never is more than this taken for the path's own loss: beyond, somebody floods a queue."""
STARTUP_LOSS = 0.1
"""As `LOSS_THRESHOLD`, without a queue and before the path's own loss can be known."""
CUT = 0.75
"""What is left of the bounds after probing overfilled a queue."""
YIELD_STEP = 0.95
YIELD_FLOOR = 0.7
"""Per round with a standing queue, and at most in a cycle, the bandwidth is lowered to this."""
REGAIN_STEP = 1.01
"""And raised to this per round that saw no queue."""
FLOOD_LOSS = 0.1
"""Loss in a round from which on nothing holds the bounds above what is delivered."""
QUEUE_SHARE = 0.125
QUEUE_MIN = 0.003
"""A round trip longer than the lowest by this share and these seconds shows a standing queue."""
RECENT = 0.25
"""
Part of a round trip over which the lowest one counts, when a queue is looked for. A machine that
stalls makes single round trips long; only a queue makes all of them long.
"""
QUEUE_LOSS = 8192
"""Bytes a round may lose in a queue beyond the path's own loss."""
HEADROOM = 0.15
"""Share of the long-term bound left to others while cruising (draft, 2.8)."""
MIN_RTT_WINDOW = 5.0
"""A round trip that was the lowest seen is believed for so long (draft, 2.11)."""
MIN_RTT_CONFIRMED = 1.02
"""Round trips up to this multiple of the lowest confirm it: no need for PROBE_RTT then."""


class _Losses:
    """Bytes that arrived and bytes that did not, over some time."""

    __slots__ = ("lost", "moved")

    def __init__(self) -> None:
        self.moved = 0
        self.lost = 0

    def add(self, acked: int, lost: int) -> None:
        """Count what one SACK told."""
        self.moved += acked + lost
        self.lost += lost

    @property
    def share(self) -> float:
        """Lost, of what was sent."""
        return self.lost / self.moved if self.moved else 0.0

    def beyond(self, share: float) -> float:
        """Bytes lost beyond such a share."""
        return self.lost - share * self.moved


class PathModel:
    """Filters over the samples of all SACKs."""

    def __init__(self, rtt_floor: float) -> None:
        """
        Start with no knowledge.

        Args:
            rtt_floor: Round trips below this are counted as this: event loops and stretch SACKs
                answer no faster, and a window for less would starve them.
        """
        self._rtt_floor = rtt_floor
        # Bandwidth: the highest of this probing cycle and the one before it.
        self._bw_cycles = [0.0, 0.0]
        self.max_bw = 0.0
        self.min_rtt = math.inf
        self.min_rtt_at = 0.0
        # Rounds: a packet sent after the round began was delivered.
        self.round_start = False
        self.rounds = 0
        self._round_ends_at = 0
        self._round_began_at = 0
        self._lost_before_round = 0
        self.queue_stands = False
        """All recent round trips show a queue."""
        self._recent_rtts = [math.inf, math.inf]
        self._recent_since = 0.0
        self._lost_seen = 0
        self.was_late = False
        """In this round we made up for a stall of our machine, which makes a queue too."""
        self._late_before = self._round_was_late = False
        self._queued = _Losses()
        self._calm = _Losses()
        self._lowest_rtt = math.inf
        self.round_min_rtt = 0.0
        self.round_queued = _Losses()
        """What the last full round moved and lost while a queue stood."""
        self.round_calm = _Losses()
        """And without one."""
        self.round_loss = 0.0
        """Share of the bytes of the last full round that was lost."""
        self.round_bytes = 0
        """Bytes delivered or lost in the last full round."""
        # Bounds: short-term from loss while not probing, long-term from what probing found.
        self.bw_lo = math.inf
        self._bw_yielded = math.inf
        self.inflight_lo = math.inf
        self.inflight_hi = math.inf
        self._bw_latest = 0.0
        self._inflight_latest = 0
        self.background_loss = 0.0
        # Acknowledgements come in lumps; what comes beyond the bandwidth needs window too.
        self._extra_acked = [0.0, 0.0]
        self._extra_since = 0.0
        self._extra_bytes = 0
        self._extra_rotated = 0
        self._saved = (math.inf, math.inf, math.inf)

    @property
    def bw(self) -> float:
        """Bandwidth to act on: the measured one, unless recent loss or queues say less."""
        return min(self.max_bw, self.bw_lo, self._bw_yielded)

    @property
    def known(self) -> bool:
        """Both a bandwidth and a round trip were measured."""
        return self.max_bw > 0 and self.min_rtt < math.inf

    @property
    def extra_acked(self) -> float:
        """Bytes by which acknowledgements recently ran ahead of the bandwidth."""
        return max(self._extra_acked)

    @property
    def inflight_with_headroom(self) -> float:
        """The long-term bound, less a share for flows that may want to come in."""
        return self.inflight_hi * (1 - HEADROOM)

    def bdp(self, bw: float) -> float:
        """Bytes that `bw` keeps on the way."""
        return bw * max(self.min_rtt, self._rtt_floor)

    def update(self, sample: AckSample) -> None:
        """Take a SACK's measurements in."""
        self._update_round_trip(sample)
        self._update_round(sample)
        snapshot = sample.snapshot
        if sample.rate > 0 and (sample.rate >= self.max_bw or not snapshot.app_limited):
            self._bw_cycles[1] = max(self._bw_cycles[1], sample.rate)
            self.max_bw = max(self._bw_cycles)
        self._bw_latest = max(self._bw_latest, sample.rate)
        self._inflight_latest = max(self._inflight_latest, sample.delivered - snapshot.delivered)
        self._update_aggregation(sample)

    def _update_round_trip(self, sample: AckSample) -> None:
        if 0 < sample.rtt <= self.min_rtt * MIN_RTT_CONFIRMED:
            self.min_rtt = min(self.min_rtt, sample.rtt)
            self.min_rtt_at = sample.now
        if sample.rtt > 0:
            self._lowest_rtt = min(self._lowest_rtt, sample.rtt)
            recent = self._recent_rtts
            if sample.now > self._recent_since + RECENT * self.min_rtt:
                self._recent_since = sample.now
                recent[0], recent[1] = recent[1], math.inf
            recent[1] = min(recent[1], sample.rtt)
            self.queue_stands = min(recent) > self.queue_threshold
        lost = sample.lost_total - self._lost_seen
        (self._queued if self.queue_stands else self._calm).add(sample.acked, lost)
        self._lost_seen = sample.lost_total

    def _update_round(self, sample: AckSample) -> None:
        self.round_start = sample.snapshot.delivered >= self._round_ends_at
        if not self.round_start:
            return
        lost = sample.lost_total - self._lost_before_round
        self.round_bytes = sample.delivered - self._round_began_at + lost
        self.round_loss = lost / self.round_bytes if self.round_bytes else 0.0
        self.round_queued, self.round_calm = self._queued, self._calm
        self.round_min_rtt = self._lowest_rtt
        self._round_was_late = self._late_before or self.was_late
        self._late_before, self.was_late = self.was_late, False
        self.rounds += 1
        self.begin_round(sample.delivered, sample.lost_total)

    def begin_round(self, delivered: int, lost_total: int) -> None:
        """Count a new round from here (also when a probing phase begins)."""
        self._round_ends_at = delivered
        self._round_began_at = delivered
        self._lost_before_round = lost_total
        self._queued, self._calm = _Losses(), _Losses()
        self._lowest_rtt = math.inf

    def excuse(self, lost: int) -> None:
        """Leave `lost` bytes, which the next SACK will count, out of the round."""
        self._lost_seen += lost
        self._lost_before_round += lost

    def _update_aggregation(self, sample: AckSample) -> None:
        expected = self.bw * (sample.now - self._extra_since)
        if self._extra_bytes <= expected:
            self._extra_since = sample.now
            self._extra_bytes = 0
            expected = 0.0
        self._extra_bytes += sample.acked
        if self.round_start and self.rounds >= self._extra_rotated + 10:
            self._extra_rotated = self.rounds
            self._extra_acked = [self._extra_acked[1], 0.0]
        ahead = min(self._extra_bytes - expected, self.bdp(self.max_bw))
        self._extra_acked[1] = max(self._extra_acked[1], ahead)

    def min_rtt_expired(self, now: float) -> bool:
        """The lowest round trip is old enough to be doubted."""
        return self.min_rtt < math.inf and now > self.min_rtt_at + MIN_RTT_WINDOW

    def forget_min_rtt(self, rtt: float, now: float) -> None:
        """Believe `rtt`, measured with an empty queue, instead of an older and lower one."""
        if 0 < rtt < math.inf:
            self.min_rtt = rtt
        self.min_rtt_at = now

    def advance_bw_filter(self) -> None:
        """Begin a new cycle; the measurements of the cycle before the last one are forgotten."""
        if self._bw_cycles[1] > 0:
            self._bw_cycles = [self._bw_cycles[1], 0.0]
            self.max_bw = self._bw_cycles[0]

    # Loss

    def learn_background_loss(self) -> None:
        """Take what the last round lost without a queue as a measure of the path's own loss."""
        if self.round_calm.moved > 0:
            loss = min(self.round_calm.share, MAX_BACKGROUND_LOSS)
            weight = 0.25 if loss < self.background_loss else 0.125
            weight *= self.round_calm.moved / (self.round_calm.moved + self.round_queued.moved)
            self.background_loss += weight * (loss - self.background_loss)

    @property
    def tolerated_loss(self) -> float:
        """Share of a flight that may be lost before it counts as congestion."""
        return LOSS_THRESHOLD + min(1.5 * self.background_loss, MAX_BACKGROUND_LOSS)

    @property
    def queue_threshold(self) -> float:
        """A longer round trip shows a queue, seconds."""
        expected = max(self.min_rtt, self._rtt_floor)
        return expected + max(expected * QUEUE_SHARE, QUEUE_MIN)

    @property
    def round_in_queue(self) -> bool:
        """A queue stood all through the last full round, and not for our own lateness."""
        return self.round_min_rtt > self.queue_threshold and not self._round_was_late

    def give_way(self) -> None:
        """A queue stands though we do not probe: others send too, so leave some to them."""
        bw = YIELD_STEP * min(self.max_bw, self._bw_yielded)
        self._bw_yielded = max(YIELD_FLOOR * self.max_bw, bw)

    def regain(self) -> None:
        """The queue is gone: take back some of what was left to others."""
        self._bw_yielded *= REGAIN_STEP
        if self._bw_yielded >= self.max_bw:
            self._bw_yielded = math.inf

    def cut_bounds(self, inflight: int) -> None:
        """Probing filled a queue until it dropped: do with less until the next time."""
        self.bw_lo = min(self.bw_lo, CUT * self.max_bw)
        self.inflight_lo = min(self.inflight_lo, CUT * inflight)

    @property
    def lost_too_much(self) -> bool:
        """The last round, in which we did not probe, lost more than the path does by itself."""
        if self.round_queued.beyond(1.5 * self.background_loss) > QUEUE_LOSS:
            return True
        return (self.round_loss - self.tolerated_loss) * self.round_bytes > 8192

    @property
    def startup_lost_too_much(self) -> bool:
        """The last round of STARTUP lost more than 2 % in a queue, or too much without one."""
        queued = self.round_queued
        if queued.lost > max(LOSS_THRESHOLD * self.round_bytes, 8192):
            return True
        return self.round_loss > STARTUP_LOSS and self.round_loss * self.round_bytes > 8192

    def is_inflight_too_high(self, snapshot: SendSnapshot, lost_total: int, delivered: int) -> bool:
        """More was lost since `snapshot` was sent than a path of this kind loses by itself."""
        lost = lost_total - snapshot.lost
        volume = max(snapshot.in_flight, delivered - snapshot.delivered + lost)
        # A few packets say nothing about a rate; 8 KiB is some six of them.
        return lost > max(self.tolerated_loss * volume, 8192)

    def lower_bounds(self) -> None:
        """A round outside probing lost too much: believe what was delivered, not more."""
        bw, inflight = 0.0, 0.0
        if self.round_loss < FLOOD_LOSS:
            bw = YIELD_FLOOR * self.max_bw
            inflight = YIELD_FLOOR * min(self.inflight_hi, 2 * self.bdp(self.max_bw))
        if self.bw_lo == math.inf:
            self.bw_lo = self.max_bw
        self.bw_lo = min(self.bw_lo, max(self._bw_latest, BETA * self.bw_lo, bw))
        if self.inflight_lo == math.inf:
            self.inflight_lo = max(self._inflight_latest, self.bdp(self.max_bw))
        self.inflight_lo = min(
            self.inflight_lo, max(self._inflight_latest, BETA * self.inflight_lo, inflight)
        )

    def end_round_signals(self, sample: AckSample) -> None:
        """Forget the highest of the round that ended."""
        self._bw_latest = sample.rate
        self._inflight_latest = sample.delivered - sample.snapshot.delivered

    def reset_lower_bounds(self) -> None:
        """Probing begins: the short-term bounds have served."""
        self.bw_lo = self._bw_yielded = math.inf
        self.inflight_lo = math.inf

    def save_bounds(self) -> None:
        """Remember the bounds, in case the loss that changes them proves false."""
        self._saved = (self.bw_lo, self.inflight_lo, self.inflight_hi)

    def restore_bounds(self) -> None:
        """The loss was false: take back what it changed."""
        bw_lo, inflight_lo, inflight_hi = self._saved
        self.bw_lo = max(self.bw_lo, bw_lo)
        self.inflight_lo = max(self.inflight_lo, inflight_lo)
        self.inflight_hi = max(self.inflight_hi, inflight_hi)
