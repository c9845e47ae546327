"""Loss detection, retransmission, and their reports to congestion control.

Loss is detected by order of transmission and by time, as in RACK and QUIC (RFC 8985, 6.2;
RFC 9002, 6.1), not by counting reports per TSN: a chunk is lost when another chunk that was sent
sufficiently later has arrived, regardless of its TSN, so a lost retransmission is detected, too.
When nothing arrives, two tail probes (RFC 8985, 7) precede T3-rtx (RFC 9260, 6.3.3).
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence

from peer.sctp.congestion.base import AckSample, CongestionController, LossSample
from peer.sctp.control.pmtu import PathMtu
from peer.sctp.timers import Timer, Timers
from peer.sctp.wire.serial import Tsn, unwrap32

from .delivery_rate import DeliveryRate
from .outgoing_chunks import OutgoingChunk
from .outstanding import Outstanding
from .partial_reliability import PartialReliability
from .rto import RttEstimator
from .send_queue import SendQueue
from .spurious_loss import LossEpisode, ReorderingTolerance

__all__ = ["Retransmission"]

_TIME_MARGIN = 0.001
"""Both ends work in rounds of a millisecond, so finer differences mean nothing. Seconds."""
_PROBES = 2
"""Tail probes before T3-rtx expires."""
_SAME_IMPLEMENTATION_ACK_DELAY = 0.03
_ACK_DELAY = 0.2
"""RFC 9260, 6.2: a receiver waits 200 ms for a second packet. Seconds."""
_TOO_SOON = 0.9
"""Share of the minimum round trip within which an answer is to an earlier transmission."""


class Retransmission:
    """Loss detection and recovery of one association."""

    def __init__(
        self,
        *,
        queue: SendQueue,
        outstanding: Outstanding,
        partial_reliability: PartialReliability,
        controller: CongestionController,
        pmtu: PathMtu,
        rtt: RttEstimator,
        delivery_rate: DeliveryRate,
        timers: Timers,
        window: int,
        same_implementation: bool,
    ) -> None:
        """Start with nothing in flight.

        Args:
            queue: Assigns TSNs.
            outstanding: Data in flight.
            partial_reliability: Decides which messages may be abandoned.
            controller: Takes in deliveries and losses.
            pmtu: Takes in deliveries and losses.
            rtt: Takes in round trips.
            delivery_rate: Takes in deliveries and losses.
            timers: ``PROBE`` and ``LOSS`` are ours.
            window: The peer's a_rwnd from its INIT or INIT ACK.
            same_implementation: The peer runs this implementation.
        """
        self._queue = queue
        self._outstanding = outstanding
        self._partial_reliability = partial_reliability
        self._controller = controller
        self._pmtu = pmtu
        self._rtt = rtt
        self._delivery_rate = delivery_rate
        self._timers = timers
        self._same_implementation = same_implementation
        self.peer_window = window
        """The last a_rwnd, without subtracting ``outstanding.payload``."""
        self._order: deque[OutgoingChunk] = deque()
        """By transmission, oldest first; may hold chunks that have been acked."""
        self._unreported: deque[OutgoingChunk] = deque()
        """Old chunks that a truncated SACK does not report, in order of transmission."""
        self.lost: deque[OutgoingChunk] = deque()
        """Chunks to retransmit, oldest first; may hold chunks that have been acked."""
        self._episode = LossEpisode()
        self._delivered_up_to = 0
        """Highest position in the order of transmission that was delivered."""
        self._tolerance = ReorderingTolerance()
        self.expiries = 0
        """Probe timeouts since the last acknowledgement of new data."""
        self.errors = 0
        """As ``expiries``, but answers of a peer with a closed window reset it, too."""
        self.retransmitted = 0
        self.timeouts = 0
        self.spurious = 0

    # Sending

    def on_sent(self, chunks: list[OutgoingChunk], now: float) -> None:
        """Log chunks that were just sent, in order."""
        self._order.extend(chunks)
        self._timers.start(Timer.PROBE, now + self._probe_timeout())

    def on_first_round_trip(self, now: float) -> None:
        """Replace the timeout of RTO.Initial: the round trip is known."""
        if self._timers.deadline(Timer.PROBE) is not None:
            self._timers.start(Timer.PROBE, now + self._probe_timeout())

    def next_lost(self, now: float) -> OutgoingChunk | None:
        """Remove and return the next chunk to retransmit; abandon those that may not be."""
        while self.lost:
            chunk = self.lost.popleft()
            if chunk.acked or chunk.abandoned:
                continue
            if self._partial_reliability.must_abandon(chunk, now) and chunk.message is not None:
                self._partial_reliability.abandon(chunk.message)
                continue
            chunk.lost = False
            chunk.shared = 0
            chunk.retransmissions += 1
            self.retransmitted += 1
            return chunk
        return None

    # Acknowledgements

    def on_sack(
        self, cumulative: int, window: int, gaps: Sequence[int], duplicates: Sequence[int],
        now: float,
    ) -> bool:  # fmt: skip
        """Process a SACK (RFC 9260, 6.2.1).

        Args:
            cumulative: Cumulative TSN, as on the wire.
            window: A_rwnd, bytes.
            gaps: Start, end, ... offsets.
            duplicates: Wire TSNs that the peer received more than once.
            now: Monotonic time in seconds.

        Returns:
            Whether it is valid and not older than an earlier one.
        """
        outstanding = self._outstanding
        base = outstanding.base
        acked_to = unwrap32(cumulative, base)
        top = self._queue.next_tsn - 1
        if acked_to < base - 1 or acked_to > top:
            return False
        prior_in_flight = outstanding.in_flight
        if self.peer_window == 0 and window > 0:
            # Probes of the closed window were most likely dropped: retransmit soon.
            self.expiries = 0
            self._timers.stop(Timer.PROBE)
        self.peer_window = window
        newly = outstanding.collect(acked_to, gaps, top)
        for duplicate in duplicates:
            self._on_spurious(unwrap32(duplicate, base), now)
        if window == 0 and outstanding.payload:
            # RFC 9260, 6.1 A: a peer that answers probes of its closed window is alive.
            self.errors = 0
        if newly:
            self.expiries = self.errors = 0
            self._pmtu.on_delivered(newly, now)
            self._on_delivered(newly, prior_in_flight, now)
        if outstanding.unacked:
            if newly or self._timers.deadline(Timer.PROBE) is None:
                self._timers.start(Timer.PROBE, now + self._probe_timeout())
        else:
            self._timers.stop(Timer.PROBE)
            self._timers.stop(Timer.LOSS)
        return True

    def _on_delivered(self, newly: list[OutgoingChunk], prior_in_flight: int, now: float) -> None:
        outstanding = self._outstanding
        rtt = self._rtt
        too_soon = rtt.minimum * _TOO_SOON
        acked = taken = size = 0
        best: OutgoingChunk | None = None
        best_sequence = -1
        for chunk in newly:
            if chunk.abandoned:
                continue
            wire = chunk.wire
            acked += wire
            size += chunk.size
            if chunk.lost:
                self._on_spurious(chunk.tsn, now)
            elif not chunk.unreported:
                taken += wire
            if chunk.sequence > best_sequence:
                if chunk.retransmissions:
                    elapsed = now - chunk.snapshot.sent_at
                    if elapsed < too_soon:
                        self._on_spurious(chunk.tsn, now)
                        continue
                    if elapsed < 0.5 * rtt.smoothed:
                        continue  # ambiguous: it may answer either transmission
                best_sequence = chunk.sequence
                best = chunk
        outstanding.in_flight -= taken
        outstanding.payload -= size
        delivery_rate = self._delivery_rate
        delivery_rate.on_delivered(acked, now)
        if best is None:
            return
        if best_sequence > self._delivered_up_to:
            self._delivered_up_to = best_sequence
        snapshot = best.snapshot
        elapsed = 0.0
        if not best.retransmissions:
            elapsed = now - snapshot.sent_at
            rtt.update(elapsed)
        rate = delivery_rate.sample(snapshot, now, shortest=too_soon)
        lost = self.detect(now)
        self._controller.on_ack(
            AckSample(
                now, acked, lost, outstanding.in_flight, prior_in_flight, delivery_rate.delivered,
                delivery_rate.lost, snapshot, rate, elapsed, rtt.smoothed, rtt.minimum,
                delivery_rate.is_app_limited,
            )
        )  # fmt: skip

    def _on_spurious(self, tsn: Tsn, now: float) -> None:
        """Handle the arrival of a chunk that was declared lost."""
        if not self._episode.on_spurious(tsn):
            return
        self.spurious += 1
        self._controller.on_spurious_loss(now=now)
        self._tolerance.on_spurious(self._outstanding.base, self._queue.next_tsn)

    # Loss detection

    def detect(self, now: float) -> int:
        """Declare chunks lost by order or by time; return their wire bytes (RFC 9002, 6.1)."""
        outstanding = self._outstanding
        reported_to = outstanding.reported_to
        unreported = self._unreported
        order = self._order
        window = max(self._rtt.smoothed, self._rtt.latest) * self._tolerance.factor + _TIME_MARGIN
        lost: list[OutgoingChunk] = []
        while unreported and (unreported[0].acked or unreported[0].tsn <= reported_to):
            chunk = unreported.popleft()
            if not chunk.acked and not chunk.abandoned:
                chunk.unreported = False
                outstanding.in_flight += chunk.wire
                lost.append(chunk)
        deadline = math.inf
        while order:
            chunk = order[0]
            if chunk.acked or chunk.abandoned or chunk.lost:
                order.popleft()
                continue
            if chunk.sequence >= self._delivered_up_to:
                break
            # The same sum decides and sets the timer: two sums could differ in the last bit, and
            # a timer that fires slightly early would be set to the same moment for ever.
            late_at = chunk.snapshot.sent_at + window
            if chunk.tsn > reported_to:
                # A truncated SACK does not report it. Once it is old it has left the network in
                # either case, so it must not fill the window.
                if late_at > now:
                    deadline = late_at
                    break
                chunk.unreported = True
                outstanding.in_flight -= chunk.wire
                unreported.append(order.popleft())
            elif self._delivered_up_to - chunk.sequence >= self._tolerance.packets or (
                late_at <= now
            ):
                lost.append(order.popleft())
            else:
                deadline = late_at
                break
        if deadline < math.inf:
            self._timers.start(Timer.LOSS, deadline)
        else:
            self._timers.stop(Timer.LOSS)
        return self._declare_lost(lost, now) if lost else 0

    def _declare_lost(self, chunks: list[OutgoingChunk], now: float) -> int:
        outstanding = self._outstanding
        partial_reliability = self._partial_reliability
        size = 0
        latest = chunks[-1].snapshot
        for chunk in chunks:
            size += chunk.wire
            if chunk.snapshot.sent_at > latest.sent_at:
                latest = chunk.snapshot
            if chunk.abandoned:
                continue  # with an earlier fragment of its message, just now
            if chunk.message is not None and partial_reliability.must_abandon(chunk, now):
                partial_reliability.abandon(chunk.message)
                continue
            chunk.lost = True
            outstanding.in_flight -= chunk.wire
            self.lost.append(chunk)
        delivery_rate = self._delivery_rate
        delivery_rate.lost += size
        if self._episode.on_lost((c.tsn for c in chunks), now=now, sent_at=latest.sent_at):
            self._tolerance.on_episode()
        self._controller.on_loss(
            LossSample(
                now,
                size,
                outstanding.in_flight,
                delivery_rate.lost,
                delivery_rate.delivered,
                latest,
            )
        )
        self._pmtu.on_lost(chunks, now)
        return size

    # Timeouts

    def _probe_timeout(self) -> float:
        rtt = self._rtt
        if rtt.smoothed == 0.0:
            return rtt.rto(self.expiries)
        if self.expiries >= _PROBES:
            return rtt.rto(self.expiries - _PROBES)
        delay = _SAME_IMPLEMENTATION_ACK_DELAY
        if not self._same_implementation and len(self._outstanding.unacked) == 1:
            delay = _ACK_DELAY
        return (rtt.smoothed + max(4 * rtt.variation, 0.005) + delay) * (1 << self.expiries)

    def on_probe_timer(self, now: float) -> list[OutgoingChunk]:
        """Handle the expiry of ``PROBE``: a tail probe, and from the third time on T3-rtx.

        Returns:
            Chunks to send at once, regardless of window and pacer. They keep their positions in
            the order of transmission: then, under FIFO, an acknowledgement of the last one shows
            that all chunks before it are acked or lost, and that of the first shows nothing.
        """
        outstanding = self._outstanding
        if not outstanding.unacked:
            return []
        self.expiries += 1
        self.errors += 1
        self._timers.start(Timer.PROBE, now + self._probe_timeout())
        self._partial_reliability.repeat()
        if self.expiries > _PROBES and self.peer_window > 0:
            self._on_timeout(now)
            return []
        if self.expiries > _PROBES:
            # With a closed window there is no T3-rtx: abandon what may not be retransmitted.
            for chunk in list(outstanding.unacked.values()):
                if (
                    chunk.message is not None
                    and not (chunk.acked or chunk.abandoned)
                    and self._partial_reliability.must_abandon(chunk, now)
                ):
                    self._partial_reliability.abandon(chunk.message)
        probes: list[OutgoingChunk] = []
        for chunk in outstanding.unacked.values():
            if self._may_probe(chunk, now):
                probes.append(chunk)
                break
        for chunk in reversed(self._order):
            if self.peer_window == 0:
                break  # one probe asks whether the window has opened
            if self._may_probe(chunk, now):
                if chunk not in probes:
                    probes.append(chunk)
                break
        self._pmtu.on_lost(probes, now)
        for chunk in probes:
            chunk.shared = 0
            chunk.retransmissions += 1
        self.retransmitted += len(probes)
        return probes

    def _may_probe(self, chunk: OutgoingChunk, now: float) -> bool:
        """Return whether to retransmit a chunk as a probe; one to abandon waits for T3-rtx."""
        return not (
            chunk.acked
            or chunk.abandoned
            or chunk.lost
            or self._partial_reliability.must_abandon(chunk, now)
        )

    def _on_timeout(self, now: float) -> None:
        """Handle T3-rtx: all chunks are lost (RFC 9260, 6.3.3, E1 to E4, and 7.2.3)."""
        outstanding = self._outstanding
        self.timeouts += 1
        in_flight = outstanding.in_flight
        outstanding.take_back()
        lost = [c for c in outstanding.unacked.values() if not (c.acked or c.abandoned)]
        fresh = [c.tsn for c in lost if not c.lost]
        self.lost.clear()
        self._order.clear()
        self._unreported.clear()
        for chunk in lost:
            chunk.unreported = False
            if chunk.message is not None and self._partial_reliability.must_abandon(chunk, now):
                if not chunk.abandoned:
                    self._partial_reliability.abandon(chunk.message)
                continue
            chunk.lost = True
            self.lost.append(chunk)
        outstanding.in_flight = 0
        self._timers.stop(Timer.LOSS)
        self._delivery_rate.lost += in_flight
        self._episode.on_lost(fresh, now=now, sent_at=now)
        self._controller.on_timeout(now=now, in_flight=in_flight)
        self._pmtu.on_lost(lost, now)
