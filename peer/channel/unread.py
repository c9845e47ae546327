"""Unread messages on the channels of a link, counted and bounded (floor 1).

A channel's messages wait on its `Shelf`; the `Unread` of the link adds them up. Bytes count with
something for each message, so that a bound on them bounds the number, too.

SCTP has one receive window for all channels (RFC 9260, 6.2): an unread channel fills it in time,
and then nothing arrives on the others either. `Unread.check` returns that channel.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final
from weakref import WeakSet

__all__ = ["OVERHEAD", "Shelf", "Unread"]

OVERHEAD: Final = 256
"""Bytes that a waiting message counts beside its own, as in the receive window of `peer.sctp`."""
CHECKS: Final = 4
"""Checks in the time for which a channel may hold the others up."""


class Unread:
    """All that waits to be read on one link.

    Args:
        windowed: Whether unread messages take room in the receive window, which then bounds them.
        limit: Bytes that may wait outside it on all channels together.
        droppable: Bytes that may wait on those together whose messages may be dropped.
        patience: Seconds for which a channel that is not read may hold the others up.
    """

    def __init__(self, *, windowed: bool, limit: int, droppable: int, patience: float) -> None:
        self.windowed = windowed
        self._limit = limit
        self._droppable_limit = droppable
        self._patience = patience
        self._shelves: WeakSet[Shelf] = WeakSet()
        self._outside = 0
        self._droppable = 0
        self._held_up_since: float | None = None
        self._checked: float | None = None

    @property
    def interval(self) -> float:
        """Seconds between two calls of `check`."""
        return self._patience / CHECKS

    def __bool__(self) -> bool:
        """Whether anything waits on an open channel."""
        return any(shelf and not shelf.released for shelf in self._shelves)

    def shelf(self, *, droppable: bool = False) -> Shelf:
        """A place for the messages of one channel.

        Args:
            droppable: Whether they may be dropped.
        """
        shelf = Shelf(self, droppable=droppable)
        self._shelves.add(shelf)
        return shelf

    def check(self, now: float, *, held_up: bool) -> Shelf | None:
        """Return the channel to break: nobody reads it, and it has held up the others for too long.

        Call it every `interval` seconds while something waits.

        Args:
            now: Seconds.
            held_up: Whether the receive window is full.
        """
        slept = self._checked is not None and now - self._checked > self._patience / 2
        self._checked = now
        if not held_up:
            self._held_up_since = None
        elif self._held_up_since is None or slept:
            # A program that stood still could not read.
            self._held_up_since = now
        elif now - self._held_up_since >= self._patience:
            stale = [shelf for shelf in self._shelves if shelf.stale(now - self._patience)]
            return max(stale, key=lambda shelf: shelf.bytes, default=None)
        return None

    def has_room(self, size: int = 1) -> bool:
        """Whether so many more bytes may wait outside the window."""
        if self._outside + size > self._limit:
            self._recount()
        return self._outside + size <= self._limit

    @property
    def must_drop(self) -> bool:
        """Whether more waits than may of what may be dropped."""
        if self._droppable > self._droppable_limit:
            self._recount()
        return self._droppable > self._droppable_limit

    def changed(self, shelf: Shelf, size: int) -> None:
        """A shelf holds so many bytes more, or less."""
        if shelf.outside:
            self._outside += size
        if shelf.droppable:
            self._droppable += size

    def left(self, size: int) -> None:
        """A channel that was closed has left so many bytes outside the window."""
        self._outside += size

    def _recount(self) -> None:
        """Leave out the channels that were forgotten unread."""
        self._outside = sum(shelf.bytes for shelf in self._shelves if shelf.outside)
        self._droppable = sum(shelf.bytes for shelf in self._shelves if shelf.droppable)


class Shelf:
    """Messages of one channel that wait to be read, oldest first.

    Attributes:
        bytes: Bytes that they count.
        droppable: Whether they may be dropped.
        released: Whether the channel is closed, so that they take no room in the window.
        on_blame: Called when the channel has to be closed for the others.
    """

    __slots__ = (
        "__weakref__",
        "_messages",
        "_touched",
        "_unread",
        "bytes",
        "droppable",
        "on_blame",
        "released",
    )

    def __init__(self, unread: Unread, *, droppable: bool) -> None:
        self._unread = unread
        self._messages: deque[str | bytes] = deque()
        self._touched = 0.0
        self.bytes = 0
        self.droppable = droppable
        self.released = False
        self.on_blame: Callable[[], None] = lambda: None

    def __len__(self) -> int:
        return len(self._messages)

    @property
    def outside(self) -> bool:
        """Whether what waits takes no room in the receive window."""
        return self.released or not self._unread.windowed

    @property
    def must_drop(self) -> bool:
        """Whether its oldest message has to go for the newer ones; the newest never has."""
        return self.droppable and len(self) > 1 and self._unread.must_drop

    def put(self, message: str | bytes, now: float) -> bool:
        """Keep a message; False when there is no room for it."""
        size = size_of(message)
        if self.outside and not self._unread.has_room(size):
            return False
        if not self._messages:
            self._touched = now
        self._messages.append(message)
        self._count(size)
        return True

    def take(self, now: float) -> str | bytes:
        """Hand the oldest out."""
        self._touched = now
        message = self._messages.popleft()
        self._count(-size_of(message))
        return message

    def release(self) -> bool:
        """The channel is closed; False when there is no room for what it leaves, and it is gone."""
        before = self.outside
        self.released = True
        if before:
            return True
        if self._messages and not self._unread.has_room():
            self._messages.clear()
            self.bytes = 0
            return False
        self._unread.left(self.bytes)
        return True

    def stale(self, since: float) -> bool:
        """Whether it takes room in the window, and nothing was taken from it since then."""
        return bool(self._messages) and not self.released and self._touched <= since

    def _count(self, size: int) -> None:
        self.bytes += size
        self._unread.changed(self, size)


def size_of(message: str | bytes) -> int:
    """Bytes that a waiting message counts: no less than it has in UTF-8, and in memory."""
    # Python keeps up to four bytes for every character of a text that is not ASCII (PEP 393).
    wide = isinstance(message, str) and not message.isascii()
    return len(message) * (4 if wide else 1) + OVERHEAD
