"""One connection under a link, with Peerline's own three channels on it (floor 3)."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from weakref import WeakValueDictionary

from peer.channel.async_queue import AsyncQueueWriter
from peer.channel.channel import Channel
from peer.channel.link_channel import LinkChannel
from peer.channel.unread import Unread
from peer.config import ChannelParameters, LinkConfig, Priority
from peer.errors import LinkLost, PeerError
from peer.rtc import Connection, ConnectionState, DataChannel

from .control_channel import ControlChannel

__all__ = ["BLOCKS", "CHAT", "CONTROL", "FIRST_FREE_ID", "LinkConnection"]

# Control has top priority: errors and replies overtake bulk data.
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
SMALL_LOW_WATER = 4096
"""Bytes that may be buffered on the channels of small messages before answers wait: a side that
asks and does not read gets no more of them. The link's low water would be thousands of answers."""
FIRST_FREE_ID = 3
"""Stream numbers below are Peerline's own."""
MAX_WAITING_CHANNELS = 256
"""Channels of the other side that may wait to be taken. Further ones are refused, and so are those
that arrive while the link holds too much unread."""


class LinkConnection:
    """One connection with the channels of its link, from its making to its end.

    Attributes:
        number: Generation of the connection under the link, from 0.
        connection: The connection itself.
        control: Its control channel.
        chat_channel: Carries the chat.
        blocks_channel: Carries the content of files.
        incoming: Channels that the other side opens. It may open one as soon as it has our hello,
            and the channel may arrive before its own hello: they have no common order.
        channels: Open channels by their stream numbers, without Peerline's own.
        unread: Counts the messages that no program has read yet.
        end: Why the connection is over, if the link knows more than "it broke".
        on_waiting: Called when a message begins to wait to be read.
    """

    def __init__(
        self, number: int, make_connection: Callable[[], Connection], config: LinkConfig
    ) -> None:
        self.number = number
        self.connection = make_connection()
        # Acknowledgements are signs of life, too: a full window can hold up every message.
        self.connection.on_heard = self._heard
        self.connection.on_channel = self._on_channel
        self.incoming: AsyncQueueWriter[Channel] = AsyncQueueWriter(is_stale=_closed_unused)
        self.channels: WeakValueDictionary[int, LinkChannel] = WeakValueDictionary()
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
        # Both sides create the same channels before any message is sent, so neither waits.
        self.control = ControlChannel(self.channel(CONTROL, low_water=SMALL_LOW_WATER), config)
        self.chat_channel = self.channel(CHAT, low_water=SMALL_LOW_WATER)
        self.blocks_channel = self.channel(BLOCKS)

    def channel(
        self, parameters: ChannelParameters, *, low_water: int | None = None
    ) -> LinkChannel:
        """Create a channel on this connection.

        Args:
            parameters: How it delivers.
            low_water: Bytes, in place of the link's low-water mark.

        Raises:
            ValueError: The id is taken.
            ChannelError: The connection has no room for another channel.
            LinkEnded: The connection is over.
        """
        return self._wrap(self.connection.create_channel(parameters), parameters, low_water)

    def remember(self, channel: LinkChannel) -> None:
        """Keep an open channel by its stream number."""
        if channel.id is not None:
            self.channels[channel.id] = channel

    def reason(self) -> PeerError:
        """Return why the connection is over."""
        return self.end or LinkLost()

    async def say_goodbye(self, code: str) -> None:
        """Tell the other side why we leave, if it can still hear it."""
        if self.connection.state is ConnectionState.CONNECTED:
            self.control.say_goodbye(code)
            with contextlib.suppress(TimeoutError):
                await self.connection.flush(self._config.timeouts.close)

    async def close(self) -> None:
        """Close the connection at once."""
        self.control.stop()
        await self.connection.close()

    def _on_channel(self, raw: DataChannel) -> None:
        """Take a channel that the other side opened."""
        full = len(self.incoming) >= MAX_WAITING_CHANNELS or not self.unread.has_room()
        if full or self.end is not None:
            raw.close()
            return
        channel = self._wrap(raw, raw.parameters)
        self.remember(channel)
        self.incoming.put(channel)

    def _wrap(
        self, raw: DataChannel, parameters: ChannelParameters, low_water: int | None = None
    ) -> LinkChannel:
        def tell_unread() -> None:
            if raw.id is not None:
                self.control.tell_unread(raw.id)

        return LinkChannel(
            raw,
            parameters,
            config=self._config,
            shelf=self.unread.shelf(droppable=not parameters.reliable),
            max_message_size=lambda: self.connection.max_message_size,
            end_of_link=self.reason,
            on_heard=self._heard,
            on_waiting=lambda: self.on_waiting(),
            on_unread=tell_unread,
            low_water=low_water,
        )

    def _heard(self) -> None:
        self.control.heard()


def _closed_unused(channel: Channel) -> bool:
    return isinstance(channel, LinkChannel) and channel.closed_unused
