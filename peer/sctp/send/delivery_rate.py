"""Delivery rate estimation (draft-cheng-iccrg-delivery-rate-estimation, 3).

A snapshot of the connection's counters goes with each burst. The acknowledgement of a packet of the
burst compares these counters with the present ones: their difference over the time between the two
is the rate at which the path delivered.
"""

from __future__ import annotations

from peer.sctp.congestion.base import SendSnapshot

__all__ = ["DeliveryRate"]


class DeliveryRate:
    """The counters of one association, and the rates that follow from them.

    Attributes:
        delivered: Wire bytes that the peer has acknowledged.
        lost: Wire bytes declared lost.
    """

    __slots__ = ("_app_limited_until", "_delivered_at", "_first_sent_at", "delivered", "lost")

    def __init__(self) -> None:
        self.delivered = 0
        self.lost = 0
        self._delivered_at = 0.0
        self._first_sent_at = 0.0
        self._app_limited_until = 0
        """``delivered`` beyond which samples show the path again; 0 when not limited."""

    @property
    def is_app_limited(self) -> bool:
        """Whether the application, not the path, limits what is sent now."""
        return self._app_limited_until > 0

    def snapshot(self, now: float, in_flight: int) -> SendSnapshot:
        """Return the counters as a burst leaves (3.2).

        Args:
            now: Monotonic time in seconds.
            in_flight: Wire bytes in flight before the burst.
        """
        if in_flight == 0:
            self._first_sent_at = self._delivered_at = now
        return SendSnapshot(
            now,
            self.delivered,
            self._delivered_at,
            self._first_sent_at,
            in_flight,
            self.lost,
            self._app_limited_until > 0,
        )

    def on_app_limited(self, in_flight: int) -> None:
        """Mark samples as application-limited until ``in_flight`` bytes have arrived (3.4)."""
        self._app_limited_until = (self.delivered + in_flight) or 1

    def on_delivered(self, acked: int, now: float) -> None:
        """Count wire bytes that were acknowledged for the first time."""
        self.delivered += acked
        self._delivered_at = now

    def sample(self, snapshot: SendSnapshot, now: float, *, shortest: float) -> float:
        """Return the delivery rate since a burst left (3.3).

        Args:
            snapshot: The burst of the most recently sent packet that was just acknowledged.
            now: Monotonic time in seconds.
            shortest: Seconds below which an interval cannot be a round trip, and gives no rate.

        Returns:
            Bytes per second; 0.0 when unknown.
        """
        self._first_sent_at = snapshot.sent_at
        if self._app_limited_until and self.delivered > self._app_limited_until:
            self._app_limited_until = 0
        interval = max(snapshot.sent_at - snapshot.first_sent_at, now - snapshot.delivered_at)
        if interval <= 0 or interval < shortest:
            return 0.0
        return (self.delivered - snapshot.delivered) / interval
