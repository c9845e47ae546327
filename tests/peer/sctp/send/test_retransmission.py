"""Loss detection by hand-made SACKs (RFC 8985; RFC 9260, 6.2.1 and 6.3.3)."""

from __future__ import annotations

import math

import pytest

from peer.sctp.congestion.base import AckSample, LossSample
from peer.sctp.control.pmtu import PathMtu
from peer.sctp.send.delivery_rate import DeliveryRate
from peer.sctp.send.outgoing_chunks import Message, OutgoingChunk
from peer.sctp.send.outstanding import Outstanding
from peer.sctp.send.partial_reliability import PartialReliability
from peer.sctp.send.retransmission import Retransmission
from peer.sctp.send.rto import RttEstimator
from peer.sctp.send.send_queue import SendQueue
from peer.sctp.send.transmission import Transmission
from peer.sctp.timers import Timer, Timers
from peer.sctp.wire.packet import PacketWriter


class Recorder:
    """A controller without an opinion that remembers what it was told."""

    name = "recorder"

    def __init__(self) -> None:
        self.cwnd = 1 << 30
        self.pacing_rate = math.inf
        self.quantum = 1
        self.slack = 0.0
        self.lost: list[LossSample] = []
        self.acked: list[AckSample] = []
        self.undone = 0
        self.timeouts = 0

    def on_sent(
        self, *, now: float, sent: int, in_flight: int, app_limited: bool, late: bool
    ) -> None:
        pass

    def on_ack(self, sample: AckSample) -> None:
        self.acked.append(sample)

    def on_loss(self, sample: LossSample) -> None:
        self.lost.append(sample)

    def on_spurious_loss(self, *, now: float) -> None:
        self.undone += 1

    def on_timeout(self, *, now: float, in_flight: int) -> None:
        self.timeouts += 1

    def on_mss(self, mss: int) -> None:
        pass

    def trace(self) -> dict[str, float | str]:
        return {}


class Sender:
    """The sending half of an association, driven by hand. TSNs count from 1."""

    def __init__(self) -> None:
        self.queue = SendQueue(datagram_size=1188, overhead=65)
        self.queue.begin(interleaving=False, initial_tsn=1)
        self.outstanding = Outstanding(1)
        self.timers = Timers()
        self.controller = Recorder()
        partial_reliability = PartialReliability(self.queue, self.outstanding, interleaving=False)
        delivery_rate = DeliveryRate()
        self.retransmission = Retransmission(
            queue=self.queue, outstanding=self.outstanding, partial_reliability=partial_reliability,
            controller=self.controller, timers=self.timers, window=1 << 30,
            same_implementation=True, delivery_rate=delivery_rate,
            pmtu=PathMtu(
                base=1188, maximum=1188, max_retransmissions=10, timers=self.timers,
                random=bytes, on_change=lambda: None, on_round_trip=lambda rtt, now: None,
            ),
            rtt=RttEstimator(initial=1.0, minimum=0.2, maximum=30.0),
        )  # fmt: skip
        self.transmission = Transmission(
            queue=self.queue, outstanding=self.outstanding, retransmission=self.retransmission,
            partial_reliability=partial_reliability, controller=self.controller,
            delivery_rate=delivery_rate, writer=PacketWriter(5000, 5000), datagram_size=1188,
            max_burst=100,
        )  # fmt: skip

    def send(self, count: int, now: float) -> list[int]:
        """Send full packets; return what left, by TSN."""
        for _ in range(count):
            self.queue.push(Message(1, 53, bytes(1160), 0, False, math.inf, math.inf))
        return self.burst(now)

    def burst(self, now: float) -> list[int]:
        return [chunk.tsn for chunk in self.transmission.burst(now)]

    def sack(self, cumulative: int, now: float, *gaps: tuple[int, int], **more: object) -> bool:
        edges = [edge - cumulative for gap in gaps for edge in gap]
        duplicates = more.get("duplicates", [])
        assert isinstance(duplicates, list)
        window = more.get("window", 1 << 30)
        assert isinstance(window, int)
        return self.retransmission.on_sack(cumulative, window, edges, duplicates, now)

    def chunk(self, tsn: int) -> OutgoingChunk:
        return self.outstanding.unacked[tsn]


@pytest.fixture
def sender() -> Sender:
    return Sender()


def test_three_later_deliveries_make_a_loss(sender: Sender) -> None:
    """RFC 9002, 6.1.1; RFC 9260, 7.2.4."""
    sender.send(10, 0.0)
    sender.sack(0, 0.1, (2, 3))
    assert sender.burst(0.1) == []
    sender.sack(0, 0.1, (2, 4))
    assert sender.burst(0.1) == [1]
    assert sender.controller.lost[0].lost == sender.chunk(1).wire


def test_one_later_delivery_makes_a_loss_once_it_is_late(sender: Sender) -> None:
    """RFC 8985, 6.2: by time."""
    sender.send(2, 0.0)
    sender.sack(0, 0.1, (2, 2))
    assert sender.burst(0.1) == []
    deadline = sender.timers.deadline(Timer.LOSS)
    assert deadline == pytest.approx(0.1135)
    sender.retransmission.detect(deadline or 0.0)
    assert sender.burst(0.12) == [1]


def test_what_was_sent_twice_tells_no_round_trip(sender: Sender) -> None:
    """RFC 9260, 6.3.1, C5 (Karn): which of the two was answered is anybody's guess."""
    rtt = sender.retransmission._rtt
    sender.send(1, 0.0)
    sender.sack(1, 0.1)
    sender.send(5, 1.0)
    sender.sack(1, 1.1, (3, 6))
    known = (rtt.smoothed, rtt.latest)
    assert sender.burst(1.1) == [2]
    sender.sack(6, 1.5)
    assert (rtt.smoothed, rtt.latest) == known


def test_a_lost_retransmission_is_noticed_without_a_timeout(sender: Sender) -> None:
    """RFC 8985, 1: by order of transmission, not of TSN."""
    sender.send(10, 0.0)
    sender.sack(0, 0.1, (2, 6))
    assert sender.burst(0.1) == [1]
    sender.send(10, 0.15)
    sender.sack(0, 0.25, (2, 14))
    assert sender.burst(0.26) == [1]


def test_nothing_is_judged_above_the_last_block_of_a_cut_sack(sender: Sender) -> None:
    """dcsctp lists 20 blocks at most: what it does not mention is unknown, not lost."""
    sender.send(100, 0.0)
    blocks = [(tsn, tsn) for tsn in range(2, 42, 2)]
    sender.sack(0, 0.1, *blocks)
    lost = sender.burst(0.1)
    assert max(lost) < 40
    in_flight = sender.outstanding.in_flight
    sender.sack(1, 0.2, *blocks)  # the retransmission of 1 arrived, sent after all of 41 to 100
    assert sender.burst(0.2) == [39]
    # They are not lost, but old: they must not hold the window shut.
    assert sender.outstanding.in_flight == in_flight - 61 * sender.chunk(100).wire
    sender.sack(39, 0.3, (41, 100))
    sender.sack(100, 0.4)
    assert sender.outstanding.in_flight == sender.outstanding.payload == 0


def test_a_sack_older_than_what_is_known_is_ignored(sender: Sender) -> None:
    """6.2.1, D i."""
    sender.send(10, 0.0)
    assert sender.sack(5, 0.1)
    assert not sender.sack(3, 0.1)
    assert not sender.sack(11, 0.1)
    assert sender.outstanding.base == 6


def test_blocks_that_lie_are_ignored(sender: Sender) -> None:
    sender.send(10, 0.0)
    sender.sack(0, 0.1, (50, 60))
    sender.sack(0, 0.1, (5, 4))
    sender.sack(0, 0.1, (4, 6), (4, 6), (3, 9))
    assert [tsn for tsn in range(1, 11) if sender.chunk(tsn).acked] == [4, 5, 6]


def test_in_flight_and_payload_return_to_zero(sender: Sender) -> None:
    sender.send(50, 0.0)
    sender.sack(10, 0.1, (12, 20), (25, 30))
    sender.burst(0.1)
    sender.sack(50, 0.2)
    assert sender.outstanding.in_flight == sender.outstanding.payload == 0
    assert sender.timers.deadline(Timer.PROBE) is None


def test_a_silent_path_is_probed_twice_before_everything_counts_as_lost(sender: Sender) -> None:
    """RFC 8985, 7; RFC 9260, 6.3.3."""
    sender.send(10, 0.0)
    sender.sack(2, 0.1)
    now = 0.1
    for expected in ([3, 10], [3, 10], []):
        now = sender.timers.deadline(Timer.PROBE) or 0.0
        assert [c.tsn for c in sender.retransmission.on_probe_timer(now)] == expected
    assert sender.controller.timeouts == 1
    assert sender.outstanding.in_flight == 0
    assert sender.burst(now) == [3, 4, 5, 6, 7, 8, 9, 10]


def test_gap_acks_that_the_peer_takes_back_are_sent_again_after_t3(sender: Sender) -> None:
    """RFC 9260, 6.2.1 D iii: a receiver may renege."""
    sender.send(5, 0.0)
    sender.sack(0, 0.1, (3, 5))
    sender.sack(2, 0.1, (5, 5))  # 3 and 4 are not listed any more
    now = 0.0
    for _ in range(3):
        now = sender.timers.deadline(Timer.PROBE) or 0.0
        sender.retransmission.on_probe_timer(now)
    assert sender.burst(now) == [3, 4]
    sender.sack(5, now + 0.1)
    assert sender.outstanding.payload == sender.outstanding.in_flight == 0


def test_an_acknowledgement_before_the_retransmission_undoes_the_reduction(
    sender: Sender,
) -> None:
    """The chunk was late, not lost."""
    sender.send(10, 0.0)
    sender.sack(0, 0.1, (2, 6))
    assert sender.chunk(1).lost
    sender.sack(6, 0.101)
    assert sender.controller.undone == 1
    assert sender.retransmission.spurious == 1
    assert sender.burst(0.2) == []


def test_an_answer_too_soon_after_the_retransmission_undoes_the_reduction(
    sender: Sender,
) -> None:
    """RFC 3522 (Eifel), by time instead of timestamps."""
    sender.send(10, 0.0)
    sender.sack(0, 0.1, (2, 6))
    assert sender.burst(0.1) == [1]
    sender.sack(6, 0.12)
    assert sender.controller.undone == 1


def test_duplicates_that_the_peer_reports_undo_the_reduction(sender: Sender) -> None:
    """RFC 3708."""
    sender.send(6, 0.0)
    sender.sack(0, 0.1, (2, 6))
    assert sender.burst(0.1) == [1]
    sender.sack(6, 0.21)
    assert sender.controller.undone == 0
    sender.sack(6, 0.22, duplicates=[1])
    assert sender.controller.undone == 1


def test_a_true_loss_is_not_undone(sender: Sender) -> None:
    sender.send(6, 0.0)
    sender.sack(0, 0.1, (2, 6))
    sender.burst(0.1)
    sender.sack(6, 0.21)
    assert sender.controller.undone == 0


def test_round_trips_are_not_measured_on_retransmissions(sender: Sender) -> None:
    """6.3.1, C5 (Karn)."""
    sender.send(10, 0.0)
    sender.sack(0, 0.1, (2, 6))
    sender.burst(0.5)
    sender.sack(6, 0.7)
    assert [sample.rtt for sample in sender.controller.acked] == [0.1, 0.0]


def test_the_delivery_rate_is_what_was_delivered_per_round_trip(sender: Sender) -> None:
    """draft-ietf-ccwg-bbr, 4.1.1."""
    for i in range(10):
        sender.send(10, 0.1 * i)
        if i:
            sender.sack(10 * i, 0.1 * i + 0.05)
    wire = sender.chunk(95).wire
    assert sender.controller.acked[-1].rate == pytest.approx(100 * wire, rel=0.01)


def test_a_closed_window_is_probed_with_one_chunk(sender: Sender) -> None:
    """6.1 A."""
    sender.send(2, 0.0)
    sender.sack(2, 0.1, window=0)
    assert len(sender.send(5, 0.2)) == 1
    assert sender.burst(0.3) == []
    for _ in range(20):
        now = sender.timers.deadline(Timer.PROBE) or 0.0
        assert [c.tsn for c in sender.retransmission.on_probe_timer(now)] == [3]
        sender.sack(2, now + 0.1, window=0)
        assert sender.retransmission.errors == 0
    assert sender.controller.timeouts == 0
