"""One data channel of one connection, behind the few calls that the rest of Peerline uses."""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Protocol

from aiortc import InvalidStateError, RTCDataChannel

from peer.config import ChannelParameters
from peer.errors import ChannelClosed

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
        """A whole message has arrived."""

    def channel_drained(self) -> None:
        """No more than `low_water` bytes are buffered any longer."""

    def channel_closed(self, clean: bool) -> None:
        """It is over: closed by one of the sides (`clean`), or the connection broke."""


class DataChannel:
    """One data channel. Give it a handler before the loop runs again, or messages are lost."""

    def __init__(self, raw: RTCDataChannel, is_alive: Callable[[], bool]) -> None:
        self._raw = raw
        self._is_alive = is_alive
        self._handler: ChannelHandler | None = None
        lifetime = raw.maxPacketLifeTime
        self.parameters = ChannelParameters(
            # A label from elsewhere may be anything; ours are ASCII.
            label=raw.label.encode("ascii", "replace").decode("ascii"),
            ordered=raw.ordered,
            max_retransmits=None if raw.maxRetransmits is None else min(raw.maxRetransmits, 65535),
            max_lifetime=None if lifetime is None else min(max(lifetime, 1), 65535) / 1000,
            protocol=raw.protocol.encode("ascii", "replace").decode("ascii"),
        )
        raw.on("open", self._on_open)
        raw.on("message", self._on_message)
        raw.on("bufferedamountlow", self._on_low)
        raw.on("close", self._on_close)

    @property
    def id(self) -> int | None:
        """Stream number; None until a channel opened in-band has got one."""
        return self._raw.id

    @property
    def state(self) -> ChannelState:
        return ChannelState(self._raw.readyState)

    @property
    def buffered(self) -> int:
        """Bytes given to `send` that have not left yet."""
        return self._raw.bufferedAmount

    def attach(self, handler: ChannelHandler, *, low_water: int) -> None:
        """Name who is told from now on, and at how many buffered bytes it is `drained`."""
        self._handler = handler
        self._raw.bufferedAmountLowThreshold = low_water

    def send(self, message: str | bytes) -> None:
        """Queue a message.

        Raises:
            ChannelClosed: if the channel is not open.
            ValueError: if the message is larger than the other side accepts.
        """
        try:
            self._raw.send(message)
        except InvalidStateError:
            raise ChannelClosed from None

    def close(self) -> None:
        """Start closing: what is queued is sent first (RFC 8831 section 6.7)."""
        self._raw.close()

    def _on_open(self) -> None:
        if self._handler is not None:
            self._handler.channel_opened()

    def _on_message(self, message: str | bytes) -> None:
        if self._handler is not None:
            self._handler.channel_received(message)

    def _on_low(self) -> None:
        if self._handler is not None:
            self._handler.channel_drained()

    def _on_close(self) -> None:
        if self._handler is not None:
            self._handler.channel_closed(self._is_alive())
