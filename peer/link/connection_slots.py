"""Slots for connections that are tried at once (floor 3).

Each connection needs sockets, so their number is limited. Strangers who take slots and never answer
cannot keep others out: while somebody waits, a slot is held for `patience` seconds only, and the
oldest holders leave first.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from peer.errors import PeerTimeout

__all__ = ["ConnectionSlots"]


class ConnectionSlots:
    """Slots, first come, first served.

    Args:
        count: Number of slots.
        patience: Seconds for which a holder is never asked to leave.
    """

    def __init__(self, count: int, patience: float) -> None:
        self._free = asyncio.Semaphore(count)
        self._patience = patience
        self._waiting = 0
        self._held: dict[asyncio.Timeout, float] = {}
        """When each was taken, the oldest first."""

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Wait for a slot and hold it; the block may be cancelled.

        Raises:
            PeerTimeout: The slot is needed by others.
        """
        self._waiting += 1
        self._hurry()
        try:
            await self._free.acquire()
        finally:
            self._waiting -= 1
            self._hurry()
        held = asyncio.timeout(None)
        try:
            async with held:
                self._held[held] = asyncio.get_running_loop().time()
                self._hurry()
                yield
        except TimeoutError:
            if not held.expired():
                raise
            raise PeerTimeout(
                "path", "The connection took too long, and others were waiting."
            ) from None
        finally:
            self._held.pop(held, None)
            self._free.release()
            self._hurry()

    def _hurry(self) -> None:
        """Let as many holders leave as others wait."""
        for number, (held, since) in enumerate(self._held.items()):
            if not held.expired():
                held.reschedule(since + self._patience if number < self._waiting else None)
