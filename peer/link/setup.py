"""Carries out the set-up of a link: negotiation, connections and hello (floor 3)."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from peer.config import LinkConfig
from peer.errors import LinkClosed, NoPath, PeerError, ProtocolError, VerificationFailed
from peer.rtc import Connection
from peer.types import PeerInfo
from peer.version import VERSION
from signaling.messages import Signal, SignalFrom

from .attempt import Attempt
from .connection import LinkConnection
from .connection_slots import ConnectionSlots
from .control_channel import VERIFICATION_FAILED
from .link import Link
from .negotiation import (
    AskGuess,
    GuessProved,
    MakeAnswer,
    MakeOffer,
    Negotiation,
    NegotiationFailed,
    SetupStage,
    TakeAnswer,
    TakeCandidate,
)

__all__ = ["AGENT", "LinkSetup"]

logger = logging.getLogger(__name__)

AGENT = f"peerline/{VERSION} python"


class LinkSetup:
    """The set-up of one link with one peer of a room.

    Pass the signals of the peer to `receive_signal`, and await `run`, which returns the link or
    raises the reason of the failure. Later signals are accepted, too. Faults of the other side end
    this set-up at most: `run` raises nothing but `PeerError`, the other methods never raise.
    """

    def __init__(
        self,
        *,
        local: str,
        peer: PeerInfo,
        room: str,
        password: bytes | None,
        own_name: str,
        make_connection: Callable[[], Connection],
        slots: ConnectionSlots,
        send: Callable[[Signal], None],
        ask_guess: Callable[[], None],
        guess_proved: Callable[[], None],
        config: LinkConfig,
    ) -> None:
        """Begin; `run` does the rest.

        Args:
            local: Our peer id.
            peer: The other side.
            room: The room's id on the server.
            password: The secret of both sides; None for a link without a password.
            own_name: Our name, as the other side sees it.
            make_connection: Makes a connection with the servers to use.
            slots: Of the connections that may be tried at once, for all set-ups of a room.
            send: Sends a signal to the other side; must not block.
            ask_guess: Wants a guess from the budget; `decide_guess` is called, now or later.
            guess_proved: Gives it back, since the other side has proved itself.
            config: Of the link.
        """
        self.peer = peer
        self._own_name = own_name
        self._make_connection = make_connection
        self._slots = slots
        self._send = send
        self._ask_guess = ask_guess
        self._guess_proved = guess_proved
        self._config = config
        self._loop = asyncio.get_running_loop()
        self._wake = asyncio.Event()
        self._due: float | None = None
        self._attempt: Attempt | None = None
        self._trying: dict[Attempt, asyncio.Task[None]] = {}
        self._link: Link | None = None
        self._failure: NegotiationFailed | None = None
        self.offerer = local < peer.id
        self._negotiation = Negotiation(
            local=local,
            remote=peer.id,
            room=room,
            password=password,
            link=os.urandom(12).hex() if self.offerer else None,
            random=os.urandom(32),
            config=config,
            now=self._loop.time(),
            counted=True,
        )

    @property
    def stage(self) -> SetupStage:
        """How far it has come, or where it failed."""
        return self._negotiation.stage if self._failure is None else self._failure.stage

    @property
    def link_id(self) -> str:
        """The link's id in signals; empty while it is not known."""
        return self._negotiation.link

    @property
    def authenticated(self) -> bool:
        """Whether the other side has proved that it knows the password."""
        return self._negotiation.authenticated

    @property
    def failure(self) -> PeerError | None:
        """Why there will be no link, as soon as that is known."""
        return None if self._failure is None else self._failure.error

    def receive_signal(self, signal: SignalFrom) -> None:
        """Take a signal of the other side."""
        with self._contained():
            self._negotiation.receive_signal(signal, self._loop.time())
            self._carry_out()

    def decide_guess(self, *, granted: bool) -> bool:
        """Answer to `ask_guess`; False if the set-up has failed meanwhile."""
        if self._failure is not None:
            return False
        with self._contained():
            if granted:
                self._negotiation.answer_share(self._loop.time())
            else:
                self._negotiation.refuse_share()
            self._carry_out()
        return True

    def peer_left(self) -> None:
        """The other side has left the room: a link that is there asks it."""
        if self._link is not None:
            self._link._doubt()
        else:
            self.server_lost()

    def server_lost(self) -> None:
        """No signal will come any more; a link that is there goes on."""
        with self._contained():
            self._negotiation.peer_left()
            self._carry_out()

    async def run(self) -> Link:
        """Set the link up.

        Raises:
            PeerError: The set-up failed: `WrongCode`, `NoPath`, `PeerTimeout`, `PeerLeft`, ...
        """
        try:
            self._advance()
            while self._link is None and self._failure is None:
                self._wake.clear()
                try:
                    async with asyncio.timeout_at(self._due):
                        await self._wake.wait()
                except TimeoutError:
                    self._time_out()
        except asyncio.CancelledError:
            self._negotiation.give_up(LinkClosed())
            self._advance()
            raise
        finally:
            await self._end_attempts()
        if self._link is not None:
            return self._link
        assert self._failure is not None
        raise self._failure.error

    def _advance(self) -> None:
        with self._contained():
            self._carry_out()

    def _time_out(self) -> None:
        with self._contained():
            self._negotiation.handle_timer(self._loop.time())
            self._carry_out()

    @contextmanager
    def _contained(self) -> Iterator[None]:
        """Keep an unexpected fault from the other links of the room."""
        try:
            yield
        except Exception as fault:  # noqa: BLE001 -- the seam between one peer and all others
            error = _unforeseen(fault)
            if self._link is None and self._failure is None:
                self._failure = NegotiationFailed(error, self._negotiation.stage)
            self._negotiation.give_up(error)
            for signal in self._negotiation.signals_to_send():
                self._send(signal)
            self._wake.set()

    def _carry_out(self) -> None:
        """Send what the negotiation has to say, do what it wants done, and note its timer."""
        for signal in self._negotiation.signals_to_send():
            self._send(signal)
        while (event := self._negotiation.next_event()) is not None:
            match event:
                case AskGuess():
                    self._ask_guess()
                case GuessProved():
                    self._guess_proved()
                case MakeOffer(gen):
                    self._try(Attempt(gen, None))
                case MakeAnswer(gen, sdp):
                    self._try(Attempt(gen, sdp))
                case TakeAnswer(_, sdp):
                    if self._attempt is not None:
                        self._attempt.take_answer(sdp)
                case TakeCandidate(gen, candidate):
                    if self._attempt is not None and self._attempt.number == gen:
                        self._attempt.add_candidate(candidate)
                case NegotiationFailed(error, stage):
                    if str(error) == str(NoPath()) and self._attempt is not None:
                        # The other side has given up, and does not say why: judge, too.
                        error = self._attempt.no_path()
                    self._failure = NegotiationFailed(error, stage)
        self._due = self._negotiation.get_timer()
        self._wake.set()

    def _try(self, attempt: Attempt) -> None:
        """Begin with a connection; the one before is over."""
        for task in self._trying.values():
            task.cancel()
        self._attempt = attempt
        task = asyncio.create_task(self._connect(attempt), name="connect")
        self._trying[attempt] = task
        task.add_done_callback(lambda _: self._tried(attempt))

    def _tried(self, attempt: Attempt) -> None:
        self._trying.pop(attempt, None)
        if self._attempt is attempt:
            self._attempt = None
        self._wake.set()

    async def _end_attempts(self) -> None:
        tasks = list(self._trying.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _connect(self, attempt: Attempt) -> None:
        """Try one connection until there is a link, or it failed."""
        error: PeerError
        try:
            async with attempt.connection(
                self._slots, self._make_connection, self._config
            ) as connection:
                try:
                    await self._set_up(attempt, connection)
                except VerificationFailed:
                    # The other side may take the link for good already.
                    await connection.say_goodbye(VERIFICATION_FAILED)
                    raise
            return
        except PeerError as reason:
            error = reason
        except Exception as fault:  # noqa: BLE001 -- the seam between one peer and all others
            error = _unforeseen(fault)
        logger.info("generation %d failed: %s", attempt.number, error)
        with self._contained():
            self._negotiation.connection_failed(attempt.number, error, now=self._loop.time())
            self._carry_out()

    async def _set_up(self, attempt: Attempt, link_connection: LinkConnection) -> None:
        negotiation, connection = self._negotiation, link_connection.connection
        gen, offer = attempt.number, attempt.offer
        connection.on_candidate = lambda line: self._on_candidate(gen, line)
        sdp = await (connection.offer() if offer is None else connection.answer(offer))
        negotiation.description_made(gen, sdp, random=os.urandom(32), now=self._loop.time())
        self._carry_out()
        if offer is None:
            await connection.accept_answer(await attempt.answer)
        try:
            async with asyncio.timeout(self._config.timeouts.path):
                await connection.connected()
        except TimeoutError:
            raise connection.no_path() from None
        hello = await link_connection.control.greet(self._own_name, AGENT, negotiation.reveal)
        sas = negotiation.verify(
            hello.reveal,
            local_fingerprint=connection.local_fingerprint,
            remote_fingerprint=connection.remote_fingerprint,
        )
        negotiation.established()
        self._link = Link(
            link_connection,
            peer=PeerInfo(self.peer.id, hello.name or self.peer.name, hello.agent),
            offerer=negotiation.offerer,
            authenticated=negotiation.authenticated,
            sas=sas,
            config=self._config,
        )
        attempt.keep()

    def _on_candidate(self, gen: int, candidate: str | None) -> None:
        with self._contained():
            self._negotiation.candidate_found(gen, candidate)
            self._carry_out()


def _unforeseen(fault: Exception) -> ProtocolError:
    """Return the error that stands for an unexpected fault in the set-up of one link."""
    logger.debug("a fault while a link was set up", exc_info=fault)
    return ProtocolError(
        f"The link could not be set up because of an error in Peerline ({type(fault).__name__})."
    )
