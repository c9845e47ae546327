"""Session descriptions as text: what must be taken out, and what is to be read from them.

Only what aiortc gets wrong or does not tell is done here; it parses the rest itself.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass

from peer.errors import ProtocolError

__all__ = [
    "RemoteDescription",
    "candidate_lines",
    "fingerprint",
    "with_proposal",
    "without_end_of_candidates",
]

MAX_SIZE = 48 * 1024
MAX_CANDIDATES = 64
DEFAULT_MAX_MESSAGE_SIZE = 65536
"""What RFC 8841 section 6.1 says when `max-message-size` is not given."""
UNLIMITED_MESSAGE_SIZE = 2**30
"""Stands for `max-message-size:0`, no limit (RFC 8841 section 6); what Firefox announces."""

_CANDIDATE = re.compile(r"^a=(candidate:[^\r\n]+)\r?\n?", re.MULTILINE)
_END = re.compile(r"^a=end-of-candidates\r?\n?", re.MULTILINE)
_FINGERPRINT = re.compile(
    r"^a=fingerprint:sha-256 ([0-9A-F]{2}(?::[0-9A-F]{2}){31})\r?$", re.I | re.M
)
_MAX_MESSAGE_SIZE = re.compile(r"^a=max-message-size:(\d{1,10})\r?$", re.MULTILINE)
_PROPOSAL = re.compile(r"^a=sctp-init:([A-Za-z0-9+/=]{1,1024})\r?$", re.MULTILINE)
_MEDIA = re.compile(r"^m=(\w+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class RemoteDescription:
    """The other side's description, taken apart.

    Attributes:
        sdp: to give to aiortc: without candidates (they are added one by one, so that the
            lookup of a `.local` name cannot hold up the answer) and without
            `a=end-of-candidates` (aioice then gives up while such a lookup still runs).
        candidates: the candidate lines that were taken out, without `a=`.
        fingerprint: of the DTLS certificate, SHA-256, 32 bytes.
        max_message_size: largest message the other side accepts, in bytes.
        proposal: an SCTP INIT chunk (draft-hancke-tsvwg-snap); empty if there is none.
    """

    sdp: str
    candidates: tuple[str, ...]
    fingerprint: bytes
    max_message_size: int
    proposal: bytes

    @classmethod
    def parse(cls, sdp: str) -> RemoteDescription:
        """Take a description apart.

        Raises:
            ProtocolError: if it is not one of a connection with data channels only.
        """
        if len(sdp) > MAX_SIZE:
            raise ProtocolError("The other side's description is too long.")
        if _MEDIA.findall(sdp) != ["application"]:
            raise ProtocolError("The other side's description is not one of data channels.")
        digest = fingerprint(sdp)
        if digest is None:
            raise ProtocolError("The other side's description has no SHA-256 fingerprint.")
        size = _MAX_MESSAGE_SIZE.search(sdp)
        limit = int(size[1]) if size else DEFAULT_MAX_MESSAGE_SIZE
        return cls(
            sdp=_END.sub("", _CANDIDATE.sub("", sdp)),
            candidates=candidate_lines(sdp)[:MAX_CANDIDATES],
            fingerprint=digest,
            max_message_size=limit or UNLIMITED_MESSAGE_SIZE,
            proposal=_proposal(sdp),
        )


def candidate_lines(sdp: str) -> tuple[str, ...]:
    """The candidates of a description, each as `candidate:...`, without `a=`."""
    return tuple(match.strip() for match in _CANDIDATE.findall(sdp))


def fingerprint(sdp: str) -> bytes | None:
    """The SHA-256 fingerprint of a description's certificate (RFC 8122), 32 bytes."""
    match = _FINGERPRINT.search(sdp)
    return bytes.fromhex(match[1].replace(":", "")) if match else None


def with_proposal(sdp: str, chunk: bytes) -> str:
    """The same description of data channels, with an SCTP INIT chunk."""
    return f"{sdp}a=sctp-init:{base64.b64encode(chunk).decode()}\r\n"


def _proposal(sdp: str) -> bytes:
    match = _PROPOSAL.search(sdp)
    try:
        return base64.b64decode(match[1], validate=True) if match else b""
    except binascii.Error:
        return b""


def without_end_of_candidates(sdp: str) -> str:
    """The same description, open for candidates that follow (RFC 8840 section 4.2)."""
    return _END.sub("", sdp)
