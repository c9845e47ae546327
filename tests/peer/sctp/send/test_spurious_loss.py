"""RFC 8985, 6.2: how much reordering is borne before a chunk counts as lost."""

from __future__ import annotations

from peer.sctp.send.spurious_loss import ReorderingTolerance


def test_at_first_three_packets_or_an_eighth_of_a_round_trip() -> None:
    """RFC 9002, 6.1."""
    tolerance = ReorderingTolerance()
    assert (tolerance.packets, tolerance.factor) == (3, 1.125)


def test_it_grows_once_a_round_trip_and_is_bounded() -> None:
    tolerance = ReorderingTolerance()
    tolerance.on_spurious(base=10, next_tsn=50)
    assert (tolerance.packets, tolerance.factor) == (4, 1.25)
    tolerance.on_spurious(base=50, next_tsn=90)  # sent before the last step
    assert tolerance.packets == 4
    for n in range(100):
        tolerance.on_spurious(base=100 + 2 * n, next_tsn=101 + 2 * n)
    assert (tolerance.packets, tolerance.factor) == (200, 2.0)


def test_sixteen_real_losses_take_a_step_back_down_to_where_it_began() -> None:
    """6.2, step 4."""
    tolerance = ReorderingTolerance()
    for n in range(4):
        tolerance.on_spurious(base=2 * n + 1, next_tsn=2 * n + 2)
    assert (tolerance.packets, tolerance.factor) == (11, 1.625)
    for _ in range(17):
        tolerance.on_episode()
    assert (tolerance.packets, tolerance.factor) == (8, 1.5)
    for _ in range(1000):
        tolerance.on_episode()
    assert (tolerance.packets, tolerance.factor) == (3, 1.125)


def test_false_losses_in_between_keep_it_where_it_is() -> None:
    tolerance = ReorderingTolerance()
    tolerance.on_spurious(base=1, next_tsn=1 << 40)
    for _ in range(100):
        for _ in range(10):
            tolerance.on_episode()
        tolerance.on_spurious(base=5, next_tsn=6)
    assert (tolerance.packets, tolerance.factor) == (4, 1.25)
