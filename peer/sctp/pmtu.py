"""
How large a packet the path carries (RFC 8899, with padded HEARTBEATs as its section 6.2 says).

A probe is a HEARTBEAT and a PAD chunk (RFC 4820) that fill one packet of the size in question;
its HEARTBEAT ACK, which is small, proves that the size got through. Data is sent larger only
after that, so a lost probe costs nothing. The search tries the largest size first (loopback
and equal peers on jumbo frames are common, and one probe settles them), then bisects.

A path may shrink, and swallow what is too large for it without a word: a black hole (4.3). It
is suspected when packets larger than the base size are lost in one round trip after another and
none so large arrives, whatever smaller ones do. The base size is used then, until a new search
succeeds. What was cut before cannot be cut again, because its TSN is taken: when the network
does not fragment it either, it is stuck, and so is the association.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

from .chunks.control import heartbeat, padding
from .outgoing import OutgoingChunk
from .packet import PACKET_HEADER_SIZE
from .timers import Timer, Timers

__all__ = ["PathMtu"]

_SIZES = (1232, 1252, 1332, 1380, 1404, 1412, 1424, 1432, 1440, 2040, 4092, 8176, 8928, 16364)
"""SCTP packets that fill common links once IP, UDP and DTLS headers are added; all % 4 == 0."""
_MAX_PROBES = 3
"""RFC 8899, 5.1.2."""
_RAISE_AFTER = 600.0
"""RFC 8899, 5.1.1: PMTU_RAISE_TIMER, seconds."""
_SEARCH_AGAIN_AFTER = 60.0
"""Seconds from a black hole to the next search. For a while the layer below may let the network
fragment packets that were cut before, and a probe that is fragmented proves nothing."""
_MIN_PROBE_TIMEOUT = 0.25
_BLACK_HOLE_ROUNDS = 3
"""Rounds of loss in a row, of large packets alone, that make a black hole."""
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
        on_round_trip: Callable[[float], None],
    ) -> None:
        """
        Args:
            base: SCTP packet size that is taken for granted, bytes.
            maximum: Largest size to try, bytes.
            max_retransmissions: Of a chunk that is too large for the path.
            timers: ``PMTU`` is ours.
            random: Returns that many unpredictable bytes.
            on_change: Called when ``size`` has changed.
            on_round_trip: Told the seconds that the answer to a probe took.
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
        self._trying = 0
        self._probes = 0
        self._probed_at = 0.0
        self._nonce = b""
        self._rounds_lost = 0
        """Rounds in which large packets were lost since one of their size arrived."""
        self._smallest_lost = 0
        """Bytes of the smallest of them."""
        self._round_ended_at = -math.inf
        self.stuck = False
        """A chunk too large for the path was sent as often as it may be, and has not arrived."""

    @property
    def size(self) -> int:
        """Bytes of the largest SCTP packet to send."""
        return self._sizes[self._confirmed]

    def probe(self, now: float, timeout: float) -> bytes | None:
        """
        Return the chunks of the next probe, or ``None`` when there is nothing to find out.

        Args:
            now: Monotonic time in seconds.
            timeout: RTO in seconds.
        """
        if self._nonce or self._timers.deadline(Timer.PMTU) is not None:
            return None
        if self._failed - self._confirmed <= 1:
            return None
        if self._probes == 0:
            untried = self._confirmed == 0 and self._failed == len(self._sizes)
            self._trying = self._failed - 1 if untried else (self._confirmed + self._failed) // 2
        self._probes += 1
        self._nonce = self._random(_INFO_SIZE)
        self._probed_at = now
        self._timers.start(Timer.PMTU, now + max(timeout, _MIN_PROBE_TIMEOUT))
        size = self._sizes[self._trying] - PACKET_HEADER_SIZE
        return heartbeat(self._nonce) + padding(size - _HEARTBEAT_SIZE)

    def on_ack(self, info: bytes, now: float) -> None:
        """Handle a HEARTBEAT ACK."""
        if not self._nonce or info != self._nonce:
            return
        self._nonce = b""
        self._on_round_trip(now - self._probed_at)
        self._probes = 0
        self._confirmed = self._trying
        self._timers.stop(Timer.PMTU)
        self._rest_if_done(now)
        self._on_change()

    def on_timer(self, now: float) -> None:
        """Handle ``PMTU``: a probe was lost, or it is time to look for more."""
        if not self._nonce:
            self._failed = len(self._sizes)
            return
        self._nonce = b""
        if self._probes >= _MAX_PROBES:
            self._failed = self._trying
            self._probes = 0
            self._rest_if_done(now)

    def _rest_if_done(self, now: float) -> None:
        if self._failed - self._confirmed <= 1 and self._failed < len(self._sizes):
            self._timers.start(Timer.PMTU, now + _RAISE_AFTER)

    # What the loss of data says

    def on_lost(self, chunks: Iterable[OutgoingChunk], now: float) -> None:
        """
        Take in what was declared lost, or is missed, at one moment.

        Timeouts alone would not show a black hole: small packets may be acknowledged all along.
        """
        base, size = self._sizes[0], self.size
        lost = []
        for chunk in chunks:
            if chunk.packet_size <= base:
                continue
            if chunk.packet_size <= size:
                if chunk.flight.sent_at >= self._round_ended_at:
                    lost.append(chunk.packet_size)
            elif chunk.retransmissions >= self._max_retransmissions and not chunk.abandoned:
                self.stuck = True
        if not lost:
            return
        self._round_ended_at = now
        self._smallest_lost = min(self._smallest_lost, *lost) if self._rounds_lost else min(lost)
        self._rounds_lost += 1
        if self._rounds_lost == _BLACK_HOLE_ROUNDS:
            self._fall_back(now)

    def on_delivered(self, chunks: Iterable[OutgoingChunk]) -> None:
        """Take in what has arrived: where one large packet gets through, others do."""
        if self._rounds_lost and any(c.packet_size >= self._smallest_lost for c in chunks):
            self._rounds_lost = 0

    def _fall_back(self, now: float) -> None:
        self._rounds_lost = 0
        self._confirmed = 0
        self._failed = len(self._sizes)
        self._nonce = b""
        self._probes = 0
        self._timers.start(Timer.PMTU, now + _SEARCH_AGAIN_AFTER)
        self._on_change()
