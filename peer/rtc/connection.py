"""One generation of a link: one RTCPeerConnection, its ICE, and its data channels."""

from __future__ import annotations

import asyncio
import enum
import logging
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, cast

from aioice.ice import CandidatePair
from aiortc import (
    InvalidStateError,
    RTCConfiguration,
    RTCIceTransportPolicy,
    RTCPeerConnection,
    RTCSessionDescription,
)
from cryptography.hazmat.primitives.hashes import SHA256

from peer.config import ChannelParameters, EngineName
from peer.errors import LinkClosed, LinkLost, NoPath, PeerError, ProtocolError, VerificationFailed
from peer.types import NetworkPath

from .data_channel import DataChannel
from .engines.association import PeerConnection
from .engines.base import Engine, chosen_engine
from .engines.stock import StockEngine, StockPeerConnection
from .ice.address_watch import AddressWatch
from .ice.agent import IceConnection, IceProtocol, adopt
from .ice.candidates import Candidate
from .ice.gathering import Gatherer, GatheringTimes
from .ice.remote_candidates import Intake
from .ice.servers import ServerEntry, endpoints
from .ice.verdict import Verdict
from .sdp import DEFAULT_MAX_MESSAGE_SIZE, Description

if TYPE_CHECKING:
    from aioice import Candidate as IceCandidate
    from aiortc import RTCSctpTransport

__all__ = ["Connection", "ConnectionState"]

logger = logging.getLogger(__name__)

CLOSE_TIMEOUT = 3.0
FLUSH_INTERVAL = 0.01
LEFT_OVER = 16 << 10
"""Bytes of the window that may remain when the peer stops: less than its next packet. A little more
of large windows remains, because senders approach a full one ever more slowly."""
# Exceptions of aiortc's parsers for unexpected input.
_PARSE_ERRORS = (ValueError, AssertionError, LookupError, AttributeError, TypeError)
_IMPOSTOR = "The certificate of the other machine is not the announced one."


class ConnectionState(enum.Enum):
    """State of a connection."""

    NEW = "new"
    CONNECTED = "connected"
    """Its channels are open."""
    ENDED = "ended"
    """It failed, was lost, or was closed."""


class Connection:
    """One attempt to connect, and the connection that results from it.

    The order of calls: `create_channel` (for negotiated channels), then either
    `offer` and `accept_answer`, or `answer`; `add_candidate` at any time; `connected`; and
    always `close`.

    Attributes:
        on_channel: Called with each channel that the peer opens.
        on_candidate: Called with each candidate of ours that is found after the description was
            made; None when there are no more.
        on_ended: Called once when the connection ends without a call of `close`.
        on_heard: Called when any packet of the peer arrives, including acknowledgements.
    """

    def __init__(
        self,
        servers: Sequence[ServerEntry] = (),
        *,
        policy: Literal["all", "relay"] = "all",
        hide_hosts: bool = False,
        times: GatheringTimes | None = None,
        engine: EngineName | None = None,
        receive_window: int | None = None,
    ) -> None:
        """Prepare a connection.

        Args:
            servers: STUN and TURN servers to use.
            policy: `relay` to offer and use only addresses of TURN servers.
            hide_hosts: Offer no address of this host's interfaces, only those that STUN and TURN
                servers return.
            times: Time limits for the servers.
            engine: Carries the channels; None for the one that the environment selects, or ours.
            receive_window: Bytes that may be unread, where the engine has a choice.
        """
        relay_only = policy == "relay"
        engine = engine or chosen_engine()
        logger.info("channels are carried by the engine %s", engine)
        stock = engine == "aiortc"
        self._pc: RTCPeerConnection = (StockPeerConnection if stock else PeerConnection)(
            RTCConfiguration(
                iceServers=[],  # the Gatherer asks them; None selects Google's
                iceTransportPolicy=RTCIceTransportPolicy.RELAY
                if relay_only
                else RTCIceTransportPolicy.ALL,
            )
        )
        if receive_window is not None and isinstance(self._pc, PeerConnection):
            self._pc.receive_window = receive_window
        self._engine: Engine = (
            self._pc.transport if isinstance(self._pc, PeerConnection) else StockEngine(self._pc)
        )
        self._engine.on_channel = lambda channel: self.on_channel(channel)
        self._engine.on_open = self._on_first_open
        self._engine.on_heard = lambda: self.on_heard()
        self._engine.on_ended = self._on_engine_ended
        self._relay_only = relay_only
        self._hide_hosts = hide_hosts
        self._stun, self._turn = endpoints(servers)
        self._times = times or GatheringTimes()
        self._gatherer: Gatherer | None = None
        self._watch: AddressWatch | None = None
        self._verdict = Verdict(self._is_searching, self._on_no_path)
        self._concluded = False
        self._intake = Intake(
            self._pc,
            relay_only=relay_only,
            addresses=lambda: [] if self._gatherer is None else self._gatherer.addresses,
            on_candidate=self._verdict.heard,
        )
        self._tasks: set[asyncio.Task[None]] = set()
        self._remote: Description | None = None
        self._sctp_init_accepted = False
        self._verified = b""
        self._state = ConnectionState.NEW
        self._established: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._closing: asyncio.Task[None] | None = None
        self.on_channel: Callable[[DataChannel], None] = lambda channel: None
        self.on_candidate: Callable[[str | None], None] = lambda candidate: None
        self.on_ended: Callable[[PeerError], None] = lambda error: None
        self.on_heard: Callable[[], None] = lambda: None
        self._pc.on("connectionstatechange", self._on_state)

    # Channels

    def create_channel(self, parameters: ChannelParameters) -> DataChannel:
        """Open a data channel.

        Raises:
            ValueError: Its id is taken.
            ChannelError: There is no room for another channel.
            LinkLost: The connection is over.
        """
        if self._state is ConnectionState.ENDED:
            raise LinkLost
        try:
            channel = self._engine.create_channel(parameters)
        except InvalidStateError:
            raise LinkLost from None
        if self._gatherer is None:
            self._take_over_gathering()
        return channel

    @property
    def receive_window(self) -> int:
        """Bytes that may be unread; 0 if the engine does not bound them."""
        return self._engine.window

    @property
    def held_up(self) -> bool:
        """Whether unread messages leave the peer no room to send more."""
        window = self._engine.window
        left_over = min(max(LEFT_OVER, window // 32), window // 8)
        return window > 0 and window - self._engine.unread <= left_over

    async def flush(self, patience: float) -> None:
        """Wait until all data of all channels has been acknowledged.

        Returns at once when the connection is over.

        Args:
            patience: Seconds without progress after which to give up.

        Raises:
            TimeoutError: The peer has acknowledged nothing for that long.
        """
        loop = asyncio.get_running_loop()
        before: object = None
        since = loop.time()
        # Neither engine reports an empty queue: poll.
        while self._is_alive() and (now := self._engine.backlog) is not None:
            if now != before:
                before, since = now, loop.time()
            elif loop.time() - since > patience:
                raise TimeoutError
            await asyncio.sleep(FLUSH_INTERVAL)

    # Set-up

    async def offer(self) -> str:
        """Return an offer, candidates included.

        Raises:
            NoPath: There is no candidate to offer.
        """
        await self._pc.setLocalDescription(await self._pc.createOffer())
        return self._local_description()

    async def answer(self, offer: str) -> str:
        """Return the answer to the peer's offer.

        Raises:
            ProtocolError: The offer is invalid.
            NoPath: There is no candidate to answer with.
        """
        await self._apply(offer, "offer")
        try:
            await self._pc.setLocalDescription(await self._pc.createAnswer())
        except InvalidStateError:
            raise LinkLost from None
        description = self._local_description()
        self._verdict.begin()
        return description

    async def accept_answer(self, answer: str) -> None:
        """Apply the peer's answer.

        Raises:
            ProtocolError: The answer is invalid.
        """
        await self._apply(answer, "answer")
        self._verdict.begin()

    def add_candidate(self, candidate: str | None) -> None:
        """Add a candidate of the peer (`candidate:...`); an invalid one is ignored.

        Args:
            candidate: None when there are no more.
        """
        if candidate is None:
            self._verdict.heard_all()
            return
        parsed = Candidate.parse(candidate)
        if parsed is None:
            logger.info("ignoring a candidate that makes no sense, or is of no use")
        else:
            self._intake.take(parsed)

    async def connected(self) -> None:
        """Wait until the channels are open; bound it with `asyncio.timeout`.

        Raises:
            NoPath: ICE failed.
            VerificationFailed: The peer's certificate is not the announced one.
            LinkLost: The connection was closed meanwhile.
        """
        await asyncio.shield(self._established)

    def no_path(self) -> NoPath:
        """Return the error for a timeout of `connected`, with the known reasons."""
        if self._pc.iceConnectionState == "completed":
            return NoPath(
                "A network path was found, but the encrypted connection did not come up over it."
            )
        return NoPath(hint=self._hint(), conclusive=self._concluded)

    # Properties of a connection

    @property
    def state(self) -> ConnectionState:
        """Present state."""
        return self._state

    @property
    def path(self) -> NetworkPath | None:
        """The network path in use; None unless connected."""
        pair = self._ice._nominated.get(1)
        if pair is None:
            return None
        local, remote = pair.local_candidate, pair.remote_candidate
        relayed = "relay" in (local.type, remote.type)
        return NetworkPath(
            "relayed" if relayed else "direct",
            cast('Literal["host", "srflx", "prflx", "relay"]', local.type),
            cast('Literal["host", "srflx", "prflx", "relay"]', remote.type),
            _address(local.host, local.port),
            _address(*pair.remote_addr),
        )

    @property
    def max_message_size(self) -> int:
        """Largest message that the peer accepts, bytes."""
        remote = self._remote
        return DEFAULT_MAX_MESSAGE_SIZE if remote is None else remote.max_message_size

    @property
    def local_fingerprint(self) -> bytes:
        """SHA-256 of our DTLS certificate, 32 bytes."""
        prints = self._sctp.transport.getLocalParameters().fingerprints
        (value,) = (print.value for print in prints if print.algorithm == "sha-256")
        return bytes.fromhex(value.replace(":", ""))

    @property
    def remote_fingerprint(self) -> bytes:
        """SHA-256 of the peer's certificate, as DTLS verified it; empty before."""
        return self._verified

    # End

    async def close(self) -> None:
        """Close at once, without sending queued data; ends all tasks and sockets."""
        if self._closing is None:
            self._closing = asyncio.create_task(self._close(), name="close connection")
        await asyncio.shield(self._closing)

    async def _close(self) -> None:
        self._end(LinkClosed(), tell=False)
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        if self._gatherer is not None:
            await self._gatherer.close()
        await self._intake.close()
        # aiortc closes it, too, when the peer does. Both wait for one future, which must not be
        # cancelled.
        closing = asyncio.create_task(self._pc.close())
        await asyncio.wait({closing}, timeout=CLOSE_TIMEOUT)
        if closing.done():
            closing.result()
        else:
            logger.info("the connection did not close in time")
        await self._wait_for_stragglers()

    async def _wait_for_stragglers(self) -> None:
        """Wait for the tasks that aiortc starts without a reference, which end now."""
        owners: list[object] = [self._pc]
        if self._pc.sctp is not None:
            dtls = self._sctp.transport
            owners += [self._sctp, dtls, dtls.transport, self._ice]
        stragglers = {
            task
            for task in asyncio.all_tasks()
            if (frame := getattr(task.get_coro(), "cr_frame", None)) is not None
            and any(frame.f_locals.get("self") is owner for owner in owners)
        }
        if stragglers:
            await asyncio.wait(stragglers, timeout=CLOSE_TIMEOUT)

    # private

    @property
    def _sctp(self) -> RTCSctpTransport:
        sctp = self._pc.sctp
        assert sctp is not None, "a connection has channels from the start"
        return sctp

    @property
    def _ice(self) -> IceConnection:
        return cast(IceConnection, self._sctp.transport.transport._connection)

    def _take_over_gathering(self) -> None:
        self._gatherer = Gatherer(
            adopt(self._ice),
            self._stun,
            self._turn,
            relay_only=self._relay_only,
            hide_hosts=self._hide_hosts,
            on_late_candidate=self._on_late_candidate,
            times=self._times,
        )
        self._ice.get_component_candidates = self._gatherer.gather  # type: ignore[method-assign]

    def _hint(self) -> str:
        problems = self._gatherer.problems if self._gatherer is not None else []
        advice = self._verdict.advice(servers=bool(self._stun or self._turn))
        return f"{advice} {'; '.join(problems)}{'.' if problems else ''}".strip()

    def _local_description(self) -> str:
        ours = Description.parse(self._pc.localDescription.sdp)
        if not ours.candidates:
            if self._relay_only:
                raise NoPath(
                    "No TURN server gave an address, and only relaying is allowed.",
                    self._hint(),
                    conclusive=True,
                    reason="no_relay",
                )
            if self._hide_hosts:
                raise NoPath(
                    "No STUN or TURN server gave an address, and this machine's own addresses "
                    "must stay hidden.",
                    self._hint(),
                    conclusive=True,
                    reason="no_address",
                )
            raise NoPath("This machine has no network address to offer.", reason="no_address")
        waits = self._gatherer is not None and self._gatherer.pending
        self._verdict.told(*ours.candidates)
        if waits:
            self._background(self._announce_end())
        else:
            self._verdict.told_all()
        # In an answer it says that the INIT of the offer is accepted.
        proposes = self._remote is None or self._sctp_init_accepted
        sctp_init = self._engine.sctp_init if proposes else b""
        return replace(ours, complete=not waits, sctp_init=sctp_init).text()

    async def _announce_end(self) -> None:
        """Report the end of candidates, after the last server has answered or timed out."""
        assert self._gatherer is not None
        await self._gatherer.finished()
        self._verdict.told_all()
        self.on_candidate(None)

    async def _apply(self, text: str, kind: Literal["offer", "answer"]) -> None:
        remote = Description.parse(text, kind)
        if remote.sctp_init:
            self._sctp_init_accepted = self._engine.accept_sctp_init(remote.sctp_init)
            if kind == "answer" and not self._sctp_init_accepted:
                raise ProtocolError("The other side's answer is not valid.")
        # Candidates are added singly, so that the lookup of a `.local` name cannot delay the
        # answer; aioice would also give up at their end while such a lookup runs.
        bare = replace(remote, candidates=(), complete=False, sctp_init=b"").text()
        try:
            await self._pc.setRemoteDescription(RTCSessionDescription(sdp=bare, type=kind))
        except InvalidStateError:
            if self._state is ConnectionState.ENDED:
                raise LinkLost from None
            raise ProtocolError(f"The other side's {kind} came at the wrong time.") from None
        except _PARSE_ERRORS as error:
            raise ProtocolError(f"The other side's {kind} is not valid: {error}") from error
        self._remote = remote
        self._intake.begin(self._sctp.mid or "0")
        for candidate in remote.candidates:
            self.add_candidate(candidate.text())
        if remote.complete:
            self._verdict.heard_all()

    def _background(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _is_alive(self) -> bool:
        return self._pc.sctp is not None and self._pc.sctp.state == "connected"

    def _end(self, error: PeerError, *, tell: bool) -> None:
        if self._state is ConnectionState.ENDED:
            return
        self._state = ConnectionState.ENDED
        self._verdict.close()
        if self._watch is not None:
            self._watch.close()
        if not self._established.done():
            self._established.set_exception(error)
            self._established.exception()  # retrieved, because there may be no waiter
        if tell:
            self.on_ended(error)

    def _on_first_open(self) -> None:
        if self._state is not ConnectionState.NEW:
            return
        # aiortc has compared them, too, but the verification words depend on this check.
        verified = self._peer_certificate()
        if self._remote is None or verified != self._remote.fingerprint:
            self._end(VerificationFailed(_IMPOSTOR), tell=True)
            return
        self._verified = verified
        self._state = ConnectionState.CONNECTED
        self._verdict.close()
        self._watch = AddressWatch(self._own_address, self._on_address_gone)
        self._established.set_result(None)

    def _peer_certificate(self) -> bytes:
        """Return the SHA-256 of the certificate that the peer has proved to hold, or b""."""
        connection = self._sctp.transport._ssl
        shown = connection and connection.get_peer_certificate(as_cryptography=True)
        return shown.fingerprint(SHA256()) if shown else b""

    def _on_late_candidate(self, candidate: IceCandidate) -> None:
        line = f"candidate:{candidate.to_sdp()}"
        parsed = Candidate.parse(line)
        if parsed is not None:
            self._verdict.told(parsed)
        self.on_candidate(line)

    def _on_engine_ended(self, reason: str) -> None:
        logger.info("the association ended: %s", reason)
        self._end(self._lost(), tell=True)

    def _on_state(self) -> None:
        state = self._pc.connectionState
        if state == "failed":
            if self._pc.iceConnectionState == "failed" and self._state is ConnectionState.NEW:
                self._end(self.no_path(), tell=True)
            elif self._state is ConnectionState.NEW:
                self._end(VerificationFailed(_IMPOSTOR), tell=True)
            else:
                self._end(self._lost(), tell=True)
        elif state == "closed":
            self._end(self._lost(), tell=True)

    def _is_searching(self) -> bool:
        ice = self._ice
        answered = any(pair.state is CandidatePair.State.SUCCEEDED for pair in ice._check_list)
        return self._state is ConnectionState.NEW and not ice._nominated and not answered

    def _on_no_path(self) -> None:
        self._concluded = True
        self._end(self.no_path(), tell=True)

    def _lost(self) -> LinkLost:
        reason = self._ice.lost_because if self._gatherer is not None else ""
        return LinkLost(f"The link to the other side broke off. {reason}") if reason else LinkLost()

    def _own_address(self) -> str | None:
        pair = self._ice._nominated.get(1)
        return None if pair is None else cast(IceProtocol, pair.protocol).own_address

    def _on_address_gone(self, address: str) -> None:
        self._end(
            LinkLost(
                "The link to the other side broke off: this machine no longer has the network "
                f"address {address}, so its network has changed or is switched off."
            ),
            tell=True,
        )


def _address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
