"""The two messages that open a channel in-band (RFC 8832, 5).

DATA_CHANNEL_OPEN::

     0                   1                   2                   3
     0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |  Message Type |  Channel Type |            Priority           |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |                    Reliability Parameter                      |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |         Label Length          |       Protocol Length         |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    /                             Label                             /
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    /                            Protocol                           /
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+

DATA_CHANNEL_ACK is the message type alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct

from peer.sctp.errors import Malformed
from peer.sctp.send.outgoing_chunks import NORMAL_PRIORITY

__all__ = ["ACK", "ACK_TYPE", "OPEN_TYPE", "DataChannelOpen"]

OPEN_TYPE = 3
ACK_TYPE = 2
ACK = bytes([ACK_TYPE])

_FIXED = Struct("!BBHLHH")
_UNORDERED = 0x80
_RELIABLE, _MAX_RETRANSMITS, _MAX_LIFETIME = range(3)


@dataclass(frozen=True, slots=True)
class DataChannelOpen:
    """DATA_CHANNEL_OPEN."""

    label: str
    protocol: str
    ordered: bool
    max_retransmits: int | None
    max_lifetime: float | None
    """Seconds; milliseconds on the wire."""
    priority: int

    @classmethod
    def parse(cls, data: bytes) -> DataChannelOpen:
        """Parse the whole message.

        Raises:
            Malformed: It is not a DATA_CHANNEL_OPEN, or has an unknown channel type.
        """
        if len(data) < _FIXED.size or data[0] != OPEN_TYPE:
            raise Malformed("not a DATA_CHANNEL_OPEN")
        _, kind, priority, reliability, label_size, protocol_size = _FIXED.unpack_from(data)
        texts = data[_FIXED.size :]
        if len(texts) != label_size + protocol_size:
            raise Malformed("the label or the protocol has the wrong length")
        if kind & ~_UNORDERED > _MAX_LIFETIME:
            raise Malformed(f"channel type {kind:#04x}")
        try:
            label, protocol = texts[:label_size].decode(), texts[label_size:].decode()
        except UnicodeDecodeError:
            raise Malformed("the label or the protocol is not UTF-8") from None
        return cls(
            label=label,
            protocol=protocol,
            ordered=not kind & _UNORDERED,
            max_retransmits=reliability if kind & 3 == _MAX_RETRANSMITS else None,
            max_lifetime=reliability / 1000 if kind & 3 == _MAX_LIFETIME else None,
            # aiortc and Firefox write 0 for "not given".
            priority=priority or NORMAL_PRIORITY,
        )

    def serialize(self) -> bytes:
        """Return the wire form."""
        kind, reliability = _RELIABLE, 0
        if self.max_retransmits is not None:
            kind, reliability = _MAX_RETRANSMITS, self.max_retransmits
        elif self.max_lifetime is not None:
            kind, reliability = _MAX_LIFETIME, round(self.max_lifetime * 1000)
        if not self.ordered:
            kind |= _UNORDERED
        label, protocol = self.label.encode(), self.protocol.encode()
        return (
            _FIXED.pack(OPEN_TYPE, kind, self.priority, reliability, len(label), len(protocol))
            + label
            + protocol
        )
