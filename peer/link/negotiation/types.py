"""Stages and events of a negotiation, and the bodies of signals (floor 0)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Final, TypeVar

import msgspec
from msgspec import Meta

from peer.errors import PeerError, ProtocolError
from peer.security.sealing import NONCE_SIZE, b64u_decode


class SetupStage(Enum):
    """How far the set-up has come; the value names it in errors and statistics."""

    PAKE = "pake"
    """Proving the code."""
    DESCRIPTION = "description"
    """Waiting for an offer or an answer, the other side's or our own."""
    PATH = "path"
    """Both descriptions are known: finding a path, encrypting it, saying hello."""
    ESTABLISHED = "established"
    FAILED = "failed"


class SetupEvent(Enum):
    """Causes of a change of stage."""

    DESCRIBE = "describe"
    """Signals may carry descriptions, or another generation begins."""
    DESCRIBED = "described"
    """Both descriptions are known."""
    ESTABLISHED = "established"
    """The other side has said hello, and is verified."""
    FAILED = "failed"


_S = SetupStage
_E = SetupEvent

TRANSITIONS: Final[dict[SetupStage, dict[SetupEvent, SetupStage]]] = {
    _S.PAKE: {_E.DESCRIBE: _S.DESCRIPTION, _E.FAILED: _S.FAILED},
    _S.DESCRIPTION: {
        _E.DESCRIBE: _S.DESCRIPTION,
        _E.DESCRIBED: _S.PATH,
        _E.FAILED: _S.FAILED,
    },
    _S.PATH: {
        _E.DESCRIBE: _S.DESCRIPTION,
        _E.ESTABLISHED: _S.ESTABLISHED,
        _E.FAILED: _S.FAILED,
    },
    _S.ESTABLISHED: {},
    _S.FAILED: {},
}


@dataclass(frozen=True, slots=True)
class AskGuess:
    """The other side's share came: call `answer_share` once the budget of guesses allows it."""


@dataclass(frozen=True, slots=True)
class GuessProved:
    """The other side's confirmation is valid: it was no guess."""


@dataclass(frozen=True, slots=True)
class MakeOffer:
    """Start a new connection, the others are over; give its offer to `description_made`."""

    gen: int


@dataclass(frozen=True, slots=True)
class MakeAnswer:
    """Start a new connection, the others are over; give its answer to `description_made`."""

    gen: int
    sdp: str


@dataclass(frozen=True, slots=True)
class TakeAnswer:
    """The connection's answer has come; from now on it is the connection's turn."""

    gen: int
    sdp: str


@dataclass(frozen=True, slots=True)
class TakeCandidate:
    """One more candidate of the other side's; None: there are no more."""

    gen: int
    candidate: str | None


@dataclass(frozen=True, slots=True)
class NegotiationFailed:
    """There will be no link; `error` says why, for people."""

    error: PeerError
    stage: SetupStage


NegotiationEvent = (
    AskGuess | GuessProved | MakeOffer | MakeAnswer | TakeAnswer | TakeCandidate | NegotiationFailed
)


MAX_BYE: Final = 512
"""Characters of the longest `bye` that is read."""

Sdp = Annotated[str, Meta(min_length=1)]


class Offer(msgspec.Struct, omit_defaults=True):
    """Body of `offer`; `commit` is the commitment of a link without a password."""

    sdp: Sdp
    commit: str | None = None


class Answer(msgspec.Struct, omit_defaults=True):
    """Body of `answer`; `nonce` is that of a link without a password."""

    sdp: Sdp
    nonce: str | None = None


class Candidate(msgspec.Struct):
    """Body of `candidate`, as it is read."""

    candidate: Annotated[str, Meta(min_length=1)]


class OurCandidate(Candidate):
    """A candidate as we tell it: Chromium and Firefox want to know the media section."""

    sdpMid: str = "0"
    sdpMLineIndex: int = 0


class Nothing(msgspec.Struct):
    """Body of `end_of_candidates`."""


class Restart(msgspec.Struct):
    """Body of `restart`."""

    reason: str = ""


class Bye(msgspec.Struct, omit_defaults=True):
    """Body of `bye`; `reason` is that of a missing path."""

    code: str = ""
    reason: str = ""


Body = TypeVar("Body", bound=msgspec.Struct)


def parse_body(kind: type[Body], body: bytes | str) -> Body:
    """Read the body of a signal.

    Raises:
        ProtocolError: If it is not one of its kind.
    """
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        raise ProtocolError("The other side sent a signal that is not valid.") from None


def parse_bye(body: bytes | str) -> Bye:
    """Read a goodbye; one that makes no sense is one without a code."""
    try:
        return parse_body(Bye, body if len(body) <= MAX_BYE else "")
    except ProtocolError:
        return Bye()


def nonce_of(answer: Answer) -> bytes:
    """The answerer's nonce, on a link without a password.

    Raises:
        ProtocolError: If there is none of the right size.
    """
    try:
        nonce = b64u_decode(answer.nonce or "")
    except ValueError:
        nonce = b""
    if len(nonce) != NONCE_SIZE:
        raise ProtocolError("The other side's answer cannot be verified.")
    return nonce


serialize_body: Final = msgspec.json.Encoder().encode
