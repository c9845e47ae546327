"""The interface between the association and congestion control.

The association reports deliveries and losses; a controller derives a window and a rate, which the
association may read at any time. A controller sees no chunks, timers or datagrams, so a test can
drive it by hand.

All sizes are **wire bytes**: the SCTP datagram plus ``SctpConfig.overhead`` (DTLS, UDP and IP
headers), because that is what a link's queue counts. All times are monotonic seconds.

Order of calls, for one SACK: ``on_spurious_loss`` (if old losses prove false), then ``on_loss``
(if new losses are detected), then ``on_ack`` (if something was delivered for the first time).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

__all__ = [
    "AckSample",
    "CongestionController",
    "ControllerFactory",
    "LossSample",
    "PathProfile",
    "SendSnapshot",
]


@dataclass(slots=True, eq=False)
class SendSnapshot:
    """The connection's counters when a burst was sent, which all its packets share.

    One record per burst, not five fields per packet (draft-ietf-ccwg-bbr, 4.1.1.2.2: the
    per-packet state of delivery rate estimation).
    """

    sent_at: float
    """When the burst was handed to the caller."""
    delivered: int
    """Bytes delivered since the association began, at that time."""
    delivered_at: float
    """When the most recent delivery before the burst happened."""
    first_sent_at: float
    """Send time of the packet most recently delivered before the burst."""
    in_flight: int
    """Bytes in flight just before the burst."""
    lost: int
    """Bytes declared lost since the association began."""
    app_limited: bool
    """Whether a rate measured over this burst reflects the application's offer, not the path."""


@dataclass(slots=True, eq=False)
class AckSample:
    """The effect of one SACK that acknowledged data for the first time."""

    now: float
    acked: int
    """Bytes delivered for the first time by this SACK."""
    lost: int
    """Bytes declared lost because of this SACK (already reported by ``on_loss``)."""
    in_flight: int
    """Bytes in flight after this SACK, without the lost ones."""
    prior_in_flight: int
    """Bytes in flight before this SACK."""
    delivered: int
    """Bytes delivered since the association began, this SACK included."""
    lost_total: int
    """Bytes declared lost since the association began."""
    snapshot: SendSnapshot
    """Snapshot of the most recently sent packet that this SACK acknowledged."""
    rate: float
    """Delivery rate over that packet's round trip, bytes per second; 0.0 when unknown."""
    rtt: float
    """Round trip of that packet; 0.0 when the packet was retransmitted (Karn)."""
    srtt: float
    """Smoothed round trip; 0.0 before the first measurement."""
    min_rtt: float
    """Lowest round trip since the association began; ``inf`` before the first measurement."""
    app_limited: bool
    """Whether the application or the peer's window, not the path, limits sending now."""


@dataclass(slots=True, eq=False)
class LossSample:
    """Packets declared lost together."""

    now: float
    lost: int
    """Bytes declared lost now."""
    in_flight: int
    """Bytes in flight without the lost ones."""
    lost_total: int
    """Bytes declared lost since the association began, these included."""
    delivered: int
    """Bytes delivered since the association began."""
    snapshot: SendSnapshot
    """Snapshot of the most recently sent of the lost packets."""


class CongestionController(Protocol):
    """Decides how much data may be in flight and how fast it leaves."""

    name: str
    cwnd: int
    """Bytes that may be in flight. Read before every burst; one packet may exceed it."""
    pacing_rate: float
    """Sending rate, bytes per second; ``inf`` disables pacing. Read before every burst."""
    quantum: int
    """Size of a paced burst, bytes."""
    slack: float
    """Bytes that may be sent a little faster than the rate after this process was stalled."""

    def on_sent(
        self, *, now: float, sent: int, in_flight: int, app_limited: bool, late: bool
    ) -> None:
        """Take in a burst that was sent, of first transmissions and retransmissions.

        Args:
            now: Monotonic time in seconds.
            sent: Bytes of the burst.
            in_flight: Bytes in flight before the burst; 0 when the path was idle.
            app_limited: The burst ended because there was nothing more to send.
            late: The process was stalled, and makes up for it (see ``slack``).
        """

    def on_ack(self, sample: AckSample) -> None:
        """Take in a SACK that acknowledged data for the first time."""

    def on_loss(self, sample: LossSample) -> None:
        """Take in packets that are declared lost, by time or by later deliveries."""

    def on_spurious_loss(self, *, now: float) -> None:
        """Undo the last reduction: everything declared lost since then has arrived."""

    def on_timeout(self, *, now: float, in_flight: int) -> None:
        """React to the expiry of T3-rtx (RFC 9260, 6.3.3), after several probes without answer.

        Args:
            now: Monotonic time in seconds.
            in_flight: Bytes that were in flight; all of it is now considered lost.
        """

    def on_mss(self, mss: int) -> None:
        """Take in a new size of a full packet, wire bytes."""

    def trace(self) -> dict[str, float | str]:
        """Return internal variables by name, for a plot or a log."""


@dataclass(frozen=True, slots=True)
class PathProfile:
    """The parameters of a new controller."""

    mss: int
    """Wire bytes of a full packet."""
    same_implementation: bool
    """
    The peer runs this engine: it reads big bursts and sends stretch SACKs. Toward others bursts
    stay small (about 16 packets), because their socket buffers may hold only some 90 packets.
    """
    random: Callable[[int], bytes]
    """Returns that many random bytes (for probing at times that other flows do not pick)."""


ControllerFactory = Callable[[PathProfile], CongestionController]
"""Called when an association is established; returns its controller."""
