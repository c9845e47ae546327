"""The interface of a data channel to the rest of Peerline."""

from __future__ import annotations

import enum
from typing import Protocol

from peer.config import ChannelParameters

__all__ = ["ChannelHandler", "ChannelState", "DataChannel"]


class ChannelState(enum.Enum):
    """Ready state of a data channel (W3C WebRTC, 6.2)."""

    CONNECTING = "connecting"
    OPEN = "open"
    CLOSING = "closing"
    CLOSED = "closed"


class ChannelHandler(Protocol):
    """Callbacks of the owner of a data channel; none of them may raise or block."""

    def channel_opened(self) -> None:
        """The channel can send."""

    def channel_received(self, message: str | bytes) -> None:
        """A message has arrived; call `DataChannel.consume` after processing it."""

    def channel_drained(self) -> None:
        """The buffered bytes have fallen to `low_water` or below."""

    def channel_closed(self, clean: bool) -> None:
        """The channel has ended: closed by either side (`clean`), or the connection broke."""


class DataChannel(Protocol):
    """One data channel. Messages wait until it has a handler."""

    parameters: ChannelParameters

    @property
    def id(self) -> int | None:
        """Stream number; None until a channel opened in-band has been assigned one."""

    @property
    def state(self) -> ChannelState:
        """Ready state of the channel."""

    @property
    def buffered(self) -> int:
        """Bytes given to `send` that have not left yet."""

    def attach(self, handler: ChannelHandler, *, low_water: int) -> None:
        """Set the handler, and the buffered bytes at which `channel_drained` is called."""

    def send(self, message: str | bytes) -> None:
        """Queue a message.

        Raises:
            ChannelClosed: The channel is not open.
            ValueError: The message is larger than the peer accepts.
        """

    def consume(self) -> None:
        """Open the receive window by the size of the oldest message that was not consumed.

        Only our own engine counts unread messages in its window; aiortc does not. A channel that
        is closing, on either side's request, no longer occupies the window.
        """

    def close(self) -> None:
        """Start to close, after queued messages have been sent (RFC 8831, 6.7)."""
