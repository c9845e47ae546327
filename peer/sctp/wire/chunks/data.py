"""User data: DATA (RFC 9260, 3.3.1) and I-DATA (RFC 8260, 2.1).

DATA numbers messages with a 16-bit stream sequence number; the fragments of a message carry
consecutive TSNs, so one message must leave completely before the next one starts::

     0                   1                   2                   3
     0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |   Type = 0    |  Res  |I|U|B|E|            Length             |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |                              TSN                              |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |       Stream Identifier       |    Stream Sequence Number     |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |                  Payload Protocol Identifier                  |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    /                           User Data                           /
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+

I-DATA numbers messages (MID) and fragments (FSN) apart from TSNs, so fragments of several
messages may alternate. The first fragment carries the identifier in place of its number::

    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |   Type = 64   |  Res  |I|U|B|E|            Length             |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |                              TSN                              |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |       Stream Identifier       |           Reserved            |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |                   Message Identifier (MID)                    |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |  Payload Protocol Identifier / Fragment Sequence Number (FSN) |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    /                           User Data                           /
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
"""

from __future__ import annotations

from struct import Struct

import msgspec

from peer.sctp.errors import Malformed

from .base import ChunkType, serialize_chunk

__all__ = [
    "BEGIN",
    "DATA_HEADER",
    "END",
    "IMMEDIATE",
    "I_DATA_HEADER",
    "UNORDERED",
    "DataChunk",
]

END = 1
BEGIN = 2
UNORDERED = 4
IMMEDIATE = 8
"""The sender asks for a SACK without delay (RFC 9260, 6.2)."""

DATA_HEADER = Struct("!BBHLHHL")
"""Whole DATA header, chunk header included: 16 bytes."""
I_DATA_HEADER = Struct("!BBHLHHLL")
"""Whole I-DATA header, chunk header included: 20 bytes."""

_DATA_VALUE = Struct("!LHHL")
_I_DATA_VALUE = Struct("!LHHLL")


class DataChunk(msgspec.Struct, gc=False):
    """DATA or I-DATA. A struct, because receivers may keep thousands of them."""

    tsn: int
    """On the wire: modulo 2**32."""
    stream_id: int
    message: int
    """Stream sequence number (16 bits) or message identifier (32 bits)."""
    fragment: int
    """Fragment sequence number; 0 in the first fragment and in every DATA chunk."""
    ppid: int
    """0 in all but the first fragment of I-DATA."""
    flags: int
    payload: bytes
    interleaved: bool = False
    """It is I-DATA."""

    @classmethod
    def parse(cls, kind: int, flags: int, value: bytes) -> DataChunk:
        """Parse the value of a DATA or I-DATA chunk.

        Raises:
            Malformed: The header does not fit.
        """
        if kind == ChunkType.DATA:
            if len(value) < _DATA_VALUE.size:
                raise Malformed(f"DATA is {len(value)} bytes, needs {_DATA_VALUE.size}")
            tsn, stream_id, ssn, ppid = _DATA_VALUE.unpack_from(value)
            return cls(tsn, stream_id, ssn, 0, ppid, flags, value[_DATA_VALUE.size :])
        if len(value) < _I_DATA_VALUE.size:
            raise Malformed(f"I-DATA is {len(value)} bytes, needs {_I_DATA_VALUE.size}")
        tsn, stream_id, _, mid, last = _I_DATA_VALUE.unpack_from(value)
        ppid, fragment = (last, 0) if flags & BEGIN else (0, last)
        payload = value[_I_DATA_VALUE.size :]
        return cls(tsn, stream_id, mid, fragment, ppid, flags, payload, interleaved=True)

    def serialize(self) -> bytes:
        """Return the wire form. ``send_queue.py`` packs headers itself."""
        if not self.interleaved:
            head = _DATA_VALUE.pack(self.tsn, self.stream_id, self.message, self.ppid)
            return serialize_chunk(ChunkType.DATA, self.flags, head + self.payload)
        last = self.ppid if self.flags & BEGIN else self.fragment
        head = _I_DATA_VALUE.pack(self.tsn, self.stream_id, 0, self.message, last)
        return serialize_chunk(ChunkType.I_DATA, self.flags, head + self.payload)
