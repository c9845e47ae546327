"""aiortc's own SCTP under a connection: the fallback, and what ours is compared with."""

from __future__ import annotations

from collections.abc import Callable

from aiortc import InvalidStateError, RTCDataChannel, RTCPeerConnection

from peer.config import ChannelParameters
from peer.errors import ChannelClosed

from .channels import ChannelHandler, ChannelState, DataChannel

__all__ = ["StockEngine"]


class StockEngine:
    """Data channels through aiortc. See `engine.Engine` for what each member means."""

    def __init__(self, pc: RTCPeerConnection) -> None:
        self._pc = pc
        self.on_channel: Callable[[DataChannel], None] = lambda channel: None
        self.on_open: Callable[[], None] = lambda: None
        self.on_heard: Callable[[], None] = lambda: None
        self.on_ended: Callable[[str], None] = lambda reason: None
        pc.on("datachannel", self._on_channel)

    proposal = b""

    def accept_proposal(self, proposal: bytes) -> bool:
        """See `engine.Engine.accept_proposal`: aiortc knows none."""
        return False

    @property
    def backlog(self) -> object:
        """See `engine.Engine.backlog`."""
        sctp = self._pc.sctp
        if sctp is None:
            return None
        # aiortc's bufferedAmount falls when a message is cut into packets, long before they arrive.
        queues = sctp._data_channel_queue, sctp._outbound_queue, sctp._sent_queue
        if not any(queues):
            return None
        return (sctp._last_sacked_tsn, *(len(queue) for queue in queues))

    def create_channel(self, parameters: ChannelParameters) -> DataChannel:
        """See `engine.Engine.create_channel`."""
        lifetime = parameters.max_lifetime
        raw = self._pc.createDataChannel(
            parameters.label,
            maxPacketLifeTime=None if lifetime is None else max(1, round(lifetime * 1000)),
            maxRetransmits=parameters.max_retransmits,
            ordered=parameters.ordered,
            protocol=parameters.protocol,
            negotiated=parameters.id is not None,
            id=parameters.id,
        )
        raw.on("open", lambda: self.on_open())
        return StockChannel(raw, parameters, self._is_alive)

    def _on_channel(self, raw: RTCDataChannel) -> None:
        lifetime, retransmits = raw.maxPacketLifeTime, raw.maxRetransmits
        parameters = ChannelParameters(
            # A label from elsewhere may be anything; ours are ASCII.
            label=raw.label.encode("ascii", "replace").decode("ascii"),
            ordered=raw.ordered,
            max_retransmits=None if retransmits is None else min(retransmits, 65535),
            max_lifetime=None if lifetime is None else min(max(lifetime, 1), 65535) / 1000,
            protocol=raw.protocol.encode("ascii", "replace").decode("ascii"),
        )
        self.on_channel(StockChannel(raw, parameters, self._is_alive))

    def _is_alive(self) -> bool:
        return self._pc.sctp is not None and self._pc.sctp.state == "connected"


class StockChannel:
    """An `RTCDataChannel` as a `DataChannel`."""

    def __init__(
        self, raw: RTCDataChannel, parameters: ChannelParameters, is_alive: Callable[[], bool]
    ) -> None:
        self.parameters = parameters
        self._raw = raw
        self._is_alive = is_alive
        self._handler: ChannelHandler | None = None
        raw.on("open", self._on_open)
        raw.on("message", self._on_message)
        raw.on("bufferedamountlow", self._on_low)
        raw.on("close", self._on_close)

    @property
    def id(self) -> int | None:
        """See `DataChannel.id`."""
        return self._raw.id

    @property
    def state(self) -> ChannelState:
        """See `DataChannel.state`."""
        return ChannelState(self._raw.readyState)

    @property
    def buffered(self) -> int:
        """See `DataChannel.buffered`."""
        return self._raw.bufferedAmount

    def attach(self, handler: ChannelHandler, *, low_water: int) -> None:
        """See `DataChannel.attach`."""
        self._handler = handler
        self._raw.bufferedAmountLowThreshold = low_water

    def send(self, message: str | bytes) -> None:
        """See `DataChannel.send`."""
        try:
            self._raw.send(message)
        except InvalidStateError:
            raise ChannelClosed from None

    def consume(self) -> None:
        """See `DataChannel.consume`."""

    def close(self) -> None:
        """See `DataChannel.close`."""
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
