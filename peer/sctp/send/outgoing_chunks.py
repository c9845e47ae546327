"""Outgoing data: messages, streams, and chunks with a TSN."""

from __future__ import annotations

from collections import deque

import msgspec

from peer.sctp.congestion.base import SendSnapshot
from peer.sctp.wire.chunks.data import IMMEDIATE
from peer.sctp.wire.packet import PACKET_HEADER_SIZE
from peer.sctp.wire.serial import Tsn

__all__ = ["NORMAL_PRIORITY", "Message", "OutgoingChunk", "OutgoingStream"]

NORMAL_PRIORITY = 256
"""RFC 8831, 6.4."""
_FLAGS_AT = PACKET_HEADER_SIZE + 1


class Message(msgspec.Struct, gc=False, eq=False):
    """A message that waits, or is being cut into chunks."""

    stream_id: int
    ppid: int
    data: bytes
    unordered: int
    """The U bit."""
    limited: bool
    """Whether it may be abandoned (RFC 3758)."""
    max_retransmits: float
    """Retransmissions of a fragment after which it is abandoned; ``inf`` for no limit."""
    expires_at: float
    """Monotonic time after which it is abandoned; ``inf`` for never."""
    number: int = -1
    """Wire sequence number or message identifier; -1 before the first fragment."""
    position: int = 0
    """Bytes cut so far."""
    fragment: int = 0
    """Fragments cut so far."""
    abandoned: bool = False
    stand_in: Tsn = -1
    """TSN that stands for the rest of it, when it was abandoned half cut; -1 otherwise."""
    tsns: list[Tsn] = []
    """TSNs of its fragments, when ``limited``."""


class OutgoingChunk(msgspec.Struct, gc=False, eq=False):
    """A fragment with a TSN, from its first transmission until it is cumulatively acknowledged.

    A msgspec struct is made twice as fast as a class with ``__slots__``, and without garbage
    collector tracking; there is one for each packet.
    """

    tsn: Tsn
    packet: bytes
    """A packet with only this chunk, padded, its checksum zero. Most chunks leave in such a packet,
    and it is built with one copy of the payload."""
    size: int
    """Payload bytes, as the peer's window counts."""
    wire: int
    """Wire bytes, its share of headers included."""
    sequence: int
    """Position in the order of transmission; a retransmission gets a new one."""
    snapshot: SendSnapshot
    """Snapshot of the burst in which it was last sent."""
    message: Message | None = None
    """Its message, when that may be abandoned."""
    retransmissions: int = 0
    acked: bool = False
    lost: bool = False
    """Whether it waits for retransmission."""
    abandoned: bool = False
    unreported: bool = False
    """Whether it is too old to be in flight, and a truncated SACK does not report it."""
    shared: int = 0
    """Bytes of the packet in which it was last sent, up to its own end, if bundled."""

    @property
    def body(self) -> bytes:
        """The chunk in wire form, for a packet with other chunks."""
        return self.packet[PACKET_HEADER_SIZE:]

    def ask_for_sack(self) -> None:
        """Set the I bit, to request a SACK without delay (RFC 7053, 4)."""
        packet = self.packet
        flags = packet[_FLAGS_AT] | IMMEDIATE
        self.packet = packet[:_FLAGS_AT] + bytes((flags,)) + packet[_FLAGS_AT + 1 :]

    @property
    def packet_size(self) -> int:
        """Bytes of the packet that had to get through for it to arrive."""
        return self.shared or len(self.packet)


class OutgoingStream:
    """A stream of ours."""

    __slots__ = ("buffered", "closing", "low_threshold", "messages", "next_ordered",
                 "next_unordered", "paused", "queued", "stream_id", "virtual_time",
                 "weight")  # fmt: skip

    def __init__(self, stream_id: int) -> None:
        self.stream_id = stream_id
        self.messages: deque[Message] = deque()
        self.buffered = 0
        """Bytes queued and not cut yet."""
        self.low_threshold = 0
        """Value of ``buffered`` at or below which an event is reported."""
        self.next_ordered = 0
        self.next_unordered = 0
        self.weight = NORMAL_PRIORITY
        self.virtual_time = 0.0
        self.queued = False
        """Whether it is in the scheduler's heap."""
        self.paused = False
        """Whether a reset is under way, during which nothing is sent (RFC 6525, 5.1.2)."""
        self.closing = False
        """Whether the queue accepts no more messages; the reset follows when it is empty."""
