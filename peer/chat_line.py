"""The chat of a link, as programs use it (floor 3)."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import Self

from .channel import Channel
from .chat import Chat, Delivered, MessageReceived
from .errors import ChannelClosed, ChannelOverflow, LinkClosed, LinkLost, PeerError

__all__ = ["ChatLine"]

MAX_WAITING = 16 * 1024 * 1024
"""Characters that may wait to be received; a person has long given up reading."""


class ChatLine:
    """Text to and from the person at the other end of a link.

        await link.chat.send("hello")          # returns when it has arrived
        async for message in link.chat:        # MessageReceived: text, at, id
            ...

    The iteration ends when the link is closed, and raises `LinkLost` when it breaks.
    """

    def __init__(self, channel: Channel) -> None:
        """Take over the chat channel of a link; links do this."""
        self._machine = Chat()
        self._channel = channel
        self._received: deque[MessageReceived] = deque()
        self._waiting_characters = 0
        self._readable = asyncio.Event()
        self._undelivered: dict[int, asyncio.Future[None]] = {}
        self._end: PeerError | None = None
        channel._deliver_to(self._on_message)

    async def send(self, text: str) -> None:
        """Send a message; returns when the other side's program has it.

        Args:
            text: 1 byte to 64 KiB of UTF-8.

        Raises:
            ValueError: the text is empty, too long, or half a character; or too many messages
                wait for their delivery.
            LinkLost: the link broke, or was closed (`LinkClosed`): it may not have arrived.
        """
        if self._end is not None:
            raise self._end
        number = self._machine.send(text, at=int(time.time() * 1000))
        delivered = asyncio.get_running_loop().create_future()
        self._undelivered[number] = delivered
        try:
            self._pump()
            await delivered
        finally:
            self._undelivered.pop(number, None)

    async def receive(self) -> MessageReceived:
        """Wait for the next message.

        Raises:
            LinkLost: the link broke, or was closed (`LinkClosed`).
            ChannelOverflow: too much arrived that was not received.
        """
        while not self._received:
            if self._end is not None:
                raise self._end
            self._readable.clear()
            await self._readable.wait()
        message = self._received.popleft()
        self._waiting_characters -= len(message.text)
        return message

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> MessageReceived:
        try:
            return await self.receive()
        except LinkClosed:
            raise StopAsyncIteration from None

    def end(self, error: PeerError) -> None:
        """The link is over: wake whoever waits; links do this."""
        if self._end is None:
            self._end = error
            self._readable.set()
            for delivered in self._undelivered.values():
                if not delivered.done():
                    delivered.set_exception(error)

    def _on_message(self, message: str | bytes) -> None:
        self._machine.receive_message(message)
        self._pump()

    def _pump(self) -> None:
        for message in self._machine.messages_to_send():
            try:
                self._channel.send_now(message)
            except ChannelClosed:
                self.end(LinkLost())
        while (event := self._machine.next_event()) is not None:
            match event:
                case MessageReceived():
                    self._keep(event)
                case Delivered():
                    delivered = self._undelivered.get(event.id)
                    if delivered is not None and not delivered.done():
                        delivered.set_result(None)

    def _keep(self, message: MessageReceived) -> None:
        self._waiting_characters += len(message.text)
        if self._waiting_characters > MAX_WAITING:
            self.end(ChannelOverflow("The other side wrote more than was read: no more is kept."))
        else:
            self._received.append(message)
            self._readable.set()
