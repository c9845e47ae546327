"""Queues of objects that the other side opens or offers, to iterate over (floor 3)."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Generic, Self, TypeVar

from peer.errors import LinkClosed, PeerError

__all__ = ["AsyncQueue", "AsyncQueueWriter"]

Item = TypeVar("Item")


class AsyncQueueWriter(Generic[Item]):
    """The end of a queue into which a link puts items.

    Args:
        is_stale: Returns whether a waiting item is of no use any more; such items are dropped.
    """

    def __init__(self, is_stale: Callable[[Item], bool] = lambda item: False) -> None:
        self._is_stale = is_stale
        self._items: deque[Item] = deque()
        self._ready = asyncio.Event()
        self._end: PeerError | None = None

    def __len__(self) -> int:
        self._items = deque(item for item in self._items if not self._is_stale(item))
        return len(self._items)

    def put(self, item: Item) -> None:
        """Append an item."""
        self._items.append(item)
        self._ready.set()

    def end(self, error: PeerError) -> None:
        """Raise an error once the items that wait are taken; the first call counts."""
        self._end = self._end or error
        self._ready.set()

    async def take(self) -> Item:
        """Wait for the next item.

        Raises:
            LinkEnded: The link is over, and no item is left.
        """
        while not len(self):
            if self._end is not None:
                raise self._end
            self._ready.clear()
            await self._ready.wait()
        return self._items.popleft()


class AsyncQueue(Generic[Item]):
    """The end of a queue that a program iterates over; each item comes out once.

    The iteration ends when the link is closed, and raises `LinkLost` when it breaks.
    """

    def __init__(self, writer: AsyncQueueWriter[Item]) -> None:
        """Read from the other end; links do this."""
        self._writer = writer

    def __len__(self) -> int:
        """Count the items that wait."""
        return len(self._writer)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Item:
        """Wait for the next item.

        Raises:
            LinkLost: The link broke.
        """
        try:
            return await self._writer.take()
        except LinkClosed:
            raise StopAsyncIteration from None
