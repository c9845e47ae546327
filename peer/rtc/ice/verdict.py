"""When to stop looking for a path: once both sides have told all their candidates in vain."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from .candidates import Candidate
from .diagnosis import GatheredCandidates, advice, hopeless

__all__ = ["Verdict"]

CHECKS = 6.5
"""Seconds that checks get in all: each is sent six times by then, and so are the other side's."""
SETTLED = 2.5
"""Seconds they get after the last candidate, or after the news that it was the last."""
AT_ONCE = 0.5
"""Seconds where no candidate has a counterpart: the other side may know one of ours by a check."""
MAX_KEPT = 256
"""Candidates of one side that are kept to judge from."""


class Verdict:
    """Collects what both sides tell, and calls once it is certain that nothing will come of it."""

    def __init__(self, is_open: Callable[[], bool], on_no_path: Callable[[], None]) -> None:
        """Begin to collect.

        Args:
            is_open: Whether there is no path yet, and no check has been answered either.
            on_no_path: Called once, when there will be none.
        """
        self._loop = asyncio.get_running_loop()
        self._is_open = is_open
        self._on_no_path = on_no_path
        self._ours: list[Candidate] = []
        self._theirs: list[Candidate] = []
        self._we_ended = self._they_ended = False
        self._began_at: float | None = None
        self._changed_at = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def told(self, *candidates: Candidate) -> None:
        """We have told these."""
        self._ours += candidates[: MAX_KEPT - len(self._ours)]
        self._consider()

    def heard(self, *candidates: Candidate) -> None:
        """The other side has told these."""
        self._theirs += candidates[: MAX_KEPT - len(self._theirs)]
        self._consider()

    def told_all(self) -> None:
        """We have told that no more come."""
        self._we_ended = True
        self._consider()

    def heard_all(self) -> None:
        """The other side has told that no more come."""
        self._they_ended = True
        self._consider()

    def begin(self) -> None:
        """Both descriptions are known: checks run from now on."""
        self._began_at = self._loop.time()
        self._consider()

    def close(self) -> None:
        """Judge no more."""
        if self._timer is not None:
            self._timer.cancel()
        self._began_at = None

    def advice(self, *, servers: bool) -> str:
        """Why there is no path, for people; see `diagnosis.advice`."""
        return advice(
            GatheredCandidates(tuple(self._ours), servers), GatheredCandidates(tuple(self._theirs))
        )

    def _consider(self) -> None:
        self._changed_at = self._loop.time()
        if self._timer is not None:
            self._timer.cancel()
        if self._began_at is not None and self._we_ended and self._they_ended:
            due = max(self._began_at + CHECKS, self._changed_at + SETTLED)
            if hopeless(self._ours, self._theirs):
                due = self._changed_at + AT_ONCE
            self._timer = self._loop.call_at(due, self._judge)

    def _judge(self) -> None:
        if self._is_open():
            self.close()
            self._on_no_path()
