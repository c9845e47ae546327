"""Progress of a transfer: rate, time left, path.

`Meter` computes and `Pace` tells when to draw; both take the time as an argument.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from peer.transfer.sizes import format_size

from .text import count, duration, rate, shorten

__all__ = ["Meter", "Pace", "Reading", "bar", "sentence"]

_GAP = "  "
_WINDOW = 4.0
"""Seconds over which the rate is averaged: steady, and quick to follow a change."""
_SAMPLE = 0.1
"""Seconds between two samples."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One reading of a transfer."""

    done: int
    """Bytes that have arrived and are verified."""
    total: int
    """Bytes of the whole transfer."""
    bytes_per_second: float | None
    """None before the first interval."""
    seconds_left: float | None
    """None if the rate is unknown or 0."""

    @property
    def fraction(self) -> float:
        """From 0 to 1; an empty transfer is complete."""
        return self.done / self.total if self.total else 1.0


class Meter:
    """Computes a rate and the time left from byte counts."""

    def __init__(self, total: int, *, now: float, done: int = 0) -> None:
        """Start at `now` (seconds, any clock) with `done` bytes already there."""
        self.total = total
        self._samples: deque[tuple[float, int]] = deque([(now, done)])
        self._start = now

    def update(self, done: int, *, now: float) -> None:
        """Note that `done` bytes are there at `now`."""
        # Updates within a short interval are one sample, so the deque stays short.
        if len(self._samples) > 1 and now - self._samples[-2][0] < _SAMPLE:
            self._samples[-1] = (now, done)
        else:
            self._samples.append((now, done))
        while len(self._samples) > 2 and now - self._samples[1][0] >= _WINDOW:
            self._samples.popleft()

    def read(self, *, now: float) -> Reading:
        """Return the reading at `now`."""
        done = self._samples[-1][1]
        first_time, first_done = self._samples[0]
        elapsed = now - first_time
        speed = (done - first_done) / elapsed if elapsed > 0 else None
        left = (self.total - done) / speed if speed else None
        return Reading(done, self.total, speed, left)

    def elapsed(self, *, now: float) -> float:
        """Return the seconds since the start."""
        return now - self._start


class Pace:
    """Tells when to draw again.

    Args:
        interval: Seconds between two drawings.
        at_once: Draw the first time, too; otherwise short transfers are not drawn.
    """

    def __init__(self, interval: float, *, at_once: bool) -> None:
        self._interval = interval
        self._due: float | None = float("-inf") if at_once else None

    def due(self, *, now: float) -> bool:
        """Return whether it is time, and begin the next interval if so."""
        if self._due is None:
            self._due = now + self._interval
        if now < self._due:
            return False
        self._due = now + self._interval
        return True


def sentence(
    reading: Reading, *, files: tuple[int, int], path: str, name: str, width: int | None = None
) -> str:
    """Return a reading as one line, without its least important parts if it is too long.

    Args:
        reading: Reading of a `Meter`.
        files: Number of files that are done, and of all files.
        path: Kind of network path: `direct`.
        name: The current file; terminal-safe.
        width: Available columns; None for any number.
    """
    speed, left = reading.bytes_per_second, reading.seconds_left
    # In the order of the line; parts with higher numbers are dropped first.
    parts = [
        (0, f"{int(reading.fraction * 100):3d}%"),
        (3, f"{format_size(reading.done)} of {format_size(reading.total)}"),
        (2, rate(speed) if speed is not None else ""),
        (1, f"{duration(left)} left" if left is not None else ""),
        (4, f"{files[0]} of {count(files[1], 'file')}" if files[1] > 1 else ""),
        (5, path),
        (6, shorten(name, 32)),
    ]
    kept: set[int] = set()
    room = width
    for importance, part in sorted(parts):
        if part and room is not None:
            room -= _columns(part) + (len(_GAP) if kept else 0)
            if room < 0:
                break
        kept.add(importance)
    return _GAP.join(part for importance, part in parts if part and importance in kept)


def _columns(text: str) -> int:
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def bar(fraction: float, width: int) -> str:
    """Return a bar of `width` characters."""
    filled = int(fraction * width)
    return "━" * filled + "┄" * (width - filled)
