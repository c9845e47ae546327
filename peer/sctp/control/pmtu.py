"""Packetization layer path MTU discovery (RFC 8899, with padded HEARTBEATs as in 6.2).

A probe is a HEARTBEAT and a PAD chunk (RFC 4820) that fill one packet of the probed size; its
HEARTBEAT ACK, which is small, proves that the size got through. Data packets grow only after that,
so a lost probe costs nothing. Several sizes are probed at a time: the first round probes the
largest (loopback, and the same implementation on jumbo frames) and the sizes of common paths, so
that one round trip suffices on most; later rounds narrow the range down.

The path MTU may fall, so that large packets vanish silently: a black hole (4.3). It is assumed when
packets above the base size are lost in several round trips in a row and none of that size arrives,
although smaller ones that were sent no earlier do. When nothing arrives at all, the path is down,
which says nothing about its MTU. A small HEARTBEAT accompanies each loss, so that the rule also
works on a path with only large packets.

After a black hole the base size is used until a new search succeeds. Chunks that were cut before
keep their size, because their TSNs are assigned; when the network does not fragment them either,
the association is stuck.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

from peer.sctp.send.outgoing_chunks import OutgoingChunk
from peer.sctp.timers import Timer, Timers
from peer.sctp.wire.chunks.control import heartbeat, padding
from peer.sctp.wire.packet import PACKET_HEADER_SIZE

__all__ = ["PathMtu"]

_SIZES = (1232, 1252, 1332, 1380, 1404, 1412, 1424, 1432, 1440, 2040, 4092, 8176, 8928, 16364)
"""SCTP packets that fill common links once IP, UDP and DTLS headers are added; all % 4 == 0."""
_LIKELY = (1332, 1404, 1432)
"""Sizes that fit most tunnels, PPPoE, and Ethernet."""
_AT_ONCE = 4
"""Sizes probed in one round."""
_MAX_PROBES = 3
"""RFC 8899, 5.1.2."""
_RAISE_AFTER = 600.0
"""RFC 8899, 5.1.1: PMTU_RAISE_TIMER, seconds."""
_SEARCH_AGAIN_AFTER = 60.0
"""Seconds from a black hole to the next search. The layer below may let the network fragment
earlier packets for a while, and a fragmented probe proves nothing."""
_MIN_PROBE_TIMEOUT = 0.25
_BLACK_HOLE_ROUNDS = 3
"""Rounds in a row with loss of large packets alone that indicate a black hole."""
_MAX_QUESTIONS = 4
_INFO_SIZE = 8
_HEARTBEAT_SIZE = 8 + _INFO_SIZE


class PathMtu:
    """The search for the packet size of the path."""

    def __init__(
        self,
        *,
        base: int,
        maximum: int,
        max_retransmissions: int,
        timers: Timers,
        random: Callable[[int], bytes],
        on_change: Callable[[], None],
        on_round_trip: Callable[[float, float], None],
    ) -> None:
        """Start at the base size.

        Args:
            base: SCTP packet size that every path carries, bytes.
            maximum: Largest size to try, bytes.
            max_retransmissions: Of a chunk that is too large for the path.
            timers: ``PMTU`` is ours.
            random: Returns that many unpredictable bytes.
            on_change: Called when ``size`` has changed.
            on_round_trip: Called with the round trip of a probe in seconds, and the time.
        """
        maximum -= maximum % 4
        self._max_retransmissions = max_retransmissions
        self._timers = timers
        self._random = random
        self._on_change = on_change
        self._on_round_trip = on_round_trip
        sizes = {size for size in _SIZES if base < size < maximum}
        if maximum > base:
            sizes.add(maximum)
        self._sizes = [base, *sorted(sizes)]
        self._confirmed = 0
        """Index of the largest size that got through."""
        self._failed = len(self._sizes)
        """Index of the smallest size that did not."""
        self._round: list[int] = []
        """Indices of the sizes that are being probed, and not confirmed yet; ascending."""
        self._attempts = 0
        """Transmissions of the probes of this round."""
        self._sent: dict[bytes, tuple[int, float]] = {}
        """Index and time of each unanswered probe of the round, by its nonce."""
        self._rounds_lost = 0
        """Rounds in which large packets were lost since one of their size arrived."""
        self._smallest_lost = 0
        """Bytes of the smallest of them."""
        self._pending: float | None = None
        """When the large packets of the last round were sent; None if it has been counted."""
        self._round_ended_at = -math.inf
        self._arrived = -math.inf
        """When the latest of what has arrived was sent."""
        self._asks = False
        """Whether to send a small HEARTBEAT, to see whether the path carries that."""
        self._questions: dict[bytes, float] = {}
        """Times of the last few small HEARTBEATs, by their nonce."""
        self.stuck = False
        """Whether a chunk too large for the path has used up its retransmissions."""

    @property
    def size(self) -> int:
        """Bytes of the largest SCTP packet to send."""
        return self._sizes[self._confirmed]

    def probes(self, now: float, rto: float) -> list[bytes]:
        """Return the probes that are due: the chunks of one packet each.

        Args:
            now: Monotonic time in seconds.
            rto: RTO in seconds.
        """
        question = self._question(now) if self._asks else []
        if self._timers.deadline(Timer.PMTU) is not None:
            return question
        if not self._round:
            self._round = self._choose()
            if not self._round:
                return question
        self._attempts += 1
        self._timers.start(Timer.PMTU, now + max(rto, _MIN_PROBE_TIMEOUT))
        chunks = []
        for index in self._round:
            nonce = self._random(_INFO_SIZE)
            self._sent[nonce] = index, now
            size = self._sizes[index] - PACKET_HEADER_SIZE
            chunks.append(heartbeat(nonce) + padding(size - _HEARTBEAT_SIZE))
        return question + chunks

    def _question(self, now: float) -> list[bytes]:
        self._asks = False
        nonce = self._random(_INFO_SIZE)
        self._questions[nonce] = now
        if len(self._questions) > _MAX_QUESTIONS:
            del self._questions[next(iter(self._questions))]
        return [heartbeat(nonce)]

    def _choose(self) -> list[int]:
        """Choose the sizes to probe next: above the confirmed one and below the failed one."""
        first, end = self._confirmed + 1, self._failed
        if self._confirmed == 0 and end == len(self._sizes):
            return [i for i in range(first, end) if self._sizes[i] in _LIKELY or i == end - 1]
        return sorted({first + (end - first) * k // _AT_ONCE for k in range(_AT_ONCE)} - {end})

    def on_ack(self, info: bytes, now: float) -> None:
        """Handle a HEARTBEAT ACK."""
        if info in self._questions:
            self._arrived = max(self._arrived, self._questions.pop(info))
            self._count(now)
            return
        if info not in self._sent:
            return
        index, sent_at = self._sent.pop(info)
        self._on_round_trip(now - sent_at, now)
        if index > self._confirmed:
            self._confirmed = index
            self._on_change()
        self._round = [i for i in self._round if i > index]
        if not self._round:
            self._timers.stop(Timer.PMTU)
            self._end_round(now)

    def on_timer(self, now: float) -> None:
        """Handle ``PMTU``: probes were lost, or a new search is due."""
        if not self._round:
            self._failed = len(self._sizes)
        elif self._attempts >= _MAX_PROBES:
            self._failed = self._round[0]
            self._end_round(now)

    def _end_round(self, now: float) -> None:
        self._round = []
        self._attempts = 0
        self._sent.clear()
        if self._failed - self._confirmed <= 1 and self._failed < len(self._sizes):
            self._timers.start(Timer.PMTU, now + _RAISE_AFTER)

    # Evidence from data

    def on_lost(self, chunks: Iterable[OutgoingChunk], now: float) -> None:
        """Take in chunks that were declared lost, or are missed, at one moment.

        Timeouts alone do not show a black hole: small packets may be acknowledged all along.
        """
        base, size = self._sizes[0], self.size
        lost = []
        first = math.inf
        for chunk in chunks:
            if chunk.packet_size <= base:
                continue
            if chunk.packet_size <= size:
                if chunk.snapshot.sent_at >= self._round_ended_at:
                    lost.append(chunk.packet_size)
                    first = min(first, chunk.snapshot.sent_at)
            elif chunk.retransmissions >= self._max_retransmissions and not chunk.abandoned:
                self.stuck = True
        if not lost:
            return
        known = self._rounds_lost or self._pending is not None
        self._smallest_lost = min(self._smallest_lost, *lost) if known else min(lost)
        self._round_ended_at = now
        self._pending = first
        self._asks = True
        self._count(now)

    def on_delivered(self, chunks: Sequence[OutgoingChunk], now: float) -> None:
        """Take in chunks that have arrived: one large packet proves that the path carries it."""
        for chunk in (chunks[0], chunks[-1]) if chunks else ():
            self._arrived = max(self._arrived, chunk.snapshot.sent_at)
        if not self._rounds_lost and self._pending is None:
            return
        if any(c.packet_size >= self._smallest_lost for c in chunks):
            self._rounds_lost = 0
            self._pending = None
        else:
            self._count(now)

    def _count(self, now: float) -> None:
        """Count a round of loss once a packet that was sent no earlier has arrived."""
        if self._pending is None or self._arrived < self._pending:
            return
        self._pending = None
        self._rounds_lost += 1
        if self._rounds_lost == _BLACK_HOLE_ROUNDS:
            self._fall_back(now)

    def _fall_back(self, now: float) -> None:
        self._rounds_lost = 0
        self._pending = None
        self._confirmed = 0
        self._failed = len(self._sizes)
        self._end_round(now)
        self._timers.start(Timer.PMTU, now + _SEARCH_AGAIN_AFTER)
        self._on_change()
