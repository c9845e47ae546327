"""Partial reliability: abandoning messages, and FORWARD-TSN (RFC 3758, 3.5; RFC 8260, 2.3).

A message is abandoned as a whole: its fragments in flight no longer count and are not
retransmitted, the rest of it leaves the queue. The *advanced peer ack point* is the TSN up to which
the peer may skip; a FORWARD-TSN carries it, once per round trip until the cumulative TSN is there.
"""

from __future__ import annotations

from peer.sctp.congestion.base import SendSnapshot
from peer.sctp.wire.chunks.base import ChunkType
from peer.sctp.wire.chunks.forward import ForwardTsn, Skipped
from peer.sctp.wire.serial import MASK32, Tsn

from .outgoing_chunks import Message, OutgoingChunk
from .outstanding import Outstanding
from .send_queue import SendQueue

__all__ = ["PartialReliability"]

_MAX_SIZE = 800
"""Bytes of FORWARD-TSN chunks at a time: they must fit a packet."""
_NEVER_SENT = SendSnapshot(0.0, 0, 0.0, 0.0, 0, 0, True)


class PartialReliability:
    """The sender's side of partial reliability."""

    __slots__ = ("_interleaving", "_last", "_outstanding", "_point", "_queue", "_seen_base",
                 "_sent_at", "abandoned")  # fmt: skip

    def __init__(self, queue: SendQueue, outstanding: Outstanding, *, interleaving: bool) -> None:
        self._queue = queue
        self._outstanding = outstanding
        self._interleaving = interleaving
        self._point: Tsn = outstanding.base - 1
        self._sent_at = 0.0
        self.abandoned = 0
        """Messages abandoned so far."""
        self._last: Tsn = outstanding.base - 1
        """Highest TSN that was abandoned."""
        self._seen_base: Tsn = 0

    def must_abandon(self, chunk: OutgoingChunk, now: float) -> bool:
        """Return whether a lost chunk must be abandoned instead of retransmitted."""
        message = chunk.message
        return message is not None and (
            chunk.retransmissions >= message.max_retransmits or message.expires_at <= now
        )

    def abandon(self, message: Message) -> None:
        """Abandon a message: its chunks in flight, and the part that is queued."""
        if message.abandoned:
            return
        message.abandoned = True
        self.abandoned += 1
        self._queue.discard(message)
        if message.stand_in >= 0 and message.stand_in not in self._outstanding.unacked:
            self._outstanding.unacked[message.stand_in] = self.stand_in(message)
        self._last = max(self._last, message.stand_in)
        outstanding = self._outstanding
        for tsn in message.tsns:
            chunk = outstanding.unacked.get(tsn)
            if chunk is None or chunk.acked or chunk.abandoned:
                continue
            chunk.abandoned = True
            self._last = max(self._last, tsn)
            outstanding.payload -= chunk.size
            if not chunk.lost and not chunk.unreported:
                outstanding.in_flight -= chunk.wire
        self._sent_at = 0.0

    def stand_in(self, message: Message) -> OutgoingChunk:
        """Return the chunk, never sent, that stands for the rest of a message."""
        return OutgoingChunk(message.stand_in, b"", 0, 0, 0, _NEVER_SENT, message, abandoned=True)

    def repeat(self) -> None:
        """Repeat the FORWARD-TSN: a probe timer expired."""
        self._sent_at = 0.0

    def _is_later(self, number: int, other: int) -> bool:
        bits = 32 if self._interleaving else 16
        return 0 < (number - other) & ((1 << bits) - 1) < 1 << (bits - 1)

    def forward_tsn(self, *, now: float, interval: float) -> bytes | None:
        """Return the chunks that are due, or ``None``.

        dcsctp (Chromium, Firefox) and aiortc drop all that they hold of a stream up to the number
        in the chunk, complete messages, too. So there is a chunk for each run of abandoned TSNs:
        messages between two runs are delivered at the first, before the second is read.

        Args:
            now: Monotonic time in seconds.
            interval: Seconds between repetitions.
        """
        outstanding = self._outstanding
        if outstanding.base > self._last:
            return None
        if outstanding.base == self._seen_base and now < self._sent_at + interval:
            return None
        self._seen_base = outstanding.base
        unacked = outstanding.unacked
        point = tsn = outstanding.base - 1
        runs: list[tuple[Tsn, dict[tuple[int, bool], int]]] = []
        skipped: dict[tuple[int, bool], int] = {}
        arrived = False
        size = 8
        while size < _MAX_SIZE and (chunk := unacked.get(tsn + 1)) is not None:
            if not chunk.abandoned:
                # Rule C2: the point passes TSNs that arrived, but does not stop at one.
                if not chunk.acked:
                    break
                arrived = True
                tsn += 1
                continue
            message = chunk.message
            if message is None:
                raise AssertionError("an abandoned chunk has its message")
            if arrived and skipped:
                runs.append((point, skipped))
                skipped = {}
                size += 8
            arrived = False
            unordered = bool(message.unordered)
            if self._interleaving or not unordered:
                key = (message.stream_id, unordered)
                # The TSN that stands for the rest of a message may follow later messages.
                if key not in skipped or self._is_later(message.number, skipped[key]):
                    skipped[key] = message.number
                    size += 8
            tsn += 1
            point = tsn
        if point < outstanding.base:
            return None
        if point == self._point and now < self._sent_at + interval:
            return None
        self._point = point
        self._sent_at = now
        kind = ChunkType.I_FORWARD_TSN if self._interleaving else ChunkType.FORWARD_TSN
        return b"".join(
            ForwardTsn(
                last & MASK32, tuple(Skipped(sid, u, number) for (sid, u), number in run.items())
            ).serialize(kind)
            for last, run in (*runs, (point, skipped))
        )
