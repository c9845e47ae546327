"""Data channels, as programs use them (floor 3)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from peer.config import ChannelParameters, LinkConfig
from peer.errors import ChannelClosed, ChannelOverflow, LinkClosed, MessageTooLarge, PeerError
from peer.rtc import ChannelState, DataChannel

from .unread import Shelf

__all__ = ["Channel", "ChannelStats"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ChannelStats:
    """Figures about one channel.

    Attributes:
        sent: messages given to it.
        received: messages that arrived, those included that were dropped or wait.
        dropped: messages of a channel that is not reliable that were dropped here unread, since
            more than `LinkConfig.unreliable_limit` bytes of newer ones waited.
        waiting: messages that wait to be received; see `Channel.waiting_bytes`.
    """

    sent: int
    received: int
    dropped: int
    waiting: int


class Channel:
    """One data channel of a link; get it from `Link.open_channel` or `Link.channels`.

        await channel.send("hello")
        async for message in channel:       # str or bytes, as they were sent
            ...

    The iteration ends when either side closes the channel or the link in order, and raises
    `LinkLost` when the link breaks.

    Sending waits while too much is buffered (`LinkConfig.high_water`).

    A reader that falls behind slows the whole link down, because SCTP has one window for all
    channels: protocols for bulk data need credit of their own, as Peerline's transfers have.
    `waiting_bytes` tells how far behind it is. When nobody reads at all:

    * a reliable channel whose messages fill the window (`LinkConfig.receive_window`) breaks after
      `LinkConfig.unread_patience` seconds with `ChannelOverflow`, at both ends, and the others go
      on; what was received up to then can still be read;
    * one that is not reliable drops its oldest messages (`LinkConfig.unreliable_limit`).

    aiortc's engine has no such window; there the channel breaks at once that takes more than
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
        end_of_link: Callable[[], PeerError],
        heard: Callable[[], None] = lambda: None,
        on_waiting: Callable[[], None] = lambda: None,
        on_unread: Callable[[], None] = lambda: None,
        low_water: int | None = None,
    ) -> None:
        """Take a channel of a connection; links do this.

        Args:
            raw: the connection's channel.
            parameters: how it delivers.
            config: of the link.
            shelf: where what was received waits.
            max_message_size: the other side's limit, once known.
            end_of_link: why the link is over, asked when it is.
            heard: called with every message that arrives.
            on_waiting: called whenever a message begins to wait.
            on_unread: called before it breaks, because nobody reads it.
            low_water: in place of the link's.
        """
        self._raw = raw
        self._parameters = parameters
        self._config = config
        self._shelf = shelf
        self._shelf.on_blame = self._unread_here
        self._max_message_size = max_message_size
        self._end_of_link = end_of_link
        self._heard = heard
        self._on_waiting = on_waiting
        self._on_unread = on_unread
        # Nobody is told that what is buffered fell to a mark that it never exceeded.
        low_water = config.low_water if low_water is None else low_water
        self._low_water = min(low_water, config.high_water)
        self._loop = asyncio.get_running_loop()
        self._sent = self._arrived = self._dropped = 0
        self._receiver: Callable[[str | bytes], None] | None = None
        self._on_room: Callable[[], None] = lambda: None
        self._breaks: PeerError | None = None
        self._error: PeerError | None = None
        self._ended = asyncio.Event()
        self._opened = asyncio.Event()
        self._drained = asyncio.Event()
        self._readable = asyncio.Event()
        raw.attach(_Handler(self), low_water=self._low_water)
        if raw.state is ChannelState.OPEN:
            self._opened.set()

    def __repr__(self) -> str:
        return f"<Channel {self.label!r} id={self.id} {self._raw.state.value}>"

    # What it is

    @property
    def label(self) -> str:
        """Its name, ASCII."""
        return self._parameters.label

    @property
    def protocol(self) -> str:
        """Name of what is spoken on it; may be empty."""
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
        """Seconds after which a message is given up; None: never."""
        return self._parameters.max_lifetime

    @property
    def priority(self) -> int:
        """Its share of the path beside other channels; see `Priority`."""
        return self._parameters.priority

    @property
    def id(self) -> int | None:
        """Its stream number, once it has one."""
        return self._raw.id

    @property
    def buffered(self) -> int:
        """Bytes that were sent and have not left yet."""
        return self._raw.buffered

    @property
    def stats(self) -> ChannelStats:
        """How much has come and gone, and what waits to be received."""
        return ChannelStats(self._sent, self._arrived, self._dropped, len(self._shelf))

    @property
    def waiting_bytes(self) -> int:
        """Bytes that arrived and wait to be received, with 256 for each message."""
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

        That it returns does not mean that the message has arrived.

        Args:
            message: text, or anything that has bytes (an `array`, say, gives those that it keeps).

        Raises:
            TypeError: it is neither text nor bytes.
            ValueError: it is text that is not Unicode (a lone surrogate).
            ChannelClosed: the channel is closed.
            ChannelOverflow: it broke, because nobody reads it at the other end.
            LinkEnded: The link broke (`LinkLost`) or is closed (`LinkClosed`).
            MessageTooLarge: the other side does not accept messages of this size.
        """
        data = self._fit(message)
        self._check_open()
        while self._raw.buffered > self._config.high_water:
            self._drained.clear()
            await self._drained.wait()
            self._check_open()
        self._send(data)

    def send_now(self, message: str | bytes | bytearray | memoryview) -> None:
        """Send a message however much is buffered; for small ones that must not wait.

        Raises:
            As `send`.
        """
        data = self._fit(message)
        self._check_open()
        self._send(data)

    def _fit(self, message: str | bytes | bytearray | memoryview) -> str | bytes:
        """What goes out, if it can."""
        data = message if isinstance(message, str | bytes) else _bytes_of(message)
        limit = self._max_message_size()
        # What is no text raises here.
        wide = isinstance(data, str) and not data.isascii()
        size = len(str(data).encode()) if wide else len(data)
        if size > limit:
            raise MessageTooLarge(size, limit)
        return data

    def _send(self, data: str | bytes) -> None:
        try:
            self._raw.send(data)
        except ChannelClosed as error:
            raise self._breaks or error from None
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
            ChannelClosed: the channel is closed, and everything was received.
            ChannelOverflow: it broke, because its reader was too slow.
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
            ChannelClosed: it closed instead.
            LinkEnded: The link broke (`LinkLost`) or is closed (`LinkClosed`).
        """
        await self._opened.wait()
        if self._ended.is_set():
            raise self._error or ChannelClosed()

    async def close(self) -> None:
        """Close it, after what was sent; returns when the other side has closed it too.

        What was received stays to be received.
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
        """Wait until it is closed, by whichever side.

        Raises:
            LinkLost: the link broke.
        """
        await self._ended.wait()
        if self._error is not None and not isinstance(self._error, LinkClosed):
            raise self._error

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.close()

    # For links

    @property
    def _came_to_nothing(self) -> bool:
        """Whether it was closed before anything came on it: given up while it was opened, say."""
        return self._ended.is_set() and self._error is None and not self._shelf

    @property
    def _has_room(self) -> bool:
        """Whether no more than the low-water mark is buffered; `_on_room` is called when it is."""
        return self._raw.buffered <= self._low_water

    def _deliver_to(self, receiver: Callable[[str | bytes], None]) -> None:
        """Hand every message to a function from now on, beginning with those that wait."""
        self._receiver = receiver
        while self._shelf:
            receiver(self._take())

    def _abandon(self) -> None:
        """Close it without waiting for that: nobody has got it."""
        self._receiver = lambda message: None
        self._raw.close()
        self._end(None)

    def _overflow(self, reason: str) -> None:
        """Close it because of what waits, which whoever uses it is told of."""
        shelf = self._shelf
        error = ChannelOverflow(
            f"The channel {self.label!r} was closed with {len(shelf)} messages unread "
            f"({shelf.bytes} bytes): {reason}."
        )
        logger.warning("%s", error)
        self._end(error)
        self._raw.close()

    def _unread_there(self) -> None:
        """The other side is closing it, because nobody reads it there."""
        self._breaks = self._breaks or ChannelOverflow(
            f"The other side did not read the channel {self.label!r}, which held up all others: "
            "it closed it."
        )

    def _unread_here(self) -> None:
        """It holds up all others, because nobody reads it here."""
        self._on_unread()  # the other side had better know before it is closed
        patience = self._config.unread_patience
        self._overflow(f"nothing was taken for {patience:g} seconds, which held up all others")

    # From the connection

    def _receive(self, message: str | bytes) -> None:
        self._heard()
        self._arrived += 1
        if self._receiver is not None:
            self._receiver(message)
            self._raw.consume()
            return
        if self._error is not None:
            self._raw.consume()
            return
        if not self._shelf.put(message, self._loop.time()):
            self._overflow(f"more arrived than may wait ({self._config.receive_limit} bytes)")
            return
        self._drop_oldest()
        self._readable.set()
        self._on_waiting()

    def _drop_oldest(self) -> None:
        """Keep no more of what may be lost anyway than the limit, but always the newest."""
        shelf, limit = self._shelf, self._config.unreliable_limit
        while shelf.must_drop or (shelf.droppable and len(shelf) > 1 and shelf.bytes > limit):
            self._take()
            self._dropped += 1

    def _check_open(self) -> None:
        if self._ended.is_set():
            raise self._error or ChannelClosed()
        if self.closed:
            raise self._breaks or ChannelClosed()

    def _end(self, error: PeerError | None) -> None:
        if self._ended.is_set():
            return
        self._error = error or self._breaks
        if not self._shelf.release():
            self._error = self._error or ChannelOverflow(
                f"The channel {self.label!r} was closed, and too much waits on others for what it "
                "had brought to be kept."
            )
        self._ended.set()
        # Whoever waits for anything finds out.
        self._opened.set()
        self._drained.set()
        self._readable.set()


class _Handler:
    """What a connection tells a channel; see `peer.rtc.ChannelHandler`."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    def channel_opened(self) -> None:
        self._channel._opened.set()

    def channel_received(self, message: str | bytes) -> None:
        self._channel._receive(message)

    def channel_drained(self) -> None:
        self._channel._drained.set()
        self._channel._on_room()

    def channel_closed(self, clean: bool) -> None:
        self._channel._end(None if clean else self._channel._end_of_link())


def _bytes_of(message: object) -> bytes:
    """The bytes of an object that has some.

    Raises:
        TypeError: it has none: a number, say, of which `bytes` would make so many zeros.
    """
    try:
        return memoryview(message).tobytes()  # type: ignore[arg-type]  # that is the question
    except TypeError:
        raise TypeError(f"a message is text or bytes, not {type(message).__name__}") from None
