"""The chat of a link, as programs use it (floor 3)."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Self

from peer.channel.channel import Channel
from peer.errors import ChannelOverflow, LinkClosed, LinkEnded, LinkLost, PeerError, ProtocolError

from .protocol import Chat, ChatMessage, Delivered, Flooded

__all__ = ["ChatSession"]

MAX_WAITING = 16384
"""Messages that may wait to be received; a person has long given up reading."""
MAX_WAITING_BYTES = 16 * 1024 * 1024
"""Bytes of memory of these messages."""
OVERHEAD = 512
"""Bytes of memory that a message takes beside its text, no less."""


class ChatSession:
    """Text to and from the person at the other end of a link.

        await link.chat.send("hello")          # returns when it has arrived
        async for message in link.chat:        # ChatMessage: text, at, id
            ...

    The iteration ends when the link is closed, and raises `LinkLost` when it breaks.
    """

    def __init__(self, channel: Channel, on_fault: Callable[[PeerError], None]) -> None:
        """Take over the chat channel of a link; links do this.

        Args:
            channel: the channel.
            on_fault: called when the other side breaks the rules.
        """
        self._on_fault = on_fault
        self._machine = Chat()
        self._channel = channel
        self._received: deque[ChatMessage] = deque()
        self._waiting_bytes = 0
        self._readable = asyncio.Event()
        self._undelivered: dict[int, asyncio.Future[None]] = {}
        self._end: PeerError | None = None
        channel._on_room = self._pump
        channel._deliver_to(self._on_message)

    async def send(self, text: str) -> None:
        """Send a message; returns when the other side's program has it.

        Args:
            text: 1 byte to 64 KiB of UTF-8.

        Raises:
            ValueError: the text is empty, too long, or half a character; or too many messages
                wait for their delivery.
            LinkEnded: The link broke (`LinkLost`) or is closed (`LinkClosed`): the message may not
                have arrived.
        """
        if self._end is not None:
            raise self._end
        limit = self._channel._max_message_size()
        number = self._machine.send(text, at=int(time.time() * 1000), limit=limit)
        delivered = asyncio.get_running_loop().create_future()
        self._undelivered[number] = delivered
        try:
            self._pump()
            await delivered
        finally:
            self._undelivered.pop(number, None)

    async def receive(self) -> ChatMessage:
        """Wait for the next message.

        Raises:
            LinkEnded: The link broke (`LinkLost`) or is closed (`LinkClosed`).
            ChannelOverflow: too much arrived that was not received.
        """
        while not self._received:
            if self._end is not None:
                raise self._end
            self._readable.clear()
            await self._readable.wait()
        message = self._received.popleft()
        self._waiting_bytes -= _size_of(message)
        return message

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> ChatMessage:
        try:
            return await self.receive()
        except LinkClosed:
            raise StopAsyncIteration from None

    # For links

    def _stop(self, error: PeerError) -> None:
        """It is over: wake whoever waits."""
        if self._end is None:
            self._end = error
            self._readable.set()
            for delivered in self._undelivered.values():
                if not delivered.done():
                    delivered.set_exception(error)

    def _on_message(self, message: str | bytes) -> None:
        if self._end is not None:
            return  # what nobody will read is not confirmed either
        self._machine.receive_message(message)
        self._pump()

    def _pump(self) -> None:
        while (event := self._machine.next_event()) is not None:
            match event:
                case ChatMessage():
                    self._keep(event)
                case Flooded():
                    self._on_fault(
                        ProtocolError("The other side's chat takes no answers to its messages.")
                    )
                case Delivered():
                    delivered = self._undelivered.get(event.id)
                    if delivered is not None and not delivered.done():
                        delivered.set_result(None)
        # What was not kept is not confirmed.
        room = self._channel._has_room and self._end is None
        for message in self._machine.messages_to_send(confirmations=room):
            try:
                self._channel.send_now(message)
            except PeerError as error:
                self._stop(error if isinstance(error, LinkEnded) else LinkLost())
                return

    def _keep(self, message: ChatMessage) -> None:
        self._waiting_bytes += _size_of(message)
        if len(self._received) >= MAX_WAITING or self._waiting_bytes > MAX_WAITING_BYTES:
            self._stop(ChannelOverflow("The other side wrote more than was read: no more is kept."))
        else:
            self._received.append(message)
            self._readable.set()


def _size_of(message: ChatMessage) -> int:
    """Bytes of memory, about."""
    # Python keeps up to four bytes for every character of a text that is not ASCII (PEP 393).
    return len(message.text) * (1 if message.text.isascii() else 4) + OVERHEAD
