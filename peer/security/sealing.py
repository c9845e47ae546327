"""Keys of a link, sealed signals, and the words two people compare (floor 1).

Both sides of a link that proved a code to each other (`peer.security.pake`) hold the same
`LinkKeys`. A `Sealer` encrypts what one side sends the other through the signaling server, bound to
its envelope (who, to whom, which link, generation and kind) and to its place in the order, so that
the server can neither read nor alter, move, repeat nor reorder it: it can only lose it.

    sealed data = base64url(counter || AES-256-GCM(key, nonce, plaintext, associated data))
    counter     = 8 bytes, big-endian, from 0, one run per direction; only greater ones are accepted
    nonce       = 4 zero bytes || counter
    associated  = lv_cat("peerline.1", from, to, link, gen in decimal, kind), all UTF-8

A link without a password has no keys, but still words to compare: `open_link_sas`, made from both
DTLS fingerprints and two nonces. The offerer commits to its nonce before it sees the other's, so
a server in the middle cannot try nonces until the words on both sides agree: it has one try in
1296^4. Every generation needs fresh nonces: one that was shown once commits to nothing.

`web/client/security/sealing.js` is the same in JavaScript; `tests/vectors/sealing.json` holds both
to it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from dataclasses import dataclass, field
from typing import Final, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from peer.errors import VerificationFailed

from .words import WORDS

__all__ = [
    "MAX_PLAINTEXT",
    "NONCE_SIZE",
    "PROTOCOL",
    "SAS_WORDS",
    "Envelope",
    "LinkKeys",
    "SealError",
    "Sealer",
    "b64u_decode",
    "b64u_encode",
    "check_reveal",
    "commitment",
    "lv_cat",
    "open_link_sas",
    "sas_words",
]

PROTOCOL: Final = b"peerline.1"
"""Separates what is derived here from every other use and version."""

SAS_WORDS: Final = 4
NONCE_SIZE: Final = 32
"""Bytes of each side's nonce in `open_link_sas`."""

_KEY_SIZE: Final = 32
_ISK_SIZE: Final = 64
_COUNTER_SIZE: Final = 8
_TAG_SIZE: Final = 16
_FINGERPRINT_SIZE: Final = 32
_MAX_DATA: Final = 48 * 1024
"""Bytes of the longest `signal.data` that the signaling protocol allows."""
MAX_PLAINTEXT: Final = _MAX_DATA // 4 * 3 - _COUNTER_SIZE - _TAG_SIZE
"""Bytes of the longest plaintext whose sealed form still fits into a signal."""

_B64U: Final = re.compile("[A-Za-z0-9_-]*")


class SealError(VerificationFailed):
    """A sealed signal is not what the other side sealed, or came out of its order.

    Receivers drop such a signal: anybody on the way can make one.
    """


def lv_cat(*parts: bytes) -> bytes:
    """Join byte strings, each after its length in LEB128 (draft-irtf-cfrg-cpace-21, A.1.3)."""
    joined = bytearray()
    for part in parts:
        length = len(part)
        while length > 0x7F:
            joined.append(length & 0x7F | 0x80)
            length >>= 7
        joined.append(length)
        joined += part
    return bytes(joined)


def b64u_encode(data: bytes) -> str:
    """Base64url without padding (RFC 4648, 5)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def b64u_decode(text: str) -> bytes:
    """The bytes of base64url text without padding, in its one canonical form.

    Raises:
        ValueError: It is something else: other characters, padding, an impossible length, or
            unused bits that are not zero.
    """
    if not _B64U.fullmatch(text) or len(text) % 4 == 1:
        raise ValueError("not base64url")
    data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if b64u_encode(data) != text:
        raise ValueError("not canonical base64url")
    return data


@dataclass(frozen=True, slots=True)
class LinkKeys:
    """Keys that both sides of an authenticated link derive from their shared key.

    Attributes:
        seal_offerer: AES-256 key of what the offerer sends.
        seal_answerer: AES-256 key of what the answerer sends.
        resume: 32 bytes with which the two may authenticate each other again without a code.
        sas: The words that both people see.
    """

    seal_offerer: bytes = field(repr=False)
    seal_answerer: bytes = field(repr=False)
    resume: bytes = field(repr=False)
    sas: tuple[str, ...]

    @classmethod
    def derive(cls, isk: bytes) -> Self:
        """Derive the keys from CPace's intermediate session key (64 bytes)."""
        if len(isk) != _ISK_SIZE:
            raise ValueError(f"an intermediate session key has {_ISK_SIZE} bytes, not {len(isk)}")
        return cls(
            seal_offerer=_hkdf(isk, b"peerline.1 seal offerer"),
            seal_answerer=_hkdf(isk, b"peerline.1 seal answerer"),
            resume=_hkdf(isk, b"peerline.1 resume"),
            sas=sas_words(_hkdf(isk, b"peerline.1 sas")),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """Fields of a signal that the server sees; the sealed data is bound to them.

    Attributes:
        sender: Peer id of who sends it (`from` on the wire).
        to: Peer id of who receives it.
        link: Id of the link.
        gen: Generation of the connection under the link.
        kind: `offer`, `answer`, `candidate`, ...
    """

    sender: str
    to: str
    link: str
    gen: int
    kind: str

    def associated_data(self) -> bytes:
        """The envelope as AES-GCM's associated data."""
        texts = (self.sender, self.to, self.link, str(self.gen), self.kind)
        # A lone surrogate cannot be in what the other side sealed, but a server may send one.
        return lv_cat(PROTOCOL, *(text.encode("utf-8", "surrogatepass") for text in texts))


class Sealer:
    """Seals what this side sends on a link, and opens what the other side sealed.

    One sealer serves a link for its whole life, across generations: the counters never go back.

    Args:
        keys: Of the link.
        offerer: Whether this side is the link's offerer.
    """

    __slots__ = ("_last_opened", "_next_counter", "_receive", "_send")

    def __init__(self, keys: LinkKeys, *, offerer: bool) -> None:
        ours, theirs = keys.seal_offerer, keys.seal_answerer
        if not offerer:
            ours, theirs = theirs, ours
        self._send = AESGCM(ours)
        self._receive = AESGCM(theirs)
        self._next_counter = 0
        self._last_opened = -1

    def seal(self, envelope: Envelope, plaintext: bytes) -> str:
        """Seal one signal; the sealed ones must be sent in the order of these calls.

        Raises:
            SealError: The plaintext is longer than `MAX_PLAINTEXT`.
        """
        if len(plaintext) > MAX_PLAINTEXT:
            raise SealError(
                f"A signal of {len(plaintext)} bytes is over the limit of {MAX_PLAINTEXT}."
            )
        counter = self._next_counter.to_bytes(_COUNTER_SIZE, "big")
        self._next_counter += 1
        sealed = self._send.encrypt(_nonce(counter), plaintext, envelope.associated_data())
        return b64u_encode(counter + sealed)

    def open(self, envelope: Envelope, data: str) -> bytes:
        """Open one signal from the other side.

        Raises:
            SealError: It is not sealed with the other side's key for this envelope, or it is not
                newer than the last one that was opened. The sealer stays as it was.
        """
        if len(data) > _MAX_DATA:
            raise SealError("A sealed signal is too long.")
        try:
            sealed = b64u_decode(data)
        except ValueError:
            raise SealError("A signal is not sealed.") from None
        if len(sealed) < _COUNTER_SIZE + _TAG_SIZE:
            raise SealError("A signal is not sealed.")
        prefix = sealed[:_COUNTER_SIZE]
        counter = int.from_bytes(prefix, "big")
        if counter <= self._last_opened:
            raise SealError("A sealed signal was repeated, or came out of order.")
        try:
            plaintext = self._receive.decrypt(
                _nonce(prefix), sealed[_COUNTER_SIZE:], envelope.associated_data()
            )
        except InvalidTag:
            raise SealError("A sealed signal is not as the other side sealed it.") from None
        self._last_opened = counter
        return plaintext


def sas_words(key: bytes) -> tuple[str, ...]:
    """Four words from the first 8 bytes of a key, 10.3 bits each, least significant first."""
    rest, chosen = int.from_bytes(key[:8], "big"), []
    for _ in range(SAS_WORDS):
        rest, index = divmod(rest, len(WORDS))
        chosen.append(WORDS[index])
    return tuple(chosen)


def commitment(nonce: bytes) -> str:
    """Return the commitment of an offerer to its nonce, on a link without a password."""
    if len(nonce) != NONCE_SIZE:
        raise ValueError(f"a nonce has {NONCE_SIZE} bytes, not {len(nonce)}")
    return b64u_encode(hashlib.sha256(nonce).digest())


def check_reveal(committed: str, reveal: str) -> bytes:
    """The offerer's nonce, checked against what it committed to in its offer.

    Args:
        committed: `commit` from the offer, base64url.
        reveal: `reveal` from the offerer's `hello`, base64url.

    Raises:
        VerificationFailed: It is not the nonce that the offer committed to.
    """
    try:
        nonce = b64u_decode(reveal)
        matches = hmac.compare_digest(commitment(nonce).encode(), committed.encode())
    except ValueError:
        matches = False
    if not matches:
        raise VerificationFailed("The set-up of the connection was tampered with, so it was ended.")
    return nonce


def open_link_sas(
    *,
    offerer_nonce: bytes,
    answerer_nonce: bytes,
    offerer_fingerprint: bytes,
    answerer_fingerprint: bytes,
) -> tuple[str, ...]:
    """The words of a link without password.

    Args:
        offerer_nonce: 32 random bytes of the offerer, committed to in the offer and shown in its
            `hello`.
        answerer_nonce: 32 random bytes of the answerer, from the answer.
        offerer_fingerprint: SHA-256 of the offerer's DTLS certificate, from its description.
        answerer_fingerprint: SHA-256 of the answerer's.

    Raises:
        ValueError: One of them is not 32 bytes long.
    """
    parts = (offerer_nonce, answerer_nonce, offerer_fingerprint, answerer_fingerprint)
    for part, size in zip(parts, (NONCE_SIZE,) * 2 + (_FINGERPRINT_SIZE,) * 2, strict=True):
        if len(part) != size:
            raise ValueError(f"nonces and fingerprints have {size} bytes, not {len(part)}")
    return sas_words(_hkdf(b"".join(parts), b"peerline.1 sas"))


def _hkdf(ikm: bytes, info: bytes) -> bytes:
    """HKDF-SHA-256 (RFC 5869) with an empty salt."""
    return HKDF(algorithm=SHA256(), length=_KEY_SIZE, salt=None, info=info).derive(ikm)


def _nonce(counter: bytes) -> bytes:
    return bytes(4) + counter
