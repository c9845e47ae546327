"""The send queue: messages per stream, scheduled fairly and cut into chunks.

Streams share the path by weight (RFC 8831, 6.4; RFC 8260, 3.5): each has a virtual time that
advances by bytes sent over weight, and the one that is furthest behind is next. A stream that
was idle starts at the present virtual time, so a short message on a quiet channel leaves next,
regardless of the queues of others. With I-DATA that holds inside a large message, too; with DATA a
message that began must end first (RFC 9260, 6.9).

TSNs, sequence numbers and message identifiers are assigned here when a fragment is cut, never
earlier: a message abandoned before its first fragment leaves no trace on the wire.
"""

from __future__ import annotations

from heapq import heappop, heappush

from peer.sctp.congestion.base import SendSnapshot
from peer.sctp.wire.chunks.base import ChunkType
from peer.sctp.wire.chunks.data import BEGIN, DATA_HEADER, END, I_DATA_HEADER, IMMEDIATE
from peer.sctp.wire.packet import PACKET_HEADER_SIZE
from peer.sctp.wire.serial import MASK16, MASK32, Tsn

from .outgoing_chunks import Message, OutgoingChunk, OutgoingStream

__all__ = ["SendQueue"]

_HEAD_START = 1 << 14
"""Bytes that a stream may send before the others after it was idle."""
_SLICE = 8
"""Fragments of one message in a row when another stream waits and interleaving is on."""
_I_DATA = int(ChunkType.I_DATA)
_INFINITY = float("inf")
_PADDING = (b"", b"\0\0\0", b"\0\0", b"\0")


class SendQueue:
    """The queues of all our streams."""

    def __init__(self, *, datagram_size: int, overhead: int) -> None:
        """Start empty.

        Args:
            datagram_size: Bytes of the largest SCTP packet.
            overhead: Bytes that the layers below add to a packet.
        """
        self._interleaving = False
        self._partial_reliability = True
        self._header = bytes(PACKET_HEADER_SIZE)
        self._header_size = DATA_HEADER.size
        self._overhead = overhead
        self.payload_size = 0
        """Payload bytes of a fragment that fills a packet."""
        self.set_datagram_size(datagram_size)
        self.streams: dict[int, OutgoingStream] = {}
        self._heap: list[tuple[float, int, OutgoingStream]] = []
        self._entries = 0
        self._current: OutgoingStream | None = None
        self._virtual_time = 0.0
        self.buffered = 0
        """Bytes queued on all streams and not cut yet."""
        self.drained: list[OutgoingStream] = []
        """Streams whose ``buffered`` fell to the threshold since this was last emptied."""
        self.expired: list[Message] = []
        """Messages that expired before they were cut, since this was last emptied."""
        self.cut_wire = 0
        """Wire bytes cut so far."""
        self.cut_payload = 0
        """Payload bytes cut so far."""
        self.next_tsn: Tsn = 0
        """TSN of the next fragment."""
        self.ending = False
        """Whether the association shuts down, so that no message is queued any more."""

    def begin(
        self,
        *,
        interleaving: bool,
        initial_tsn: Tsn,
        partial_reliability: bool = True,
        header: bytes = bytes(PACKET_HEADER_SIZE),
    ) -> None:
        """Configure the queue for an established association.

        Args:
            interleaving: Use I-DATA instead of DATA.
            initial_tsn: TSN of the first fragment.
            partial_reliability: Whether the peer supports FORWARD-TSN (RFC 3758).
            header: The common header of our packets, with a zero checksum.
        """
        self._interleaving = interleaving
        self._partial_reliability = partial_reliability
        self._header = header
        self._header_size = I_DATA_HEADER.size if interleaving else DATA_HEADER.size
        self.next_tsn = initial_tsn
        self.set_datagram_size(self._datagram_size)

    def set_datagram_size(self, datagram_size: int) -> None:
        """Cut fragments for packets of this size from now on."""
        self._datagram_size = datagram_size
        room = datagram_size - PACKET_HEADER_SIZE - self._header_size
        self.payload_size = room - room % 4

    def stream(self, stream_id: int) -> OutgoingStream:
        """Return the stream; create it if it does not exist."""
        stream = self.streams.get(stream_id)
        if stream is None:
            stream = self.streams[stream_id] = OutgoingStream(stream_id)
        return stream

    def push(self, message: Message) -> None:
        """Queue a message."""
        stream = self.stream(message.stream_id)
        stream.messages.append(message)
        size = len(message.data)
        stream.buffered += size
        self.buffered += size
        if not stream.queued:
            self.activate(stream)

    def activate(self, stream: OutgoingStream) -> None:
        """Schedule a stream, if it has messages and is not paused."""
        if stream.queued or stream.paused or not stream.messages:
            return
        present = self._virtual_time
        if self._heap:
            present = max(present, self._heap[0][0] - _HEAD_START / stream.weight)
        stream.virtual_time = max(stream.virtual_time, present)
        self._enqueue(stream)

    def _enqueue(self, stream: OutgoingStream) -> None:
        stream.queued = True
        self._entries += 1
        heappush(self._heap, (stream.virtual_time, self._entries, stream))

    def has_data(self) -> bool:
        """Return whether any fragment can be cut now."""
        return self._current is not None or bool(self._heap)

    def cut(
        self, *, budget: float, max_chunks: int, sequence: int, snapshot: SendSnapshot, now: float
    ) -> list[OutgoingChunk]:
        """Cut the next fragments, in the order in which they should leave.

        Args:
            budget: Wire bytes to cut; the last fragment may exceed it.
            max_chunks: Fragments to cut at most.
            sequence: Position of the first in the order of transmission.
            snapshot: Of the burst that they belong to.
            now: Monotonic time in seconds.
        """
        chunks: list[OutgoingChunk] = []
        while budget > 0 and len(chunks) < max_chunks:
            stream = self._current
            if stream is not None and stream.messages[0].expires_at <= now:
                self._expire(stream.messages[0])
                continue
            stream = stream or self._next_stream(now)
            if stream is None:
                break
            limit = max_chunks - len(chunks)
            if self._interleaving and self._heap and limit > _SLICE:
                limit = _SLICE
            place = sequence + len(chunks)
            budget -= self._cut_message(stream, limit, budget, place, snapshot, chunks)
        return chunks

    def _next_stream(self, now: float) -> OutgoingStream | None:
        """Remove the stream that is furthest behind from the heap."""
        while self._heap:
            stream = heappop(self._heap)[2]
            while stream.messages:
                message = stream.messages[0]
                if message.expires_at > now:
                    self._virtual_time = stream.virtual_time
                    return stream
                self._expire(message)
            stream.queued = False
        return None

    def _expire(self, message: Message) -> None:
        self.discard(message)
        self.expired.append(message)

    def _cut_message(
        self,
        stream: OutgoingStream,
        limit: int,
        budget: float,
        sequence: int,
        snapshot: SendSnapshot,
        chunks: list[OutgoingChunk],
    ) -> int:
        """Cut up to ``limit`` fragments off the stream's first message; return wire bytes."""
        message = stream.messages[0]
        if message.number < 0:
            self._give_number(stream, message)
        data = message.data
        total = len(data)
        start = position = message.position
        fragment = message.fragment
        stream_id = message.stream_id
        number = message.number
        ppid = message.ppid
        flags = message.unordered
        tracked = message if message.limited else None
        interleaving = self._interleaving
        # Fragments of one size instead of full ones and a rest: as many packets, and a batch of
        # packets of one size costs one system call.
        count = -(-(total - position) // self.payload_size)
        size = -(-(total - position) // (4 * count)) * 4
        length = self._header_size + size
        wire = PACKET_HEADER_SIZE + length + self._overhead
        if budget < limit * wire:
            limit = max(1, int(-(-budget // wire)))
        # Slice a view, so that the payload is copied once, into the packet.
        source = memoryview(data) if count > 1 else data
        header = self._header
        # RFC 7053, 4: request a SACK for the last data before a stream reset.
        at_end = END | IMMEDIATE if stream.closing and len(stream.messages) == 1 else END
        tsn = self.next_tsn
        append = chunks.append
        pack_data = DATA_HEADER.pack
        pack_i_data = I_DATA_HEADER.pack
        end = min(position + limit * size, total)
        spent = 0
        padding = b""
        bounds = 0 if position else BEGIN
        # The sender's hottest loop: one turn per packet.
        for at in range(position, end, size):
            if at + size >= total:
                size = total - at
                length = self._header_size + size
                padding = _PADDING[size & 3]
                wire = PACKET_HEADER_SIZE + length + len(padding) + self._overhead
                bounds |= at_end
            if interleaving:
                chunk = pack_i_data(
                    _I_DATA, flags | bounds, length, tsn & MASK32, stream_id, 0,
                    number, fragment or ppid,
                )  # fmt: skip
                fragment += 1
            else:
                chunk = pack_data(0, flags | bounds, length, tsn & MASK32, stream_id, number, ppid)
            packet = header + chunk + source[at : at + size]
            if padding:
                packet += padding
            append(OutgoingChunk(tsn, packet, size, wire, sequence, snapshot, tracked))
            tsn += 1
            sequence += 1
            spent += wire
            bounds = 0
        position = end
        if tracked is not None:
            message.tsns.extend(range(self.next_tsn, tsn))
        self.next_tsn = tsn
        message.position = position
        message.fragment = fragment
        self.cut_wire += spent
        self.cut_payload += position - start
        self._account(stream, position - start)
        stream.virtual_time += (position - start) / stream.weight
        if position < total:
            if not interleaving:
                self._current = stream
                return spent
        else:
            self._current = None
            stream.messages.popleft()
            if not stream.messages:
                stream.queued = False
                return spent
        self._enqueue(stream)
        return spent

    def _give_number(self, stream: OutgoingStream, message: Message) -> None:
        """Assign a number to a message before its first fragment."""
        if not self._partial_reliability:
            # RFC 3758, 3.3: the peer waits for every TSN, so the message may not be abandoned.
            message.limited = False
            message.expires_at = _INFINITY
        if not message.unordered:
            message.number = stream.next_ordered & (MASK32 if self._interleaving else MASK16)
            stream.next_ordered += 1
        elif self._interleaving:
            message.number = stream.next_unordered & MASK32
            stream.next_unordered += 1
        else:
            message.number = 0

    def discard(self, message: Message) -> None:
        """Remove the rest of a message from the queue, if it is there.

        When a part of it was cut, a TSN is assigned to the rest: all chunks that were sent may
        arrive, and the peer must have a TSN to skip. It is assigned now, before another message
        begins, because TSNs of a DATA message must be consecutive.
        """
        stream = self.streams.get(message.stream_id)
        if stream is None or not stream.messages or stream.messages[0] is not message:
            return  # all of it was cut: only the first message of a stream can be partly cut
        stream.messages.popleft()
        if self._current is stream and message.position > 0:
            self._current = None
            stream.queued = False
            self.activate(stream)
        if message.position > 0:
            message.stand_in = self.next_tsn
            self.next_tsn += 1
        self._account(stream, len(message.data) - message.position)

    def _account(self, stream: OutgoingStream, size: int) -> None:
        was = stream.buffered
        stream.buffered -= size
        self.buffered -= size
        if stream.buffered <= stream.low_threshold < was:
            self.drained.append(stream)

    def clear(self) -> None:
        """Forget everything: the association restarts or has ended."""
        self.streams.clear()
        self._heap.clear()
        self._current = None
        self.buffered = 0
        self.drained.clear()
        self.expired.clear()

    def limit_streams(self, count: int) -> None:
        """Forget messages on streams beyond the ``count`` that the peer accepts."""
        for stream_id in [number for number in self.streams if number >= count]:
            stream = self.streams.pop(stream_id)
            self.buffered -= stream.buffered
            stream.buffered = 0
            stream.messages.clear()

    def resume_stream(self, stream_id: int) -> None:
        """Resume a paused stream with its present numbers: the reset was denied."""
        stream = self.stream(stream_id)
        stream.paused = stream.closing = False
        self.activate(stream)

    def reset_stream(self, stream_id: int) -> None:
        """Reset the numbers of a stream to zero and resume it (RFC 6525, 5.2.7)."""
        stream = self.streams.get(stream_id)
        if stream is None:
            return
        stream.next_ordered = stream.next_unordered = 0
        stream.paused = stream.closing = False
        self.activate(stream)
        if not stream.messages:
            del self.streams[stream_id]
