"""Everything that exists only while the association is established, put together."""

from __future__ import annotations

from .abandonment import Abandonment
from .congestion.base import PathProfile
from .context import Context
from .crc32c import crc32c
from .fast_path import FastPath
from .outgoing import OutgoingChunk
from .outstanding import Outstanding
from .packet import PacketWriter
from .pmtu import PathMtu
from .reassembly import DeliverMessage
from .receiver import Receiver
from .retransmission import Retransmission
from .rto import RttEstimator
from .send_queue import SendQueue
from .timers import Timer
from .transmission import Transmission

__all__ = ["DataPath"]

_PROBES_BEFORE_TIMEOUT = 2

FOREIGN_DATAGRAM = 1400
"""Bytes of the largest packet for an implementation that is not this one."""


class DataPath:
    """Sender and receiver of an established association."""

    def __init__(self, context: Context, queue: SendQueue, deliver: DeliverMessage) -> None:
        """
        Args:
            context: ``local`` and ``peer`` are known.
            queue: What the application has queued, also before now.
            deliver: Takes the messages.
        """
        config = context.config
        local, peer = context.local, context.peer
        if local is None or peer is None:
            raise AssertionError("no data path before both sides are known")
        self.features = local.features.agreed(peer.features)
        self._context = context
        self.queue = queue
        interleaving = self.features.interleaving
        queue.begin(interleaving=interleaving, initial_tsn=local.initial_tsn)
        # RFC 9653, 5.1: what the *peer* accepts decides what we send.
        context.writer.set_peer(peer.tag, zero_checksum=peer.features.zero_checksum)
        self.rtt = RttEstimator(
            initial=config.rto_initial, minimum=config.rto_min, maximum=config.rto_max
        )
        self.controller = config.congestion(
            PathProfile(config.datagram_size + config.overhead, self.features.equal, context.random)
        )
        self.outstanding = Outstanding(local.initial_tsn)
        self.abandonment = Abandonment(queue, self.outstanding, interleaving=interleaving)
        self.retransmission = Retransmission(
            queue=queue,
            outstanding=self.outstanding,
            abandonment=self.abandonment,
            controller=self.controller,
            rtt=self.rtt,
            timers=context.timers,
            window=peer.window,
            equal=self.features.equal,
        )
        self.transmission = Transmission(
            queue=queue,
            outstanding=self.outstanding,
            retransmission=self.retransmission,
            abandonment=self.abandonment,
            controller=self.controller,
            writer=context.writer,
            datagram_size=config.datagram_size,
            max_burst=config.max_burst,
        )
        self.receiver = Receiver(
            config,
            context.timers,
            initial_tsn=peer.initial_tsn,
            interleaving=interleaving,
            equal=self.features.equal,
            deliver=deliver,
        )
        reader = PacketWriter(config.remote_port, config.local_port)
        reader.set_peer(local.tag, zero_checksum=True)
        self.fast_path = FastPath(
            self.receiver,
            reader.header,
            crc32c(reader.header),
            zero=config.zero_checksum,
        )
        self.pmtu = PathMtu(
            base=config.datagram_size,
            # Who is not known to read more may not be sent more, not even as a probe: libwebrtc
            # reads a DTLS record into 2048 bytes, and a longer one ends its connection.
            maximum=(
                config.max_datagram_size
                if self.features.equal
                else min(config.max_datagram_size, FOREIGN_DATAGRAM)
            ),
            timers=context.timers,
            random=context.random,
        )
        self.probes: list[OutgoingChunk] = []
        """Chunks that leave next, whatever holds the others back."""

    @property
    def timeout(self) -> float:
        """RTO, seconds."""
        return self.rtt.timeout()

    @property
    def all_acked(self) -> bool:
        """Nothing is queued or waits for an acknowledgement."""
        return not self.outstanding.unacked and not self.queue.buffered

    def datagrams(self, now: float, *, may_send_data: bool) -> list[bytes]:
        """
        Make the packets that are due: control chunks and a SACK first, then data.

        Args:
            now: Monotonic time in seconds.
            may_send_data: The state allows it.
        """
        context = self._context
        control, context.control = context.control, []
        if self.receiver.sack_is_due(now):
            control.insert(0, self.receiver.make_sack(now))
        chunks, self.probes = self.probes, []
        if may_send_data:
            chunks += self.transmission.burst(now)
            forward = self.abandonment.forward_tsn(now=now, interval=self.rtt.timeout())
            if forward is not None:
                control.append(forward)
                context.timers.start(Timer.PROBE, now + self.rtt.timeout())
        if not control and not chunks:
            return []
        return self.transmission.pack(control, chunks)

    def mtu_probe(self, now: float) -> bytes | None:
        """Return the packet of the next path MTU probe, if one is due."""
        chunks = self.pmtu.probe(now, self.rtt.timeout())
        return None if chunks is None else self._context.writer.wrap(chunks)

    def on_mtu_changed(self) -> None:
        """Use the packet size that path MTU discovery now allows."""
        self.transmission.set_datagram_size(self.pmtu.size)
        self.controller.on_mss(self.pmtu.size + self._context.config.overhead)

    def on_probe_timer(self, now: float) -> None:
        """Handle ``PROBE``."""
        self.probes = self.retransmission.on_probe_timer(now)
        in_a_row = self.retransmission.expiries - _PROBES_BEFORE_TIMEOUT
        if self.pmtu.on_timeouts(in_a_row, now):
            self.on_mtu_changed()
