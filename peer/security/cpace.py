"""The arithmetic of CPace: generator, shares, session key and tags (floor 1).

X25519 is the `cryptography` package's. Elligator 2 is computed here with Python's integers, which
do not take constant time: acceptable for a code that is used once.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Final
from unicodedata import normalize

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from .sealing import lv_cat

__all__ = [
    "SCALAR_SIZE",
    "SHARE_SIZE",
    "TAG_SIZE",
    "elligator2",
    "generator",
    "generator_string",
    "mac_key",
    "password_bytes",
    "scalar_mult_vfy",
    "session_key",
    "tag",
]

SCALAR_SIZE: Final = 32
SHARE_SIZE: Final = 32
TAG_SIZE: Final = 64

# G_X25519 (draft-irtf-cfrg-cpace-21, 8.2), SHA-512 and Curve25519.
_DSI: Final = b"CPace255"
_SHA512_BLOCK: Final = 128
_Q: Final = 2**255 - 19
_A: Final = 486662
_Z: Final = 2


def password_bytes(password: str) -> bytes:
    """Return the password of a named room as CPace takes it: NFC, UTF-8.

    Keyboards encode the same character in different ways; NFC makes them one.
    """
    return normalize("NFC", password).encode("utf-8")


def generator_string(prs: bytes, ci: bytes, sid: bytes) -> bytes:
    """Return the input of the generator's hash, padded so that PRS fills the first block.

    As in draft-irtf-cfrg-cpace-21, 8.1.
    """
    padding = _SHA512_BLOCK - 1 - len(lv_cat(prs)) - len(lv_cat(_DSI))
    return lv_cat(_DSI, prs, bytes(max(0, padding)), ci, sid)


def generator(prs: bytes, ci: bytes, sid: bytes) -> bytes:
    """Return the u-coordinate of the point that only a holder of PRS can compute.

    As in draft-irtf-cfrg-cpace-21, 8.2.
    """
    digest = hashlib.sha512(generator_string(prs, ci, sid)).digest()[:32]
    # decodeUCoordinate (RFC 7748, 5) ignores the bit above the field's 255.
    return elligator2(int.from_bytes(digest, "little") & (1 << 255) - 1)


def elligator2(r: int) -> bytes:
    """Return the u-coordinate, little-endian, of Elligator 2 on Curve25519 (RFC 9380, 6.7.1)."""
    v = -_A * pow(1 + _Z * r * r, _Q - 2, _Q) % _Q
    on_curve = pow(v * v * v + _A * v * v + v, (_Q - 1) // 2, _Q) != _Q - 1
    return (v if on_curve else (-v - _A) % _Q).to_bytes(32, "little")


def scalar_mult_vfy(scalar: bytes, point: bytes) -> bytes | None:
    """Return X25519 (RFC 7748, 5), or None for a point of low order.

    None is where draft-irtf-cfrg-cpace-21, 7.2 says to abort.
    """
    try:
        product = X25519PrivateKey.from_private_bytes(scalar).exchange(
            X25519PublicKey.from_public_bytes(point)
        )
    except ValueError:  # raised by `cryptography` for a point of low order
        return None
    return product if any(product) else None


def session_key(
    sid: bytes,
    shared: bytes,
    offerer_share: bytes,
    offerer_ad: bytes,
    answerer_share: bytes,
    answerer_ad: bytes,
) -> bytes:
    """Return the intermediate session key, ISK, 64 bytes (draft-irtf-cfrg-cpace-21, 7.2)."""
    transcript = lv_cat(offerer_share, offerer_ad) + lv_cat(answerer_share, answerer_ad)
    return hashlib.sha512(lv_cat(_DSI + b"_ISK", sid, shared) + transcript).digest()


def mac_key(sid: bytes, isk: bytes) -> bytes:
    """Return the key of both tags (draft-irtf-cfrg-cpace-21, 10.4)."""
    return hashlib.sha512(b"CPaceMac" + sid + isk).digest()


def tag(key: bytes, share: bytes, ad: bytes) -> bytes:
    """Return the tag of one side over its share and associated data."""
    return hmac.digest(key, lv_cat(share, ad), "sha512")
