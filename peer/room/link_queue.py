"""Links that wait for the program, and the errors that it is told instead (floor 3)."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from peer.errors import PeerError

if TYPE_CHECKING:
    from peer.link.link import Link

__all__ = ["LinkQueue"]

MAX_UNTAKEN = 64
"""Links that wait for the program to take them; peers that arrive meanwhile get none."""


class LinkQueue:
    """The links of one room, in the order in which they came about.

    Args:
        single: Whether there is one link at most.

    Attributes:
        first: The first link that was taken; None before.
        error: Why there will be no further link; None while there may be one.
    """

    def __init__(self, *, single: bool) -> None:
        self.first: Link | None = None
        self.error: PeerError | None = None
        self._single = single
        self._report: PeerError | None = None
        self._waiting: deque[Link] = deque()
        self._changed = asyncio.Event()

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, link: Link) -> bool:
        """Append a link; False if there is no room for it."""
        if len(self._waiting) >= MAX_UNTAKEN:
            # An ended link may still hold something to read, but open ones come first.
            ended = next((each for each in self._waiting if each.closed), None)
            if ended is None:
                return False
            self._waiting.remove(ended)
        self._waiting.append(link)
        self._changed.set()
        return True

    def report(self, error: PeerError) -> None:
        """Raise an error once, in the next wait for a link."""
        self._report = error
        self._changed.set()

    def end(self, error: PeerError) -> None:
        """Raise an error once the waiting links are taken; the first call counts."""
        self.error = self.error or error
        self._changed.set()

    async def take(self) -> Link | None:
        """Wait for the next link; None once the only one was taken.

        Raises:
            PeerError: There will be no further link, or a failure was reported.
        """
        while not self._waiting:
            if self._single and self.first is not None:
                return None
            if self.error is not None:
                raise self.error.with_traceback(None)
            if self._report is not None:
                report, self._report = self._report, None
                raise report
            self._changed.clear()
            await self._changed.wait()
        link = self._waiting.popleft()
        self.first = self.first or link
        return link
