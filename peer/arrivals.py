"""Things of a link that come from the other side, to iterate over (floor 3)."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from typing import Generic, Self, TypeVar

from .errors import LinkClosed, PeerError

__all__ = ["Arrivals"]

Item = TypeVar("Item")


class Arrivals(Generic[Item]):
    """What has come, each once, to whoever iterates; ends when the link is closed."""

    def __init__(self) -> None:
        self._items: deque[Item] = deque()
        self._ready = asyncio.Event()
        self._end: PeerError | None = None

    def __len__(self) -> int:
        return len(self._items)

    def waiting(self) -> Iterator[Item]:
        """What has come and nobody has asked for yet."""
        return iter(self._items)

    def put(self, item: Item) -> None:
        """Something has come."""
        self._items.append(item)
        self._ready.set()

    def end(self, error: PeerError) -> None:
        """Nothing more will come."""
        self._end = self._end or error
        self._ready.set()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Item:
        """The next one.

        Raises:
            LinkLost: the link broke.
        """
        while not self._items:
            if isinstance(self._end, LinkClosed):
                raise StopAsyncIteration
            if self._end is not None:
                raise self._end
            self._ready.clear()
            await self._ready.wait()
        return self._items.popleft()
