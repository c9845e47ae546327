"""How far a transfer is: rate, time left, path; ten times a second at most.

`Meter` does the arithmetic and takes the time as an argument; `ProgressLine` draws it.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from .screen import Screen
from .text import count, duration, rate, shorten, size

__all__ = ["Meter", "ProgressLine", "Reading"]

_WINDOW = 4.0
"""Seconds over which the rate is averaged: steady to read, quick to follow a change."""
_REDRAW = 0.1
"""Seconds between two drawings on a terminal."""
_REPEAT = 5.0
"""Seconds between two lines where lines stay."""
_BAR_WIDTH = 24


@dataclass(frozen=True, slots=True)
class Reading:
    """One reading of a transfer."""

    done: int
    """Bytes that arrived and were verified."""
    total: int
    """Bytes of the whole transfer."""
    bytes_per_second: float | None
    """None until there is something to divide by."""
    seconds_left: float | None
    """None when the rate is unknown or nothing moves."""


class Meter:
    """Turns byte counts into a rate and a time left."""

    def __init__(self, total: int, *, now: float, done: int = 0) -> None:
        """Start at `now` (seconds, any clock) with `done` bytes already there."""
        self.total = total
        self._samples: deque[tuple[float, int]] = deque([(now, done)])
        self._start = (now, done)

    def update(self, done: int, *, now: float) -> None:
        """Note that `done` bytes are there at `now`."""
        last = self._samples[-1]
        # A burst of updates within a blink is one sample; the deque stays short.
        if len(self._samples) > 1 and now - self._samples[-2][0] < _REDRAW:
            self._samples[-1] = (now, done)
        elif (now, done) != last:
            self._samples.append((now, done))
        while len(self._samples) > 2 and now - self._samples[1][0] >= _WINDOW:
            self._samples.popleft()

    def read(self, *, now: float) -> Reading:
        """Return the state of things at `now`."""
        done = self._samples[-1][1]
        first_time, first_done = self._samples[0]
        elapsed = now - first_time
        speed = (done - first_done) / elapsed if elapsed > 0 else None
        left = (self.total - done) / speed if speed else None
        return Reading(done, self.total, speed, left)

    def average(self, *, now: float) -> float | None:
        """Return bytes per second over the whole transfer; None before any time has passed."""
        start, done = self._start
        elapsed = now - start
        return (self._samples[-1][1] - done) / elapsed if elapsed > 0 else None

    def elapsed(self, *, now: float) -> float:
        """Return the seconds since the start."""
        return now - self._start[0]


class ProgressLine:
    """One changing line on a terminal; a line every few seconds elsewhere."""

    def __init__(self, screen: Screen, meter: Meter, *, files: int, path: str) -> None:
        """`path` says how the bytes travel: ``direct, host``, ``relayed``."""
        self._screen = screen
        self._meter = meter
        self._files = files
        self._path = path
        self._next = 0.0 if screen.terminal else None

    def update(self, done: int, *, now: float, files_done: int = 0, name: str = "") -> None:
        """Note progress and draw it if it is time to. `name` must be terminal-safe."""
        self._meter.update(done, now=now)
        if self._next is None:
            # The first plain line only once the transfer has proved to take a while.
            self._next = now + _REPEAT
        if now < self._next:
            return
        self._next = now + (_REDRAW if self._screen.terminal else _REPEAT)
        self._screen.status(self._line(now, files_done, name))

    def finish(self) -> None:
        """Take the line away."""
        self._screen.clear_status()

    def _line(self, now: float, files_done: int, name: str) -> str:
        reading = self._meter.read(now=now)
        fraction = reading.done / reading.total if reading.total else 1.0
        parts = [f"{int(fraction * 100):3d}%"]
        if self._screen.terminal and self._screen.unicode and self._screen.width >= 100:
            filled = int(fraction * _BAR_WIDTH)
            parts.append("━" * filled + "┄" * (_BAR_WIDTH - filled))
        parts.append(f"{size(reading.done)} of {size(reading.total)}")
        if reading.bytes_per_second is not None:
            parts.append(rate(reading.bytes_per_second))
        if reading.seconds_left is not None:
            parts.append(f"{duration(reading.seconds_left)} left")
        if self._files > 1:
            parts.append(f"{files_done} of {count(self._files, 'file')}")
        parts.append(self._path)
        if name:
            parts.append(shorten(name, 32))
        return "  ".join(part for part in parts if part)
