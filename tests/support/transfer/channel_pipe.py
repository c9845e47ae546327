"""Two `Transfers` joined in memory: bounded, with backpressure, blocks in any order."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Generic, TypeVar

from peer.errors import LinkLost, PeerError
from peer.transfer.engine import Transfers
from peer.transfer.protocol.config import TransferConfig

Message = TypeVar("Message", str, bytes)


CAPACITY = 64
"""Messages that may be on their way."""


class MemoryChannel(Generic[Message]):
    """One direction of a channel; `send` waits while `CAPACITY` messages are on their way."""

    def __init__(self, seed: int | None) -> None:
        self.deliver: Callable[[Message], None] = lambda _: None
        self.sent = 0
        self.on_send: Callable[[Message], None] = lambda _: None
        self.error: PeerError | None = None
        self.open = asyncio.Event()
        self.open.set()
        self.full = asyncio.Event()
        self._random = None if seed is None else random.Random(seed)
        self._waiting: list[Message] = []
        self._changed = asyncio.Condition()

    async def send(self, message: Message, /) -> None:
        async with self._changed:
            await self._changed.wait_for(lambda: len(self._waiting) < CAPACITY or self.error)
            if self.error is not None:
                raise self.error
            self._waiting.append(message)
            if len(self._waiting) == CAPACITY:
                self.full.set()
            self._changed.notify_all()
        self.sent += 1
        self.on_send(message)

    async def run(self) -> None:
        """Deliver for ever; in random order when there is a seed."""
        while True:
            async with self._changed:
                await self._changed.wait_for(lambda: self._waiting)
            await self.open.wait()
            async with self._changed:
                last = len(self._waiting) - 1
                message = self._waiting.pop(self._random.randint(0, last) if self._random else 0)
                self._changed.notify_all()
            self.deliver(message)
            await asyncio.sleep(0)

    async def break_off(self, error: PeerError) -> None:
        async with self._changed:
            self.error = error
            self._changed.notify_all()


class MemoryPort:
    """A link, as far as transfers see it."""

    def __init__(self, seed: int) -> None:
        self.control: MemoryChannel[str] = MemoryChannel(None)
        self.blocks: MemoryChannel[bytes] = MemoryChannel(seed)
        self.max_message_size = 65536


class TransferLink:
    """Both ends."""

    def __init__(self, seed: int, config: TransferConfig | None = None) -> None:
        self.alice_port, self.bob_port = MemoryPort(seed), MemoryPort(seed + 1)
        self.alice = Transfers(self.alice_port, offerer=True, config=config)
        self.bob = Transfers(self.bob_port, offerer=False, config=config)
        for port, other in ((self.alice_port, self.bob), (self.bob_port, self.alice)):
            port.control.deliver = other.receive_message
            port.blocks.deliver = other.receive_block

    async def break_off(self) -> None:
        """Do what a link does when the other side has vanished."""
        error = LinkLost()
        for port in (self.alice_port, self.bob_port):
            await port.control.break_off(error)
            await port.blocks.break_off(error)
        self.alice.abort(error)
        self.bob.abort(error)


@asynccontextmanager
async def transfer_link(
    seed: int = 0, config: TransferConfig | None = None
) -> AsyncIterator[TransferLink]:
    link = TransferLink(seed, config)
    ports = (link.alice_port, link.bob_port)
    tasks = [
        asyncio.create_task(channel.run())
        for port in ports
        for channel in (port.control, port.blocks)
    ]
    try:
        yield link
    finally:
        await link.alice.close()
        await link.bob.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
