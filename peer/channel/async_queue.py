"""Things of a link that come from the other side, to iterate over (floor 3)."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from typing import Generic, Self, TypeVar

from peer.errors import LinkClosed, PeerError

__all__ = ["AsyncQueue", "Inbox"]

Item = TypeVar("Item")


class Inbox(Generic[Item]):
    """Where a link puts what has come, until somebody asks for it."""

    def __init__(self, gone: Callable[[Item], bool] = lambda item: False) -> None:
        """Creates an empty inbox.

        Args:
            gone: whether something that waits is not worth giving out any more.
        """
        self._gone = gone
        self._items: deque[Item] = deque()
        self._ready = asyncio.Event()
        self._end: PeerError | None = None

    def __len__(self) -> int:
        return len(list(self.waiting()))

    def waiting(self) -> Iterator[Item]:
        """What has come and nobody has asked for yet."""
        self._items = deque(item for item in self._items if not self._gone(item))
        return iter(self._items)

    def put(self, item: Item) -> None:
        """Something has come."""
        self._items.append(item)
        self._ready.set()

    def end(self, error: PeerError) -> None:
        """Nothing more will come."""
        self._end = self._end or error
        self._ready.set()

    async def take(self) -> Item:
        """Wait for the next one.

        Raises:
            LinkEnded: The link is over, and nothing is left.
        """
        while not len(self):
            if self._end is not None:
                raise self._end
            self._ready.clear()
            await self._ready.wait()
        return self._items.popleft()


class AsyncQueue(Generic[Item]):
    """What has come, each once, to whoever iterates; ends when the link is closed."""

    def __init__(self, inbox: Inbox[Item]) -> None:
        """Give out what is put into an inbox; links do this."""
        self._inbox = inbox

    def __len__(self) -> int:
        """How many wait."""
        return len(self._inbox)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Item:
        """The next one.

        Raises:
            LinkLost: the link broke.
        """
        try:
            return await self._inbox.take()
        except LinkClosed:
            raise StopAsyncIteration from None
