"""Transmission of bursts in packets (RFC 9260, 6.1 and 6.10).

The pacer, the congestion window, the peer's window and a maximum per call limit a burst.
Retransmissions leave before new data; chunks that fill a packet are alone in it, small ones are
bundled. A lost packet may have been too large for the path, so retransmissions and control chunks
are bundled up to the base size only.
"""

from __future__ import annotations

from operator import attrgetter

from peer.sctp.congestion.base import CongestionController, SendSnapshot
from peer.sctp.wire.packet import PACKET_HEADER_SIZE, PacketWriter

from .delivery_rate import DeliveryRate
from .outgoing_chunks import OutgoingChunk
from .outstanding import Outstanding
from .pacer import Pacer
from .partial_reliability import PartialReliability
from .retransmission import Retransmission
from .send_queue import SendQueue

__all__ = ["Transmission"]


class Transmission:
    """Fills datagrams from the queue and from lost chunks."""

    def __init__(
        self,
        *,
        queue: SendQueue,
        outstanding: Outstanding,
        retransmission: Retransmission,
        partial_reliability: PartialReliability,
        controller: CongestionController,
        delivery_rate: DeliveryRate,
        writer: PacketWriter,
        datagram_size: int,
        max_burst: int,
    ) -> None:
        self._queue = queue
        self._outstanding = outstanding
        self._retransmission = retransmission
        self._partial_reliability = partial_reliability
        self._controller = controller
        self._delivery_rate = delivery_rate
        self._writer = writer
        self._pacer = Pacer()
        self._max_burst = max_burst
        self._base_size = self._datagram_size = datagram_size
        self._sequence = 0
        self._more = False
        self.sent = 0
        """Data chunks sent so far, retransmissions included."""

    @property
    def next_send_at(self) -> float | None:
        """When to call ``burst`` again; ``None`` when only a SACK or ``send`` helps."""
        return 0.0 if self._more else self._pacer.next_send_at

    def burst(self, now: float) -> list[OutgoingChunk]:
        """Return the chunks that leave now, counted as in flight."""
        controller = self._controller
        outstanding = self._outstanding
        retransmission = self._retransmission
        queue = self._queue
        was_cut_short = self._more
        self._more = False
        if not retransmission.lost and not queue.has_data():
            self._pacer.next_send_at = None
            self._delivery_rate.on_app_limited(outstanding.in_flight)
            return []
        in_flight = outstanding.in_flight
        window = controller.cwnd - in_flight
        rate = controller.pacing_rate
        quantum = 1 if was_cut_short else controller.quantum
        if window <= 0:
            self._pacer.next_send_at = None
            return []
        allowance = self._pacer.allowance(
            now=now, rate=rate, quantum=quantum, slack=controller.slack, idle=in_flight == 0
        )
        if allowance <= 0:
            return []
        snapshot = self._delivery_rate.snapshot(now, in_flight)
        sequence = self._sequence
        left = min(allowance, window)
        sent = 0
        chunks: list[OutgoingChunk] = []
        while retransmission.lost and left > 0 and len(chunks) < self._max_burst:
            chunk = retransmission.next_lost(now)
            if chunk is None:
                break
            chunk.snapshot = snapshot
            chunk.sequence = sequence + len(chunks) + 1
            sent += chunk.wire
            left -= chunk.wire
            chunks.append(chunk)
        app_limited = False
        fresh = 0
        if left > 0 and len(chunks) < self._max_burst:
            fresh, app_limited = self._cut(left, sequence + len(chunks) + 1, snapshot, now, chunks)
            sent += fresh
            left -= fresh
        if not chunks:
            return chunks
        self._sequence = sequence + len(chunks)
        outstanding.in_flight += sent
        self.sent += len(chunks)
        waiting = bool(retransmission.lost) or queue.has_data()
        self._more = waiting and left > 0 and len(chunks) >= self._max_burst
        blocked = sent >= window or app_limited
        if fresh and (blocked if waiting else len(chunks) > 1 or queue.ending):
            # RFC 7053, 4: where only a SACK lets more leave, and for the last packet of several or
            # of all. Not for a lone message: its answer may carry the SACK.
            chunks[-1].ask_for_sack()
        paced = waiting and not self._more and not app_limited and allowance <= window
        self._pacer.on_sent(now=now, sent=sent, rate=rate, quantum=controller.quantum, more=paced)
        if app_limited:
            self._delivery_rate.on_app_limited(outstanding.in_flight)
        controller.on_sent(
            now=now,
            sent=sent,
            in_flight=in_flight,
            app_limited=app_limited,
            late=self._pacer.is_late,
        )
        retransmission.on_sent(chunks, now)
        return chunks

    def _cut(
        self,
        left: float,
        sequence: int,
        snapshot: SendSnapshot,
        now: float,
        chunks: list[OutgoingChunk],
    ) -> tuple[int, bool]:
        """Add new chunks to ``chunks``.

        Returns:
            Their wire bytes, and whether the application or the peer's window ended the burst.
        """
        outstanding = self._outstanding
        queue = self._queue
        # RFC 9260, 6.1 A: no new data beyond the peer's window, except one chunk in flight that
        # probes a closed window.
        room = (self._retransmission.peer_window - outstanding.payload) // queue.payload_size
        if room <= 0:
            if outstanding.payload:
                return 0, True
            room = 1
        max_chunks = min(self._max_burst - len(chunks), room)
        first, wire, payload = queue.next_tsn, queue.cut_wire, queue.cut_payload
        fresh = queue.cut(
            budget=left,
            max_chunks=max_chunks,
            sequence=sequence,
            snapshot=snapshot,
            now=now,
        )
        wire = queue.cut_wire - wire
        outstanding.payload += queue.cut_payload - payload
        chunks += fresh
        if queue.expired:
            self._register_with_stand_ins(fresh)
        else:
            outstanding.unacked.update(zip(range(first, queue.next_tsn), fresh, strict=True))
        limited = not queue.has_data() or room == len(fresh)
        return wire, limited and wire < left

    def _register_with_stand_ins(self, fresh: list[OutgoingChunk]) -> None:
        """Register chunks that were cut between expired messages, in order of TSN."""
        expired = self._queue.expired
        stand_ins = [self._partial_reliability.stand_in(m) for m in expired if m.stand_in >= 0]
        for chunk in sorted([*fresh, *stand_ins], key=attrgetter("tsn")):
            self._outstanding.unacked[chunk.tsn] = chunk
        for message in expired:
            self._partial_reliability.abandon(message)
        expired.clear()

    def pack(self, control: list[bytes], chunks: list[OutgoingChunk]) -> list[bytes]:
        """Return packets with these chunks, in order.

        Args:
            control: Control chunks, which begin the first packet.
            chunks: Chunks that ``burst`` or a probe returned.
        """
        packets: list[bytes] = []
        append = packets.append
        finish = self._writer.finish
        bare = self._writer.zero_checksum
        header = self._writer.header
        base = self._base_size + PACKET_HEADER_SIZE
        full = self._datagram_size + PACKET_HEADER_SIZE
        packet = b""
        for data in control:
            if packet and len(packet) + len(data) > self._base_size:
                append(finish(packet))
                packet = b""
            packet = (packet or header) + data
        limit = base if packet or (chunks and chunks[0].retransmissions) else full
        for chunk in chunks:
            if not packet:
                packet = chunk.packet
            elif len(packet) + len(chunk.packet) <= limit:
                packet += chunk.body
                chunk.shared = len(packet)
            else:
                append(packet if bare else finish(packet))
                packet = chunk.packet
                if limit != full and not chunk.retransmissions:
                    limit = full  # retransmissions are first: all that follow are new
        if packet:
            append(finish(packet))
        return packets

    def set_datagram_size(self, datagram_size: int) -> None:
        """Fill packets of this size from now on."""
        self._datagram_size = datagram_size
        self._queue.set_datagram_size(datagram_size)
