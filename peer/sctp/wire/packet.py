"""The common header, and packets of chunks.

::

     0                   1                   2                   3
     0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |      Source Port Number       |    Destination Port Number    |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |                       Verification Tag                        |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |                           Checksum                            |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+

RFC 9260, 3.1.
"""

from __future__ import annotations

from struct import Struct

from peer.sctp.errors import Malformed

from .chunks.base import HEADER as CHUNK_HEADER
from .chunks.base import RawChunk
from .crc32c import crc32c, extend

__all__ = ["PACKET_HEADER_SIZE", "PacketWriter", "parse_header", "split_chunks"]

PACKET_HEADER_SIZE = 12
_HEADER = Struct("!HHL")
_ZERO = b"\0\0\0\0"


def parse_header(datagram: bytes) -> tuple[int, int, int]:
    """Return source port, destination port and verification tag.

    Raises:
        Malformed: It is shorter than a header and a chunk.
    """
    if len(datagram) < PACKET_HEADER_SIZE + CHUNK_HEADER.size:
        raise Malformed(f"packet of {len(datagram)} bytes")
    source, destination, tag = _HEADER.unpack_from(datagram)
    return source, destination, tag


def split_chunks(datagram: bytes) -> list[RawChunk]:
    """Cut the chunks out of a packet whose header was checked.

    Raises:
        Malformed: A chunk's length does not fit the packet (RFC 9260, 3.2).
    """
    chunks: list[RawChunk] = []
    position = PACKET_HEADER_SIZE
    end = len(datagram)
    while position + 4 <= end:
        kind, flags, length = CHUNK_HEADER.unpack_from(datagram, position)
        if length < 4 or position + length > end:
            raise Malformed(f"chunk {kind} has a length of {length} bytes")
        chunks.append(RawChunk(kind, flags, datagram[position + 4 : position + length]))
        position += length + (-length & 3)
    return chunks


class PacketWriter:
    """Puts the header and the checksum before chunks."""

    __slots__ = ("_crc", "_prefix", "_source", "_target", "header", "zero_checksum")

    def __init__(self, local_port: int, remote_port: int) -> None:
        self._source = local_port
        self._target = remote_port
        self.set_peer(0, zero_checksum=False)

    def set_peer(self, tag: int, *, zero_checksum: bool) -> None:
        """Use the peer's verification tag, and no checksums if it accepts that (RFC 9653)."""
        self._prefix = _HEADER.pack(self._source, self._target, tag)
        self._crc = crc32c(self._prefix + _ZERO)
        self.zero_checksum = zero_checksum
        self.header = self._prefix + _ZERO
        """The whole header when no checksum is needed."""

    def wrap(self, body: bytes) -> bytes:
        """Return the packet that carries the chunks in ``body``."""
        if self.zero_checksum:
            return self.header + body
        crc: int = extend(self._crc, body)
        return self._prefix + crc.to_bytes(4, "little") + body

    def finish(self, packet: bytes) -> bytes:
        """Return a packet whose checksum is zero, with the one that the peer wants."""
        return packet if self.zero_checksum else self.wrap(packet[PACKET_HEADER_SIZE:])

    def wrap_checked(self, body: bytes, tag: int | None = None) -> bytes:
        """Return the packet with its checksum whatever was agreed.

        RFC 9653, 5.2: INIT, COOKIE ECHO and answers to packets of no association carry one.

        Args:
            body: Chunks in wire form.
            tag: Verification tag, when it is not the peer's.
        """
        prefix = self._prefix
        if tag is not None:
            prefix = _HEADER.pack(self._source, self._target, tag)
        crc: int = extend(crc32c(prefix + _ZERO), body)
        return prefix + crc.to_bytes(4, "little") + body
