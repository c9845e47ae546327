"""Pacing of bursts: a token bucket filled at the controller's rate, emptied in quanta.

One wake-up per quantum (about a millisecond's worth of packets), never one per packet: the
cost of sending in Python is per call, and a paced sender that wakes for each packet spends
three times the CPU for no gain in throughput.
"""

from __future__ import annotations

__all__ = ["Pacer"]

_MIN_WAIT = 0.001
"""Event loops round timers to a millisecond; shorter waits make them spin."""
_BURST_TIME = 0.003
"""Lateness of a wake-up that the next burst makes up for, seconds."""
_CATCH_UP = 0.5
"""Share of the rate at which a longer lateness is made up for, in addition."""


class Pacer:
    """Decides how many bytes may leave now, and when to ask again."""

    __slots__ = ("_behind", "_credit", "_refilled_at", "next_send_at")

    def __init__(self) -> None:
        self._credit = 0.0
        self._behind = 0.0
        """Bytes that should have left while this process was stalled."""
        self._refilled_at = 0.0
        self.next_send_at: float | None = None
        """When the next quantum is due; ``None`` when sending does not wait for the pacer."""

    def allowance(
        self, *, now: float, rate: float, quantum: int, slack: float, idle: bool
    ) -> float:
        """Return the bytes that may leave now; 0 to wait for a full quantum.

        Args:
            now: Monotonic time in seconds.
            rate: Bytes per second; ``inf`` for no pacing.
            quantum: Bytes of a burst.
            slack: Bytes of lateness to make up for, at half the rate in addition.
            idle: Whether nothing is in flight; then a quantum leaves at once.
        """
        was_due = self.next_send_at is not None
        self.next_send_at = None
        if rate == float("inf"):
            return rate
        fresh = (now - self._refilled_at) * rate
        repaid = min(self._behind, fresh * _CATCH_UP)
        credit = self._credit + fresh + repaid
        behind = self._behind - repaid
        cap = rate * _BURST_TIME + quantum
        if credit > cap:
            # Make up for lateness only, not for a lack of data or of window.
            behind = behind + credit - cap if was_due else 0.0
            credit = cap
        self._behind = min(behind, slack)
        self._refilled_at = now
        self._credit = credit
        if idle and credit < quantum:
            self._credit = credit = float(quantum)
        if credit < quantum:
            self.next_send_at = now + max((quantum - credit) / rate, _MIN_WAIT)
            return 0.0
        return credit

    @property
    def is_late(self) -> bool:
        """Whether a stall is being made up for."""
        return self._behind > 0

    def on_sent(self, *, now: float, sent: int, rate: float, quantum: int, more: bool) -> None:
        """Subtract a burst from the bucket.

        Args:
            now: Monotonic time in seconds.
            sent: Bytes that left.
            rate: Bytes per second; ``inf`` for no pacing.
            quantum: Bytes of a burst.
            more: Whether there is more to send and only the allowance stopped it.
        """
        if rate == float("inf"):
            return
        self._credit -= sent
        if more:
            self.next_send_at = now + max((quantum - self._credit) / rate, _MIN_WAIT)
