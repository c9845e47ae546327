"""A data channel of our own association."""

from __future__ import annotations

from collections import deque
from typing import Protocol

from peer.config import ChannelParameters
from peer.errors import ChannelClosed
from peer.rtc.data_channel import ChannelHandler, ChannelState
from peer.sctp import DataChannelMessage, decode_payload

__all__ = ["AssociationChannel"]


class StreamTransport(Protocol):
    """What a channel asks of the association that it is a stream of."""

    def send(self, stream_id: int, message: str | bytes) -> None:
        """Queue a message."""

    def consume(self, stream_id: int, size: int) -> None:
        """Open the receive window by `size` bytes."""

    def close_channel(self, stream_id: int) -> None:
        """Reset the stream, after what is queued."""

    def buffered_amount(self, stream_id: int) -> int:
        """Bytes queued on the stream that have not left."""

    def set_low_water(self, stream_id: int, size: int) -> None:
        """Ask to be told when the bytes queued on the stream fall to `size`."""


class AssociationChannel:
    """A channel of our association as a `DataChannel`."""

    def __init__(self, transport: StreamTransport, parameters: ChannelParameters) -> None:
        self.parameters = parameters
        self._transport = transport
        self._id: int | None = parameters.id
        self._bound = False
        self._state = ChannelState.CONNECTING
        self._handler: ChannelHandler | None = None
        self._low_water = 0
        self._unconsumed: deque[int] = deque()
        self._untold: list[DataChannelMessage] = []
        """What came before there was a handler."""
        self._clean: bool | None = None
        """How it ended; None before it has."""

    @property
    def id(self) -> int | None:
        """See `DataChannel.id`."""
        return self._id

    @property
    def state(self) -> ChannelState:
        """See `DataChannel.state`."""
        return self._state

    @property
    def buffered(self) -> int:
        """See `DataChannel.buffered`."""
        return self._transport.buffered_amount(self._id) if self._id is not None else 0

    def attach(self, handler: ChannelHandler, *, low_water: int) -> None:
        """See `DataChannel.attach`."""
        self._handler = handler
        self._low_water = low_water
        if self._bound and self._id is not None:
            self._transport.set_low_water(self._id, low_water)
        untold, self._untold = self._untold, []
        for event in untold:
            self._tell(handler, event)
        if self._clean is not None:
            handler.channel_closed(self._clean)

    def send(self, message: str | bytes) -> None:
        """See `DataChannel.send`."""
        if self._state is not ChannelState.OPEN or self._id is None:
            raise ChannelClosed
        self._transport.send(self._id, message)

    def consume(self) -> None:
        """See `DataChannel.consume`."""
        if self._unconsumed and self._id is not None:
            self._transport.consume(self._id, self._unconsumed.popleft())

    def close(self) -> None:
        """See `DataChannel.close`."""
        if self._state in (ChannelState.CLOSING, ChannelState.CLOSED):
            return
        self._state = ChannelState.CLOSING
        self._consume_all()
        if self._bound and self._id is not None:
            self._transport.close_channel(self._id)

    # For the transport

    def set_id(self, stream_id: int) -> None:
        """The association knows it by this number."""
        self._id = stream_id
        self._bound = True
        self._transport.set_low_water(stream_id, self._low_water)
        if self._state is ChannelState.CLOSING:
            self._transport.close_channel(stream_id)

    def opened(self) -> None:
        """It can send."""
        if self._state is ChannelState.CONNECTING:
            self._state = ChannelState.OPEN
            if self._handler is not None:
                self._handler.channel_opened()

    def received(self, event: DataChannelMessage) -> None:
        """A message came."""
        self._unconsumed.append(event.size)
        if self._state is ChannelState.CLOSING:
            # The other side's reset comes behind all it has queued: it must find room.
            self._consume_all()
        if self._handler is None:
            self._untold.append(event)
        else:
            self._tell(self._handler, event)

    def _tell(self, handler: ChannelHandler, event: DataChannelMessage) -> None:
        handler.channel_received(decode_payload(event.ppid, event.data, errors="replace"))

    def drained(self) -> None:
        """What is buffered fell to the low-water mark."""
        if self._handler is not None:
            self._handler.channel_drained()

    def ended(self, *, clean: bool) -> None:
        """It is over."""
        if self._state is not ChannelState.CLOSED:
            self._state = ChannelState.CLOSED
            self._clean = clean
            self._consume_all()
            if self._handler is not None:
                self._handler.channel_closed(clean)

    def _consume_all(self) -> None:
        """Nobody need read from here on: the window belongs to the other channels."""
        if self._unconsumed and self._id is not None:
            self._transport.consume(self._id, sum(self._unconsumed))
            self._unconsumed.clear()
