"""
The seam between the association and congestion control.

The association finds out what was delivered and what was lost; a controller turns that into
two numbers it may read at any time, a window and a rate. A controller never sees chunks,
timers or datagrams, so each can be driven by hand in a test.

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
    """
    What all packets of one burst share: the connection's counters when it was sent.

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
    """The rate measured over this burst shows what the application offered, not the path."""


@dataclass(slots=True, eq=False)
class AckSample:
    """One SACK that delivered something for the first time."""

    now: float
    acked: int
    """Bytes delivered for the first time by this SACK."""
    lost: int
    """Bytes this SACK made us declare lost (already told by ``on_loss``)."""
    in_flight: int
    """Bytes in flight after this SACK, losses taken out."""
    prior_in_flight: int
    """Bytes in flight before this SACK."""
    delivered: int
    """Bytes delivered since the association began, this SACK included."""
    lost_total: int
    """Bytes declared lost since the association began."""
    snapshot: SendSnapshot
    """The burst of the most recently sent packet that this SACK delivered."""
    rate: float
    """Delivery rate over that packet's round trip, bytes per second; 0.0 when unknown."""
    rtt: float
    """Round trip of that packet; 0.0 when the packet was retransmitted (Karn)."""
    srtt: float
    """Smoothed round trip; 0.0 before the first measurement."""
    min_rtt: float
    """Lowest round trip since the association began; ``inf`` before the first measurement."""
    app_limited: bool
    """The application (or the peer's window), not the path, limits what is sent now."""


@dataclass(slots=True, eq=False)
class LossSample:
    """Packets declared lost together."""

    now: float
    lost: int
    """Bytes declared lost now."""
    in_flight: int
    """Bytes in flight after taking the lost ones out."""
    lost_total: int
    """Bytes declared lost since the association began, these included."""
    delivered: int
    """Bytes delivered since the association began."""
    snapshot: SendSnapshot
    """The burst of the most recently sent of the lost packets."""


class CongestionController(Protocol):
    """Decides how much may be in flight and how fast it may leave."""

    name: str
    cwnd: int
    """Bytes that may be in flight. Read before every burst; may be overshot by one packet."""
    pacing_rate: float
    """Bytes per second to leave at; ``inf`` leaves pacing out. Read before every burst."""
    quantum: int
    """Bytes worth waking up for: the pacer lets packets out in bursts of about this size."""
    slack: float
    """Bytes that may be made up, a little faster than the rate, after the machine stalled us."""

    def on_sent(
        self, *, now: float, sent: int, in_flight: int, app_limited: bool, late: bool
    ) -> None:
        """
        Fires once after each burst of first transmissions and retransmissions.

        Args:
            now: Monotonic time in seconds.
            sent: Bytes of the burst.
            in_flight: Bytes in flight before the burst; 0 means that the path was idle.
            app_limited: The burst ended because there was nothing more to send.
            late: Our machine stalled us, and we are making up for it (see ``slack``).
        """

    def on_ack(self, sample: AckSample) -> None:
        """Fires once for each SACK that delivered something for the first time."""

    def on_loss(self, sample: LossSample) -> None:
        """Fires when packets are declared lost by time or by later deliveries."""

    def on_spurious_loss(self, *, now: float) -> None:
        """
        Fires when everything declared lost since the last reduction was delivered after all.

        The controller restores what it had before that reduction.
        """

    def on_timeout(self, *, now: float, in_flight: int) -> None:
        """
        Fires when T3-rtx expires (RFC 9260, 6.3.3): nothing was heard through several probes.

        Args:
            now: Monotonic time in seconds.
            in_flight: Bytes that were in flight; all of it is now considered lost.
        """

    def on_mss(self, mss: int) -> None:
        """Fires when path MTU discovery changed the size of a full packet."""

    def trace(self) -> dict[str, float | str]:
        """What a plot or a log would show of the inner state, by name."""


@dataclass(frozen=True, slots=True)
class PathProfile:
    """What a controller may know when it is made."""

    mss: int
    """Wire bytes of a full packet."""
    same_implementation: bool
    """
    The peer runs this engine: it reads big bursts and sends stretch SACKs. Toward others bursts
    stay small (about 16 packets), because their socket buffers may hold only some 90 packets.
    """
    random: Callable[[int], bytes]
    """Returns that many random bytes (for probing at times nobody else picks)."""


ControllerFactory = Callable[[PathProfile], CongestionController]
"""Makes the controller of an association, when it is established."""
