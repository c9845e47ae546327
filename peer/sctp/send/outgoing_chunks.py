"""What travels from ``send`` to the wire: messages, streams, chunks with a TSN."""

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
    """A message that waits, or is being cut."""

    stream_id: int
    ppid: int
    data: bytes
    unordered: int
    """The U bit."""
    limited: bool
    """It may be given up (RFC 3758)."""
    max_retransmits: float
    """Times a fragment may be sent again; ``inf`` for no limit."""
    expires_at: float
    """Monotonic time after which it is given up; ``inf`` for never."""
    number: int = -1
    """Wire sequence number or message identifier; -1 before the first fragment."""
    position: int = 0
    """Bytes cut so far."""
    fragment: int = 0
    """Fragments cut so far."""
    abandoned: bool = False
    stand_in: Tsn = -1
    """TSN that stands for the rest of it, when it was given up half cut; -1 for none."""
    tsns: list[Tsn] = []
    """TSNs of its fragments, when ``limited``."""


class OutgoingChunk(msgspec.Struct, gc=False, eq=False):
    """
    A fragment with a TSN, from its first transmission until it is cumulatively acknowledged.

    A msgspec struct is made twice as fast as a class with ``__slots__``, and without garbage
    collector tracking; there is one for each packet.
    """

    tsn: Tsn
    packet: bytes
    """
    A packet with nothing but this chunk, padded, its checksum zero: most chunks leave in one, and
    what is built whole is copied once.
    """
    size: int
    """Payload bytes: what the peer's window counts."""
    wire: int
    """Bytes it takes on the path, its share of headers included."""
    sequence: int
    """Place in the order of transmission; a retransmission takes a new one."""
    snapshot: SendSnapshot
    """The burst it last left in."""
    message: Message | None = None
    """Its message, when that may be given up."""
    retransmissions: int = 0
    acked: bool = False
    lost: bool = False
    """Waits to be sent again."""
    abandoned: bool = False
    unreported: bool = False
    """Too old to be in flight, but a cut SACK did not say whether it arrived."""
    shared: int = 0
    """Bytes of the packet that it last left in, up to its own end, if it was not the first."""

    @property
    def body(self) -> bytes:
        """The chunk in wire form, for a packet that it shares."""
        return self.packet[PACKET_HEADER_SIZE:]

    def ask_for_sack(self) -> None:
        """Set the I bit: the peer should acknowledge without delay (RFC 7053, 4)."""
        packet = self.packet
        flags = packet[_FLAGS_AT] | IMMEDIATE
        self.packet = packet[:_FLAGS_AT] + bytes((flags,)) + packet[_FLAGS_AT + 1 :]

    @property
    def packet_size(self) -> int:
        """Bytes that had to get through for it to arrive, when it last left."""
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
        """``buffered`` falling to this is worth an event."""
        self.next_ordered = 0
        self.next_unordered = 0
        self.weight = NORMAL_PRIORITY
        self.virtual_time = 0.0
        self.queued = False
        """It is in the scheduler's heap."""
        self.paused = False
        """A reset is under way: nothing leaves before it is done (RFC 6525, 5.1.2)."""
        self.closing = False
        """No more messages are taken; the reset follows when the queue is empty."""
