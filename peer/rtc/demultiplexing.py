"""Classification of datagrams, before any stateful parser reads them (floor 1).

Anyone can send to an open UDP port, from any source address. aioice's STUN parser raises various
errors on attributes of the wrong length, and computes a checksum over the whole message for each
`FINGERPRINT`; OpenSSL reads its BIO as one stream, so that a record with a false length swallows
the beginning of the next one. This module checks formats only, in time linear in the size: contents
may still be false, which those parsers handle.
"""

from __future__ import annotations

import enum
from struct import Struct

__all__ = ["StunClass", "are_records", "is_records", "is_stun", "stun_class"]

MAX_STUN = 1500
"""Bytes. A check has some 120; RFC 8489, 6.1 requires that messages fit into a packet."""
MAX_ATTRIBUTES = 32
MAX_RECORD = (1 << 14) + 2048
"""Bytes of a protected record (RFC 5246, 6.2.3, which RFC 6347 keeps)."""

_HEADER = Struct("!HHI")
_ATTRIBUTE = Struct("!HH")
_STUN_HEADER = 20
_COOKIE = 0x2112A442
_FINGERPRINT = 0x8028
_ERROR_CODE = 0x0009
_SIZES = {
    0x0003: 4,  # CHANGE-REQUEST
    0x0008: 20,  # MESSAGE-INTEGRITY
    0x000C: 4,  # CHANNEL-NUMBER
    0x000D: 4,  # LIFETIME
    0x0019: 4,  # REQUESTED-TRANSPORT
    0x0024: 4,  # PRIORITY
    0x0025: 0,  # USE-CANDIDATE
    _FINGERPRINT: 4,
    0x8029: 8,  # ICE-CONTROLLED
    0x802A: 8,  # ICE-CONTROLLING
}
_ADDRESSES = frozenset((0x0001, 0x0004, 0x0005, 0x0012, 0x0016, 0x0020, 0x802B, 0x802C))

_RECORD_HEADER = 13
_CHANGE_CIPHER_SPEC, _ALERT, _APPLICATION_DATA, _ACK = 20, 21, 23, 26


class StunClass(enum.Enum):
    """Class of a STUN message (RFC 8489, 5)."""

    REQUEST = 0x000
    INDICATION = 0x010
    RESPONSE = 0x100
    ERROR = 0x110


def stun_class(data: bytes | memoryview) -> StunClass | None:
    """Return the class of a possible STUN message by its first two bytes; None if it is not one."""
    if len(data) < _STUN_HEADER or data[0] > 3:
        return None
    return StunClass((data[0] & 1) << 8 | data[1] & 0x10)


def is_stun(data: bytes | memoryview, limit: int = MAX_STUN) -> bool:
    """Return whether a datagram is a STUN message (RFC 8489, 5) of at most `limit` bytes.

    Attributes of fixed length must have it, and `FINGERPRINT` must be the last one.
    """
    size = len(data)
    if not _STUN_HEADER <= size <= limit or data[0] > 3:
        return False
    _, length, cookie = _HEADER.unpack_from(data)
    if cookie != _COOKIE or length != size - _STUN_HEADER or length % 4:
        return False
    at = _STUN_HEADER
    for _ in range(MAX_ATTRIBUTES):
        if at == size:
            return True
        kind, length = _ATTRIBUTE.unpack_from(data, at)
        at += 4 + length + -length % 4
        if at > size or not _has_its_size(kind, length):
            return False
        if kind == _FINGERPRINT and at != size:
            return False
    return at == size


def _has_its_size(kind: int, length: int) -> bool:
    if kind in _ADDRESSES:
        return length in (8, 20)
    if kind == _ERROR_CODE:
        return length >= 4
    return _SIZES.get(kind, length) == length


def is_records(data: bytes | memoryview) -> bool:
    """Return whether a datagram consists of complete, acceptable DTLS records (RFC 6347, 4.1).

    An unencrypted alert is not acceptable: anyone can forge it, and OpenSSL ends a handshake
    because of it (RFC 6347, 4.1.2.7 allows dropping it). DTLS 1.3 has records with a short header
    (RFC 9147, 4); connection ids are never negotiated.
    """
    size = len(data)
    if not 0 < size <= _RECORD_HEADER + MAX_RECORD:
        return False
    at = 0
    while at < size:
        kind = data[at]
        if _CHANGE_CIPHER_SPEC <= kind <= _ACK:
            if at + _RECORD_HEADER >= size or data[at + 1] != 0xFE:
                return False
            if kind == _ALERT and not (data[at + 3] or data[at + 4]):
                return False
            length = data[at + 11] << 8 | data[at + 12]
            at += _RECORD_HEADER + length
        elif kind >> 5 == 1 and not kind & 0x10:
            header = 3 if kind & 8 else 2
            if kind & 4:
                if at + header + 2 > size:
                    return False
                length = data[at + header] << 8 | data[at + header + 1]
                header += 2
            else:
                length = size - at - header
            at += header + length
        else:
            return False
        if not 0 < length <= MAX_RECORD:
            return False
    return at == size


def are_records(batch: memoryview, segment: int) -> bool:
    """Return whether `is_records` holds for each `segment` bytes; the last may be shorter.

    Where all headers are alike (data of DTLS 1.2, one record per datagram), each header byte is
    checked for all datagrams at once.
    """
    whole = len(batch) // segment
    length = segment - _RECORD_HEADER
    if (
        whole > 1
        and 0 < length <= MAX_RECORD
        and _all(batch, segment, whole, 0, _APPLICATION_DATA)
        and _all(batch, segment, whole, 1, 0xFE)
        and _all(batch, segment, whole, 11, length >> 8)
        and _all(batch, segment, whole, 12, length & 0xFF)
    ):
        rest = batch[whole * segment :]
        return not rest or is_records(rest)
    return all(is_records(batch[at : at + segment]) for at in range(0, len(batch), segment))


def _all(batch: memoryview, segment: int, whole: int, offset: int, byte: int) -> bool:
    """Return whether the first `whole` datagrams have `byte` at `offset`."""
    return batch[offset : whole * segment : segment].tobytes().count(byte) == whole
