"""One data channel of one connection, behind the few calls that the rest of Peerline uses."""

from __future__ import annotations

import enum
from typing import Protocol

from peer.config import ChannelParameters

__all__ = ["ChannelHandler", "ChannelState", "DataChannel"]


class ChannelState(enum.Enum):
    """Life of a data channel (W3C WebRTC section 6.2)."""

    CONNECTING = "connecting"
    OPEN = "open"
    CLOSING = "closing"
    CLOSED = "closed"


class ChannelHandler(Protocol):
    """Whoever owns a data channel is told through these; none of them may raise or block."""

    def channel_opened(self) -> None:
        """It can send now."""

    def channel_received(self, message: str | bytes) -> None:
        """A whole message has arrived; once it is used, tell so with `DataChannel.consume`."""

    def channel_drained(self) -> None:
        """No more than `low_water` bytes are buffered any longer."""

    def channel_closed(self, clean: bool) -> None:
        """It is over: closed by one of the sides (`clean`), or the connection broke."""


class DataChannel(Protocol):
    """One data channel. What comes before it has a handler waits for it."""

    parameters: ChannelParameters

    @property
    def id(self) -> int | None:
        """Stream number; None until a channel opened in-band has got one."""

    @property
    def state(self) -> ChannelState:
        """Where it is in its life."""

    @property
    def buffered(self) -> int:
        """Bytes given to `send` that have not left yet."""

    def attach(self, handler: ChannelHandler, *, low_water: int) -> None:
        """Name who is told from now on, and at how many buffered bytes it is `drained`."""

    def send(self, message: str | bytes) -> None:
        """Queue a message.

        Raises:
            ChannelClosed: if the channel is not open.
            ValueError: if the message is larger than the other side accepts.
        """

    def consume(self) -> None:
        """Tell that the oldest message not yet consumed was used: the window opens by its size.

        Only our own engine has a window that counts what waits; aiortc's ignores it. A channel
        that is being closed, by whichever side, takes no share of it any longer.
        """

    def close(self) -> None:
        """Start closing: what is queued is sent first (RFC 8831 section 6.7)."""
