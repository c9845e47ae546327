"""Counts the guesses at a code or a password (floor 1).

A run of the PAKE (`peer.security.pake`) lets the other side test one guess, as soon as the
answerer's confirmation has left or the offerer has checked the other side's. Only a valid
confirmation of the other side's shows that it was no guess. So a run takes a guess from the budget
*before* it answers the other side's share, and gives it back when a valid confirmation has come:
nothing else that the other side or the server says or leaves unsaid can give it back (`bye`,
`left`, silence, garbage).

While the whole budget is taken but some of the runs may still prove themselves, further runs wait
in line; they are refused once every guess is spent. A code has one guess for its whole life, a
named room eight an hour.

    go        the run may answer the share: it holds a guess from now on
    refused   the budget is spent: the run must end without an answer
    (neither) the run waits for a later decision

The other side chooses its peer id and the link's, so a run is named by a number of our own.
The page keeps to the same rule; `tests/vectors/guesses.json` holds both to it.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from typing import Final

__all__ = ["CODE_GUESSES", "ROOM_GUESSES", "ROOM_WINDOW", "Decisions", "Guesses", "Verdict"]

CODE_GUESSES: Final = 1
"""Guesses that a code allows, ever."""
ROOM_GUESSES: Final = 8
"""Guesses that a named room's password allows in `ROOM_WINDOW`."""
ROOM_WINDOW: Final = 3600.0
"""Seconds after which a guess at a named room's password is forgotten."""


class Verdict(Enum):
    """Decisions about a run that has asked."""

    GO = "go"
    REFUSED = "refused"


Decisions = list[tuple[int, Verdict]]
"""Runs that are decided now, in the order in which they asked."""


class Guesses:
    """The budget of one code or one room. Carry out what each call decides.

    Args:
        limit: Guesses there are.
        window: Seconds after which a guess is forgotten, counted from when it was taken; None:
            never.
        spent: When guesses were taken that are spent already.

    Raises:
        ValueError: The limit is less than 1.
    """

    def __init__(
        self, limit: int, window: float | None = None, spent: Iterable[float] = ()
    ) -> None:
        if limit < 1:
            raise ValueError("a budget has at least one guess")
        self._limit = limit
        self._window = window
        self._open: dict[int, float] = {}
        self._spent = list(spent)
        self._waiting: list[int] = []

    def ask(self, run: int, now: float) -> Decisions:
        """A run wants to answer the other side's share; one that has asked is not heard again."""
        if run not in self._open and run not in self._waiting:
            self._waiting.append(run)
        return self._decide(now)

    def proved(self, run: int, now: float) -> Decisions:
        """A valid confirmation has come in a run: it was no guess."""
        self._open.pop(run, None)
        return self._decide(now)

    def over(self, run: int, now: float) -> Decisions:
        """A run has ended, however; if it holds a guess, that is spent."""
        if run in self._waiting:
            self._waiting.remove(run)
        taken = self._open.pop(run, None)
        if taken is not None:
            self._spent.append(taken)
        return self._decide(now)

    def count(self, now: float) -> int:
        """How many guesses are taken: by runs that may still prove themselves, or spent."""
        self._forget(now)
        return len(self._open) + len(self._spent)

    def is_spent(self, now: float) -> bool:
        """Whether every guess is spent, so that whoever asks is refused."""
        self._forget(now)
        return len(self._spent) >= self._limit

    def spent(self, now: float) -> list[float]:
        """When the guesses were taken that are spent."""
        self._forget(now)
        return list(self._spent)

    def _decide(self, now: float) -> Decisions:
        decisions: Decisions = []
        while self._waiting and self.count(now) < self._limit:
            run = self._waiting.pop(0)
            self._open[run] = now
            decisions.append((run, Verdict.GO))
        if self.is_spent(now):
            decisions += [(run, Verdict.REFUSED) for run in self._waiting]
            self._waiting.clear()
        return decisions

    def _forget(self, now: float) -> None:
        if self._window is not None:
            self._spent = [taken for taken in self._spent if now < taken + self._window]
