"""Rooms: where peers meet on a server (floor 3).

::

    async with peer.host("https://example.org", name="alice") as room:
        print(room.code)                       # say it to the other side
        link = await room.link()

    async with peer.join("https://example.org", code="7-guitar-ocean", name="bob") as room:
        link = await room.link()

The server is not trusted with more than bringing the two together: it never sees the words of
a code, and with a code or a password it cannot read or change what the peers agree on.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Mapping
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Self

from peer.config import LinkConfig
from peer.errors import Guessed, LinkClosed, PeerError, PeerTimeout
from peer.link.connection_slots import ConnectionSlots
from peer.link.guess_budget import Budget
from peer.security.codes import Code
from peer.server.client import SignalingClient
from peer.text import fit_name
from peer.types import PeerInfo
from signaling.ice_servers import IceConfig
from signaling.messages import (
    Error,
    IceUpdate,
    Leave,
    PeerEvent,
    SignalFrom,
    Stats,
)

from .link_queue import LinkQueue
from .roster import Consequence, Roster

if TYPE_CHECKING:
    from peer.link.link import Link
    from peer.link.setup import LinkSetup
    from peer.rtc import Connection

__all__ = ["Room"]

logger = logging.getLogger(__name__)

MAX_CONNECTING = 64
"""Connections that are tried at once, over all set-ups: each has sockets of its own."""
CONNECTING_PATIENCE = 10.0
"""Seconds after which a connection that is tried makes room for those that wait. If strangers hold
all slots, the next peers get theirs before the other side gives up waiting for an offer."""


class Room:
    """A room that this program is in; `host` and `join` return it.

    Iterate over it for the links to the others, as they come about. A code room has one link.

    Attributes:
        id: The name of the room, or its number.
        me: Our own peer id.
        server: URL of the server's page; with a scheme, even if none was given.
        code: The code with which the other side joins; None for a named room.
    """

    def __init__(
        self,
        client: SignalingClient,
        *,
        code: Code | None,
        password: bytes | None,
        budget: Budget,
        name: str,
        ice: IceConfig | None,
        relay_only: bool,
        config: LinkConfig,
    ) -> None:
        """Take over a joined room; `host` and `join` do this."""
        welcome = client.welcome
        self.id = welcome.room
        self.me = welcome.peer
        self.server = client.page
        self.code = code
        # By our own request: the server has no say in how many may guess.
        self._is_code_room = code is not None
        self._client = client
        self._password = password
        self._name = name
        self._own_ice = ice
        self._ice = ice or IceConfig(welcome.ice.servers, welcome.ice.policy)
        self._relay_only = relay_only
        self._config = config
        self._roster = Roster(
            self.me,
            [PeerInfo(each.peer, fit_name(each.name or "")) for each in welcome.peers],
            code_room=self._is_code_room,
        )
        self._setups: dict[str, LinkSetup] = {}
        self._links: set[Link] = set()
        self._queue = LinkQueue(single=self._is_code_room)
        self._listening = True
        self._slots = ConnectionSlots(MAX_CONNECTING, CONNECTING_PATIENCE)
        self._budget = budget
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing: asyncio.Task[None] | None = None
        self._listener = self._start(self._listen(), "room")

    @property
    def peers(self) -> Mapping[str, PeerInfo]:
        """The others who are in the room now, by their ids; not all of them have a link yet."""
        return MappingProxyType(self._roster.peers)

    @property
    def failures(self) -> Mapping[str, PeerError]:
        """Why there is no link to some of the others, by their ids; the newest ones."""
        return MappingProxyType(self._roster.failures)

    @property
    def _wrong_guesses(self) -> int:
        """Guesses at the code or password that are taken from the budget."""
        return self._budget.taken

    # Links

    async def link(self, timeout: float | None = None) -> Link:
        """Wait for the next link that was not taken yet; in a code room, for the only one.

        Args:
            timeout: Seconds; None waits without a limit.

        Raises:
            PeerTimeout: No link came about in time.
            WrongCode: The other side used another code; this one is spent (`Guessed` if it did not
                even prove that).
            NoPath: There is no network path to the other side.
            PeerError: No link will come about, for another reason. In a named room: the reason of
                the last failure with those who were there before us, unless it is theirs alone;
                other peers may still come.
        """
        try:
            async with asyncio.timeout(timeout):
                link = await self._queue.take()
        except TimeoutError:
            raise PeerTimeout("peer", "Nobody came in time.") from None
        if link is not None:
            return link
        assert self._queue.first is not None  # the only link of a code room was taken before
        return self._queue.first

    def __aiter__(self) -> Self:
        """Iterate over the links, as they come about; those of a code room end after the first."""
        return self

    async def __anext__(self) -> Link:
        """Wait for the next link.

        Raises:
            PeerError: There will be no further link; in a named room also as `link` says.
        """
        link = await self._queue.take()
        if link is None:
            raise StopAsyncIteration
        return link

    # The end

    async def close(self) -> None:
        """Close every link in order, and leave the room."""
        if self._closing is None:
            self._closing = asyncio.create_task(self._close(), name="close room")
        await asyncio.shield(self._closing)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.close()

    async def _close(self) -> None:
        self._listening = False
        # Our own wish comes before any other reason.
        self._queue.error = None
        self._queue.end(LinkClosed("The room is closed."))
        # Set-ups that are cancelled tell the other side: the server's connection must outlive them.
        setting_up = self._tasks - {self._listener}
        for task in setting_up:
            task.cancel()
        if setting_up:
            await asyncio.wait(setting_up)
        # Links end without the server, so both goodbyes take no longer than one.
        await asyncio.gather(self._client.close(), *(link.close() for link in self._links))
        self._listener.cancel()
        await asyncio.wait({self._listener})

    # Messages of the server

    async def _listen(self) -> None:
        # Loading WebRTC takes a third of a second; a host can tell the code meanwhile.
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(None, import_module, "peer.link.setup")
        for peer in list(self._roster.peers.values()):
            self._set_up(peer)
        try:
            async for message in self._client:
                match message:
                    case SignalFrom():
                        self._on_signal(message)
                    case PeerEvent():
                        self._on_peer(message)
                    case IceUpdate() if self._own_ice is None:
                        self._ice = IceConfig(message.ice.servers, message.ice.policy)
                    case Error():
                        logger.info("the server says: %s (%s)", message.message, message.code)
        except PeerError as error:
            self._lose_server(error)

    def _on_signal(self, signal: SignalFrom) -> None:
        setup = self._setups.get(signal.from_)
        if setup is not None and self._listening:
            setup.receive_signal(signal)

    def _on_peer(self, event: PeerEvent) -> None:
        if not self._listening:
            return
        if event.event == "joined":
            peer = PeerInfo(event.peer, fit_name(event.name or ""))
            if self._roster.join(peer):
                self._set_up(peer)
        elif event.event == "left":
            self._roster.leave(event.peer)
            setup = self._setups.pop(event.peer, None)
            if setup is not None:
                setup.peer_left()

    def _lose_server(self, error: PeerError) -> None:
        """Go on with the links that exist; new ones need the server."""
        logger.info("the server is gone: %s", error)
        self._listening = False
        for setup in list(self._setups.values()):
            setup.server_lost()
            if self._is_code_room and isinstance(setup.failure, Guessed):
                error = setup.failure  # the guess may have been the server's
        self._queue.end(error)

    # Set-up of links

    def _set_up(self, peer: PeerInfo) -> None:
        """Begin the set-up of a link with a peer, if it may have one."""
        from peer.link.setup import LinkSetup

        if not self._listening or peer.id in self._setups:
            return
        refusal = self._roster.refusal(peer.id)
        if refusal is not None:
            logger.info("%s", refusal)
            return
        run = self._budget.begin(lambda granted: setup.decide_guess(granted=granted))
        setup = LinkSetup(
            local=self.me,
            peer=peer,
            room=self.id,
            password=self._password,
            own_name=self._name,
            make_connection=self._make_connection,
            slots=self._slots,
            send=self._client.send,
            ask_guess=lambda: self._budget.ask(run),
            guess_proved=lambda: self._budget.proved(run),
            config=self._config,
        )
        self._roster.begin_setup()
        self._setups[peer.id] = setup
        self._start(self._run(setup, run), f"link to {peer.id}")

    async def _run(self, setup: LinkSetup, run: int) -> None:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        try:
            link = await setup.run()
        except PeerError as error:
            failure: PeerError = self._roster.reworded(
                error, offerer=setup.offerer, authenticated=setup.authenticated
            )
        else:
            self._take(setup, link, int((loop.time() - begun) * 1000))
            return
        finally:
            self._roster.end_setup()
            self._budget.end(run)
        self._forget(setup)
        self._report(setup, "failed", None)
        self._fail(setup.peer, failure)

    def _take(self, setup: LinkSetup, link: Link, took_ms: int) -> None:
        relayed = link.path is not None and link.path.kind == "relayed"
        self._report(setup, "relayed" if relayed else "direct", took_ms)

        def forget() -> None:
            self._links.discard(link)
            self._forget(setup)

        self._links.add(link)
        link.add_done_callback(forget)
        if not self._queue.put(link):
            logger.info("closing a link: too many wait to be taken")
            self._start(link.close(), "close link")

    def _forget(self, setup: LinkSetup) -> None:
        if self._setups.get(setup.peer.id) is setup:
            del self._setups[setup.peer.id]

    def _fail(self, peer: PeerInfo, error: PeerError) -> None:
        logger.info("no link to %s: %s", peer.id, error)
        # A traceback would keep the connection and all that belongs to it.
        error.__context__ = error.__cause__ = None
        error = error.with_traceback(None)
        has_links = bool(self._links or self._queue or self._queue.first)
        match self._roster.fail(
            peer.id, error, has_links=has_links, guesses_spent=self._budget.spent
        ):
            case Consequence.ROOM_ENDS:
                self._queue.end(error)
                self._listening = False
                self._client.send(Leave())  # which ends the room on the server
            case Consequence.REPORT:
                self._queue.report(error)

    def _make_connection(self) -> Connection:
        from peer.rtc import Connection

        policy = "relay" if self._relay_only else self._ice.policy
        return Connection(
            self._ice.servers,
            policy=policy,
            hide_hosts=not self._config.host_candidates,
            engine=self._config.engine,
            receive_window=self._config.window,
        )

    def _report(self, setup: LinkSetup, result: str, took_ms: int | None) -> None:
        """Report the outcome of a set-up to the server, for its statistics only."""
        if setup.link_id:
            self._client.send(
                Stats(
                    link=setup.link_id,
                    result=result,  # type: ignore[arg-type]  # one of the three, see the callers
                    open_ms=took_ms,
                    stage=setup.stage.value if result == "failed" else None,
                )
            )

    def _start(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._on_task_done)
        return task

    def _on_task_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (fault := task.exception()) is not None:
            logger.debug("a fault of the room", exc_info=fault)
            # Unexpected error: fail the room so that no waiter hangs. One of several links ends
            # alone.
            if task is self._listener or self._is_code_room:
                error = PeerError(f"Something unexpected happened: {fault!r}.")
                error.__cause__ = fault
                self._queue.end(error)
