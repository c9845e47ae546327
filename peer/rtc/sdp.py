"""Session descriptions (RFC 8866, 8839, 8841, 8842), parsed only here (floor 1).

aiortc parses descriptions, too, and two parsers may read one text differently: a fingerprint that
one of them ignores would let a server in the middle in. So a description is parsed once, here, by
the grammar of its RFCs, and aiortc gets one that is generated from the result (`Description.text`).
Attributes that are not needed are omitted; repeated or malformed ones are rejected. Our own
descriptions are generated in the same way.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, Literal, Self

from peer.errors import ProtocolError

from .ice.candidates import Candidate

__all__ = ["Description", "candidate_lines", "fingerprint"]

MAX_SIZE: Final = 48 * 1024
"""Characters of a description."""
MAX_LINES: Final = 256
MAX_LINE: Final = 1200
MAX_CANDIDATES: Final = 64
"""Candidates of a description that are used; others are ignored."""
DEFAULT_MAX_MESSAGE_SIZE: Final = 65536
"""Value of an absent `max-message-size` (RFC 8841, 6.1), bytes."""
UNLIMITED_MESSAGE_SIZE: Final = 2**30
"""Stands for `max-message-size:0`, no limit (RFC 8841, 6), and for larger values."""
_DEFAULT_PORT: Final = 5000
_FINGERPRINT_SIZE: Final = 32

_LINE: Final = re.compile(r"([a-z])=([\x20-\x7e]*)")
_MEDIA: Final = re.compile(r"application [1-9][0-9]{0,4} (?:UDP|TCP)/DTLS/SCTP webrtc-datachannel")
_NAME: Final = r"[!#-'*+.0-9A-Z^-~-]"  # RFC 8866, 9
_ATTRIBUTE: Final = re.compile(rf"({_NAME}{{1,64}})(?::(.*))?")
_FINGERPRINT: Final = re.compile(r"([A-Za-z0-9-]{1,32}) ([0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){0,127})")

_VALUES: Final = {
    "mid": re.compile(rf"{_NAME}{{1,32}}"),
    "ice-ufrag": re.compile(r"[A-Za-z0-9+/]{4,256}"),
    "ice-pwd": re.compile(r"[A-Za-z0-9+/]{22,256}"),
    "setup": re.compile(r"actpass|active|passive"),
    "sctp-port": re.compile(r"[0-9]{1,5}"),
    "max-message-size": re.compile(r"[0-9]{1,19}"),
    "sctp-init": re.compile(r"[A-Za-z0-9+/]{4,1024}={0,2}"),
}
"""Attributes that are parsed, with the grammar of their values; each may appear once."""
_MANDATORY: Final = ("ice-ufrag", "ice-pwd", "setup")


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """The parsed parts of a description of a connection with data channels.

    Attributes:
        mid: Name of its only section.
        ufrag: ICE user name fragment (RFC 8839, 5.4).
        password: ICE password (RFC 8839, 5.4).
        setup: Role in DTLS: `actpass`, `active` or `passive` (RFC 8842, 5.3).
        fingerprint: SHA-256 of the DTLS certificate, 32 bytes.
        port: SCTP port.
        max_message_size: Largest message that is accepted, bytes.
        lite: Whether it is an ICE-lite implementation.
        candidates: At most `MAX_CANDIDATES`.
        complete: Whether no more candidates follow.
        sctp_init: SCTP INIT chunk (draft-hancke-tsvwg-snap); empty without one.
    """

    mid: str = "0"
    ufrag: str
    password: str = field(repr=False)
    setup: str
    fingerprint: bytes
    port: int = _DEFAULT_PORT
    max_message_size: int = DEFAULT_MAX_MESSAGE_SIZE
    lite: bool = False
    candidates: tuple[Candidate, ...] = ()
    complete: bool = False
    sctp_init: bytes = b""

    @classmethod
    def parse(cls, text: str, kind: Literal["offer", "answer"] = "offer") -> Self:
        """Parse a description.

        Raises:
            ProtocolError: It does not describe a connection with data channels only.
        """
        values: dict[str, str] = {}
        prints: list[bytes] = []
        candidates: list[Candidate] = []
        flags: set[str] = set()
        for name, value in _attributes(text):
            if name in _VALUES:
                if name in values or value is None or not _VALUES[name].fullmatch(value):
                    raise _nonsense(name)
                values[name] = value
            elif name == "fingerprint":
                prints += _sha256(value or "")
            elif name == "candidate" and len(candidates) < MAX_CANDIDATES:
                candidate = Candidate.parse(f"candidate:{value}")
                candidates += [] if candidate is None else [candidate]
            elif name in ("ice-lite", "end-of-candidates"):
                flags.add(name)
        for name in _MANDATORY:
            if name not in values:
                raise _nonsense(name)
        if len(prints) != 1:
            raise ProtocolError(
                "The other side's description must have one SHA-256 fingerprint, "
                f"and has {len(prints) or 'none'}."
            )
        port = int(values.get("sctp-port", _DEFAULT_PORT))
        if not 0 < port < 65536:
            raise _nonsense("sctp-port")
        if kind == "answer" and values["setup"] == "actpass":
            raise _nonsense("setup")
        size = int(values.get("max-message-size", DEFAULT_MAX_MESSAGE_SIZE))
        return cls(
            mid=values.get("mid", "0"),
            ufrag=values["ice-ufrag"],
            password=values["ice-pwd"],
            setup=values["setup"],
            fingerprint=prints[0],
            port=port,
            max_message_size=min(size or UNLIMITED_MESSAGE_SIZE, UNLIMITED_MESSAGE_SIZE),
            lite="ice-lite" in flags,
            candidates=tuple(candidates),
            complete="end-of-candidates" in flags,
            sctp_init=_sctp_init(values.get("sctp-init", "")),
        )

    def text(self) -> str:
        """Return the description as text, with only the attributes that `parse` reads."""
        size = 0 if self.max_message_size == UNLIMITED_MESSAGE_SIZE else self.max_message_size
        lines = [
            "v=0",
            "o=- 1 1 IN IP4 0.0.0.0",
            "s=-",
            "t=0 0",
            *(["a=ice-lite"] if self.lite else []),
            f"a=group:BUNDLE {self.mid}",
            "m=application 9 UDP/DTLS/SCTP webrtc-datachannel",
            "c=IN IP4 0.0.0.0",
            f"a=mid:{self.mid}",
            f"a=ice-ufrag:{self.ufrag}",
            f"a=ice-pwd:{self.password}",
            f"a=fingerprint:sha-256 {self.fingerprint.hex(':').upper()}",
            f"a=setup:{self.setup}",
            f"a=sctp-port:{self.port}",
            f"a=max-message-size:{size}",
            *(f"a={candidate.text()}" for candidate in self.candidates),
            *(["a=end-of-candidates"] if self.complete else []),
        ]
        if self.sctp_init:
            lines.append(f"a=sctp-init:{base64.b64encode(self.sctp_init).decode()}")
        return "\r\n".join(lines) + "\r\n"


def candidate_lines(text: str) -> tuple[str, ...]:
    """Return the candidates of a description, each as `candidate:...`.

    Raises:
        ProtocolError: It is not a valid description.
    """
    return tuple(candidate.text() for candidate in Description.parse(text).candidates)


def fingerprint(text: str) -> bytes:
    """Return the SHA-256 fingerprint of a description's certificate (RFC 8122), 32 bytes.

    Raises:
        ProtocolError: It is not a valid description.
    """
    return Description.parse(text).fingerprint


def _attributes(text: str) -> Iterator[tuple[str, str | None]]:
    """Yield names and values of all attributes.

    Raises:
        ProtocolError: The text is too long, is not a description, or describes other media.
    """
    if len(text) > MAX_SIZE:
        raise ProtocolError("The other side's description is too long.")
    lines = text.replace("\r\n", "\n").removesuffix("\n").split("\n")
    if len(lines) > MAX_LINES or any(len(line) > MAX_LINE for line in lines):
        raise ProtocolError("The other side's description is too long.")
    sections = 0
    for number, line in enumerate(lines):
        match = _LINE.fullmatch(line)
        if match is None or (number == 0 and line != "v=0"):
            raise ProtocolError("The other side's description is not valid.")
        kind, rest = match.groups()
        if kind == "m":
            sections += 1
            if sections > 1 or not _MEDIA.fullmatch(rest):
                raise ProtocolError("The other side's description is not one of data channels.")
        elif kind == "a":
            attribute = _ATTRIBUTE.fullmatch(rest)
            if attribute is None:
                raise ProtocolError("The other side's description is not valid.")
            yield attribute[1], attribute[2]
    if not sections:
        raise ProtocolError("The other side's description is not one of data channels.")


def _sha256(value: str) -> list[bytes]:
    """Return the fingerprint of an attribute, if it is SHA-256; others are ignored."""
    match = _FINGERPRINT.fullmatch(value)
    if match is None:
        raise _nonsense("fingerprint")
    digest = bytes.fromhex(match[2].replace(":", ""))
    if match[1].lower() != "sha-256":
        return []
    if len(digest) != _FINGERPRINT_SIZE:
        raise _nonsense("fingerprint")
    return [digest]


def _sctp_init(value: str) -> bytes:
    try:
        return base64.b64decode(value, validate=True)
    except binascii.Error:
        raise _nonsense("sctp-init") from None


def _nonsense(name: str) -> ProtocolError:
    return ProtocolError(f"The other side's description has a wrong {name}.")
