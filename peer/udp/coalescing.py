"""The choice between reading at once and reading once a millisecond.

A wake-up costs several times as much as a datagram, so in a fast stream datagrams are left to
gather, as network cards coalesce interrupts. A datagram that a peer waits for must not be delayed:
requests and answers are as frequent as a slow stream, but nothing gathers between them. The two
cannot be distinguished in advance. So gathering is tried, and ended when it yields little; each
such failure doubles the time before the next trial.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["INTERVAL", "Coalescing", "Taken"]

INTERVAL = 0.001
"""Seconds between reads while datagrams are left to gather."""
LITTLE = 8000
"""Bytes of a turn below which to try it; the kernel coalesces larger amounts itself."""
FIRST_TURNS = 8
"""Small turns in quick succession before the first trial."""
MOST_TURNS = 1 << 14
WORTH_DATAGRAMS = 6
WORTH_BYTES = 3600
"""Least yield of an interval, datagrams and bytes: a stream of 6 MB/s ..."""
WORTH_SMALL = 16
"""... or this number of datagrams of any size."""


class Taken(NamedTuple):
    """Datagrams that one turn of the loop took from the socket."""

    size: int
    """Bytes."""
    datagrams: int
    more: bool
    """Whether there may be more: the turn's limit ended it."""


class Coalescing:
    """The decision for one socket. Times are seconds of the loop's clock."""

    __slots__ = ("_read_at", "_turns", "_wanted")

    def __init__(self) -> None:
        self._read_at = 0.0
        self._turns = 0
        self._wanted = FIRST_TURNS

    def begin(self, taken: Taken, now: float) -> bool:
        """Note a turn that read at once; return whether to let the next datagrams gather."""
        soon = taken.size < LITTLE and now - self._read_at < INTERVAL
        self._read_at = now
        self._turns = self._turns + 1 if soon else 0
        return self._turns >= self._wanted

    def go_on(self, taken: Taken) -> bool:
        """Note the yield of an interval; return whether to wait for another."""
        if (taken.datagrams >= WORTH_DATAGRAMS and taken.size >= WORTH_BYTES) or (
            taken.datagrams >= WORTH_SMALL
        ):
            self._wanted = FIRST_TURNS
            return True
        if taken.datagrams:
            self._wanted = min(2 * self._wanted, MOST_TURNS)
        self._turns = 0
        return taken.more
