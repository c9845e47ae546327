"""The proof of a code: CPace with key confirmation, as a state machine (floor 1).

CPACE-X25519-SHA512 in initiator-responder mode (draft-irtf-cfrg-cpace-21). The offerer of a link
(the peer that came to the room first) is CPace's initiator A, the answerer its responder B:

    PRS  the code, or the password of a named room, UTF-8 (NFC)
    CI   lv_cat("peerline.1", room id)
    sid  the id of the link, ASCII
    ADa  lv_cat("offerer", peer id of the offerer)    ADb  lv_cat("answerer", that of the answerer)

Three `pake` signals carry it; their data is JSON, byte strings are base64url without padding:

    offerer  -> answerer   {"step": 1, "share": Ya}
    answerer -> offerer    {"step": 2, "share": Yb, "tag": Tb}
    offerer  -> answerer   {"step": 3, "tag": Ta}

Tags are those of draft-irtf-cfrg-cpace-21, 10.4. A side that receives a wrong tag sends a `bye`
signal (`PakeFailed.bye`) and gives up.

To answer the other side's share is to let it test a guess: it can check the answerer's tag, and it
can see how the offerer reacts to its own. A run that `asks` stops there with `PakeAsks` until
`answer` is called, so that guesses are counted (`peer.security.guesses`) before they are tested.

`peer.security.cpace` computes; `web/client/security/pake.js` is the same machine in JavaScript, and
`tests/vectors/pake.json` holds both to it.
"""

from __future__ import annotations

import hmac
from collections import deque
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final, Self

import msgspec

from peer.errors import PeerError, VerificationFailed, WrongCode

from .cpace import (
    SCALAR_SIZE,
    SHARE_SIZE,
    TAG_SIZE,
    generator,
    mac_key,
    scalar_mult_vfy,
    session_key,
    tag,
)
from .sealing import PROTOCOL, LinkKeys, b64u_decode, b64u_encode, lv_cat

__all__ = ["Pake", "PakeAsks", "PakeDone", "PakeEvent", "PakeFailed", "PakeFailure"]

_MAX_MESSAGE: Final = 512
"""Characters of the longest message we look at; ours have 170."""


class PakeFailure(Enum):
    """Why a run failed."""

    WRONG_CODE = "wrong_code"
    """The tag is not that of our code: the other side, or somebody between, has another one."""
    MALFORMED = "malformed"
    """A message is not JSON of the right form, or a value has the wrong length."""
    OUT_OF_ORDER = "out_of_order"
    """A step came twice, too early, or is one that only we send."""
    LOW_ORDER = "low_order"
    """The share is a point that would make the key known to everybody."""
    REFLECTED = "reflected"
    """The share is our own."""
    PEER_GAVE_UP = "peer_gave_up"
    """The other side ended the run for another reason than the code."""


@dataclass(frozen=True, slots=True)
class PakeAsks:
    """The other side's share is there and in order; `Pake.answer` goes on with it."""


@dataclass(frozen=True, slots=True)
class PakeDone:
    """Both sides have proved that they know the code.

    Attributes:
        keys: For sealing signals from now on.
    """

    keys: LinkKeys


@dataclass(frozen=True, slots=True)
class PakeFailed:
    """The run failed; there are no keys, and there will be none.

    Attributes:
        reason: For programs.
        detail: The exact fault, for a log.
        bye: `data` of the `bye` signal for the other side; None if the other side ended it.
    """

    reason: PakeFailure
    detail: str
    bye: str | None

    def error(self) -> PeerError:
        """The exception to raise, whose text is for a person."""
        if self.reason is PakeFailure.WRONG_CODE:
            return WrongCode()
        return VerificationFailed(
            "The other side could not be verified, so the connection was refused "
            f"({self.reason.value.replace('_', ' ')})."
        )


PakeEvent = PakeAsks | PakeDone | PakeFailed


class _State(Enum):
    AWAIT_SHARE = auto()
    """The answerer, before step 1."""
    AWAIT_ANSWER = auto()
    """The offerer, before step 2."""
    ASKING = auto()
    """Either, before it answers the other side's share."""
    AWAIT_TAG = auto()
    """The answerer, before step 3."""
    DONE = auto()
    FAILED = auto()


class _Step1(msgspec.Struct, tag_field="step", tag=1, frozen=True):
    share: str


class _Step2(msgspec.Struct, tag_field="step", tag=2, frozen=True):
    share: str
    tag: str


class _Step3(msgspec.Struct, tag_field="step", tag=3, frozen=True):
    tag: str


class _Bye(msgspec.Struct, frozen=True):
    code: str = ""


_decode: Final = msgspec.json.Decoder(_Step1 | _Step2 | _Step3).decode
_decode_bye: Final = msgspec.json.Decoder(_Bye).decode
_encode: Final = msgspec.json.Encoder().encode

_EXPECTED: Final[dict[_State, type[msgspec.Struct]]] = {
    _State.AWAIT_SHARE: _Step1,
    _State.AWAIT_ANSWER: _Step2,
    _State.AWAIT_TAG: _Step3,
}


@dataclass(frozen=True, slots=True)
class _Inputs:
    """The inputs of a run; its repr shows none of them."""

    sid: bytes = field(repr=False)
    own_ad: bytes = field(repr=False)
    peer_ad: bytes = field(repr=False)
    scalar: bytes = field(repr=False)
    generator: bytes = field(repr=False)


class Pake:
    """One side of one run. Make it with `Pake.offerer` or `Pake.answerer`.

    No input of the other side makes a method raise: a run ends with one event, `PakeDone` or
    `PakeFailed`, and further messages are ignored.
    """

    __slots__ = (
        "_asks",
        "_events",
        "_inputs",
        "_offerer",
        "_outbox",
        "_own_share",
        "_peer_tag",
        "_session",
        "_state",
    )

    def __init__(self, inputs: _Inputs, *, offerer: bool, asks: bool) -> None:
        self._inputs = inputs
        self._offerer = offerer
        self._asks = asks
        self._peer_tag = ""
        self._outbox: deque[str] = deque()
        self._events: deque[PakeEvent] = deque()
        self._session: _Session | None = None
        self._state = _State.AWAIT_ANSWER if offerer else _State.AWAIT_SHARE
        own_share = scalar_mult_vfy(inputs.scalar, inputs.generator)
        self._own_share = own_share or b""
        if own_share is None:
            # Happens once in 2^250 runs, and then the share would tell everybody the key.
            self._fail(PakeFailure.LOW_ORDER, "the generator is of low order")
        elif offerer:
            self._send(_Step1(share=b64u_encode(own_share)))

    @classmethod
    def offerer(
        cls,
        *,
        password: bytes,
        room: str,
        link: str,
        own_id: str,
        peer_id: str,
        scalar: bytes,
        asks: bool = False,
    ) -> Self:
        """Start a run as the link's offerer; its first message is there at once.

        Args:
            password: `Code.password`, or `password_bytes` of a named room's.
            room: The room's id on the server (`7`, or a named room's name).
            link: The link's id.
            own_id: Our peer id.
            peer_id: The other side's peer id.
            scalar: 32 random bytes, used for nothing else.
            asks: Whether it stops with `PakeAsks` before it answers the other side's share.

        Raises:
            ValueError: The scalar has another length.
        """
        ours, theirs = _roles(own_id, peer_id)
        return cls(_inputs(password, room, link, ours, theirs, scalar), offerer=True, asks=asks)

    @classmethod
    def answerer(
        cls,
        *,
        password: bytes,
        room: str,
        link: str,
        own_id: str,
        peer_id: str,
        scalar: bytes,
        asks: bool = False,
    ) -> Self:
        """Start a run as the link's answerer, which waits for the first message.

        Arguments as for `offerer`.
        """
        theirs, ours = _roles(peer_id, own_id)
        return cls(_inputs(password, room, link, ours, theirs, scalar), offerer=False, asks=asks)

    @property
    def unproved(self) -> bool:
        """Whether our confirmation is out, and the other side's is not here."""
        return self._state is _State.AWAIT_TAG

    def receive_message(self, text: str) -> None:
        """Take the data of a `pake` signal from the other side."""
        if self._state not in _EXPECTED:
            return
        if len(text) > _MAX_MESSAGE:
            self._fail(PakeFailure.MALFORMED, "the message is too long")
            return
        try:
            message = _decode(text)
        except (ValueError, RecursionError) as error:
            self._fail(PakeFailure.MALFORMED, str(error))
            return
        due = _EXPECTED[self._state]
        if not isinstance(message, due):
            self._fail(
                PakeFailure.OUT_OF_ORDER, f"{_name(type(message))} came, {_name(due)} was due"
            )
            return
        match message:
            case _Step1():
                self._receive_step_1(message)
            case _Step2():
                self._receive_step_2(message)
            case _Step3():
                self._receive_step_3(message)

    def receive_bye(self, text: str) -> None:
        """Take the data of a `bye` signal that came instead of a `pake` signal.

        It is not sealed, so the server may have made it up; all that wins is a failed run.
        """
        if self._state in (_State.DONE, _State.FAILED):
            return
        try:
            code = _decode_bye(text if len(text) <= _MAX_MESSAGE else "").code
        except (ValueError, RecursionError):
            code = ""
        wrong = code == PakeFailure.WRONG_CODE.value
        reason = PakeFailure.WRONG_CODE if wrong else PakeFailure.PEER_GAVE_UP
        self._finish(PakeFailed(reason, "the other side said so", bye=None))

    def answer(self) -> None:
        """Answer the other side's share, after `PakeAsks`."""
        session = self._session
        if self._state is not _State.ASKING or session is None:
            return
        if not self._offerer:
            self._state = _State.AWAIT_TAG
            self._send(_Step2(share=b64u_encode(self._own_share), tag=b64u_encode(session.own_tag)))
        elif self._confirm(session, self._peer_tag):
            self._send(_Step3(tag=b64u_encode(session.own_tag)))
            self._finish(PakeDone(LinkKeys.derive(session.isk)))

    def messages_to_send(self) -> list[str]:
        """The data of the `pake` signals to send now, in order; each is handed out once."""
        messages = list(self._outbox)
        self._outbox.clear()
        return messages

    def next_event(self) -> PakeEvent | None:
        """How the run ended, once it has."""
        return self._events.popleft() if self._events else None

    def _receive_step_1(self, message: _Step1) -> None:
        self._take_share(message.share)

    def _receive_step_2(self, message: _Step2) -> None:
        if self._decode_bytes("tag", message.tag, TAG_SIZE) is not None:
            self._peer_tag = message.tag
            self._take_share(message.share)

    def _receive_step_3(self, message: _Step3) -> None:
        session = self._session
        if session and self._confirm(session, message.tag):
            self._finish(PakeDone(LinkKeys.derive(session.isk)))

    def _take_share(self, share_text: str) -> None:
        self._session = self._agree(share_text)
        if self._session is None:
            return
        self._state = _State.ASKING
        if self._asks:
            self._events.append(PakeAsks())
        else:
            self.answer()

    def _agree(self, share_text: str) -> _Session | None:
        """Compute the session key from the share of the other side."""
        share = self._decode_bytes("share", share_text, SHARE_SIZE)
        if share is None:
            return None
        if hmac.compare_digest(share, self._own_share):
            self._fail(PakeFailure.REFLECTED, "the other side sent our own share")
            return None
        shared = scalar_mult_vfy(self._inputs.scalar, share)
        if shared is None:
            self._fail(PakeFailure.LOW_ORDER, "the share is of low order")
            return None
        own = (self._own_share, self._inputs.own_ad)
        peer = (share, self._inputs.peer_ad)
        sides = (own, peer) if self._offerer else (peer, own)
        isk = session_key(self._inputs.sid, shared, *sides[0], *sides[1])
        key = mac_key(self._inputs.sid, isk)
        return _Session(isk=isk, own_tag=tag(key, *own), peer_tag=tag(key, *peer))

    def _confirm(self, session: _Session, tag_text: str) -> bool:
        """Whether the other side's tag proves that it has our key."""
        received = self._decode_bytes("tag", tag_text, TAG_SIZE)
        if received is None:
            return False
        if not hmac.compare_digest(received, session.peer_tag):
            self._fail(PakeFailure.WRONG_CODE, "the tag is not that of our code")
            return False
        return True

    def _decode_bytes(self, name: str, text: str, size: int) -> bytes | None:
        try:
            data = b64u_decode(text)
        except ValueError as error:
            self._fail(PakeFailure.MALFORMED, f"{name}: {error}")
            return None
        if len(data) != size:
            self._fail(PakeFailure.MALFORMED, f"{name}: {len(data)} bytes instead of {size}")
            return None
        return data

    def _send(self, message: _Step1 | _Step2 | _Step3) -> None:
        self._outbox.append(_encode(message).decode())

    def _fail(self, reason: PakeFailure, detail: str) -> None:
        code = "wrong_code" if reason is PakeFailure.WRONG_CODE else "pake_failed"
        self._outbox.clear()
        self._finish(PakeFailed(reason, detail, bye=_encode(_Bye(code=code)).decode()))

    def _finish(self, event: PakeEvent) -> None:
        self._state = _State.DONE if isinstance(event, PakeDone) else _State.FAILED
        self._session = None
        self._events.append(event)


@dataclass(frozen=True, slots=True)
class _Session:
    isk: bytes = field(repr=False)
    own_tag: bytes = field(repr=False)
    peer_tag: bytes = field(repr=False)


def _name(step: type[msgspec.Struct]) -> str:
    return f"step {step.__struct_config__.tag}"


def _roles(offerer_id: str, answerer_id: str) -> tuple[bytes, bytes]:
    return lv_cat(b"offerer", _utf8(offerer_id)), lv_cat(b"answerer", _utf8(answerer_id))


def _utf8(text: str) -> bytes:
    # Ids come from the server: a lone surrogate must fail the run, not raise.
    return text.encode("utf-8", "surrogatepass")


def _inputs(
    password: bytes, room: str, link: str, own_ad: bytes, peer_ad: bytes, scalar: bytes
) -> _Inputs:
    if len(scalar) != SCALAR_SIZE:
        raise ValueError(f"a scalar has {SCALAR_SIZE} bytes, not {len(scalar)}")
    sid = _utf8(link)
    ci = lv_cat(PROTOCOL, _utf8(room))
    return _Inputs(sid, own_ad, peer_ad, scalar, generator(password, ci, sid))
