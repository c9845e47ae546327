"""Rate, time left and how often they are drawn, in virtual time."""

from __future__ import annotations

import pytest
from rich.cells import cell_len

from peer.cli.terminal.progress import Meter, Pace, Reading, bar, sentence


def test_rate_is_unknown_until_time_has_passed() -> None:
    meter = Meter(1000, now=5.0)
    reading = meter.read(now=5.0)
    assert reading.bytes_per_second is None
    assert reading.seconds_left is None


def test_rate_and_time_left_follow_a_steady_flow() -> None:
    meter = Meter(10_000, now=0.0)
    for second in range(1, 6):
        meter.update(second * 1000, now=float(second))
    reading = meter.read(now=5.0)
    assert reading.bytes_per_second == pytest.approx(1000)
    assert reading.seconds_left == pytest.approx(5)


def test_rate_follows_a_change_within_its_window() -> None:
    meter = Meter(10**9, now=0.0)
    done = 0
    for step in range(1, 401):
        done += 10_000 if step <= 200 else 1000
        meter.update(done, now=step * 0.1)
    assert meter.read(now=40.0).bytes_per_second == pytest.approx(10_000, rel=0.05)


def test_stall_brings_the_rate_down_instead_of_freezing_it() -> None:
    meter = Meter(1000, now=0.0)
    meter.update(500, now=1.0)
    assert meter.read(now=10.0).bytes_per_second == pytest.approx(50)


def test_time_left_is_unknown_when_nothing_moves() -> None:
    meter = Meter(1000, now=0.0)
    assert meter.read(now=10.0).seconds_left is None


def test_bursts_of_updates_do_not_pile_up() -> None:
    meter = Meter(10**6, now=0.0)
    for step in range(100_000):
        meter.update(step, now=step * 1e-5)
    assert len(meter._samples) < 20


def test_resumed_bytes_do_not_count_as_speed() -> None:
    meter = Meter(1000, now=0.0, done=900)
    meter.update(950, now=1.0)
    assert meter.read(now=1.0).bytes_per_second == pytest.approx(50)


def test_terminal_is_redrawn_at_once_and_then_ten_times_a_second_at_most() -> None:
    pace = Pace(0.1, at_once=True)
    due = [step for step in range(1000) if pace.due(now=step / 1000)]
    assert due[0] == 0
    assert 9 <= len(due) <= 10


def test_what_is_over_soon_leaves_no_line_behind() -> None:
    pace = Pace(5.0, at_once=False)
    assert not any(pace.due(now=tenth / 10) for tenth in range(50))
    assert pace.due(now=5.0)
    assert not pace.due(now=9.9)
    assert pace.due(now=10.0)


def test_line_says_how_far_how_fast_how_long_and_by_which_path() -> None:
    line = sentence(
        Reading(255_000, 1_000_000, 50_000.0, 14.9),
        files=(1, 3),
        path="direct",
        name="film.mkv",
    )
    assert line == (" 25%  255 kB of 1 MB  50 kB/s  15 s left  1 of 3 files  direct  film.mkv")


def test_line_leaves_out_what_is_not_known() -> None:
    line = sentence(Reading(0, 10, None, None), files=(0, 1), path="", name="")
    assert line == "  0%  0 B of 10 B"


def test_transfer_of_nothing_is_complete() -> None:
    assert Reading(0, 0, None, None).fraction == 1.0


def test_bar_fills_from_the_left() -> None:
    assert bar(0.0, 4) == "┄┄┄┄"
    assert bar(0.5, 4) == "━━┄┄"
    assert bar(1.0, 4) == "━━━━"


@pytest.mark.parametrize("width", range(14, 201))
def test_time_left_is_whole_on_every_width(width: int) -> None:
    reading = Reading(333_000_000_000, 999_900_000_000, 99_900_000.0, 36_061.0)
    line = sentence(reading, files=(11_111, 222_222), path="relayed", name="日本" * 40, width=width)
    assert cell_len(line) <= width
    assert line.startswith(" 33%")
    assert ("10:01:01 left" in line) == (width >= 19)
    assert ("MB/s" in line) == (width >= 30)


def test_narrow_line_never_shows_half_of_anything() -> None:
    reading = Reading(1, 2, 1.0, 1.0)
    whole = sentence(reading, files=(1, 2), path="direct", name="a.jpg").split("  ")
    for width in range(4, 80):
        line = sentence(reading, files=(1, 2), path="direct", name="a.jpg", width=width)
        assert [part for part in whole if part in line.split("  ")] == line.split("  ")
