"""INIT and INIT ACK (RFC 9260, 3.3.2 and 3.3.3).

::

     0                   1                   2                   3
     0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |  Type = 1, 2  |  Chunk Flags  |         Chunk Length          |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |                         Initiate Tag                          |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |           Advertised Receiver Window Credit (a_rwnd)          |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |  Number of Outbound Streams   |   Number of Inbound Streams   |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |                          Initial TSN                          |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    /              Optional/Variable-Length Parameters              /
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+

An INIT ACK has the same form and carries a State Cookie parameter. The cookie comes back
unchanged in a COOKIE ECHO (3.3.11), whose value it is; COOKIE ACK (3.3.12) is empty.
"""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct

from peer.sctp.errors import Malformed
from peer.sctp.wire.params import Param, parse_params, serialize_params

from .base import ChunkType, serialize_chunk

__all__ = ["Init"]

_FIXED = Struct("!LLHHL")


@dataclass(frozen=True, slots=True)
class Init:
    """INIT or INIT ACK."""

    initiate_tag: int
    """The verification tag that packets toward its sender must carry."""
    window: int
    """a_rwnd, bytes."""
    outbound_streams: int
    inbound_streams: int
    initial_tsn: int
    params: tuple[Param, ...] = ()

    @classmethod
    def parse(cls, flags: int, value: bytes) -> Init:
        """Parse the value of an INIT or INIT ACK.

        Raises:
            Malformed: The fixed part or a parameter does not fit.
        """
        if len(value) < _FIXED.size:
            raise Malformed(f"INIT is {len(value)} bytes, needs {_FIXED.size}")
        tag, window, outbound, inbound, tsn = _FIXED.unpack_from(value)
        params = tuple(parse_params(value[_FIXED.size :]))
        return cls(tag, window, outbound, inbound, tsn, params)

    def serialize(self, kind: ChunkType) -> bytes:
        """Return the wire form as ``kind``, INIT or INIT_ACK."""
        fixed = _FIXED.pack(
            self.initiate_tag,
            self.window,
            self.outbound_streams,
            self.inbound_streams,
            self.initial_tsn,
        )
        return serialize_chunk(kind, 0, fixed + serialize_params(self.params))
