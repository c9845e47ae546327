"""Data channels, as programs use them (floor 3)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from peer.config import ChannelParameters, LinkConfig
from peer.errors import ChannelClosed, LinkClosed, MessageTooLarge, PeerError
from peer.rtc import ChannelState, DataChannel

from .unread import Shelf

__all__ = ["Channel", "ChannelStats"]


@dataclass(frozen=True, slots=True)
class ChannelStats:
    """Figures about one channel.

    Attributes:
        sent: Messages given to it.
        received: Messages that arrived, including those that were dropped or still wait.
        dropped: Messages of a partially reliable channel that were dropped here unread, because
            more than `LinkConfig.unreliable_limit` bytes of newer ones waited.
        waiting: Messages that wait to be received; see `Channel.waiting_bytes`.
    """

    sent: int
    received: int
    dropped: int
    waiting: int


class Channel:
    """One data channel of a link; `Link.open_channel` and `Link.channels` give it out.

        await channel.send("hello")
        async for message in channel:       # str or bytes, as they were sent
            ...

    The iteration ends when either side closes the channel or the link in order, and raises
    `LinkLost` when the link breaks.

    Sending waits while too much is buffered (`LinkConfig.high_water`).

    A reader that falls behind slows the whole link down, because SCTP has one window for all
    channels: protocols for bulk data need credit of their own, as Peerline's transfers have.
    `waiting_bytes` tells how far behind it is. If nobody reads at all:

    * a reliable channel whose messages fill the window (`LinkConfig.receive_window`) breaks after
      `LinkConfig.unread_patience` seconds with `ChannelOverflow`, at both ends, and the others go
      on; messages received up to then can still be read;
    * a partially reliable one drops its oldest messages (`LinkConfig.unreliable_limit`).

    aiortc's engine has no such window; there a channel breaks as soon as it holds more than
    `LinkConfig.receive_limit`.
    """

    def __init__(
        self,
        raw: DataChannel,
        parameters: ChannelParameters,
        *,
        config: LinkConfig,
        shelf: Shelf,
        max_message_size: Callable[[], int],
        low_water: int | None = None,
    ) -> None:
        """Wrap a channel of a connection; links do this, by `LinkChannel`.

        Args:
            raw: The channel of the connection.
            parameters: How it delivers.
            config: Settings of the link.
            shelf: Holds received messages until they are read.
            max_message_size: Returns the limit of the other side, in bytes.
            low_water: Bytes, in place of the link's low-water mark.
        """
        self._raw = raw
        self._parameters = parameters
        self._config = config
        self._shelf = shelf
        self._max_message_size = max_message_size
        # A low-water mark above the high-water mark would never be reported as reached.
        low_water = config.low_water if low_water is None else low_water
        self._low_water = min(low_water, config.high_water)
        self._loop = asyncio.get_running_loop()
        self._sent = self._received = self._dropped = 0
        self._error: PeerError | None = None
        self._closing_error: PeerError | None = None
        self._ended = asyncio.Event()
        self._opened = asyncio.Event()
        self._drained = asyncio.Event()
        self._readable = asyncio.Event()
        if raw.state is ChannelState.OPEN:
            self._opened.set()

    def __repr__(self) -> str:
        return f"<Channel {self.label!r} id={self.id} {self._raw.state.value}>"

    # Properties

    @property
    def label(self) -> str:
        """Its name, ASCII."""
        return self._parameters.label

    @property
    def protocol(self) -> str:
        """Name of the protocol spoken on it; may be empty."""
        return self._parameters.protocol

    @property
    def ordered(self) -> bool:
        """Whether messages arrive in the order in which they were sent."""
        return self._parameters.ordered

    @property
    def max_retransmits(self) -> int | None:
        """How often a lost message is sent again; None: until it arrives."""
        return self._parameters.max_retransmits

    @property
    def max_lifetime(self) -> float | None:
        """Seconds after which a message is abandoned; None: never."""
        return self._parameters.max_lifetime

    @property
    def priority(self) -> int:
        """Its share of the path beside other channels; see `Priority`."""
        return self._parameters.priority

    @property
    def id(self) -> int | None:
        """Its stream number; None until one is assigned."""
        return self._raw.id

    @property
    def buffered(self) -> int:
        """Bytes that were given to `send` and have not left yet."""
        return self._raw.buffered

    @property
    def stats(self) -> ChannelStats:
        """Counts of sent, received, dropped and waiting messages."""
        return ChannelStats(self._sent, self._received, self._dropped, len(self._shelf))

    @property
    def waiting_bytes(self) -> int:
        """Bytes that arrived and wait to be received, plus 256 for each message."""
        return self._shelf.bytes

    @property
    def closed(self) -> bool:
        """Whether it can no longer send."""
        return self._ended.is_set() or self._raw.state in (
            ChannelState.CLOSING,
            ChannelState.CLOSED,
        )

    # Sending

    async def send(self, message: str | bytes | bytearray | memoryview) -> None:
        """Send a message; waits while more than the high-water mark is buffered.

        Its return does not mean that the message has arrived.

        Args:
            message: Text, or any object with the buffer protocol (an `array` gives its raw bytes).

        Raises:
            TypeError: The message is neither text nor bytes.
            ValueError: The text is not valid Unicode (a lone surrogate).
            ChannelClosed: The channel is closed.
            ChannelOverflow: The channel broke, because the other end does not read it.
            LinkEnded: The link broke (`LinkLost`) or is closed (`LinkClosed`).
            MessageTooLarge: The other side does not accept messages of this size.
        """
        data = self._encode(message)
        self._check_open()
        while self._raw.buffered > self._config.high_water:
            self._drained.clear()
            await self._drained.wait()
            self._check_open()
        self._send(data)

    def send_now(self, message: str | bytes | bytearray | memoryview) -> None:
        """Send a message however much is buffered; for small ones that must not wait.

        Args:
            message: As for `send`.

        Raises:
            PeerError: As `send` does, and so `TypeError` and `ValueError`.
        """
        data = self._encode(message)
        self._check_open()
        self._send(data)

    def _encode(self, message: str | bytes | bytearray | memoryview) -> str | bytes:
        """Return the message as the engine takes it, if its size is allowed."""
        data = message if isinstance(message, str | bytes) else _bytes_of(message)
        limit = self._max_message_size()
        # A lone surrogate raises UnicodeEncodeError here.
        wide = isinstance(data, str) and not data.isascii()
        size = len(str(data).encode()) if wide else len(data)
        if size > limit:
            raise MessageTooLarge(size, limit)
        return data

    def _send(self, data: str | bytes) -> None:
        try:
            self._raw.send(data)
        except ChannelClosed as error:
            raise self._closing_error or error from None
        self._sent += 1

    async def drain(self) -> None:
        """Wait until no more than the low-water mark is buffered."""
        while self._raw.buffered > self._low_water and not self._ended.is_set():
            self._drained.clear()
            await self._drained.wait()

    # Receiving

    async def receive(self) -> str | bytes:
        """Wait for the next message.

        Raises:
            ChannelClosed: The channel is closed, and every message was received.
            ChannelOverflow: The channel broke, because its reader was too slow.
            LinkEnded: The link broke (`LinkLost`) or is closed (`LinkClosed`).
        """
        while not self._shelf:
            if self._ended.is_set():
                raise self._error or ChannelClosed()
            self._readable.clear()
            await self._readable.wait()
        return self._take()

    def _take(self) -> str | bytes:
        message = self._shelf.take(self._loop.time())
        self._raw.consume()
        return message

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> str | bytes:
        try:
            return await self.receive()
        except (ChannelClosed, LinkClosed):
            raise StopAsyncIteration from None

    # Opening and closing

    async def opened(self) -> None:
        """Wait until it can send.

        Raises:
            ChannelClosed: The channel closed instead.
            LinkEnded: The link broke (`LinkLost`) or is closed (`LinkClosed`).
        """
        await self._opened.wait()
        if self._ended.is_set():
            raise self._error or ChannelClosed()

    async def close(self) -> None:
        """Close it after the queued messages; returns when the other side has closed it too.

        Received messages stay readable.
        """
        if self._ended.is_set():
            return
        self._raw.close()
        try:
            async with asyncio.timeout(self._config.timeouts.close):
                await self._ended.wait()
        except TimeoutError:
            self._end(None)

    async def wait_closed(self) -> None:
        """Wait until either side has closed it.

        Raises:
            LinkLost: The link broke.
        """
        await self._ended.wait()
        if self._error is not None and not isinstance(self._error, LinkClosed):
            raise self._error

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.close()

    def _check_open(self) -> None:
        if self._ended.is_set():
            raise self._error or ChannelClosed()
        if self.closed:
            raise self._closing_error or ChannelClosed()

    def _end(self, error: PeerError | None) -> None:
        """Record the end, and wake all waiters."""
        self._error = error or self._closing_error
        self._ended.set()
        self._opened.set()
        self._drained.set()
        self._readable.set()


def _bytes_of(message: object) -> bytes:
    """Return the bytes of an object with the buffer protocol.

    Raises:
        TypeError: The object has no buffer; a number has none, and `bytes` of it would be zeros.
    """
    try:
        return memoryview(message).tobytes()  # type: ignore[arg-type]  # tested by the call
    except TypeError:
        raise TypeError(f"a message is text or bytes, not {type(message).__name__}") from None
