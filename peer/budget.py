"""The guesses at one code or password, shared out among the set-ups of a room (floor 3)."""

from __future__ import annotations

import asyncio
import hashlib
from collections import deque
from collections.abc import Callable
from typing import Final

from .guesses import CODE_GUESSES, ROOM_GUESSES, ROOM_WINDOW, Decisions, Guesses, Verdict

__all__ = ["Budget"]

MAX_KEPT: Final = 256
"""Budgets of rooms that were left; whoever makes more of them loses the oldest."""

_Key = tuple[str, str, bytes]
_kept: dict[_Key, Guesses] = {}


class Budget:
    """What is left for others to try at a room's code or password.

    A server that ends the connection, and so has the program come back, gets no new guesses by
    that: the budget then outlives the room.

    Args:
        server: where the room is.
        room: its id.
        password: what both sides must know.
        is_code: whether that is a code.
    """

    def __init__(self, server: str, room: str, password: bytes, *, is_code: bool) -> None:
        self._key = (server, room, hashlib.sha256(password).digest())
        fresh = Guesses(CODE_GUESSES) if is_code else Guesses(ROOM_GUESSES, ROOM_WINDOW)
        self._inherited = self._key in _kept
        self._guesses = _kept.pop(self._key, fresh)
        self._loop = asyncio.get_running_loop()
        self._runs: dict[int, Callable[[bool], bool]] = {}
        self._last = 0
        self._undelivered: deque[tuple[int, Verdict]] = deque()
        self._delivers = False

    @property
    def taken(self) -> int:
        """Guesses that are taken now."""
        return self._guesses.count(self._loop.time())

    def begin(self, decide: Callable[[bool], bool]) -> int:
        """Begin a run; `decide` hears whether it may answer, some time after it has asked.

        It returns False if it has no use for that any more.
        """
        self._last += 1
        self._runs[self._last] = decide
        return self._last

    def ask(self, run: int) -> None:
        """A run wants to answer the other side's share."""
        self._deliver(self._guesses.ask(run, self._loop.time()))

    def proved(self, run: int) -> None:
        """A run's other side has proved itself."""
        self._deliver(self._guesses.proved(run, self._loop.time()))

    def end(self, run: int) -> None:
        """A run is over."""
        del self._runs[run]
        self._deliver(self._guesses.over(run, self._loop.time()))

    def leave(self, *, lost: bool) -> None:
        """The room is left, because the server was lost or of our own will; no run is open."""
        if not (lost or self._inherited):
            return
        # Another room of this program may have been the same one at the same time.
        other = _kept.pop(self._key, self._guesses)
        now = self._loop.time()
        _kept[self._key] = max(self._guesses, other, key=lambda each: each.count(now))
        while len(_kept) > MAX_KEPT:
            del _kept[next(iter(_kept))]

    def _deliver(self, decisions: Decisions) -> None:
        # A run that may go can prove itself at once, and let the next one go: not in its call.
        self._undelivered += decisions
        if self._delivers:
            return
        self._delivers = True
        try:
            while self._undelivered:
                run, verdict = self._undelivered.popleft()
                decide, goes = self._runs.get(run), verdict is Verdict.GO
                if decide is not None and not decide(goes) and goes:
                    self.proved(run)  # nobody has guessed by it
        finally:
            self._delivers = False
