"""The transmission control block: all state that exists only while established (RFC 9260, 14)."""

from __future__ import annotations

from .congestion.base import PathProfile
from .context import Context
from .control.channels import Channels
from .control.pmtu import PathMtu
from .control.stream_reset import StreamReset
from .receive.data_packets import DataPacketReader
from .receive.reassembly import DeliverMessage
from .receive.receiver import Receiver
from .send.delivery_rate import DeliveryRate
from .send.outgoing_chunks import OutgoingChunk
from .send.outstanding import Outstanding
from .send.partial_reliability import PartialReliability
from .send.retransmission import Retransmission
from .send.rto import RttEstimator
from .send.send_queue import SendQueue
from .send.transmission import Transmission
from .stats import Stats
from .timers import Timer
from .wire.chunks.base import ChunkType, serialize_chunk
from .wire.crc32c import crc32c
from .wire.packet import PacketWriter
from .wire.params import Cause, cause

__all__ = ["TransmissionControlBlock"]

_FEW = 4
_SMALL = 1000
"""Bytes of a burst that has room for a SACK."""
FOREIGN_DATAGRAM = 1432
"""Bytes of the largest packet for an implementation that is not this one: with DTLS (37), UDP and
IPv4 it fills Ethernet's 1500, which every one of them reads."""


class TransmissionControlBlock:
    """Sender and receiver of an established association."""

    def __init__(
        self, context: Context, queue: SendQueue, channels: Channels, deliver: DeliverMessage
    ) -> None:
        """Put sender and receiver together.

        Args:
            context: ``local`` and ``peer`` are known.
            queue: Messages of the application, some queued before establishment.
            channels: Are notified when streams are reset.
            deliver: Called with each received message.
        """
        config = context.config
        local, peer = context.local, context.peer
        if local is None or peer is None:
            raise AssertionError("no TCB before both sides are known")
        self.features = local.features.agreed(peer.features)
        self._context = context
        self.queue = queue
        interleaving = self.features.interleaving
        # RFC 9653, 5.1: what the *peer* accepts decides what we send.
        context.writer.set_peer(peer.tag, zero_checksum=peer.features.zero_checksum)
        queue.begin(
            interleaving=interleaving,
            initial_tsn=local.initial_tsn,
            partial_reliability=self.features.partial_reliability,
            header=context.writer.header,
        )
        self.rtt = RttEstimator(
            initial=config.rto_initial, minimum=config.rto_min, maximum=config.rto_max
        )
        self.controller = config.congestion(
            PathProfile(
                config.datagram_size + config.overhead,
                self.features.same_implementation,
                context.random,
            )
        )
        self.outstanding = Outstanding(local.initial_tsn)
        self.partial_reliability = PartialReliability(
            queue, self.outstanding, interleaving=interleaving
        )
        self.pmtu = PathMtu(
            base=config.datagram_size,
            # Cap packets for unknown stacks, even probes: libwebrtc reads a DTLS record into
            # 2048 bytes, and a longer one ends its connection.
            maximum=(
                config.max_datagram_size
                if self.features.same_implementation
                else min(config.max_datagram_size, FOREIGN_DATAGRAM)
            ),
            max_retransmissions=config.max_retransmissions,
            timers=context.timers,
            random=context.random,
            on_change=self._on_mtu_changed,
            on_round_trip=self.on_round_trip,
        )
        self.delivery_rate = DeliveryRate()
        self.retransmission = Retransmission(
            queue=queue,
            outstanding=self.outstanding,
            partial_reliability=self.partial_reliability,
            controller=self.controller,
            pmtu=self.pmtu,
            rtt=self.rtt,
            delivery_rate=self.delivery_rate,
            timers=context.timers,
            window=peer.window,
            same_implementation=self.features.same_implementation,
        )
        self.transmission = Transmission(
            queue=queue,
            outstanding=self.outstanding,
            retransmission=self.retransmission,
            partial_reliability=self.partial_reliability,
            controller=self.controller,
            delivery_rate=self.delivery_rate,
            writer=context.writer,
            datagram_size=config.datagram_size,
            max_burst=config.max_burst,
        )
        self.receiver = Receiver(
            config,
            context.timers,
            initial_tsn=peer.initial_tsn,
            interleaving=interleaving,
            same_implementation=self.features.same_implementation,
            deliver=deliver,
        )
        reader = PacketWriter(config.remote_port, config.local_port)
        reader.set_peer(local.tag, zero_checksum=True)
        self.data_packets = DataPacketReader(
            self.receiver,
            reader.header,
            crc32c(reader.header),
            zero=config.zero_checksum,
        )
        self.stream_reset: StreamReset | None = None
        """``None`` when the peer cannot reset streams."""
        if self.features.reset:
            self.stream_reset = StreamReset(
                context,
                queue,
                self.receiver,
                local_tsn=local.initial_tsn,
                peer_tsn=peer.initial_tsn,
                same_implementation=self.features.same_implementation,
                on_outgoing=channels.on_outgoing_reset,
                on_incoming=channels.on_incoming_reset,
                on_asked=channels.on_reset_wanted,
            )
        self.probes: list[OutgoingChunk] = []
        """Chunks that leave next, regardless of window and pacer."""

    @property
    def rto(self) -> float:
        """Retransmission timeout, seconds (RFC 9260, 6.3.1)."""
        return self.rtt.rto()

    @property
    def all_acked(self) -> bool:
        """Whether no data is queued or unacknowledged."""
        return not self.outstanding.unacked and not self.queue.buffered

    def datagrams(self, now: float, *, may_send_data: bool) -> list[bytes]:
        """Return the packets that are due: control chunks and a SACK first, then data.

        Args:
            now: Monotonic time in seconds.
            may_send_data: Whether the state allows data.
        """
        context = self._context
        control, context.control = context.control, []
        chunks, self.probes = self.probes, []
        if may_send_data:
            chunks += self.transmission.burst(now)
            forward = self.partial_reliability.forward_tsn(now=now, interval=self.rtt.rto())
            if forward is not None:
                control.append(forward)
                context.timers.start(Timer.PROBE, now + self.rtt.rto())
        receiver = self.receiver
        # RFC 9260, 6.1: bundle a SACK with DATA that leaves room for it.
        has_room = 0 < len(chunks) < _FEW and sum(len(c.packet) for c in chunks) < _SMALL
        if receiver.sack_goes_along(now) if has_room else receiver.sack_is_due(now):
            control.insert(0, receiver.make_sack(now))
        if not control and not chunks:
            return []
        return self.transmission.pack(control, chunks)

    def mtu_probes(self, now: float) -> list[bytes]:
        """Return the packets of path MTU probes that are due."""
        wrap = self._context.writer.wrap
        return [wrap(chunks) for chunks in self.pmtu.probes(now, self.rtt.rto())]

    def on_round_trip(self, rtt: float, now: float) -> None:
        """Take in the round trip of a HEARTBEAT or a probe, seconds (RFC 9260, 8.1 and 8.3)."""
        self.retransmission.errors = 0
        if self.rtt.smoothed == 0.0:
            self.rtt.update(rtt)
            self.retransmission.on_first_round_trip(now)

    def _on_mtu_changed(self) -> None:
        """Apply the packet size that path MTU discovery allows now."""
        self.transmission.set_datagram_size(self.pmtu.size)
        self.controller.on_mss(self.pmtu.size + self._context.config.overhead)

    def on_probe_timer(self, now: float) -> None:
        """Handle the expiry of ``PROBE``."""
        self.probes = self.retransmission.on_probe_timer(now)

    def after_batch(self) -> None:
        """Check limits and report errors after a batch of packets.

        Raises:
            RemoteProtocolError: The peer exceeds its memory limit.
        """
        reassembly = self.receiver.reassembly
        reassembly.check_limit()
        for stream_id in reassembly.invalid_streams:
            error = cause(Cause.INVALID_STREAM, stream_id.to_bytes(2, "big") + b"\0\0")
            self._context.answer(serialize_chunk(ChunkType.ERROR, 0, error))
        reassembly.invalid_streams.clear()

    def stats(self) -> Stats:
        """Return the present statistics."""
        retransmission = self.retransmission
        return Stats(
            chunks_sent=self.transmission.sent,
            chunks_retransmitted=retransmission.retransmitted,
            spurious_losses=retransmission.spurious,
            timeouts=retransmission.timeouts,
            messages_abandoned=self.partial_reliability.abandoned,
            bytes_delivered=self.delivery_rate.delivered,
            bytes_lost=self.delivery_rate.lost,
            in_flight=self.outstanding.in_flight,
            unacked_chunks=len(self.outstanding.unacked),
            buffered=self.queue.buffered,
            unread=self.receiver.unread,
            reassembling=self.receiver.reassembly.buffered,
            peer_window=retransmission.peer_window,
            srtt=self.rtt.smoothed,
            min_rtt=self.rtt.minimum,
            cwnd=self.controller.cwnd,
            pacing_rate=self.controller.pacing_rate,
            datagram_size=self.pmtu.size,
        )
