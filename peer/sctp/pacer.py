"""
Spaces bursts in time: a token bucket filled at the controller's rate, emptied in quanta.

One wake-up per quantum (about a millisecond's worth of packets), never one per packet: the
cost of sending in Python is per call, and a paced sender that wakes for each packet spends
three times the CPU for no gain in throughput.
"""

from __future__ import annotations

__all__ = ["Pacer"]

_MIN_WAIT = 0.001
"""Event loops round timers to a millisecond; asking for less makes them spin."""
_BURST_TIME = 0.003
"""Credit is kept for this long of silence, so that a late wake-up loses no throughput."""


class Pacer:
    """Says how many bytes may leave now, and when to ask again."""

    __slots__ = ("_credit", "_refilled_at", "next_send_at")

    def __init__(self) -> None:
        self._credit = 0.0
        self._refilled_at = 0.0
        self.next_send_at: float | None = None
        """When the next quantum is due; ``None`` when sending does not wait for the pacer."""

    def allowance(self, *, now: float, rate: float, quantum: int, idle: bool) -> float:
        """
        Return the bytes that may leave now; 0 when it is better to wait for a full quantum.

        Args:
            now: Monotonic time in seconds.
            rate: Bytes per second; ``inf`` for no pacing.
            quantum: Bytes worth waking up for.
            idle: Nothing is in flight: send without delay.
        """
        self.next_send_at = None
        if rate == float("inf"):
            return rate
        credit = self._credit + (now - self._refilled_at) * rate
        cap = rate * _BURST_TIME + quantum
        if credit > cap:
            credit = cap
        self._refilled_at = now
        self._credit = credit
        if idle and credit < quantum:
            self._credit = credit = float(quantum)
        if credit < quantum:
            self.next_send_at = now + max((quantum - credit) / rate, _MIN_WAIT)
            return 0.0
        return credit

    def on_sent(self, *, now: float, sent: int, rate: float, quantum: int, more: bool) -> None:
        """
        Take a burst out of the bucket.

        Args:
            now: Monotonic time in seconds.
            sent: Bytes that left.
            rate: Bytes per second; ``inf`` for no pacing.
            quantum: Bytes worth waking up for.
            more: There is more to send and only the allowance stopped it.
        """
        if rate == float("inf"):
            return
        self._credit -= sent
        if more:
            self.next_send_at = now + max((quantum - self._credit) / rate, _MIN_WAIT)
