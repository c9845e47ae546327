"""The checksum of an SCTP packet: CRC32c, little-endian, over a zeroed field (RFC 9260, 6.8)."""

from __future__ import annotations

import google_crc32c

__all__ = ["crc32c", "extend", "has_valid_checksum"]

_ZERO = b"\0\0\0\0"


def crc32c(data: bytes) -> int:
    """Return the CRC32c (Castagnoli) of ``data``."""
    value: int = google_crc32c.value(data)
    return value


extend = google_crc32c.extend
"""``extend(crc, data)``: the CRC32c of the bytes behind ``crc`` followed by ``data``."""


def has_valid_checksum(datagram: bytes) -> bool:
    """Return whether bytes 8 to 12 of ``datagram`` are its checksum."""
    crc: int = extend(crc32c(datagram[:8] + _ZERO), datagram[12:])
    return datagram[8:12] == crc.to_bytes(4, "little")
