"""The decision to give up ICE, after both sides have signaled all candidates."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from .candidates import Candidate
from .diagnosis import GatheredCandidates, advice, hopeless

__all__ = ["Verdict"]

CHECKS = 6.5
"""Seconds for all checks; each side has sent each check six times by then."""
SETTLED = 2.5
"""Seconds for checks after the last candidate, or after its announcement."""
AT_ONCE = 0.5
"""Seconds when no candidate has a counterpart: a check may still reveal one."""
MAX_KEPT = 256
"""Candidates of one side that are kept."""


class Verdict:
    """Collects the candidates of both sides, and reports when no path is possible."""

    def __init__(self, is_open: Callable[[], bool], on_no_path: Callable[[], None]) -> None:
        """Start to collect.

        Args:
            is_open: Returns whether there is neither a path nor an answered check yet.
            on_no_path: Called once, when no path is possible.
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
        """Add signaled candidates of ours."""
        self._ours += candidates[: MAX_KEPT - len(self._ours)]
        self._consider()

    def heard(self, *candidates: Candidate) -> None:
        """Add candidates of the peer."""
        self._theirs += candidates[: MAX_KEPT - len(self._theirs)]
        self._consider()

    def told_all(self) -> None:
        """Note that we have no more candidates."""
        self._we_ended = True
        self._consider()

    def heard_all(self) -> None:
        """Note that the peer has no more candidates."""
        self._they_ended = True
        self._consider()

    def begin(self) -> None:
        """Start the time limits: both descriptions are known, so checks run."""
        self._began_at = self._loop.time()
        self._consider()

    def close(self) -> None:
        """Stop."""
        if self._timer is not None:
            self._timer.cancel()
        self._began_at = None

    def advice(self, *, servers: bool) -> str:
        """Return the reason and a remedy, for people (`diagnosis.advice`)."""
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
