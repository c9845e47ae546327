"""The receiver's log against a model: sets of numbers (RFC 9260, 3.3.4 and 6.2)."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from peer.sctp.receive.tsn_tracker import TsnTracker

BASE = (1 << 32) - 20  # so that numbers wrap


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("data"), st.integers(1, 60)),
            st.tuples(st.just("forward"), st.integers(1, 60)),
        ),
        max_size=80,
    )
)
def test_the_log_knows_exactly_what_arrived(steps: list[tuple[str, int]]) -> None:
    log = TsnTracker(BASE)
    arrived: set[int] = set()
    gone_by = BASE
    for what, offset in steps:
        tsn = BASE + offset
        if what == "forward":
            log.forward(tsn)
            gone_by = max(gone_by, tsn)
        else:
            duplicate = tsn in arrived or tsn <= log.cumulative
            assert log.is_duplicate(tsn) == duplicate
            if not duplicate:
                log.add(tsn, 10)
                arrived.add(tsn)
        cumulative = gone_by
        while cumulative + 1 in arrived:
            cumulative += 1
        gone_by = cumulative
        assert log.cumulative == cumulative
        above = {t for t in arrived if t > cumulative}
        assert log.out_of_order == 10 * len(above)
        sack = log.sack(1000, 100)
        assert sack.cumulative_tsn == cumulative & 0xFFFFFFFF
        listed = {
            cumulative + t
            for first, last in zip(sack.gaps[::2], sack.gaps[1::2], strict=True)
            for t in range(first, last + 1)
        }
        assert listed == above
        edges = list(sack.gaps)
        assert edges == sorted(edges)
        assert all(b - a > 1 for a, b in zip(edges[1::2], edges[2::2], strict=False))


def test_duplicates_are_reported_once() -> None:
    """3.3.4: the list is emptied by every SACK."""
    log = TsnTracker(10)
    log.add(11, 1)
    assert log.is_duplicate(11)
    assert log.sack(0, 20).duplicates == [11]
    assert log.sack(0, 20).duplicates == []


def test_a_sack_lists_no_more_than_fits() -> None:
    log = TsnTracker(0)
    for tsn in range(2, 200, 2):
        log.add(tsn, 1)
    assert len(log.sack(0, 20).gaps) == 40


def test_a_flood_of_holes_is_bounded() -> None:
    log = TsnTracker(0)
    for tsn in range(2, 40_000, 2):
        if log.may_add(tsn):
            log.add(tsn, 1)
    assert len(log.blocks) <= 4096
    assert not log.may_add(70_000)
    assert log.may_add(1)
