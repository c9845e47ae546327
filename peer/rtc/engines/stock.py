"""aiortc's own SCTP under a connection: the fallback, and the reference for comparisons."""

from __future__ import annotations

import logging
from collections.abc import Callable

from aiortc import (
    InvalidStateError,
    RTCDataChannel,
    RTCDataChannelParameters,
    RTCDtlsTransport,
    RTCPeerConnection,
)
from aiortc.rtcsctptransport import RTCSctpTransport

from peer.config import ChannelParameters
from peer.errors import ChannelClosed
from peer.rtc.data_channel import ChannelHandler, ChannelState, DataChannel
from peer.sctp import DataChannelMessage, Ppid, decode_payload
from peer.sctp.receive.early_messages import EarlyMessages

__all__ = ["StockEngine", "StockPeerConnection"]

logger = logging.getLogger(__name__)

KEPT_EARLY = 2 << 20
"""Bytes kept for negotiated channels that our side has not opened."""
MAX_REMEMBERED = 4096
"""Approximate limit of streams that were reset before they had a channel here."""
BOOKKEEPING = 256
"""Bytes that a kept message counts beside its payload."""


class StockPeerConnection(RTCPeerConnection):
    """An `RTCPeerConnection` whose SCTP transport is a `StockTransport`."""

    def _RTCPeerConnection__createSctpTransport(self) -> None:
        dtls = self._RTCPeerConnection__createDtlsTransport()  # type: ignore[attr-defined]
        sctp = self._RTCPeerConnection__sctp = StockTransport(dtls)
        sctp._bundled = False
        sctp.mid = None
        sctp.on("datachannel", lambda channel: self.emit("datachannel", channel))


class StockTransport(RTCSctpTransport):
    """aiortc's transport, with messages kept for channels that our side has not opened yet.

    aiortc drops them. Here they are kept, as in `peer.sctp.receive.early_messages`; a channel for
    which there is no room is closed at once.
    """

    def __init__(self, transport: RTCDtlsTransport) -> None:
        super().__init__(transport)
        self._early = EarlyMessages(KEPT_EARLY)
        self._ended_early: set[int] = set()

    async def _receive(self, stream_id: int, pp_id: int, data: bytes) -> None:
        if pp_id == Ppid.DCEP or stream_id in self._data_channels:
            await super()._receive(stream_id, pp_id, data)
            return
        if not self._early.keep(
            DataChannelMessage(stream_id, pp_id, data, len(data) + BOOKKEEPING)
        ):
            logger.info("stream %d is refused: too much came before its channel", stream_id)
            self._early.take(stream_id)
            refused = RTCDataChannelParameters(label="", id=stream_id, negotiated=True)
            RTCDataChannel(self, refused).close()

    async def _reset_deferred_streams(self) -> None:
        request = self._reconfig_deferred
        unknown = set(request.streams) - self._data_channels.keys() if request else set()
        await super()._reset_deferred_streams()
        if self._reconfig_deferred is None and len(self._ended_early) < MAX_REMEMBERED:
            self._ended_early |= unknown

    def catch_up(self, channel: RTCDataChannel, stream_id: int) -> None:
        """Deliver the messages, or the reset, that arrived before a channel was opened."""
        for message in self._early.take(stream_id):
            channel.emit("message", decode_payload(message.ppid, message.data, errors="replace"))
        if stream_id in self._ended_early:
            self._ended_early.discard(stream_id)
            self._data_channel_inbound_reset.add(stream_id)
            channel.close()


class StockEngine:
    """An `Engine` on aiortc's SCTP."""

    def __init__(self, pc: RTCPeerConnection) -> None:
        self._pc = pc
        self.on_channel: Callable[[DataChannel], None] = lambda channel: None
        self.on_open: Callable[[], None] = lambda: None
        self.on_heard: Callable[[], None] = lambda: None
        self.on_ended: Callable[[str], None] = lambda reason: None
        pc.on("datachannel", self._on_channel)

    sctp_init = b""

    def accept_sctp_init(self, sctp_init: bytes) -> bool:
        """Return False: aiortc does not support it."""
        return False

    window = 0
    unread = 0

    @property
    def backlog(self) -> object:
        """None when all data has been acknowledged, else a value that changes with progress."""
        sctp = self._pc.sctp
        if sctp is None:
            return None
        # aiortc's bufferedAmount falls when a message is cut into packets, long before they arrive.
        queues = sctp._data_channel_queue, sctp._outbound_queue, sctp._sent_queue
        if not any(queues):
            return None
        return (sctp._last_sacked_tsn, *(len(queue) for queue in queues))

    def create_channel(self, parameters: ChannelParameters) -> DataChannel:
        """Open a channel.

        Raises:
            ValueError: Its id is taken.
            aiortc.InvalidStateError: The connection is closed.
        """
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
        channel = StockChannel(raw, parameters, self._is_alive)
        if parameters.id is not None and isinstance(self._pc.sctp, StockTransport):
            self._pc.sctp.catch_up(raw, parameters.id)
        return channel

    def _on_channel(self, raw: RTCDataChannel) -> None:
        lifetime, retransmits = raw.maxPacketLifeTime, raw.maxRetransmits
        parameters = ChannelParameters(
            # Labels of other implementations may be any text; ours are ASCII.
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
        self._untold: list[str | bytes] = []
        """Messages that arrived before there was a handler."""
        raw.on("open", self._on_open)
        raw.on("message", self._on_message)
        raw.on("bufferedamountlow", self._on_low)
        raw.on("close", self._on_close)

    @property
    def id(self) -> int | None:
        """Stream number; None until aiortc has assigned one."""
        return self._raw.id

    @property
    def state(self) -> ChannelState:
        """Ready state of the channel."""
        return ChannelState(self._raw.readyState)

    @property
    def buffered(self) -> int:
        """Bytes given to `send` that have not left yet."""
        return self._raw.bufferedAmount

    def attach(self, handler: ChannelHandler, *, low_water: int) -> None:
        """Set the handler, and deliver what arrived before it."""
        self._handler = handler
        self._raw.bufferedAmountLowThreshold = low_water
        untold, self._untold = self._untold, []
        for message in untold:
            handler.channel_received(message)
        if self.state is ChannelState.CLOSED:
            handler.channel_closed(self._is_alive())

    def send(self, message: str | bytes) -> None:
        """Queue a message.

        Raises:
            ChannelClosed: The channel is not open.
        """
        try:
            self._raw.send(message)
        except InvalidStateError:
            raise ChannelClosed from None

    def consume(self) -> None:
        """Do nothing: aiortc's window does not count unread messages."""

    def close(self) -> None:
        """Start to close the channel."""
        self._raw.close()

    def _on_open(self) -> None:
        if self._handler is not None:
            self._handler.channel_opened()

    def _on_message(self, message: str | bytes) -> None:
        if self._handler is None:
            self._untold.append(message)
        else:
            self._handler.channel_received(message)

    def _on_low(self) -> None:
        if self._handler is not None:
            self._handler.channel_drained()

    def _on_close(self) -> None:
        if self._handler is not None:
            self._handler.channel_closed(self._is_alive())
