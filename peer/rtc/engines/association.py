"""The driver of our SCTP association, which takes the place of aiortc's.

`AssociationTransport` acts as the `RTCSctpTransport` of an `RTCPeerConnection`. Every input ends in
`_drive`: it handles the association's events, sends its packets and sets its timer. Packets leave
and arrive in batches where the nominated pair is a UDP socket of ours (`shared_socket`), and singly
through aiortc elsewhere (TURN, TCP, event loops without `add_reader`).
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable
from typing import cast

from aiortc import (
    InvalidStateError,
    RTCDtlsTransport,
    RTCPeerConnection,
    RTCSctpCapabilities,
)

from peer.config import ChannelParameters
from peer.errors import ChannelError
from peer.rtc.data_channel import DataChannel
from peer.rtc.dtls.packet_transport import (
    BatchedPacketTransport,
    PacketTransport,
    SinglePacketTransport,
    batched_packet_transport,
)
from peer.rtc.dtls.records import early_packets
from peer.rtc.setup_retransmission import FlightRetransmitter
from peer.sctp import (
    Association,
    AssociationEnded,
    BufferedAmountLow,
    DataChannelClosed,
    DataChannelMessage,
    DataChannelOpened,
    Established,
    LocalProtocolError,
    Restarted,
    SctpConfig,
    make_sctp_init,
    parse_sctp_init,
)

from .association_channel import AssociationChannel

__all__ = ["AssociationTransport", "PeerConnection"]

logger = logging.getLogger(__name__)

PORT = 5000
EARLY_SHARE = 4
"""Divisor of the window for messages on negotiated channels that our side has not opened."""
MAX_MESSAGE_SIZE = 16 << 20
"""Bytes, as our descriptions announce; a message is in memory as a whole."""
OVERHEAD = 65
"""Bytes of DTLS 1.2 with GCM, UDP and IPv4 headers."""
IPV6_EXTRA = 20
MAX_DATAGRAM = 16_364
"""Largest SCTP packet to probe for: one DTLS record (RFC 8446, 5.1: 2^14 bytes)."""
SINGLE_DATAGRAM = 1188
"""SCTP packet size through aiortc, without probing."""
FRAGMENTING = 30.0
"""Seconds for which packets may be fragmented after the path MTU fell: less than the minute before
the next search, because a fragmented probe proves nothing."""
FOREIGN_SEGMENTS = 16
"""Packets per send to other implementations, whose sockets may buffer only some 90."""


class PeerConnection(RTCPeerConnection):
    """An `RTCPeerConnection` whose SCTP transport is ours."""

    receive_window = SctpConfig().receive_window
    """Bytes that may be unread; set it before the transport is created."""

    def _RTCPeerConnection__createSctpTransport(self) -> None:
        dtls = self._RTCPeerConnection__createDtlsTransport()  # type: ignore[attr-defined]
        self._RTCPeerConnection__sctp = AssociationTransport(dtls, self.receive_window)

    @property
    def transport(self) -> AssociationTransport:
        """The transport, created at first access."""
        if self.sctp is None:
            self._RTCPeerConnection__createSctpTransport()
        return cast(AssociationTransport, self.sctp)


class AssociationTransport:
    """An `Engine`, and toward aiortc an SCTP transport."""

    # Attributes that RTCPeerConnection reads and sets.
    _outbound_streams_count = 65535
    _bundled = False
    mid: str | None = None
    port = PORT

    def __init__(self, dtls: RTCDtlsTransport, receive_window: int) -> None:
        self.transport = dtls
        self.window = receive_window
        self._flight_retransmitter = FlightRetransmitter(dtls.transport)
        self.state = "new"
        self.on_channel: Callable[[DataChannel], None] = lambda channel: None
        self.on_open: Callable[[], None] = lambda: None
        self.on_heard: Callable[[], None] = lambda: None
        self.on_ended: Callable[[str], None] = lambda reason: None
        self.sctp_init = make_sctp_init(SctpConfig(receive_window=receive_window), os.urandom)
        self._peer_sctp_init = b""
        self._loop = asyncio.get_running_loop()
        self.association: Association | None = None
        self._packet_transport: PacketTransport | None = None
        self._channels: dict[int, AssociationChannel] = {}
        self._early: list[AssociationChannel] = []
        self._timer: asyncio.TimerHandle | None = None
        self._wakes = 0.0
        """When the timer fires; a timer of uvloop does not tell."""
        self._soon: asyncio.Handle | None = None
        self.peer_max_message_size = 0
        self._datagram_size = 0
        self._fragmenting: asyncio.TimerHandle | None = None

    # For RTCPeerConnection

    @classmethod
    def getCapabilities(cls) -> RTCSctpCapabilities:
        """Return the capabilities that the description announces."""
        return RTCSctpCapabilities(maxMessageSize=MAX_MESSAGE_SIZE)

    def setTransport(self, transport: RTCDtlsTransport) -> None:
        """Replace the transport after bundling; a connection of data channels has only one."""
        self.transport = transport

    async def start(self, caps: RTCSctpCapabilities | None, port: int) -> None:
        """Start the association over DTLS, as both sides do (RFC 8841, 9.3)."""
        if self.state != "new":
            return
        self.state = "connecting"
        batched = batched_packet_transport(self.transport, self._receive, self._drive)
        self._packet_transport = (
            batched if batched is not None else SinglePacketTransport(self.transport, self._drive)
        )
        # RFC 8841, 6.1: 64 KiB if absent, 0 for no limit.
        self.peer_max_message_size = 65536 if caps is None else caps.maxMessageSize
        self.association = Association(
            SctpConfig(
                client=self.transport._role == "client",
                local_port=PORT,
                remote_port=port,
                receive_window=self.window,
                keep_early=self.window // EARLY_SHARE,
                max_message_size=MAX_MESSAGE_SIZE,
                peer_max_message_size=self.peer_max_message_size,
                max_datagram_size=MAX_DATAGRAM if batched else SINGLE_DATAGRAM,
                overhead=OVERHEAD + (IPV6_EXTRA if batched and batched.is_ipv6 else 0),
            ),
            random=os.urandom,
        )
        self.transport._register_data_receiver(self)
        early, self._early = self._early, []
        # Open negotiated channels first, so that automatic ids cannot collide with theirs.
        for channel in sorted(early, key=lambda channel: channel.parameters.id is None):
            try:
                self._open(channel)
            except ChannelError as error:
                logger.info("%s", error)
                channel.on_ended(clean=True)
        accepted = self._peer_sctp_init
        self.association.connect(
            self._loop.time(), sctp_inits=(self.sctp_init, accepted) if accepted else None
        )
        connection = self.transport._ssl
        if connection is not None and (packets := early_packets(connection)):
            self._receive(packets)
        self._drive()

    async def _handle_data(self, data: bytes) -> None:
        """Process a packet that aiortc received and decrypted, for example through a relay.

        aiortc reads 1500 bytes of a record and leaves the rest to be read as the next one.
        """
        connection = self.transport._ssl
        if connection is not None and (rest := connection.pending()):
            data += connection.recv(rest)
        self._receive([data])
        self._drive()

    async def stop(self) -> None:
        """Abort the association and release all resources."""
        association = self.association
        if association is not None and self._packet_transport is not None:
            association.abort()
            self._packet_transport.send(association.datagrams_to_send(self._loop.time()))
        self._close()
        if self._packet_transport is not None:
            await self._packet_transport.close()
        self.transport._unregister_data_receiver(self)

    # For the connection

    def accept_sctp_init(self, sctp_init: bytes) -> bool:
        """Take the INIT chunk of the peer's description; return whether it is usable."""
        try:
            parse_sctp_init(sctp_init)
        except LocalProtocolError as error:
            logger.info("setting up with a handshake: %s", error)
            return False
        self._peer_sctp_init = sctp_init
        return True

    @property
    def unread(self) -> int:
        """Bytes that were not consumed, bookkeeping of each message included."""
        return 0 if self.association is None else self.association.stats().unread

    @property
    def backlog(self) -> object:
        """None when all data has been acknowledged, else a value that changes with progress."""
        association = self.association
        if self.state != "connected" or association is None or association.all_acknowledged:
            return None
        stats = association.stats()
        return stats.bytes_delivered, stats.buffered

    def create_channel(self, parameters: ChannelParameters) -> DataChannel:
        """Open a channel; before `start` it waits for the association.

        Raises:
            ValueError: Its id is taken.
            ChannelError: There is no room for another channel.
            aiortc.InvalidStateError: The transport is closed.
        """
        if self.state == "closed":
            raise InvalidStateError
        taken = self._channels.keys() | {c.parameters.id for c in self._early}
        if parameters.id is not None and parameters.id in taken:
            raise ValueError(f"the channel id {parameters.id} is taken")
        channel = AssociationChannel(self, parameters)
        if self.association is None:
            self._early.append(channel)
        else:
            self._open(channel)
            self._take_events()  # a negotiated channel is open at once
            self.drive_soon()
        return channel

    # For its channels

    def now(self) -> float:
        """Return the event loop's time, seconds."""
        return self._loop.time()

    def drive_soon(self) -> None:
        """Drive the association at the end of this turn of the loop, once for all its calls."""
        if self._soon is None and not self._is_closed:
            self._soon = self._loop.call_soon(self._drive)

    # private

    def _open(self, channel: AssociationChannel) -> None:
        assert self.association is not None
        p = channel.parameters
        try:
            stream_id = self.association.open_channel(
                p.label,
                protocol=p.protocol,
                ordered=p.ordered,
                max_retransmits=p.max_retransmits,
                max_lifetime=p.max_lifetime,
                priority=p.priority,
                stream_id=p.id,
                negotiated=p.id is not None,
            )
        except LocalProtocolError as error:
            raise ChannelError(f"The channel cannot be opened: {error}.") from error
        self._channels[stream_id] = channel
        channel.bind(stream_id)

    def _receive(self, packets: list[bytes]) -> None:
        if self.association is not None:
            self._flight_retransmitter.stop()  # a peer that sends data has finished the handshake
            self.association.receive_datagrams(packets, self._loop.time())
            self.on_heard()

    def _on_timer(self) -> None:
        self._timer = None
        self._on_due()

    def _on_due(self) -> None:
        if self.association is not None:
            self.association.handle_timer(self._loop.time())
            self._drive()

    def _drive(self) -> None:
        """Handle events, send packets, set the timer; runs after all calls of the association."""
        if self._soon is not None:
            self._soon.cancel()
            self._soon = None
        association, transport = self.association, self._packet_transport
        if association is None or transport is None:
            return
        self._take_events()
        now = self._loop.time()
        if not transport.blocked:
            packets = association.datagrams_to_send(now)
            if packets:
                self._watch_path_mtu(association.datagram_size)
                transport.send(packets)
        self._take_events()
        if transport.ended:
            self._end("the other side closed the encrypted connection")
        elif not self._is_closed:
            self._set_timer(association.get_timer(), now)

    def _watch_path_mtu(self, size: int) -> None:
        """Allow fragmentation for a while after the path MTU fell, for packets cut before."""
        if size < self._datagram_size and isinstance(
            self._packet_transport, BatchedPacketTransport
        ):
            logger.info("the path carries no packets of %d bytes any more", self._datagram_size)
            self._packet_transport.allow_fragments(True)
            if self._fragmenting is not None:
                self._fragmenting.cancel()
            self._fragmenting = self._loop.call_later(
                FRAGMENTING, self._packet_transport.allow_fragments, False
            )
        self._datagram_size = size

    def _set_timer(self, due: float | None, now: float) -> None:
        """Set the timer to `due`; an earlier timer stays, because it is harmless."""
        if due is None or (
            self._packet_transport is not None and self._packet_transport.blocked and due <= now
        ):
            return
        if due <= now:
            # There is more to send, or a timer is overdue on a busy host; the loop receives first.
            if self._soon is None:
                self._soon = self._loop.call_soon(self._on_due)
            return
        if self._timer is not None:
            if self._wakes <= due + 0.0005:
                return
            self._timer.cancel()
        self._wakes = due
        self._timer = self._loop.call_at(due, self._on_timer)

    @property
    def _is_closed(self) -> bool:
        return self.state == "closed"

    def _take_events(self) -> None:
        # An event may be the end, after which there are no more.
        while self.association and (event := self.association.next_event()) is not None:
            self._on_event(self.association, event)

    def _on_event(self, association: Association, event: object) -> None:
        if isinstance(event, DataChannelMessage):
            channel = self._channels.get(event.stream_id)
            if channel is None:
                association.consume(event.stream_id, event.size)
                self.drive_soon()
            else:
                channel.on_message(event)
            return
        match event:
            case BufferedAmountLow(stream_id):
                if stream_id in self._channels:
                    self._channels[stream_id].on_drained()
            case DataChannelOpened():
                self._on_opened(event)
            case DataChannelClosed(stream_id):
                if stream_id in self._channels:
                    self._channels.pop(stream_id).on_ended(clean=True)
            case Established(same_implementation):
                self.state = "connected"
                if not same_implementation and isinstance(
                    self._packet_transport, BatchedPacketTransport
                ):
                    self._packet_transport.max_segments = FOREIGN_SEGMENTS
                logger.debug("association established: %s", event)
            case Restarted():
                self._end("the other side restarted")
            case AssociationEnded(ending, message):
                self._end(f"{ending.value}: {message}".rstrip(": "))

    def _on_opened(self, event: DataChannelOpened) -> None:
        channel = self._channels.get(event.stream_id)
        if channel is not None:
            channel.on_opened()
            self.on_open()
            return
        lifetime = event.max_lifetime
        retransmits = event.max_retransmits
        channel = AssociationChannel(
            self,
            ChannelParameters(
                # Labels of other implementations may be any text; ours are ASCII.
                label=event.label.encode("ascii", "replace").decode("ascii"),
                ordered=event.ordered,
                max_retransmits=None if retransmits is None else min(retransmits, 65535),
                max_lifetime=None if lifetime is None else min(max(lifetime, 0.001), 65.535),
                protocol=event.protocol.encode("ascii", "replace").decode("ascii"),
                priority=event.priority,
            ),
        )
        self._channels[event.stream_id] = channel
        channel.bind(event.stream_id)
        channel.on_opened()
        self.on_channel(channel)

    def _end(self, reason: str) -> None:
        if self.state == "closed":
            return
        self._close()
        self.on_ended(reason)

    def _close(self) -> None:
        """Release everything; nothing is sent or reported after this."""
        self.state = "closed"
        self.association = None
        self._flight_retransmitter.stop()
        if self._timer is not None:
            self._timer.cancel()
        if self._soon is not None:
            self._soon.cancel()
        if self._fragmenting is not None:
            self._fragmenting.cancel()
        channels = [*self._channels.values(), *self._early]
        self._channels.clear()
        self._early.clear()
        for channel in channels:
            channel.on_ended(clean=False)
