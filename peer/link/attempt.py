"""One attempt at a connection during the set-up of a link (floor 3)."""

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
    """Waits for a slot, then holds the connection.

    Attributes:
        number: Generation of the connection.
        offer: Offer of the other side; None if this side makes one.
        answer: Answer of the other side, once it has arrived.
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
        """Return the error for a missing path, with the known reasons."""
        return NoPath() if self._tried is None else self._tried.no_path()

    def add_candidate(self, candidate: str | None) -> None:
        """Take a candidate of the other side; None: there are no more."""
        if self._connection is not None:
            self._connection.connection.add_candidate(candidate)
        elif len(self._early) < MAX_EARLY_CANDIDATES:
            self._early.append(candidate)

    def take_answer(self, sdp: str) -> None:
        """Take the answer of the other side; a second one is ignored."""
        if not self.answer.done():
            self.answer.set_result(sdp)

    @asynccontextmanager
    async def connection(
        self,
        slots: ConnectionSlots,
        make_connection: Callable[[], Connection],
        config: LinkConfig,
    ) -> AsyncIterator[LinkConnection]:
        """Wait for a slot and make the connection; close it at the end unless it is kept.

        The slot is free again once the connection is closed or kept (`keep`).

        Args:
            slots: Slots of the room.
            make_connection: Makes the connection.
            config: Settings of the link.

        Raises:
            PeerTimeout: Others waited for the slot.
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
        """Leave the connection to a link."""
        self._connection = None


async def _to_the_end(closing: Coroutine[Any, Any, None]) -> None:
    """Wait until something is closed; a cancellation meanwhile takes effect after it."""
    task, cancelled = asyncio.create_task(closing), False
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError:
            cancelled = True
    if cancelled:
        raise asyncio.CancelledError
    task.result()
