"""One connection under a link, with Peerline's own three channels on it (floor 3)."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from weakref import WeakValueDictionary

from peer.channel.async_queue import Inbox
from peer.channel.channel import Channel
from peer.channel.unread import Unread
from peer.config import ChannelParameters, LinkConfig, Priority
from peer.errors import (
    LinkClosed,
    LinkLost,
    PeerError,
    PeerTimeout,
    ProtocolError,
    VerificationFailed,
)
from peer.rtc import Connection, ConnectionState, DataChannel

from .control import ByeReceived, Control, HelloReceived

__all__ = [
    "BLOCKS",
    "CHAT",
    "CONTROL",
    "FIRST_FREE_ID",
    "VERIFICATION_FAILED",
    "LinkConnection",
    "goodbye",
]

# What goes wrong or waits for an answer is known before what merely takes long goes on.
CONTROL = ChannelParameters(
    label="control", protocol="peerline.control.1", priority=Priority.EXTRA_HIGH, id=0
)
CHAT = ChannelParameters(label="chat", protocol="peerline.chat.1", priority=Priority.HIGH, id=1)
BLOCKS = ChannelParameters(
    label="blocks",
    protocol="peerline.blocks.1",
    ordered=False,
    priority=Priority.BELOW_NORMAL,
    id=2,
)
VERIFICATION_FAILED = "verification_failed"
"""Code of the goodbye of a side that was shown another nonce than was committed to."""
SMALL_LOW_WATER = 4096
"""Bytes that may be buffered on the channels of small messages before answers wait: a side that
asks and does not read gets no more of them. The link's low water would be thousands of answers."""
FIRST_FREE_ID = 3
"""Stream numbers below are Peerline's own."""
MAX_WAITING_CHANNELS = 256
"""Channels opened by the other side that nobody has asked for yet; more are refused, and so are
those that come when more is unread on the link than may be."""


def goodbye(code: str, message: str) -> PeerError:
    """What the other side's goodbye means."""
    if code == VERIFICATION_FAILED:
        return VerificationFailed("The other side found that the set-up was tampered with.")
    # What it says is told as what it says: otherwise it would speak in our name.
    said = f"The other side closed the link: {message}" if message else ""
    return LinkClosed(said or "The other side closed the link.", code)


class LinkConnection:
    """One connection, from its making to its end, and the hello on it.

    Attributes:
        control: the machine of the control channel; it keeps what comes after the hello.
        incoming: channels that the other side opens. It may open one as soon as it has our hello,
            and the channel may arrive before its own hello has: they have no common order.
        channels: all open channels but Peerline's own, by their stream numbers.
        end: why the connection is over, once somebody knows better than "it broke".
    """

    def __init__(
        self, number: int, make_connection: Callable[[], Connection], config: LinkConfig
    ) -> None:
        self.number = number
        self.connection = make_connection()
        # An acknowledgement is a sign of life, too: a full window can hold up every message.
        self.connection.on_heard = self.heard
        self.connection.on_channel = self._on_channel
        self.incoming: Inbox[Channel] = Inbox(gone=lambda channel: channel._came_to_nothing)
        self.channels: WeakValueDictionary[int, Channel] = WeakValueDictionary()
        self.end: PeerError | None = None
        self._config = config
        window = self.connection.receive_window
        self.unread = Unread(
            windowed=window > 0,
            limit=config.receive_limit,
            droppable=(window or config.receive_limit) // 2,
            patience=config.unread_patience,
        )
        self.on_waiting: Callable[[], None] = lambda: None
        loop = asyncio.get_running_loop()
        self.control = Control(config, loop.time())
        # Both sides make the same channels before anything is sent: nobody waits for them.
        self.control_channel = self.channel(CONTROL, low_water=SMALL_LOW_WATER)
        self.control_channel._on_room = self.flush_control
        self.chat_channel = self.channel(CHAT, low_water=SMALL_LOW_WATER)
        self.blocks_channel = self.channel(BLOCKS)

    def channel(self, parameters: ChannelParameters, *, low_water: int | None = None) -> Channel:
        """Make a channel of this connection.

        Args:
            parameters: how it delivers.
            low_water: in place of the link's.

        Raises:
            ValueError: its id is taken.
            ChannelError: there is no room for another channel.
            LinkEnded: The connection is over.
        """
        return self._wrap(self.connection.create_channel(parameters), parameters, low_water)

    def keep(self, channel: Channel) -> None:
        """Remember an open channel by its stream number."""
        if channel.id is not None:
            self.channels[channel.id] = channel

    def _on_channel(self, raw: DataChannel) -> None:
        """Take a channel that the other side opened."""
        full = len(self.incoming) >= MAX_WAITING_CHANNELS or not self.unread.has_room()
        if full or self.end is not None:
            raw.close()
            return
        channel = self._wrap(raw, raw.parameters)
        self.keep(channel)
        self.incoming.put(channel)

    def _wrap(
        self, raw: DataChannel, parameters: ChannelParameters, low_water: int | None = None
    ) -> Channel:
        def tell_unread() -> None:
            if raw.id is not None:
                self.control.unread(raw.id)
                self.flush_control()

        return Channel(
            raw,
            parameters,
            config=self._config,
            max_message_size=lambda: self.connection.max_message_size,
            end_of_link=self.reason,
            heard=self.heard,
            shelf=self.unread.shelf(droppable=not parameters.reliable),
            on_waiting=lambda: self.on_waiting(),
            on_unread=tell_unread,
            low_water=low_water,
        )

    def heard(self) -> None:
        """Something came from the other side."""
        self.control.heard(asyncio.get_running_loop().time())

    def reason(self) -> PeerError:
        """Why the connection is over."""
        return self.end or LinkLost()

    async def greet(self, name: str, agent: str, reveal: str | None) -> HelloReceived:
        """Say hello and wait for the other side's; bound it with `asyncio.timeout`.

        Raises:
            LinkEnded: The connection broke (`LinkLost`), or the other side said goodbye
                (`LinkClosed`).
            ProtocolError: something else came first.
            PeerTimeout: nothing came.
        """
        loop = asyncio.get_running_loop()
        self.control.hello(name, agent, reveal)
        self.flush_control()
        try:
            async with asyncio.timeout(self._config.timeouts.hello):
                while True:
                    message = await self.control_channel.receive()
                    self.control.receive_message(message, loop.time())
                    self.flush_control()
                    match self.control.next_event():
                        case HelloReceived() as hello:
                            return hello
                        case ByeReceived(code, text):
                            raise goodbye(code, text)
                        case None:
                            pass
                        case _:
                            raise ProtocolError("The other side did not say hello first.")
        except TimeoutError:
            raise PeerTimeout("hello") from None

    def flush_control(self) -> None:
        """Send what the control machine has to say: answers only when the channel has room."""
        channel = self.control_channel
        for message in self.control.messages_to_send(replies=channel._has_room):
            if not channel.closed:
                channel.send_now(message)

    async def say_goodbye(self, code: str) -> None:
        """Say why we leave, if the other side can still hear it."""
        self.control.bye(code)
        if self.connection.state is ConnectionState.CONNECTED:
            self.flush_control()
            with contextlib.suppress(TimeoutError):
                await self.connection.flush(self._config.timeouts.close)

    async def close(self) -> None:
        """Close the connection, at once."""
        await self.connection.close()
