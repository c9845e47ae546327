"""One connection that is tried while a link is set up (floor 3)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from peer.config import LinkConfig
from peer.errors import NoPath
from peer.rtc import Connection

from .connection import LinkConnection
from .connection_slots import ConnectionSlots

__all__ = ["Attempt"]

MAX_EARLY_CANDIDATES = 64
"""Candidates of the other side that are kept until there is a connection to give them to."""


class Attempt:
    """A place in line for a connection, then the connection.

    Attributes:
        number: the generation's.
        offer: the other side's; None if ours is to be made.
        answer: of the other side, once it has come.
    """

    def __init__(self, number: int, offer: str | None) -> None:
        self.number = number
        self.offer = offer
        self.answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._connection: LinkConnection | None = None
        self._early: list[str | None] = []
        self._tried: Connection | None = None
        """The connection, also after it was closed: it knows why."""

    def no_path(self) -> NoPath:
        """The error where there is no path, with what is known of the reasons."""
        return NoPath() if self._tried is None else self._tried.no_path()

    def add_candidate(self, candidate: str | None) -> None:
        """Take one more candidate of the other side; None: there are no more."""
        if self._connection is not None:
            self._connection.connection.add_candidate(candidate)
        elif len(self._early) < MAX_EARLY_CANDIDATES:
            self._early.append(candidate)

    def take_answer(self, sdp: str) -> None:
        """Take the other side's answer; a second one is not listened to."""
        if not self.answer.done():
            self.answer.set_result(sdp)

    @asynccontextmanager
    async def connection(
        self,
        slots: ConnectionSlots,
        make_connection: Callable[[], Connection],
        config: LinkConfig,
    ) -> AsyncIterator[LinkConnection]:
        """The connection, once there is a place for it; closed at the end unless it is kept.

        Its place is free again when it is closed or kept (`keep`).

        Raises:
            PeerTimeout: others waited for the place.
        """
        async with slots.slot():
            connection = self._connection = LinkConnection(self.number, make_connection, config)
            self._tried = connection.connection
            try:
                for line in self._early:
                    connection.connection.add_candidate(line)
                self._early.clear()
                yield connection
            finally:
                if self._connection is not None:
                    self._connection = None
                    await _to_the_end(connection.close())

    def keep(self) -> None:
        """The connection belongs to a link now."""
        self._connection = None


async def _to_the_end(closing: Coroutine[Any, Any, None]) -> None:
    """Wait until something is closed; who is cancelled meanwhile is cancelled after it."""
    task, cancelled = asyncio.create_task(closing), False
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError:
            cancelled = True
    if cancelled:
        raise asyncio.CancelledError
    task.result()
