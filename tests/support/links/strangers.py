"""Datagrams that nobody asked for: of every shape that is near to one that counts."""

from __future__ import annotations

import binascii
import hashlib
import hmac
import random
import struct
from collections.abc import Iterator

__all__ = ["attribute", "datagrams", "fingerprint", "record", "stun_message"]

COOKIE = 0x2112A442
KINDS = (
    0x0001, 0x0003, 0x0004, 0x0005, 0x0006, 0x0008, 0x0009, 0x000C, 0x000D, 0x0012, 0x0013, 0x0014,
    0x0015, 0x0016, 0x0019, 0x0020, 0x0024, 0x0025, 0x8022, 0x8028, 0x8029, 0x802A, 0x802B, 0x802C,
    0x0000, 0x7777, 0xFFFF,
)  # fmt: skip
"""Attributes that aioice reads, and some that it does not know."""
TYPES = (0x0001, 0x0011, 0x0101, 0x0111, 0x0003, 0x0017, 0x0103, 0x0113, 0x0008, 0x0FFF)


def attribute(kind: int, value: bytes, length: int | None = None) -> bytes:
    """One attribute; `length` may lie."""
    size = len(value) if length is None else length
    return struct.pack("!HH", kind, size & 0xFFFF) + value + bytes(-len(value) % 4)


def stun_message(
    body: bytes, kind: int = 1, transaction: bytes = bytes(12), length: int | None = None
) -> bytes:
    """A message; `length` may lie."""
    size = len(body) if length is None else length
    return struct.pack("!HHI", kind, size & 0xFFFF, COOKIE) + transaction + body


def fingerprint(message: bytes) -> bytes:
    """The same message with a right FINGERPRINT."""
    head = message[:2] + struct.pack("!H", len(message) - 20 + 8) + message[4:]
    return head + attribute(0x8028, struct.pack("!I", binascii.crc32(head) ^ 0x5354554E))


def signed(message: bytes, password: str) -> bytes:
    """The same message with a right MESSAGE-INTEGRITY and FINGERPRINT."""
    head = message[:2] + struct.pack("!H", len(message) - 20 + 24) + message[4:]
    digest = hmac.new(password.encode(), head, hashlib.sha1).digest()
    return fingerprint(head + attribute(0x0008, digest))


def record(kind: int, epoch: int, payload: bytes, *, sequence: int = 1, length: int = -1) -> bytes:
    """A DTLS record; `length` may lie."""
    size = len(payload) if length < 0 else length
    return (
        struct.pack("!BHHHIH", kind, 0xFEFD, epoch, 0, sequence & 0xFFFFFFFF, size & 0xFFFF)
        + payload
    )


def datagrams(seed: int, username: str = "abcd:efgh") -> Iterator[bytes]:
    """Without end; the same ones for the same seed.

    Args:
        seed: Of the random numbers.
        username: For binding requests that know this much and have no password.
    """
    rng = random.Random(seed)
    makers = (_noise, _giant, _stun, _stun, _stun, _request, _records, _records, _alert, _mixture)
    while True:
        data = rng.choice(makers)(rng, username)
        if data and rng.random() < 0.1:
            damaged = bytearray(data)
            damaged[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
            data = bytes(damaged)
        yield data


def _noise(rng: random.Random, username: str) -> bytes:
    return rng.randbytes(rng.choice((0, 1, 2, 4, 12, 13, 20, 28, 100, 1200)))


def _giant(rng: random.Random, username: str) -> bytes:
    head = rng.choice((b"\0\x01", b"\x17\xfe\xfd", b"\x16\xfe\xfd", b"\x40\x00", b"\x80", b"\xff"))
    return head + bytes(rng.choice((1473, 9000, 16_400, 20_000, 65_000)))


def _stun(rng: random.Random, username: str) -> bytes:
    body = b"".join(
        attribute(
            rng.choice(KINDS),
            rng.randbytes(rng.choice((0, 1, 2, 3, 4, 5, 8, 12, 20, 20, 40))),
            rng.choice((None, None, None, None, 0, 3, 1000, 65535)),
        )
        for _ in range(rng.choice((0, 1, 1, 2, 3, 40)))
    )
    message = stun_message(
        body,
        rng.choice(TYPES),
        rng.randbytes(12),
        rng.choice((None, None, None, None, 0, 4, 65535)),
    )
    for _ in range(rng.choice((0, 0, 1, 2))):
        message = fingerprint(message)
    return message


def _request(rng: random.Random, username: str) -> bytes:
    body = attribute(0x0006, rng.choice((username.encode(), b"\xff:", b"a:b"))) + attribute(
        0x0024, rng.randbytes(rng.choice((0, 4, 4)))
    )
    if rng.random() < 0.5:
        body += attribute(0x0025, b"") + attribute(0x802A, rng.randbytes(8))
    message = stun_message(body, 1, rng.randbytes(12))
    return signed(message, "a wrong password") if rng.random() < 0.7 else fingerprint(message)


def _records(rng: random.Random, username: str) -> bytes:
    return b"".join(
        record(
            rng.choice((20, 21, 22, 23, 24, 25, 26, 40, 47, 63)),
            rng.choice((0, 1, 1, 2, 65535)),
            rng.randbytes(rng.choice((0, 1, 2, 12, 40, 300, 1100))),
            sequence=rng.randrange(1 << 32),
            length=rng.choice((-1, -1, -1, 0, 5, 20_000)),
        )
        for _ in range(rng.choice((1, 1, 1, 2, 5)))
    )


def _alert(rng: random.Random, username: str) -> bytes:
    """An alert in the clear: close_notify, or a fatal one (RFC 5246, 7.2)."""
    return record(21, rng.choice((0, 0, 1, 2)), rng.choice((b"\x01\x00", b"\x02\x28", b"\x02\x00")))


def _mixture(rng: random.Random, username: str) -> bytes:
    return _records(rng, username) + _stun(rng, username)
