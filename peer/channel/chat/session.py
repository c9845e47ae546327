"""The chat of a link, as programs use it (floor 3)."""

from __future__ import annotations

import time
from typing import Self

from peer.errors import LinkClosed

from .driver import ChatDriver
from .protocol import ChatMessage

__all__ = ["ChatSession"]


class ChatSession:
    """Text to and from the person at the other end of a link.

        await link.chat.send("hello")          # returns when it has arrived
        async for message in link.chat:        # ChatMessage: text, at, id
            ...

    The iteration ends when the link is closed, and raises `LinkLost` when it breaks.
    """

    def __init__(self, driver: ChatDriver) -> None:
        """Read and write through a driver; links do this."""
        self._driver = driver

    async def send(self, text: str) -> None:
        """Send a message; returns when the program at the other end has it.

        Args:
            text: 1 byte to 64 KiB of UTF-8.

        Raises:
            ValueError: The text is empty, too long or not valid Unicode, or too many messages wait
                for their delivery.
            LinkEnded: The link broke (`LinkLost`) or is closed (`LinkClosed`): the message may not
                have arrived.
        """
        await self._driver.send(text, at=int(time.time() * 1000))

    async def receive(self) -> ChatMessage:
        """Wait for the next message.

        Raises:
            LinkEnded: The link broke (`LinkLost`) or is closed (`LinkClosed`).
            ChannelOverflow: More arrived than may wait to be received.
        """
        return await self._driver.receive()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> ChatMessage:
        try:
            return await self.receive()
        except LinkClosed:
            raise StopAsyncIteration from None
