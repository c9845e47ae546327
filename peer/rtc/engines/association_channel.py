"""A data channel on our own association."""

from __future__ import annotations

import contextlib
from collections import deque
from typing import Protocol

from peer.config import ChannelParameters
from peer.errors import ChannelClosed
from peer.rtc.data_channel import ChannelHandler, ChannelState
from peer.sctp import Association, DataChannelMessage, LocalProtocolError, decode_payload

__all__ = ["AssociationChannel"]


class Driver(Protocol):
    """The driver of the association that a channel belongs to."""

    association: Association | None
    """None before DTLS is up, and after the end."""
    peer_max_message_size: int
    """Bytes of the largest message that the peer accepts; 0 for no limit."""

    def now(self) -> float:
        """Return the time that the association counts in, seconds."""

    def drive_soon(self) -> None:
        """Send what is due at the end of this turn of the event loop."""


class AssociationChannel:
    """A `DataChannel` that calls the association directly and asks its driver to send."""

    def __init__(self, driver: Driver, parameters: ChannelParameters) -> None:
        self.parameters = parameters
        self._driver = driver
        self._id: int | None = parameters.id
        self._is_bound = False
        """The association knows this channel by `_id`."""
        self._state = ChannelState.CONNECTING
        self._handler: ChannelHandler | None = None
        self._low_water = 0
        self._unconsumed: deque[int] = deque()
        """Window bytes of each message that the user has not consumed."""
        self._undelivered: list[DataChannelMessage] = []
        """Messages that arrived before there was a handler."""
        self._clean: bool | None = None
        """How the channel ended; None before it has."""

    @property
    def id(self) -> int | None:
        """Stream number; None until the association has assigned one."""
        return self._id

    @property
    def state(self) -> ChannelState:
        """Ready state of the channel."""
        return self._state

    @property
    def buffered(self) -> int:
        """Bytes given to `send` that have not left yet."""
        association = self._driver.association
        if association is None or self._id is None:
            return 0
        return association.buffered_amount(self._id)

    def attach(self, handler: ChannelHandler, *, low_water: int) -> None:
        """Set the handler, and deliver what arrived before it (`DataChannel.attach`)."""
        self._handler = handler
        self._low_water = low_water
        self._set_threshold()
        undelivered, self._undelivered = self._undelivered, []
        for event in undelivered:
            self._deliver(handler, event)
        if self._clean is not None:
            handler.channel_closed(self._clean)

    def send(self, message: str | bytes) -> None:
        """Queue a message; it leaves at the end of this turn of the event loop.

        Raises:
            ChannelClosed: The channel is not open.
            ValueError: The message is larger than the peer accepts.
        """
        association = self._driver.association
        if self._state is not ChannelState.OPEN or self._id is None or association is None:
            raise ChannelClosed
        try:
            association.send_message(self._id, message, self._driver.now())
        except LocalProtocolError as error:
            size = len(message.encode() if isinstance(message, str) else message)
            if 0 < self._driver.peer_max_message_size < size:
                raise ValueError(str(error)) from error
            # The peer has closed the channel; this end learns that once both streams are reset.
            raise ChannelClosed from error
        self._driver.drive_soon()

    def consume(self) -> None:
        """Open the receive window by the size of the oldest message that was not consumed."""
        if self._unconsumed:
            self._consume(self._unconsumed.popleft())

    def close(self) -> None:
        """Start to close: the streams are reset after what is queued (RFC 8831, 6.7)."""
        if self._state in (ChannelState.CLOSING, ChannelState.CLOSED):
            return
        self._state = ChannelState.CLOSING
        self._consume_all()
        self._reset()

    # For the driver

    def bind(self, stream_id: int) -> None:
        """Note the stream id by which the association knows this channel."""
        self._id = stream_id
        self._is_bound = True
        self._set_threshold()
        if self._state is ChannelState.CLOSING:
            self._reset()

    def on_opened(self) -> None:
        """Report that the channel can send."""
        if self._state is ChannelState.CONNECTING:
            self._state = ChannelState.OPEN
            if self._handler is not None:
                self._handler.channel_opened()

    def on_message(self, event: DataChannelMessage) -> None:
        """Deliver a message, or keep it until there is a handler."""
        self._unconsumed.append(event.size)
        if self._state is ChannelState.CLOSING:
            # The peer's reset follows all that it has queued, which must find room.
            self._consume_all()
        if self._handler is None:
            self._undelivered.append(event)
        else:
            self._deliver(self._handler, event)

    def on_drained(self) -> None:
        """Report that the buffered bytes fell to the low-water mark."""
        if self._handler is not None:
            self._handler.channel_drained()

    def on_ended(self, *, clean: bool) -> None:
        """Report the end, once: an orderly one (`clean`), or a break of the connection."""
        if self._state is not ChannelState.CLOSED:
            self._state = ChannelState.CLOSED
            self._clean = clean
            self._consume_all()
            if self._handler is not None:
                self._handler.channel_closed(clean)

    # private

    def _deliver(self, handler: ChannelHandler, event: DataChannelMessage) -> None:
        handler.channel_received(decode_payload(event.ppid, event.data, errors="replace"))

    def _set_threshold(self) -> None:
        association = self._driver.association
        if self._is_bound and self._id is not None and association is not None:
            association.set_buffered_amount_low_threshold(self._id, self._low_water)

    def _reset(self) -> None:
        association = self._driver.association
        if self._is_bound and self._id is not None and association is not None:
            # Both streams may be reset already: then `on_ended` is about to be called.
            with contextlib.suppress(LocalProtocolError):
                association.close_channel(self._id)
            self._driver.drive_soon()

    def _consume(self, size: int) -> None:
        association = self._driver.association
        if self._id is not None and association is not None:
            association.consume(self._id, size)
            self._driver.drive_soon()

    def _consume_all(self) -> None:
        """Give this channel's share of the window to the others: its user reads no more."""
        if self._unconsumed:
            self._consume(sum(self._unconsumed))
            self._unconsumed.clear()
