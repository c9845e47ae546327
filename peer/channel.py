"""Data channels, as programs use them (floor 3)."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Self

from .config import ChannelParameters, LinkConfig
from .errors import (
    ChannelClosed,
    ChannelOverflow,
    LinkClosed,
    MessageTooLarge,
    PeerError,
)
from .rtc import ChannelState, DataChannel

__all__ = ["Channel"]

OVERHEAD = 64
"""Bytes that a waiting message counts beside its own: empty ones take memory, too."""


class Channel:
    """One data channel of a link; get it from `Link.open_channel` or `Link.channels`.

        await channel.send("hello")
        async for message in channel:       # str or bytes, as they were sent
            ...

    The iteration ends when either side closes the channel or the link in order, and raises
    `LinkLost` when the link breaks.

    Sending waits while too much is buffered (`LinkConfig.high_water`). A reader that falls behind
    slows the whole link down, because SCTP has one window for all channels: protocols for bulk
    data need credit of their own, as Peerline's transfers have. aiortc's engine has no such
    window; there a channel whose reader falls further behind than `LinkConfig.receive_limit`
    breaks with `ChannelOverflow`, after what was received up to then.
    """

    def __init__(
        self,
        raw: DataChannel,
        parameters: ChannelParameters,
        *,
        config: LinkConfig,
        max_message_size: Callable[[], int],
        end_of_link: Callable[[], PeerError],
        heard: Callable[[], None] = lambda: None,
    ) -> None:
        """Take a channel of a connection; links do this.

        Args:
            raw: the connection's channel.
            parameters: how it delivers.
            config: of the link.
            max_message_size: the other side's limit, once known.
            end_of_link: why the link is over, asked when it is.
            heard: called with every message that arrives.
        """
        self._raw = raw
        self._parameters = parameters
        self._config = config
        self._max_message_size = max_message_size
        self._end_of_link = end_of_link
        self._heard = heard
        self._received: deque[str | bytes] = deque()
        self.waiting_bytes = 0
        """What was received and nobody has taken, with something for each message."""
        self._receiver: Callable[[str | bytes], None] | None = None
        self._error: PeerError | None = None
        self._ended = asyncio.Event()
        self._opened = asyncio.Event()
        self._drained = asyncio.Event()
        self._readable = asyncio.Event()
        raw.attach(self, low_water=config.low_water)
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
    def closed(self) -> bool:
        """Whether it can no longer send."""
        return self._ended.is_set() or self._raw.state in (
            ChannelState.CLOSING,
            ChannelState.CLOSED,
        )

    @property
    def _came_to_nothing(self) -> bool:
        """Whether it was closed before anything came on it: given up while it was opened, say."""
        return self._ended.is_set() and self._error is None and not self._received

    # Sending

    async def send(self, message: str | bytes | bytearray | memoryview) -> None:
        """Send a message; waits while more than the high-water mark is buffered.

        That it returns does not mean that the message has arrived.

        Raises:
            ChannelClosed: the channel is closed.
            LinkLost: the link broke, or was closed (`LinkClosed`).
            MessageTooLarge: the other side does not accept messages of this size.
        """
        if not isinstance(message, str):
            message = bytes(message)
        limit = self._max_message_size()
        # A character takes at most four bytes of UTF-8: count them only where it may matter.
        if len(message) * 4 > limit:
            size = len(message.encode()) if isinstance(message, str) else len(message)
            if size > limit:
                raise MessageTooLarge(size, limit)
        self._check_open()
        while self._raw.buffered > self._config.high_water:
            self._drained.clear()
            await self._drained.wait()
            self._check_open()
        self._raw.send(message)

    def send_now(self, message: str | bytes) -> None:
        """Send a message however much is buffered; for small ones that must not wait.

        Raises:
            ChannelClosed: the channel is closed.
        """
        self._raw.send(message)

    async def drain(self) -> None:
        """Wait until no more than the low-water mark is buffered."""
        while self._raw.buffered > self._config.low_water and not self._ended.is_set():
            self._drained.clear()
            await self._drained.wait()

    # Receiving

    async def receive(self) -> str | bytes:
        """Wait for the next message.

        Raises:
            ChannelClosed: the channel is closed, and everything was received.
            ChannelOverflow: it broke, because its reader was too slow.
            LinkLost: the link broke, or was closed (`LinkClosed`).
        """
        while not self._received:
            if self._ended.is_set():
                raise self._error or ChannelClosed()
            self._readable.clear()
            await self._readable.wait()
        message = self._received.popleft()
        self.waiting_bytes -= len(message) + OVERHEAD
        self._raw.consume()
        return message

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> str | bytes:
        try:
            return await self.receive()
        except (ChannelClosed, LinkClosed):
            raise StopAsyncIteration from None

    def _deliver_to(self, receiver: Callable[[str | bytes], None]) -> None:
        """Hand every message to a function from now on, beginning with those that wait."""
        self._receiver = receiver
        while self._received:
            receiver(self._received.popleft())
            self._raw.consume()
        self.waiting_bytes = 0

    # Opening and closing

    async def opened(self) -> None:
        """Wait until it can send.

        Raises:
            ChannelClosed: it closed instead.
            LinkLost: the link broke, or was closed (`LinkClosed`).
        """
        await self._opened.wait()
        if self._ended.is_set():
            raise self._error or ChannelClosed()

    def _abandon(self) -> None:
        """Close it without waiting for that: nobody has got it."""
        self._raw.close()
        self._end(None)

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

    # peer.rtc.ChannelHandler

    def channel_opened(self) -> None:
        self._opened.set()

    def channel_received(self, message: str | bytes) -> None:
        self._heard()
        if self._receiver is not None:
            self._receiver(message)
            self._raw.consume()
            return
        if self._error is not None:
            self._raw.consume()
            return
        size = len(message) + OVERHEAD
        if self.waiting_bytes + size > self._config.receive_limit:
            self._end(
                ChannelOverflow(
                    f"More than {self._config.receive_limit} bytes arrived on the channel "
                    f"{self.label!r} and were not received: it was closed."
                )
            )
            self._raw.close()
            return
        self._received.append(message)
        self.waiting_bytes += size
        self._readable.set()

    def channel_drained(self) -> None:
        self._drained.set()

    def channel_closed(self, clean: bool) -> None:
        self._end(None if clean else self._end_of_link())

    def _check_open(self) -> None:
        if self._ended.is_set():
            raise self._error or ChannelClosed()
        if self.closed:
            raise ChannelClosed

    def _end(self, error: PeerError | None) -> None:
        if self._ended.is_set():
            return
        self._error = error
        self._ended.set()
        # Whoever waits for anything finds out.
        self._opened.set()
        self._drained.set()
        self._readable.set()
