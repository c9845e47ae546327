"""
How large a packet the path carries (RFC 8899, with padded HEARTBEATs as its section 6.2 says).

A probe is a HEARTBEAT and a PAD chunk (RFC 4820) that fill one packet of the size in question;
its HEARTBEAT ACK, which is small, proves that the size got through. Data is sent larger only
after that, so a lost probe costs nothing. The search tries the largest size first (loopback
and equal peers on jumbo frames are common, and one probe settles them), then bisects.

A path may shrink: when T3-rtx expires again and again with large packets, they may be
vanishing in a black hole (4.3), and the base size is used until a new search succeeds.
"""

from __future__ import annotations

from collections.abc import Callable

from .chunks.control import heartbeat, padding
from .packet import PACKET_HEADER_SIZE
from .timers import Timer, Timers

__all__ = ["PathMtu"]

_SIZES = (1232, 1252, 1332, 1380, 1404, 1412, 1424, 1432, 1440, 2040, 4092, 8176, 8928, 16364)
"""SCTP packets that fill common links once IP, UDP and DTLS headers are added; all % 4 == 0."""
_MAX_PROBES = 3
"""RFC 8899, 5.1.2."""
_RAISE_AFTER = 600.0
"""RFC 8899, 5.1.1: PMTU_RAISE_TIMER, seconds."""
_MIN_PROBE_TIMEOUT = 0.25
_BLACK_HOLE_TIMEOUTS = 2
_INFO_SIZE = 8
_HEARTBEAT_SIZE = 8 + _INFO_SIZE


class PathMtu:
    """The search for the packet size of the path."""

    def __init__(
        self, *, base: int, maximum: int, timers: Timers, random: Callable[[int], bytes]
    ) -> None:
        """
        Args:
            base: SCTP packet size that is taken for granted, bytes.
            maximum: Largest size to try, bytes.
            timers: ``PMTU`` is ours.
            random: Returns that many unpredictable bytes.
        """
        maximum -= maximum % 4
        self._timers = timers
        self._random = random
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
        self._nonce = b""

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
        self._timers.start(Timer.PMTU, now + max(timeout, _MIN_PROBE_TIMEOUT))
        size = self._sizes[self._trying] - PACKET_HEADER_SIZE
        return heartbeat(self._nonce) + padding(size - _HEARTBEAT_SIZE)

    def on_ack(self, info: bytes, now: float) -> bool:
        """
        Handle a HEARTBEAT ACK.

        Returns:
            Whether ``size`` has changed.
        """
        if not self._nonce or info != self._nonce:
            return False
        self._nonce = b""
        self._probes = 0
        self._confirmed = self._trying
        self._timers.stop(Timer.PMTU)
        self._rest_if_done(now)
        return True

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

    def on_timeouts(self, in_a_row: int, now: float) -> bool:
        """
        Suspect a black hole when T3-rtx has expired several times in a row.

        Returns:
            Whether ``size`` has changed.
        """
        if in_a_row < _BLACK_HOLE_TIMEOUTS or self._confirmed == 0:
            return False
        self._failed = self._confirmed
        self._confirmed = 0
        self._nonce = b""
        self._probes = 0
        self._timers.stop(Timer.PMTU)
        self._rest_if_done(now)
        return True
