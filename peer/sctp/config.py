"""Settings of one association. Sizes are bytes, times seconds."""

from __future__ import annotations

from dataclasses import dataclass

from .congestion import BBR, ControllerFactory

__all__ = ["SctpConfig"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SctpConfig:
    """Settings that the user of an association may choose."""

    client: bool = True
    """DTLS client: our channels get even stream ids, the server's odd ones (RFC 8832, 6)."""
    local_port: int = 5000
    remote_port: int = 5000
    streams: int = 65535
    """Streams offered in each direction (RFC 8831, 6.2 asks for 65535)."""
    max_channels: int = 4096
    """Channels that may exist at once; more from the peer are reset at once."""
    keep_early: int = 0
    """Bytes of ``receive_window`` for messages on channels that our side has not opened. 0 where
    streams are used without channels: then every message is delivered at once."""

    receive_window: int = 8 << 20
    """Advertised window when nothing waits; out-of-order data and unread messages reduce it."""
    max_message_size: int = 64 << 20
    """Largest message we accept; also the memory limit of incomplete messages."""
    peer_max_message_size: int = 0
    """Largest message the peer accepts (SDP ``max-message-size``); 0 for no limit."""

    datagram_size: int = 1188
    """SCTP packet size to start with: must fit the path with all headers below."""
    max_datagram_size: int = 1188
    """Largest SCTP packet to probe for (RFC 8899); no probing when not above ``datagram_size``."""
    overhead: int = 65
    """Bytes that DTLS 1.2 with GCM (37), UDP (8) and IPv4 (20) add to each packet."""
    max_burst: int = 106
    """Packets per call of ``datagrams_to_send``; bounds how long one call takes."""

    rto_initial: float = 0.5
    """RFC 9260, 16 recommends 1 s; libwebrtc starts with this value."""
    rto_min: float = 0.2
    """RFC 9260, 16 recommends 1 s; WebRTC stacks use less, because paths are short."""
    rto_max: float = 30.0
    max_retransmissions: int = 10
    """Association.Max.Retrans: unanswered probes after which the peer counts as unreachable."""
    max_init_retransmissions: int = 8
    cookie_lifetime: float = 60.0
    heartbeat_interval: float = 30.0
    sack_delay: float = 0.02
    """Longest wait for a second packet before a SACK leaves (RFC 9260, 6.2: at most 0.5 s)."""
    stretch_sack_delay: float = 0.001
    """Toward the same implementation: one SACK per batch, or per this interval."""

    interleaving: bool = True
    """Offer I-DATA (RFC 8260), so that a small message does not wait behind a large one."""
    zero_checksum: bool = True
    """Offer to leave the checksum to DTLS (RFC 9653). Must be off when not over DTLS."""
    recognise_implementation: bool = True
    """Announce this implementation, and use large bursts when the peer announces it, too."""
    congestion: ControllerFactory = BBR
