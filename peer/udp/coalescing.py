"""When to read once a millisecond, and when at once.

A wake-up costs several times what a datagram does, so while many come in a row they are left to
gather, as network cards coalesce interrupts. One that is waited for must not be: a question and its
answer are as frequent as a slow stream, but nothing gathers between them. That cannot be told
beforehand. So it is tried, and given up when it brought little; and each time that it did, it takes
twice as long before it is tried again.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["INTERVAL", "Coalescing", "Taken"]

INTERVAL = 0.001
"""Seconds between reads while datagrams are left to gather."""
LITTLE = 8000
"""Bytes of a turn. The kernel puts datagrams together by itself where more come."""
FIRST_TURNS = 8
"""So many turns in a row that brought little and came soon after each other, to try it."""
MOST_TURNS = 1 << 14
WORTH_DATAGRAMS = 6
WORTH_BYTES = 3600
"""What an interval must bring at least: a stream of six megabytes a second ..."""
WORTH_SMALL = 16
"""... or so many datagrams, however small."""


class Taken(NamedTuple):
    """What one turn of the loop took from the socket."""

    size: int
    """Bytes."""
    datagrams: int
    more: bool
    """There may be more: the turn's limit ended it."""


class Coalescing:
    """Decides for one socket. Times are seconds of the loop's clock."""

    __slots__ = ("_read_at", "_turns", "_wanted")

    def __init__(self) -> None:
        self._read_at = 0.0
        self._turns = 0
        self._wanted = FIRST_TURNS

    def begin(self, taken: Taken, now: float) -> bool:
        """Note a turn that read at once; tell whether to leave what comes next to gather."""
        soon = taken.size < LITTLE and now - self._read_at < INTERVAL
        self._read_at = now
        self._turns = self._turns + 1 if soon else 0
        return self._turns >= self._wanted

    def go_on(self, taken: Taken) -> bool:
        """Note what has gathered in an interval; tell whether to wait for another."""
        if (taken.datagrams >= WORTH_DATAGRAMS and taken.size >= WORTH_BYTES) or (
            taken.datagrams >= WORTH_SMALL
        ):
            self._wanted = FIRST_TURNS
            return True
        if taken.datagrams:
            self._wanted = min(2 * self._wanted, MOST_TURNS)
        self._turns = 0
        return taken.more
