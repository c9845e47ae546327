"""RFC 9260, 6.3.1: from round trips to the retransmission timeout, rule by rule."""

from __future__ import annotations

import pytest

from peer.sctp.send.rto import RttEstimator


@pytest.fixture
def rtt() -> RttEstimator:
    return RttEstimator(initial=1.0, minimum=0.2, maximum=30.0)


def test_before_the_first_round_trip_it_is_rto_initial(rtt: RttEstimator) -> None:
    """C1."""
    assert rtt.rto() == 1.0


def test_the_first_round_trip_is_taken_with_half_of_it_as_variation(rtt: RttEstimator) -> None:
    """C2: RTO = R + 4 * R/2."""
    rtt.update(0.4)
    assert (rtt.smoothed, rtt.variation) == (0.4, 0.2)
    assert rtt.rto() == pytest.approx(1.2)


def test_later_ones_move_the_variation_first_and_then_the_mean(rtt: RttEstimator) -> None:
    """C3: alpha is 1/8, beta is 1/4; the variation is from the mean as it was."""
    rtt.update(0.4)
    rtt.update(0.8)
    assert rtt.variation == pytest.approx(0.75 * 0.2 + 0.25 * 0.4)
    assert rtt.smoothed == pytest.approx(0.875 * 0.4 + 0.125 * 0.8)
    assert rtt.rto() == pytest.approx(0.45 + 4 * 0.25)


def test_a_steady_path_ends_at_its_round_trip(rtt: RttEstimator) -> None:
    """C3."""
    for _ in range(200):
        rtt.update(0.5)
    assert rtt.rto() == pytest.approx(0.5)


def test_it_is_no_less_than_rto_min_and_no_more_than_rto_max(rtt: RttEstimator) -> None:
    """C6 and C7."""
    rtt.update(0.001)
    assert rtt.rto() == 0.2
    rtt.update(1000.0)
    assert rtt.rto() == 30.0


def test_it_doubles_with_every_expiry_up_to_rto_max(rtt: RttEstimator) -> None:
    """6.3.3, E2; 6.3.1, C7."""
    rtt.update(1.0)
    assert [rtt.rto(n) for n in range(5)] == [3.0, 6.0, 12.0, 24.0, 30.0]
    assert rtt.rto(1000) == 30.0
