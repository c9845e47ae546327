"""Carrying out the set-up of a link: the negotiation's machine, connections, and the hello (3)."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable

from .config import LinkConfig
from .errors import LinkClosed, PeerError, VerificationFailed
from .events import PeerInfo
from .generation import VERIFICATION_FAILED, Generation
from .link import Link
from .negotiation import (
    MakeAnswer,
    MakeOffer,
    Negotiation,
    NegotiationFailed,
    OutgoingSignal,
    Stage,
    TakeAnswer,
    TakeCandidate,
)
from .rtc import Connection

__all__ = ["AGENT", "Establishment"]

logger = logging.getLogger(__name__)

AGENT = "peerline/0.1.0 python"


class Establishment:
    """The set-up of one link with one peer of a room.

    Give it the peer's signals (`receive_signal`), and `run` it; `run` returns the link or says why
    there is none. Signals that come later still belong here.
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
        send: Callable[[OutgoingSignal], None],
        config: LinkConfig,
    ) -> None:
        """Begin; `run` does the rest.

        Args:
            local: our peer id.
            peer: the other side.
            room: the room's id on the server.
            password: what both must know; None for a link without a password.
            own_name: what we call ourselves.
            make_connection: makes a connection with the servers to use.
            send: sends a signal to the other side; must not block.
            config: of the link.
        """
        self.peer = peer
        self._own_name = own_name
        self._make_connection = make_connection
        self._send = send
        self._config = config
        self._loop = asyncio.get_running_loop()
        self._wake = asyncio.Event()
        self._generation: Generation | None = None
        self._attempt: asyncio.Task[None] | None = None
        self._answer: asyncio.Future[str] | None = None
        self._link: Link | None = None
        self._failure: NegotiationFailed | None = None
        offerer = local < peer.id
        self._negotiation = Negotiation(
            local=local,
            remote=peer.id,
            room=room,
            password=password,
            link=os.urandom(12).hex() if offerer else None,
            random=os.urandom(32),
            config=config,
            now=self._loop.time(),
        )

    @property
    def stage(self) -> Stage:
        """How far it has come, or where it failed."""
        return self._negotiation.stage if self._failure is None else self._failure.stage

    @property
    def link_id(self) -> str:
        """The link's id in signals; empty while it is not known."""
        return self._negotiation.link

    def receive_signal(self, *, link: str, gen: int, kind: str, data: str) -> None:
        """Take a signal of the other side."""
        self._negotiation.receive_signal(
            link=link, gen=gen, kind=kind, data=data, now=self._loop.time()
        )
        self._carry_out()

    def peer_left(self) -> None:
        """The other side has left the room."""
        self._negotiation.peer_left()
        self._carry_out()

    async def run(self) -> Link:
        """Set the link up.

        Raises:
            PeerError: there is none: `WrongCode`, `NoPath`, `PeerTimeout`, `PeerLeft`, ...
        """
        try:
            self._carry_out()
            while self._link is None and self._failure is None:
                if self._attempt is not None and self._attempt.done():
                    self._attempt.result()  # raises what nobody has foreseen
                self._wake.clear()
                due = self._negotiation.get_timer()
                try:
                    async with asyncio.timeout_at(due):
                        await self._wake.wait()
                except TimeoutError:
                    self._negotiation.handle_timer(self._loop.time())
                    self._carry_out()
        except asyncio.CancelledError:
            self._negotiation.give_up(LinkClosed())
            self._carry_out()
            raise
        finally:
            await self._end_attempt()
        if self._link is not None:
            return self._link
        assert self._failure is not None
        raise self._failure.error

    def _carry_out(self) -> None:
        """Send what the negotiation has to say, and do what it wants done."""
        for signal in self._negotiation.signals_to_send():
            self._send(signal)
        while (event := self._negotiation.next_event()) is not None:
            match event:
                case MakeOffer(gen):
                    self._start_attempt(gen, None)
                case MakeAnswer(gen, sdp):
                    self._start_attempt(gen, sdp)
                case TakeAnswer(_, sdp):
                    if self._answer is not None and not self._answer.done():
                        self._answer.set_result(sdp)
                case TakeCandidate(gen, candidate):
                    if self._generation is not None and self._generation.number == gen:
                        self._generation.connection.add_candidate(candidate)
                case NegotiationFailed():
                    self._failure = event
        self._wake.set()

    def _start_attempt(self, gen: int, offer: str | None) -> None:
        previous = self._attempt
        if previous is not None:
            previous.cancel()
        self._answer = self._loop.create_future()
        self._generation = Generation(gen, self._make_connection, self._config)
        self._attempt = asyncio.create_task(
            self._connect(self._generation, offer, self._answer, previous), name="connect"
        )
        self._attempt.add_done_callback(lambda _: self._wake.set())

    async def _end_attempt(self) -> None:
        if self._attempt is not None:
            if self._link is None:
                self._attempt.cancel()
            await asyncio.wait({self._attempt})
        if self._generation is not None and self._link is None:
            await self._generation.close()  # in case the attempt was cancelled while closing

    async def _connect(
        self,
        generation: Generation,
        offer: str | None,
        answer: asyncio.Future[str],
        previous: asyncio.Task[None] | None,
    ) -> None:
        """Run one generation until there is a link, or it failed."""
        negotiation, connection = self._negotiation, generation.connection
        gen = generation.number
        try:
            connection.on_candidate = lambda line: self._on_candidate(gen, line)
            sdp = await (connection.offer() if offer is None else connection.answer(offer))
            negotiation.description_made(gen, sdp, random=os.urandom(32), now=self._loop.time())
            self._carry_out()
            if offer is None:
                await connection.accept_answer(await answer)
            try:
                async with asyncio.timeout(self._config.timeouts.path):
                    await connection.connected()
            except TimeoutError:
                raise connection.no_path() from None
            hello = await generation.greet(self._own_name, AGENT, negotiation.reveal)
            sas = negotiation.verify(
                hello.reveal,
                local_fingerprint=connection.local_fingerprint,
                remote_fingerprint=connection.remote_fingerprint,
            )
            negotiation.established()
            self._link = Link(
                generation,
                peer=PeerInfo(self.peer.id, hello.name or self.peer.name, hello.agent),
                offerer=negotiation.offerer,
                authenticated=negotiation.authenticated,
                sas=sas,
                config=self._config,
            )
        except PeerError as error:
            logger.info("generation %d failed: %s", gen, error)
            if isinstance(error, VerificationFailed):
                # The other side may take the link for good already.
                await generation.say_goodbye(VERIFICATION_FAILED)
            await generation.close()
            negotiation.connection_failed(gen, error, now=self._loop.time())
        finally:
            if self._link is None:
                await generation.close()
            if previous is not None:
                await asyncio.wait({previous})
            self._carry_out()

    def _on_candidate(self, gen: int, candidate: str | None) -> None:
        self._negotiation.candidate_found(gen, candidate)
        self._carry_out()
