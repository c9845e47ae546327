"""Events of an association, in the order in which they occur."""

from __future__ import annotations

import enum
from typing import TypeAlias

import msgspec

__all__ = [
    "AssociationEnded",
    "BufferedAmountLow",
    "DataChannelClosed",
    "DataChannelMessage",
    "DataChannelOpened",
    "Ending",
    "Established",
    "Event",
    "Restarted",
]

# Structs, not dataclasses: DataChannelMessage is made once per message on the hot path, and a
# frozen dataclass costs five times as much.


class Established(msgspec.Struct, frozen=True):
    """The association is established; queued messages are sent."""

    same_implementation: bool
    """The peer runs this implementation."""
    interleaving: bool
    """I-DATA is in use."""
    zero_checksum: bool
    """Packets leave without a checksum (DTLS guards them)."""


class DataChannelOpened(msgspec.Struct, frozen=True):
    """A channel is open: the peer opened or acknowledged it, or it was negotiated."""

    stream_id: int
    label: str
    protocol: str
    ordered: bool
    max_retransmits: int | None
    """Retransmissions after which a message is abandoned; ``None`` for no limit."""
    max_lifetime: float | None
    """Seconds after which a message is abandoned; ``None`` for no limit."""
    priority: int
    by_peer: bool
    """The peer opened it in-band."""


class DataChannelClosed(msgspec.Struct, frozen=True):
    """Both streams of the channel are reset; the stream id may be reused."""

    stream_id: int


class DataChannelMessage(msgspec.Struct, frozen=True, gc=False):
    """A complete message. It fills the receive window until ``consume`` is called for it."""

    stream_id: int
    ppid: int
    """Payload protocol identifier as sent (RFC 8831, 8); see :mod:`peer.sctp.wire.ppid`."""
    data: bytes
    """The payload; empty for the two "empty" identifiers."""
    size: int
    """Bytes to return with ``consume``: the payload, and the bookkeeping of a message."""


class BufferedAmountLow(msgspec.Struct, frozen=True):
    """The bytes queued on a stream fell to its threshold or below."""

    stream_id: int


class Restarted(msgspec.Struct, frozen=True):
    """The peer restarted the association (RFC 9260, 5.2.4.1): queued data and channels are lost."""


class Ending(enum.Enum):
    """How an association ended."""

    SHUTDOWN = "shutdown"
    """All queued data of both sides was acknowledged."""
    ABORTED_BY_US = "aborted by us"
    ABORTED_BY_PEER = "aborted by peer"
    PROTOCOL_ERROR = "protocol error"
    """The peer violated the protocol; we sent an ABORT."""
    UNREACHABLE = "unreachable"
    """The peer did not answer for too long (RFC 9260, 8.1), or the path MTU is too small."""


class AssociationEnded(msgspec.Struct, frozen=True):
    """The association has ended; this is its last event."""

    ending: Ending
    message: str
    """The reason that the peer or this implementation gave, for a log."""


Event: TypeAlias = (
    Established
    | DataChannelOpened
    | DataChannelClosed
    | DataChannelMessage
    | BufferedAmountLow
    | Restarted
    | AssociationEnded
)
