"""Rate, time left and how often they are drawn, in virtual time."""

from __future__ import annotations

import io

import pytest

from peer.cli.progress import Meter, ProgressLine
from peer.cli.screen import Screen


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
    assert meter.average(now=1.0) == pytest.approx(50)


def line(*, terminal: bool, files: int = 1) -> tuple[ProgressLine, io.StringIO]:
    stream = io.StringIO()
    screen = Screen(stream, terminal=terminal, environ={"COLUMNS": "80"})
    return ProgressLine(screen, Meter(1000, now=0.0), files=files, path="direct"), stream


def test_terminal_is_redrawn_ten_times_a_second_at_most() -> None:
    progress, stream = line(terminal=True)
    for step in range(1000):
        progress.update(step, now=step / 1000)
    assert 8 <= stream.getvalue().count("%") <= 11


def test_short_transfer_leaves_no_plain_line() -> None:
    progress, stream = line(terminal=False)
    progress.update(500, now=0.1)
    progress.update(1000, now=0.2)
    assert stream.getvalue() == ""


def test_long_transfer_leaves_a_plain_line_every_few_seconds() -> None:
    progress, stream = line(terminal=False, files=3)
    for tenth in range(1, 121):
        progress.update(tenth * 5, now=tenth / 10, files_done=1, name="film.mkv")
    lines = stream.getvalue().splitlines()
    assert len(lines) == 2
    assert lines[0].lstrip().startswith("25%  255 B of 1.0 kB")
    assert "50 B/s" in lines[0]
    assert "1 of 3 files" in lines[0]
    assert "direct" in lines[0]
    assert "film.mkv" in lines[0]
