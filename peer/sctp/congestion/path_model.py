"""BBR's model of the path: bandwidth, round trip, and the volume that it holds.

The measuring half of draft-ietf-ccwg-bbr (BBRv3, 5.5 and 5.6); :mod:`.bbr` is the half
that acts on it. Rates are bytes per second, volumes wire bytes, times monotonic seconds.

Departures from the draft, each for a measured reason (figures: ``bench/simulate.py``):

- **Congestion signal.** In the draft any loss in a round lowers the short-term bounds, and a loss
of
  2 % of the data in flight lowers the long-term bound, so paths that lose 2 to 5 % at random are
  given up (5 % over 100 Mbit: 14 % of the link). Here a loss counts by itself only while a *queue
  stands*: the round trip is well above the lowest. Without a queue only the excess over the path's
  background loss counts, which is the rate seen while nothing queued (5 %: 95 % of what the link
  lets through). Single long round trips are no queue, because this process may have stalled; all
  round trips of a period are.
- **Attribution of losses.** In the draft a loss counts in the round in which it is reported. Here
  data sent before a DOWN phase, in STARTUP or UP, does not count against the rate after it; SACKs
  of other stacks list few gaps at a time, and report some losses rounds later (queue of 50 packets,
  to libwebrtc: 80 to 88 % of the link).
- **Bounded decrease.** In the draft each such round takes 30 % until probing begins again. Here
  seven tenths are kept until then, unless a tenth is lost (a third of both processors taken away,
  1 % of loss: 45 to 87 % of the link).
- **Yielding.** The draft's flows interact only through losses, and leave a standing queue of
others.
  Here, outside probing, each round that never saw the queue empty lowers the bandwidth acted on a
  little (queue of two flows: 29 to 11 ms, their shares after 10 s: 67:33 to 57:43), each round
  without a queue raises it (link used by two flows: 92 to 97 %), and overfilling a queue while
  probing cuts it until the next probing, as CUBIC would (beside CUBIC, queue of 0.4 bandwidth-delay
  products: 80 to 63 %). A queue that results from making up for a stall of ours does not count. BBR
  version 1, as in kernels, does not react to loss, so yielding leaves us a sixth of a link whose
  queue it can overfill. Insistence was tried twice. The second variant insisted only after eight
  lossy rounds that lost a tenth, and an examination (half the rate until the queue is empty) after
  which losses returned, and repeated the examination every 10 to 20 s, which frees two of our flows
  from each other. Queues of a half and one product, started together: 57 and 47 % in virtual time,
  but 23 to 29 and 33 % beside real kernels, for twice the loss and up to a sixth of our packets;
  started ten seconds later it sees too little loss to notice (13 %). A lower threshold makes many
  of our flows insist against each other. The gain does not justify the risk.
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
"""Upper bound of the path's own loss; a higher loss means that a queue overflows."""
STARTUP_LOSS = 0.1
"""As `LOSS_THRESHOLD`, without a queue and before the path's own loss can be known."""
CUT = 0.75
"""Factor for the bounds after probing overfilled a queue."""
YIELD_STEP = 0.95
YIELD_FLOOR = 0.7
"""Factors for the bandwidth: per round with a standing queue, and the lowest in a cycle."""
REGAIN_STEP = 1.01
"""Factor for the bandwidth per round without a queue."""
FLOOD_LOSS = 0.1
"""Loss in a round above which the bounds may fall to the delivered rate."""
QUEUE_SHARE = 0.125
QUEUE_MIN = 0.003
"""Excess of a round trip over the lowest, as a share and in seconds, that shows a queue."""
RECENT = 0.25
"""Window of queue detection, in round trips: its lowest measurement counts. A stalled process makes
single round trips long; only a queue makes all of them long."""
QUEUE_LOSS = 8192
"""Bytes that a round may lose in a queue beyond the path's own loss."""
HEADROOM = 0.15
"""Share of the long-term bound left to others while cruising (draft, 2.8)."""
MIN_RTT_WINDOW = 5.0
"""Lifetime of the lowest round trip, seconds (draft, 2.11)."""
MIN_RTT_CONFIRMED = 1.02
"""Round trips up to this multiple of the lowest confirm it: no need for PROBE_RTT then."""


class _Losses:
    """Bytes that arrived and bytes that did not, over some time."""

    __slots__ = ("lost", "moved")

    def __init__(self) -> None:
        self.moved = 0
        self.lost = 0

    def add(self, acked: int, lost: int) -> None:
        """Count the bytes of one SACK."""
        self.moved += acked + lost
        self.lost += lost

    @property
    def share(self) -> float:
        """Lost share of the bytes sent."""
        return self.lost / self.moved if self.moved else 0.0

    def beyond(self, share: float) -> float:
        """Return the bytes lost beyond such a share."""
        return self.lost - share * self.moved


class PathModel:
    """Filters over the samples of all SACKs."""

    def __init__(self, rtt_floor: float) -> None:
        """Start with no knowledge.

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
        """Whether this round made up for a stall of this process, which makes a queue, too."""
        self._late_before = self._round_was_late = False
        self._queued = _Losses()
        self._calm = _Losses()
        self._lowest_rtt = math.inf
        self.round_min_rtt = 0.0
        self.round_queued = _Losses()
        """Bytes that the last full round moved and lost while a queue stood."""
        self.round_calm = _Losses()
        """The same, without a queue."""
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
        """Bandwidth to act on: the measured one, unless recent loss or queues lower it."""
        return min(self.max_bw, self.bw_lo, self._bw_yielded)

    @property
    def known(self) -> bool:
        """Whether a bandwidth and a round trip have been measured."""
        return self.max_bw > 0 and self.min_rtt < math.inf

    @property
    def extra_acked(self) -> float:
        """Bytes by which acknowledgements recently ran ahead of the bandwidth."""
        return max(self._extra_acked)

    @property
    def inflight_with_headroom(self) -> float:
        """The long-term bound, less a share for flows that may start."""
        return self.inflight_hi * (1 - HEADROOM)

    def bdp(self, bw: float) -> float:
        """Return the bandwidth-delay product of `bw`, bytes."""
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
        """Return whether the lowest round trip is too old to rely on."""
        return self.min_rtt < math.inf and now > self.min_rtt_at + MIN_RTT_WINDOW

    def forget_min_rtt(self, rtt: float, now: float) -> None:
        """Replace the lowest round trip by `rtt`, measured with an empty queue."""
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
        """Share of the data in flight whose loss does not count as congestion."""
        return LOSS_THRESHOLD + min(1.5 * self.background_loss, MAX_BACKGROUND_LOSS)

    @property
    def queue_threshold(self) -> float:
        """Round trip above which a queue stands, seconds."""
        expected = max(self.min_rtt, self._rtt_floor)
        return expected + max(expected * QUEUE_SHARE, QUEUE_MIN)

    @property
    def round_in_queue(self) -> bool:
        """Whether a queue stood throughout the last full round, not because of a stall of ours."""
        return self.round_min_rtt > self.queue_threshold and not self._round_was_late

    def give_way(self) -> None:
        """Lower the bandwidth acted on: a queue outside probing means that other flows send."""
        bw = YIELD_STEP * min(self.max_bw, self._bw_yielded)
        self._bw_yielded = max(YIELD_FLOOR * self.max_bw, bw)

    def regain(self) -> None:
        """Raise the bandwidth acted on: the queue is gone."""
        self._bw_yielded *= REGAIN_STEP
        if self._bw_yielded >= self.max_bw:
            self._bw_yielded = math.inf

    def cut_bounds(self, inflight: int) -> None:
        """Lower the bounds until the next probing: it overfilled a queue."""
        self.bw_lo = min(self.bw_lo, CUT * self.max_bw)
        self.inflight_lo = min(self.inflight_lo, CUT * inflight)

    @property
    def lost_too_much(self) -> bool:
        """Whether the last round, outside probing, lost more than the path's own loss."""
        if self.round_queued.beyond(1.5 * self.background_loss) > QUEUE_LOSS:
            return True
        return (self.round_loss - self.tolerated_loss) * self.round_bytes > 8192

    @property
    def startup_lost_too_much(self) -> bool:
        """Whether the last round of STARTUP lost more than 2 % in a queue, or too much without."""
        queued = self.round_queued
        if queued.lost > max(LOSS_THRESHOLD * self.round_bytes, 8192):
            return True
        return self.round_loss > STARTUP_LOSS and self.round_loss * self.round_bytes > 8192

    def is_inflight_too_high(self, snapshot: SendSnapshot, lost_total: int, delivered: int) -> bool:
        """Return whether more was lost since `snapshot` than the path's own loss."""
        lost = lost_total - snapshot.lost
        volume = max(snapshot.in_flight, delivered - snapshot.delivered + lost)
        # A few packets say nothing about a rate; 8 KiB is some six of them.
        return lost > max(self.tolerated_loss * volume, 8192)

    def lower_bounds(self) -> None:
        """Lower the bounds to what was delivered: a round outside probing lost too much."""
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
        """Drop the short-term bounds: probing begins."""
        self.bw_lo = self._bw_yielded = math.inf
        self.inflight_lo = math.inf

    def save_bounds(self) -> None:
        """Save the bounds, in case the loss that changes them proves spurious."""
        self._saved = (self.bw_lo, self.inflight_lo, self.inflight_hi)

    def restore_bounds(self) -> None:
        """Restore the saved bounds: the loss was spurious."""
        bw_lo, inflight_lo, inflight_hi = self._saved
        self.bw_lo = max(self.bw_lo, bw_lo)
        self.inflight_lo = max(self.inflight_lo, inflight_lo)
        self.inflight_hi = max(self.inflight_hi, inflight_hi)
