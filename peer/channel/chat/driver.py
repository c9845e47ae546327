"""Drives the chat machine on its channel, and keeps the messages that wait (floor 3)."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from peer.channel.link_channel import LinkChannel
from peer.errors import ChannelOverflow, LinkEnded, LinkLost, PeerError, ProtocolError

from .protocol import Chat, ChatMessage, Delivered, Flooded

__all__ = ["ChatDriver"]

MAX_WAITING = 16384
"""Messages that may wait to be received; no person reads that many."""
MAX_WAITING_BYTES = 16 * 1024 * 1024
"""Bytes of memory of these messages."""
OVERHEAD = 512
"""Bytes of memory that a message takes at least, beside its text."""


class ChatDriver:
    """Both directions of the chat of one link; `ChatSession` is its public face.

    Attributes:
        end: Why it is over; None while it is not.
    """

    def __init__(self, channel: LinkChannel, on_fault: Callable[[PeerError], None]) -> None:
        """Take over the chat channel of a link.

        Args:
            channel: The channel.
            on_fault: Called when the other side violates the protocol.
        """
        self.end: PeerError | None = None
        self._on_fault = on_fault
        self._machine = Chat()
        self._channel = channel
        self._received: deque[ChatMessage] = deque()
        self._waiting_bytes = 0
        self._readable = asyncio.Event()
        self._undelivered: dict[int, asyncio.Future[None]] = {}
        channel.on_room = self._pump
        channel.deliver_to(self._receive_message)

    async def send(self, text: str, at: int) -> None:
        """Send a message, and wait for its confirmation.

        Args:
            text: 1 byte to 64 KiB of UTF-8.
            at: Unix time, milliseconds.

        Raises:
            ValueError: As `Chat.send` does.
            LinkEnded: The link ended first.
        """
        if self.end is not None:
            raise self.end
        number = self._machine.send(text, at=at, limit=self._channel.max_message_size)
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
            LinkEnded: The link ended, and no message is left.
            ChannelOverflow: More arrived than may wait.
        """
        while not self._received:
            if self.end is not None:
                raise self.end
            self._readable.clear()
            await self._readable.wait()
        message = self._received.popleft()
        self._waiting_bytes -= _size_of(message)
        return message

    def stop(self, error: PeerError) -> None:
        """End it, and wake all waiters; the first call counts."""
        if self.end is None:
            self.end = error
            self._readable.set()
            for delivered in self._undelivered.values():
                if not delivered.done():
                    delivered.set_exception(error)

    def _receive_message(self, message: str | bytes) -> None:
        if self.end is not None:
            return  # messages that nobody will read are not confirmed either
        self._machine.receive_message(message)
        self._pump()

    def _pump(self) -> None:
        while (event := self._machine.next_event()) is not None:
            match event:
                case ChatMessage():
                    self._keep(event)
                case Flooded():
                    self._on_fault(
                        ProtocolError("The other side sends chat messages and reads no answers.")
                    )
                case Delivered():
                    delivered = self._undelivered.get(event.id)
                    if delivered is not None and not delivered.done():
                        delivered.set_result(None)
        # A message that was not kept is not confirmed.
        room = self._channel.has_room and self.end is None
        for message in self._machine.messages_to_send(confirmations=room):
            try:
                self._channel.send_now(message)
            except PeerError as error:
                self.stop(error if isinstance(error, LinkEnded) else LinkLost())
                return

    def _keep(self, message: ChatMessage) -> None:
        self._waiting_bytes += _size_of(message)
        if len(self._received) >= MAX_WAITING or self._waiting_bytes > MAX_WAITING_BYTES:
            self.stop(ChannelOverflow("More chat messages arrived than may wait to be read."))
        else:
            self._received.append(message)
            self._readable.set()


def _size_of(message: ChatMessage) -> int:
    """Return the bytes of memory of a message, approximately."""
    # Python keeps up to four bytes for every character of a text that is not ASCII (PEP 393).
    return len(message.text) * (1 if message.text.isascii() else 4) + OVERHEAD
