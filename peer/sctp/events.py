"""What an association tells its user, in the order in which it happened."""

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

# Structs, not dataclasses: DataChannelMessage is made once per message on the fast path, and a
# frozen dataclass costs five times as much.


class Established(msgspec.Struct, frozen=True):
    """The association is up; queued messages start to leave."""

    same_implementation: bool
    """The peer is this engine."""
    interleaving: bool
    """I-DATA is in use."""
    zero_checksum: bool
    """Packets leave without a checksum (DTLS guards them)."""


class DataChannelOpened(msgspec.Struct, frozen=True):
    """A channel may be used: the peer opened it, or acknowledged ours, or both agreed before."""

    stream_id: int
    label: str
    protocol: str
    ordered: bool
    max_retransmits: int | None
    """Transmissions after the first before a message is given up; ``None`` for no limit."""
    max_lifetime: float | None
    """Seconds before a message is given up; ``None`` for no limit."""
    priority: int
    by_peer: bool
    """The peer opened it in-band."""


class DataChannelClosed(msgspec.Struct, frozen=True):
    """Both directions of the channel are reset; its stream id may be used again."""

    stream_id: int


class DataChannelMessage(msgspec.Struct, frozen=True, gc=False):
    """A complete message. It fills the receive window until ``consume`` is called for it."""

    stream_id: int
    ppid: int
    """Payload protocol identifier as sent (RFC 8831, 8); see :mod:`peer.sctp.wire.ppid`."""
    data: bytes
    """The payload; empty for the two "empty" identifiers."""
    size: int
    """Bytes to give back with ``consume``: the payload, and what it costs to keep a message."""


class BufferedAmountLow(msgspec.Struct, frozen=True):
    """The bytes queued on a stream fell to its threshold or below it."""

    stream_id: int


class Restarted(msgspec.Struct, frozen=True):
    """The peer restarted the association (RFC 9260, 5.2.4.1): queued data and channels are gone."""


class Ending(enum.Enum):
    """How an association ended."""

    SHUTDOWN = "shutdown"
    """In order: everything queued on both sides was acknowledged."""
    ABORTED_BY_US = "aborted by us"
    ABORTED_BY_PEER = "aborted by peer"
    PROTOCOL_ERROR = "protocol error"
    """The peer broke the protocol; we sent an ABORT."""
    UNREACHABLE = "unreachable"
    """The peer did not answer for too long (RFC 9260, 8.1), or the path carries too little."""


class AssociationEnded(msgspec.Struct, frozen=True):
    """Nothing more will be sent, received or told."""

    ending: Ending
    message: str
    """For a log: what the peer or this engine said about it."""


Event: TypeAlias = (
    Established
    | DataChannelOpened
    | DataChannelClosed
    | DataChannelMessage
    | BufferedAmountLow
    | Restarted
    | AssociationEnded
)
