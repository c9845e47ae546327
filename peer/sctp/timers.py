"""Deadlines by name; the caller passes the time as ``now``."""

from __future__ import annotations

import enum

__all__ = ["Timer", "Timers"]


class Timer(enum.IntEnum):
    """Timers of an association.

    Integers, because they are hashed several times per SACK, and Enum's hash is Python code.
    """

    T1_INIT = 0
    """No INIT ACK came: send INIT again (RFC 9260, 5.1)."""
    T1_COOKIE = 1
    """No COOKIE ACK came: send COOKIE ECHO again."""
    T2_SHUTDOWN = 2
    """No answer to SHUTDOWN or SHUTDOWN ACK: send it again (RFC 9260, 9.2)."""
    T5_SHUTDOWN_GUARD = 3
    """The shutdown takes too long since SHUTDOWN was sent: abort (RFC 9260, 9.2)."""
    PROBE = 4
    """Nothing was acknowledged for too long: tail probes, then T3-rtx (RFC 9260, 6.3.3)."""
    LOSS = 5
    """A packet becomes late enough to count as lost (RFC 8985)."""
    SACK = 6
    """A delayed acknowledgement is due (RFC 9260, 6.2)."""
    HEARTBEAT = 7
    """The path is idle: send a HEARTBEAT (RFC 9260, 8.3)."""
    RECONFIG = 8
    """No answer to a stream reset: send it again (RFC 6525, 5.1.1)."""
    PMTU = 9
    """A probe of the path MTU was not answered, or a new search is due (RFC 8899)."""


class Timers:
    """A deadline per timer."""

    __slots__ = ("_deadlines",)

    def __init__(self) -> None:
        self._deadlines: dict[Timer, float] = {}

    def start(self, timer: Timer, deadline: float) -> None:
        """Start or move a timer."""
        self._deadlines[timer] = deadline

    def stop(self, timer: Timer) -> None:
        """Stop a timer, if it runs."""
        self._deadlines.pop(timer, None)

    def stop_all(self) -> None:
        """Stop every timer."""
        self._deadlines.clear()

    def deadline(self, timer: Timer) -> float | None:
        """Return when a timer fires, or ``None`` when it does not run."""
        return self._deadlines.get(timer)

    def next_deadline(self) -> float | None:
        """Return the earliest deadline, or ``None`` when nothing runs."""
        return min(self._deadlines.values(), default=None)

    def pop_due(self, now: float) -> list[Timer]:
        """Stop the timers whose deadline is reached and return them, earliest first."""
        due = sorted(
            (timer for timer, deadline in self._deadlines.items() if deadline <= now),
            key=self._deadlines.__getitem__,
        )
        for timer in due:
            del self._deadlines[timer]
        return due
