"""Controllers driven by hand: one rule, one test."""

from __future__ import annotations

import math

import pytest

from peer.sctp.congestion import (
    BBR,
    AckSample,
    Cubic,
    LossSample,
    NewReno,
    PathProfile,
    SendSnapshot,
)
from peer.sctp.congestion.path_model import CUT, YIELD_FLOOR, PathModel
from peer.sctp.congestion.phases import Phase
from peer.sctp.congestion.probe_bw import ProbeBandwidth

MSS = 1250
PROFILE = PathProfile(MSS, same_implementation=True, random=bytes)


def snapshot(
    sent_at: float = 0.0, delivered: int = 0, in_flight: int = 0, lost: int = 0
) -> SendSnapshot:
    return SendSnapshot(sent_at, delivered, sent_at, sent_at, in_flight, lost, app_limited=False)


def ack(
    now: float,
    acked: int = MSS,
    *,
    sent_at: float = 0.0,
    prior: int = 0,
    delivered: int = MSS,
    lost_total: int = 0,
    rate: float = 0.0,
    rtt: float = 0.05,
    in_flight: int = 0,
    app_limited: bool = False,
) -> AckSample:
    return AckSample(
        now, acked, 0, in_flight, in_flight + acked, delivered, lost_total,
        snapshot(sent_at, prior), rate, rtt, rtt, 0.05, app_limited,
    )  # fmt: skip


def loss(
    now: float, *, sent_at: float, lost: int = MSS, prior: int = 0, lost_total: int | None = None
) -> LossSample:
    total = lost if lost_total is None else lost_total
    return LossSample(now, lost, 0, total, 0, snapshot(sent_at, prior))


class TestNewReno:
    def test_slow_start_grows_by_what_is_acked(self) -> None:
        reno = NewReno(PROFILE)
        reno.on_ack(ack(0.05, 3 * MSS))
        assert reno.cwnd == 13 * MSS  # RFC 9260, 7.2.1

    def test_window_that_is_not_used_does_not_grow(self) -> None:
        reno = NewReno(PROFILE)
        reno.on_ack(ack(0.05, 3 * MSS, app_limited=True))
        assert reno.cwnd == 10 * MSS  # RFC 9260, 7.2.1

    def test_a_round_with_losses_halves_once(self) -> None:
        reno = NewReno(PROFILE)
        reno.on_loss(loss(1.0, sent_at=0.95))
        reno.on_loss(loss(1.01, sent_at=0.96))
        assert reno.cwnd == 5 * MSS  # RFC 9260, 7.2.4
        reno.on_loss(loss(1.2, sent_at=1.1))
        assert reno.cwnd == 4 * MSS  # never below four packets (7.2.3)

    def test_congestion_avoidance_adds_a_packet_per_window(self) -> None:
        reno = NewReno(PROFILE)
        reno.on_loss(loss(1.0, sent_at=0.95))
        reno.cwnd += 1  # above the threshold
        for _ in range(6):
            reno.on_ack(ack(1.2, MSS, sent_at=1.1))
        assert reno.cwnd == 6 * MSS + 1  # RFC 9260, 7.2.2

    def test_false_loss_gives_the_window_back(self) -> None:
        reno = NewReno(PROFILE)
        reno.on_loss(loss(1.0, sent_at=0.95))
        reno.on_spurious_loss(now=1.05)
        assert reno.cwnd == 10 * MSS

    def test_timeout_leaves_one_packet(self) -> None:
        reno = NewReno(PROFILE)
        reno.on_timeout(now=2.0, in_flight=0)
        assert (reno.cwnd, reno.ssthresh) == (MSS, 5 * MSS)  # RFC 9260, 7.2.3


class TestCubic:
    def test_loss_leaves_seven_tenths(self) -> None:
        cubic = Cubic(PROFILE)
        cubic.on_loss(loss(1.0, sent_at=0.95))
        cubic.on_loss(loss(1.01, sent_at=0.96))
        assert cubic.cwnd == 7 * MSS  # RFC 9438, 4.6: once per round

    def test_plateau_is_reached_after_k_seconds(self) -> None:
        cubic = Cubic(PROFILE)
        cubic.cwnd = 200 * MSS
        cubic.on_loss(loss(1.0, sent_at=0.95))
        k = (60 / 0.4) ** (1 / 3)  # RFC 9438, 4.2: cbrt((W_max - cwnd) / C)
        now = 1.1
        while now < 1.1 + k:
            cubic.on_ack(ack(now, cubic.cwnd // 4, sent_at=now - 0.05))
            now += 0.0125
        assert cubic.cwnd == pytest.approx(200 * MSS, rel=0.03)

    def test_second_loss_below_the_first_plateau_converges_fast(self) -> None:
        cubic = Cubic(PROFILE)
        cubic.cwnd = 100 * MSS
        cubic.on_loss(loss(1.0, sent_at=0.95))
        cubic.on_loss(loss(1.2, sent_at=1.1))
        # RFC 9438, 4.7: W_max = cwnd * (1 + beta) / 2
        assert cubic.trace()["w_max"] == pytest.approx(70 * 0.85 * MSS)

    def test_rising_round_trip_ends_slow_start(self) -> None:
        cubic = Cubic(PROFILE)
        delivered = 0
        for rtt in (0.050, 0.050, 0.070, 0.072, 0.074, 0.076, 0.078, 0.080):
            for _ in range(10):
                delivered += MSS
                cubic.on_ack(ack(1.0, prior=delivered - 10 * MSS, delivered=delivered, rtt=rtt))
        assert cubic.cwnd >= cubic.ssthresh  # RFC 9406, 4.2: CSS for five rounds, then out

    def test_steady_round_trip_does_not(self) -> None:
        cubic = Cubic(PROFILE)
        delivered = 0
        for _ in range(80):
            delivered += MSS
            cubic.on_ack(ack(1.0, prior=delivered - 10 * MSS, delivered=delivered))
        assert cubic.ssthresh == float("inf")
        assert cubic.cwnd == 90 * MSS

    def test_false_loss_gives_the_window_back(self) -> None:
        cubic = Cubic(PROFILE)
        cubic.on_loss(loss(1.0, sent_at=0.95))
        cubic.on_spurious_loss(now=1.05)
        assert cubic.cwnd == 10 * MSS  # RFC 9438, 4.9


class Rounds:
    """Feeds a model whole rounds of a hundred packets each."""

    def __init__(self) -> None:
        self.model = PathModel(rtt_floor=0.004)
        self.now = 1.0
        self.delivered = self.lost = 0
        self.round(rtt=0.05)
        self.round(rtt=0.05)

    def round(self, *, rtt: float, lost: int = 0, rate: float = 1e6) -> None:
        """One round that delivers 100 packets and loses `lost`, told by one SACK."""
        prior = self.delivered
        self.now += rtt
        self.delivered += 100 * MSS
        self.lost += lost * MSS
        self.model.update(
            ack(
                self.now,
                100 * MSS,
                prior=prior,
                delivered=self.delivered,
                lost_total=self.lost,
                rate=rate,
                rtt=rtt,
            )
        )


class TestPathModel:
    def test_bandwidth_is_the_highest_of_two_cycles(self) -> None:
        rounds = Rounds()
        rounds.round(rtt=0.05, rate=3e6)
        rounds.model.advance_bw_filter()
        rounds.round(rtt=0.05, rate=2e6)
        assert rounds.model.max_bw == 3e6  # draft, 5.5.5
        rounds.model.advance_bw_filter()
        assert rounds.model.max_bw == 2e6

    def test_loss_without_a_queue_is_the_path_s_own(self) -> None:
        rounds = Rounds()
        for _ in range(20):
            rounds.round(rtt=0.05, lost=4)
            rounds.model.learn_background_loss()
        assert not rounds.model.lost_too_much
        assert rounds.model.background_loss > 0.01

    def test_loss_while_a_queue_stands_is_congestion(self) -> None:
        rounds = Rounds()
        rounds.round(rtt=0.07)
        rounds.round(rtt=0.07, lost=8)
        assert rounds.model.lost_too_much

    def test_single_long_round_trips_are_not_a_queue(self) -> None:
        rounds = Rounds()
        rounds.round(rtt=0.05)
        rounds.now -= 0.045  # a SACK of the same moment, handled late
        rounds.round(rtt=0.07, lost=1)
        assert not rounds.model.queue_stands

    def test_a_queue_of_our_own_catching_up_is_not_somebody_else_s(self) -> None:
        rounds = Rounds()
        seen = []
        for late in (False, True, False, False):
            rounds.model.was_late = late
            rounds.round(rtt=0.07)
            seen.append(rounds.model.round_in_queue)
        # Late data is acknowledged a round trip later.
        assert seen == [True, False, False, True]

    def test_bounds_do_not_fall_for_ever_unless_a_tenth_is_lost(self) -> None:
        rounds = Rounds()
        for _ in range(20):
            rounds.round(rtt=0.07, lost=5, rate=1e5)
            rounds.model.lower_bounds()
            rounds.model.end_round_signals(ack(rounds.now, rate=1e5))
        assert rounds.model.bw == pytest.approx(YIELD_FLOOR * rounds.model.max_bw)
        for _ in range(20):
            rounds.round(rtt=0.07, lost=30, rate=1e5)
            rounds.model.lower_bounds()
            rounds.model.end_round_signals(ack(rounds.now, rate=1e5))
        assert rounds.model.bw < 0.3 * rounds.model.max_bw

    def test_much_loss_without_a_queue_is_congestion_too(self) -> None:
        rounds = Rounds()
        rounds.round(rtt=0.05, lost=30)
        assert rounds.model.lost_too_much

    def test_giving_way_has_a_floor(self) -> None:
        rounds = Rounds()
        for _ in range(100):
            rounds.model.give_way()
        assert rounds.model.bw == pytest.approx(YIELD_FLOOR * rounds.model.max_bw)
        rounds.model.reset_lower_bounds()
        assert rounds.model.bw == rounds.model.max_bw  # draft, 5.3.3.4: REFILL

    def test_what_was_left_to_others_is_taken_back_little_by_little(self) -> None:
        rounds = Rounds()
        rounds.model.give_way()
        lowered = rounds.model.bw
        rounds.model.regain()
        assert lowered < rounds.model.bw < rounds.model.max_bw
        for _ in range(10):
            rounds.model.regain()
        assert rounds.model.bw == rounds.model.max_bw

    def test_bounds_of_a_false_loss_are_restored(self) -> None:
        rounds = Rounds()
        before = rounds.model.bw
        rounds.model.save_bounds()
        rounds.model.cut_bounds(100 * MSS)
        assert rounds.model.bw == pytest.approx(CUT * before)
        rounds.model.restore_bounds()
        assert rounds.model.bw == before

    def test_round_trip_near_the_lowest_confirms_it(self) -> None:
        rounds = Rounds()
        for _ in range(200):
            rounds.round(rtt=0.0505)
        assert not rounds.model.min_rtt_expired(rounds.now)
        for _ in range(200):
            rounds.round(rtt=0.06)
        assert rounds.model.min_rtt_expired(rounds.now)  # draft, 5.3.4.3
        assert rounds.model.min_rtt == 0.05


class TestProbeBandwidth:
    @pytest.mark.parametrize(("sent_before", "lowers"), [(True, False), (False, True)])
    def test_a_loss_tells_of_the_rate_at_which_its_packet_left(
        self, sent_before: bool, lowers: bool
    ) -> None:
        rounds = Rounds()
        model = rounds.model
        cycle = ProbeBandwidth(model, bytes, MSS)
        began_at = rounds.delivered
        cycle.enter_down(ack(rounds.now, delivered=began_at, lost_total=rounds.lost))
        for _ in range(3):  # a peer that tells of few gaps at once makes it so long
            rounds.round(rtt=0.05)
            cycle.end_round()
            cycle.advance(
                ack(rounds.now, delivered=rounds.delivered), cwnd=200 * MSS, quantum=10 * MSS
            )
        assert cycle.phase is Phase.CRUISE
        prior = began_at - MSS if sent_before else rounds.delivered
        lost = 30 * MSS
        cycle.on_loss(
            loss(rounds.now, sent_at=0.0, lost=lost, prior=prior, lost_total=rounds.lost + lost),
            200 * MSS,
        )
        rounds.round(rtt=0.05, lost=30)
        cycle.end_round()
        assert (model.bw_lo < math.inf) is lowers


class TestBbr:
    def test_startup_ends_when_bandwidth_stays_flat_for_three_rounds(self) -> None:
        bbr = BBR(PROFILE)
        delivered = 0
        phases = []
        for step, rate in enumerate((1e6, 2e6, 4e6, 4e6, 4e6, 4e6)):
            prior, delivered = delivered, delivered + 100 * MSS
            bbr.on_ack(
                ack(1 + step * 0.05, 100 * MSS, prior=prior, delivered=delivered, rate=rate,
                    in_flight=10**9)
            )  # fmt: skip
            phases.append(bbr.phase.value)
        # draft, 5.3.1.2
        assert phases == ["startup"] * 5 + ["drain"]

    def test_paces_a_little_below_its_gain_times_the_bandwidth(self) -> None:
        bbr = BBR(PROFILE)
        bbr.on_ack(ack(1.0, delivered=10**6, rate=10e6))
        assert bbr.pacing_rate == pytest.approx(2.77 * 0.99 * 10e6)  # draft, 5.6.2

    def test_timeout_leaves_four_packets(self) -> None:
        bbr = BBR(PROFILE)
        bbr.on_timeout(now=1.0, in_flight=0)
        assert bbr.cwnd == 4 * MSS

    def test_bursts_toward_others_are_small(self) -> None:
        for same_implementation, most in ((True, 40_000), (False, 20_000)):
            bbr = BBR(PathProfile(MSS, same_implementation, bytes))
            bbr.on_ack(ack(1.0, delivered=10**6, rate=1e9))
            assert bbr.quantum == most
