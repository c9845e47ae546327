"""Statistics of an association, for people, plots and tests."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Stats"]


@dataclass(frozen=True, slots=True)
class Stats:
    """Statistics at one moment, in bytes and seconds."""

    chunks_sent: int = 0
    """Data chunks, retransmissions included."""
    chunks_retransmitted: int = 0
    spurious_losses: int = 0
    """Loss episodes whose chunks had all arrived (see ``send/spurious_loss.py``)."""
    timeouts: int = 0
    """Expiries of T3-rtx."""
    messages_abandoned: int = 0
    bytes_delivered: int = 0
    """Wire bytes that the peer acknowledged."""
    bytes_lost: int = 0
    in_flight: int = 0
    """Wire bytes believed to be in the network."""
    unacked_chunks: int = 0
    """Chunks sent or abandoned above the peer's cumulative TSN."""
    buffered: int = 0
    """Queued bytes that have never been sent."""
    unread: int = 0
    """Bytes received and not consumed, with the bookkeeping of each message."""
    reassembling: int = 0
    """Bytes received of messages that cannot be delivered yet."""
    peer_window: int = 0
    srtt: float = 0.0
    min_rtt: float = 0.0
    cwnd: int = 0
    pacing_rate: float = 0.0
    datagram_size: int = 0
    """SCTP packet size in use."""
