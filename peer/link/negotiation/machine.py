"""The machine that sets up one link (floor 1)."""

from __future__ import annotations

from collections import deque
from typing import Final

import msgspec

from peer.config import LinkConfig
from peer.errors import (
    Guessed,
    LinkClosed,
    NoPath,
    PeerError,
    PeerLeft,
    PeerTimeout,
    ProtocolError,
    TooManyGuesses,
    VerificationFailed,
    WrongCode,
)
from peer.security.pake import Pake, PakeAsks, PakeDone, PakeFailure
from peer.security.sealing import (
    Envelope,
    Sealer,
    SealError,
    b64u_encode,
    check_reveal,
    commitment,
    open_link_sas,
)
from peer.text import fit_code
from signaling.messages import Signal, SignalFrom, SignalKind

from .types import (
    TRANSITIONS,
    Answer,
    AskGuess,
    Bye,
    Candidate,
    GuessProved,
    MakeAnswer,
    MakeOffer,
    NegotiationEvent,
    NegotiationFailed,
    Nothing,
    Offer,
    OurCandidate,
    Restart,
    SetupEvent,
    SetupStage,
    TakeAnswer,
    TakeCandidate,
    nonce_of,
    parse_body,
    parse_bye,
    serialize_body,
)

__all__ = ["Negotiation"]

MAX_GENERATION: Final = 2**16
MAX_OFFERS: Final = 8
"""Offers of one set-up that are answered: each costs a connection."""

_MISMATCH_CODE: Final = "password_mismatch"
_TOO_MANY_CODE: Final = "too_many_guesses"
_MISMATCH: Final = (
    "One side uses a password for this room and the other does not: both must use the same."
)

_BYE_ERRORS: Final[dict[str, type[PeerError]]] = {
    "no_path": NoPath,
    "verification_failed": VerificationFailed,
}

_BYE_CODES: Final[dict[type[PeerError], str]] = {kind: code for code, kind in _BYE_ERRORS.items()}
"""The other way round; `failed` for all others."""

_LATE_KINDS: Final = frozenset({SignalKind.CANDIDATE, SignalKind.END_OF_CANDIDATES})
"""Kinds that are still accepted on an established link: a better path may be found."""

_NO_PATH_REASONS: Final = {
    "no_relay": "The other side wants to be reached through a TURN server only, and none gave it "
    "an address.",
    "no_address": "The other side has no network address that it is allowed to share.",
}
"""Hints for the reasons that the other side gives with `no_path`."""


class Negotiation:
    """The set-up of one link, on one side.

    Attributes:
        offerer: Whether this side is the link's offerer.
        stage: How far it has come.
        gen: The current generation.
    """

    def __init__(
        self,
        *,
        local: str,
        remote: str,
        room: str,
        password: bytes | None,
        link: str | None,
        random: bytes,
        config: LinkConfig,
        now: float,
        counted: bool = False,
    ) -> None:
        """Begin.

        Args:
            local: Our peer id.
            remote: The other side's; who has the smaller one is the offerer.
            room: The room's id on the server.
            password: The secret of both sides; None for a link without a password.
            link: For the offerer, an id for the link, chosen at random; None for the answerer,
                who learns it from the first signal.
            random: 32 random bytes, used for nothing else.
            config: Timeouts, and how many connections are tried.
            now: Seconds, monotonic.
            counted: Whether it asks (`AskGuess`) before it answers the other side's share.
        """
        self.offerer = local < remote
        if self.offerer is (link is None):
            raise ValueError("the offerer names the link, the answerer does not")
        self.stage = SetupStage.PAKE
        self.gen = 0
        self._local = local
        self._remote = remote
        self._room = room
        self._password = password
        self._link = link or ""
        self._random = random
        self._config = config
        self._pake: Pake | None = None
        self._sealer: Sealer | None = None
        self._sas: tuple[str, ...] | None = None
        self._nonce = b""
        self._other_nonce = b""
        self._commit = ""
        self._described = False
        self._offered = -1
        self._offers = 0
        self._counted = counted
        self._unproved = False
        self._outbox: deque[Signal] = deque()
        self._events: deque[NegotiationEvent] = deque()
        self._deadline: float | None = now + config.timeouts.pake
        if password is None:
            self._await_description(now)
        if self.offerer:
            self._begin()

    @property
    def link(self) -> str:
        """The link's id; empty while the answerer has not heard of it."""
        return self._link

    @property
    def authenticated(self) -> bool:
        """Whether the other side has proved that it knows the password."""
        return self._sealer is not None

    # Input

    def answer_share(self, now: float) -> None:
        """After `AskGuess`: a guess is free, so go on with the other side's share."""
        if self._pake is not None and self.stage is SetupStage.PAKE:
            self._deadline = now + self._config.timeouts.pake
            self._pake.answer()
            self._send_pake(self._pake)
            self._conclude_pake(now)

    def refuse_share(self) -> None:
        """After `AskGuess`: every guess is spent."""
        if self.stage is SetupStage.PAKE:
            self._refuse(_TOO_MANY_CODE, TooManyGuesses())

    def receive_signal(self, signal: Signal | SignalFrom, now: float) -> None:
        """Take a signal from the other side; never raises."""
        link, gen, kind, data = signal.link, signal.gen, signal.kind, signal.data
        if self.stage is SetupStage.FAILED or not link:
            return
        # A link has its own goodbye, which waits for what is on its way.
        if self.stage is SetupStage.ESTABLISHED and kind not in _LATE_KINDS:
            return
        if not self._link:
            self._link = link
            self._begin()
        if link != self._link:
            return
        if kind == SignalKind.PAKE:
            self._receive_pake(data, now)
        elif self._sealer is None and self._password is not None:
            self._receive_unsealed(kind, data, now)
        elif kind == SignalKind.BYE or gen >= self.gen:
            self._receive_body(gen, kind, data, now)

    def description_made(self, gen: int, sdp: str, *, random: bytes, now: float) -> None:
        """Take the offer or answer that `MakeOffer` or `MakeAnswer` asked for.

        Args:
            gen: Whose it is; that of an older generation is dropped.
            sdp: The description.
            random: 32 random bytes, used for nothing else.
            now: Seconds, monotonic.
        """
        if gen != self.gen or self.stage is not SetupStage.DESCRIPTION or self._described:
            return
        self._described = True
        open_link = self._password is None
        self._nonce = random
        if self.offerer:
            commit = commitment(random) if open_link else None
            self._send(SignalKind.OFFER, Offer(sdp, commit))
            self._deadline = now + self._config.timeouts.description
        else:
            self._send(SignalKind.ANSWER, Answer(sdp, b64u_encode(random) if open_link else None))
            self._enter_path()

    def candidate_found(self, gen: int, candidate: str | None) -> None:
        """Take a candidate of ours, found after the description; None: there are no more."""
        if gen == self.gen and self._described and self.stage is not SetupStage.FAILED:
            if candidate is None:
                self._send(SignalKind.END_OF_CANDIDATES, Nothing())
            else:
                self._send(SignalKind.CANDIDATE, OurCandidate(candidate))

    def connection_failed(self, gen: int, error: PeerError, *, now: float) -> None:
        """A connection did not come about: try another one, or give up."""
        if gen != self.gen or self.stage not in (SetupStage.DESCRIPTION, SetupStage.PATH):
            return
        final = isinstance(error, (VerificationFailed, ProtocolError)) or (
            isinstance(error, NoPath) and error.conclusive
        )
        if final or self.gen + 1 >= self._config.attempts:
            self._give_up(error)
        elif self.offerer:
            self._next_generation(self.gen + 1, now)
        else:
            self._send(SignalKind.RESTART, Restart(_BYE_CODES.get(type(error), "failed")))
            self._described = False
            self._await_description(now)

    def verify(
        self, reveal: str | None, *, local_fingerprint: bytes, remote_fingerprint: bytes
    ) -> tuple[str, ...]:
        """The words that both people see, once the other side's hello is here.

        Args:
            reveal: Of the offerer's hello.
            local_fingerprint: SHA-256 of our certificate, 32 bytes.
            remote_fingerprint: SHA-256 of the other side's.

        Raises:
            VerificationFailed: If the offerer's nonce is not the one it committed to.
        """
        if self._sas is not None:
            return self._sas
        if self.offerer:
            return open_link_sas(
                offerer_nonce=self._nonce,
                answerer_nonce=self._other_nonce,
                offerer_fingerprint=local_fingerprint,
                answerer_fingerprint=remote_fingerprint,
            )
        return open_link_sas(
            offerer_nonce=check_reveal(self._commit, reveal or ""),
            answerer_nonce=self._nonce,
            offerer_fingerprint=remote_fingerprint,
            answerer_fingerprint=local_fingerprint,
        )

    @property
    def reveal(self) -> str | None:
        """The nonce that our hello must reveal for the `verify` of the other side."""
        if self.offerer and self._password is None:
            return b64u_encode(self._nonce)
        return None

    def established(self) -> None:
        """The link is there: the other side has said hello, and it is who it should be."""
        if self.stage is SetupStage.PATH:
            self._enter(SetupEvent.ESTABLISHED)
            self._deadline = None

    def give_up(self, error: PeerError) -> None:
        """End it from our side, and tell the other."""
        if self.stage not in (SetupStage.ESTABLISHED, SetupStage.FAILED):
            self._give_up(error)

    def peer_left(self) -> None:
        """The other side has left the room."""
        if self.stage not in (SetupStage.ESTABLISHED, SetupStage.FAILED):
            self._fail(PeerLeft())

    def get_timer(self) -> float | None:
        """When to call `handle_timer`, on the clock of `now`; None: not at all."""
        return self._deadline

    def handle_timer(self, now: float) -> None:
        """The time that `get_timer` said has come."""
        if self._deadline is not None and now >= self._deadline:
            self._give_up(PeerTimeout(self.stage.value))

    # Output

    def signals_to_send(self) -> list[Signal]:
        """Take the signals to send now, in order."""
        signals = list(self._outbox)
        self._outbox.clear()
        return signals

    def next_event(self) -> NegotiationEvent | None:
        """Take the oldest event; None if there is no further one."""
        return self._events.popleft() if self._events else None

    # PAKE

    def _begin(self) -> None:
        if self._password is None:
            if self.offerer:
                self._events.append(MakeOffer(self.gen))
            return
        start = Pake.offerer if self.offerer else Pake.answerer
        self._pake = start(
            password=self._password,
            room=self._room,
            link=self._link,
            own_id=self._local,
            peer_id=self._remote,
            scalar=self._random,
            asks=self._counted,
        )
        self._send_pake(self._pake)

    def _send_pake(self, pake: Pake) -> None:
        for data in pake.messages_to_send():
            self._queue(SignalKind.PAKE, data, gen=0)
        self._unproved = self._unproved or pake.unproved

    def _receive_pake(self, data: str, now: float) -> None:
        if self._pake is None:
            # We have no password; with one, this would be an answer to ours or a repetition.
            if self._password is None and self.stage is SetupStage.DESCRIPTION and not self.gen:
                self._refuse(_MISMATCH_CODE, WrongCode(_MISMATCH))
            return
        self._pake.receive_message(data)
        self._send_pake(self._pake)
        self._conclude_pake(now)

    def _receive_unsealed(self, kind: SignalKind, data: str, now: float) -> None:
        """A signal that is not sealed, while the password is not proved yet."""
        if kind == SignalKind.BYE and self._pake is not None:
            code = parse_bye(data).code
            if code == _MISMATCH_CODE and not self._unproved:
                self._fail(WrongCode(_MISMATCH))
            elif not (self._unproved or (self.offerer and code == _TOO_MANY_CODE)):
                # It has seen nothing of us that could be wrong: it just leaves, whatever it says.
                self._fail(PeerLeft())
            elif code == _TOO_MANY_CODE:
                self._fail(TooManyGuesses())
            else:
                self._pake.receive_bye(data)
                self._conclude_pake(now)
        elif kind == SignalKind.OFFER:
            self._refuse(_MISMATCH_CODE, WrongCode(_MISMATCH))

    def _refuse(self, code: str, error: PeerError) -> None:
        self._queue(SignalKind.BYE, serialize_body(Bye(code)).decode(), gen=0)
        self._fail(error)

    def _conclude_pake(self, now: float) -> None:
        assert self._pake is not None
        event = self._pake.next_event()
        if isinstance(event, PakeAsks):
            self._events.append(AskGuess())
        elif isinstance(event, PakeDone):
            self._unproved = False
            if self._counted:
                self._events.append(GuessProved())
            self._sealer = Sealer(event.keys, offerer=self.offerer)
            self._sas = event.keys.sas
            self._await_description(now)
            if self.offerer:
                self._events.append(MakeOffer(self.gen))
        elif event is not None:
            if event.bye is not None:
                self._queue(SignalKind.BYE, event.bye, gen=0)
            gave_up = event.reason is PakeFailure.PEER_GAVE_UP
            self._fail(PeerLeft() if gave_up else event.error())

    # Descriptions

    def _receive_body(self, gen: int, kind: SignalKind, data: str, now: float) -> None:
        body = self._open(gen, kind, data)
        if body is None:
            return
        try:
            match kind:
                case SignalKind.OFFER if not self.offerer:
                    self._receive_offer(gen, parse_body(Offer, body), now)
                case SignalKind.ANSWER if self.offerer and gen == self.gen:
                    self._receive_answer(parse_body(Answer, body))
                case SignalKind.CANDIDATE if gen == self.gen:
                    self._receive_candidate(gen, body)
                case SignalKind.END_OF_CANDIDATES if gen == self.gen:
                    self._events.append(TakeCandidate(gen, None))
                case SignalKind.RESTART if self.offerer and gen == self.gen and self._described:
                    self.connection_failed(gen, NoPath(), now=now)
                case SignalKind.BYE:
                    self._receive_bye(parse_bye(body))
        except ProtocolError as error:
            self._give_up(error)

    def _receive_offer(self, gen: int, offer: Offer, now: float) -> None:
        if self._password is None and not offer.commit:
            raise ProtocolError("The other side's offer cannot be verified.")
        if self.stage not in (SetupStage.DESCRIPTION, SetupStage.PATH) or gen > MAX_GENERATION:
            return
        if gen <= self._offered or self._offers >= MAX_OFFERS:
            return  # said twice, or too often
        self._offers += 1
        self.gen = gen
        self._described = False
        self._offered = gen
        self._commit = offer.commit or ""
        self._await_description(now)
        self._events.append(MakeAnswer(gen, offer.sdp))

    def _receive_answer(self, answer: Answer) -> None:
        nonce = nonce_of(answer) if self._password is None else b""
        if self.stage is not SetupStage.DESCRIPTION or not self._described:
            return
        self._other_nonce = nonce
        self._events.append(TakeAnswer(self.gen, answer.sdp))
        self._enter_path()

    def _receive_candidate(self, gen: int, body: bytes) -> None:
        try:
            candidate = parse_body(Candidate, body).candidate
        except ProtocolError:
            return  # another candidate may do
        self._events.append(TakeCandidate(gen, candidate))

    def _receive_bye(self, bye: Bye) -> None:
        kind = _BYE_ERRORS.get(bye.code)
        if bye.code == _MISMATCH_CODE:
            self._fail(WrongCode(_MISMATCH))
        elif kind is NoPath:
            self._fail(NoPath(hint=_NO_PATH_REASONS.get(bye.reason, ""), conclusive=True))
        elif kind is not None:
            self._fail(kind())
        else:
            self._fail(
                LinkClosed("The other side ended the connection.", fit_code(bye.code, "bye"))
            )

    def _await_description(self, now: float) -> None:
        self._enter(SetupEvent.DESCRIBE)
        self._deadline = now + self._config.timeouts.description

    def _enter(self, event: SetupEvent) -> None:
        self.stage = TRANSITIONS[self.stage][event]

    def _enter_path(self) -> None:
        self._enter(SetupEvent.DESCRIBED)
        self._deadline = None  # whoever runs the connection bounds it

    def _next_generation(self, gen: int, now: float) -> None:
        self.gen = gen
        self._described = False
        self._await_description(now)
        self._events.append(MakeOffer(gen))

    # Sending and ending

    def _send(self, kind: SignalKind, body: msgspec.Struct) -> None:
        plaintext = serialize_body(body)
        if self._sealer is None:
            data = plaintext.decode()
        else:
            data = self._sealer.seal(self._envelope(self._local, self.gen, kind), plaintext)
        self._queue(kind, data, gen=self.gen)

    def _queue(self, kind: SignalKind, data: str, *, gen: int) -> None:
        self._outbox.append(Signal(to=self._remote, link=self._link, gen=gen, kind=kind, data=data))

    def _open(self, gen: int, kind: SignalKind, data: str) -> bytes | None:
        """The body of a signal; None if it is not the other side's, and so is dropped."""
        if self._sealer is None:
            return data.encode("utf-8", "replace")
        try:
            return self._sealer.open(self._envelope(self._remote, gen, kind), data)
        except SealError:
            return None

    def _envelope(self, sender: str, gen: int, kind: SignalKind) -> Envelope:
        to = self._remote if sender == self._local else self._local
        return Envelope(sender=sender, to=to, link=self._link, gen=gen, kind=kind)

    def _give_up(self, error: PeerError) -> None:
        """Fail, and tell the other side if there is a way to."""
        if self._link and (self._sealer is not None or self._password is None):
            reason = error.reason if isinstance(error, NoPath) else ""
            self._send(SignalKind.BYE, Bye(_BYE_CODES.get(type(error), "failed"), reason=reason))
        elif self._link:
            self._queue(SignalKind.BYE, '{"code":"failed"}', gen=0)
        self._fail(error)

    def _fail(self, error: PeerError) -> None:
        if self._unproved and not isinstance(error, WrongCode):
            error = Guessed()
        self._events.clear()
        self._events.append(NegotiationFailed(error, self.stage))
        self._enter(SetupEvent.FAILED)
        self._deadline = None
