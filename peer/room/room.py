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
from collections import deque
from collections.abc import Coroutine, Mapping
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Self

from peer.config import LinkConfig
from peer.errors import (
    CodeSpent,
    Guessed,
    LinkClosed,
    PeerError,
    PeerLeft,
    PeerTimeout,
    ProtocolError,
    TooManyGuesses,
    WrongCode,
)
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

if TYPE_CHECKING:
    from peer.link.link import Link
    from peer.link.setup import LinkSetup
    from peer.rtc import Connection

__all__ = ["Room"]

logger = logging.getLogger(__name__)

MAX_PEERS = 1024
"""Others in a room; a server that tells of more is not listened to."""
MAX_SETTING_UP = 128
"""Links that are set up at once; whoever comes while there are so many gets none."""
MAX_CONNECTING = 64
"""Connections among them: each has sockets of its own, so the others wait for a place."""
CONNECTING_PATIENCE = 10.0
"""Seconds after which a connection that is tried makes room for those that wait: with all places
taken by strangers the next ones come to it before the other side gives up waiting for an offer."""
MAX_UNTAKEN = 64
"""Links that wait for the program to take them; whoever comes while there are so many gets none."""
MAX_FAILURES = 64
"""Failures that are remembered, the last ones."""


class Room:
    """A room one is in; get it from `host` or `join`.

    Iterate over it for the links to the others, as they come about. A code room has one link.

    Attributes:
        id: the room's name, or its number.
        me: our own peer id.
        server: the address of the server's page; with a scheme, even if none was given.
        code: what the other side needs to join; None for a named room.
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
        # What we asked for: the server has no say in how many may guess.
        self._is_code_room = code is not None
        self._client = client
        self._password = password
        self._name = name
        self._own_ice = ice
        self._ice = ice or IceConfig(welcome.ice.servers, welcome.ice.policy)
        self._relay_only = relay_only
        self._config = config
        self._peers = {
            info.peer: PeerInfo(info.peer, fit_name(info.name or ""))
            for info in welcome.peers[:MAX_PEERS]
        }
        self._there_before = frozenset(self._peers)
        self._establishments: dict[str, LinkSetup] = {}
        self._failures: dict[str, PeerError] = {}
        self._ready: deque[Link] = deque()
        self._first: Link | None = None
        self._links: set[Link] = set()
        self._setting_up = 0
        self._attempted = False
        self._deaf = False
        self._slots = ConnectionSlots(MAX_CONNECTING, CONNECTING_PATIENCE)
        self._budget = budget
        self._news: PeerError | None = None
        self._error: PeerError | None = None
        self._changed = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing: asyncio.Task[None] | None = None
        self._listener = self._start(self._listen(), "room")

    # What it is

    @property
    def peers(self) -> Mapping[str, PeerInfo]:
        """The others who are in the room now, by their ids; not all of them have a link yet."""
        return MappingProxyType(self._peers)

    @property
    def failures(self) -> Mapping[str, PeerError]:
        """Why there is no link to some of the others, by their ids; the last ones."""
        return MappingProxyType(self._failures)

    @property
    def _wrong_guesses(self) -> int:
        """Guesses at the code or password that are taken from the budget."""
        return self._budget.taken

    # Links

    async def link(self, timeout: float | None = None) -> Link:
        """Wait for a link: the next one that nobody has had yet; in a code room, the only one.

        Args:
            timeout: seconds; None waits for as long as it takes.

        Raises:
            PeerTimeout: there is none in time.
            WrongCode: the other side used another code; this one is spent (`Guessed` if it did not
                even prove that).
            NoPath: there is no network path to the other side.
            PeerError: another reason why there is none, and will be none. In a named room, why
                there is none to any of those who were there before us, unless the reason is theirs
                alone; somebody else may come.
        """
        try:
            async with asyncio.timeout(timeout):
                link = await self._next()
        except TimeoutError:
            raise PeerTimeout("peer", "Nobody came in time.") from None
        if link is not None:
            return link
        assert self._first is not None  # a code room's only link was handed out before
        return self._first

    def __aiter__(self) -> Self:
        """Iterate over the links, as they come about; those of a code room end after the first."""
        return self

    async def __anext__(self) -> Link:
        """The next link.

        Raises:
            PeerError: there will be no more; in a named room also as `link` says.
        """
        link = await self._next()
        if link is None:
            raise StopAsyncIteration
        return link

    async def _next(self) -> Link | None:
        while not self._ready:
            if self._is_code_room and self._first is not None:
                return None
            if self._error is not None:
                raise self._error.with_traceback(None)
            if self._news is not None:
                news, self._news = self._news, None
                raise news
            self._changed.clear()
            await self._changed.wait()
        link = self._ready.popleft()
        self._first = self._first or link
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
        # Our own wish, whatever else comes of it: who waits for a link is told that first.
        self._deaf = True
        self._error = None
        self._end(LinkClosed("The room is closed."))
        # Set-ups that are cancelled tell the other side: the server's connection must outlive them.
        setting_up = self._tasks - {self._listener}
        for task in setting_up:
            task.cancel()
        if setting_up:
            await asyncio.wait(setting_up)
        # Links end without the server's help: saying goodbye to both takes no longer than to one.
        await asyncio.gather(self._client.close(), *(link.close() for link in self._links))
        self._listener.cancel()
        await asyncio.wait({self._listener})

    # What the server says

    async def _listen(self) -> None:
        # Loading WebRTC takes a third of a second: who hosts can tell the code meanwhile.
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(None, import_module, "peer.link.setup")
        for info in list(self._peers.values()):
            self._meet(info)
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
        establishment = self._establishments.get(signal.from_)
        if establishment is not None and not self._deaf:
            establishment.receive_signal(signal)

    def _on_peer(self, event: PeerEvent) -> None:
        if self._deaf:
            return
        if event.event == "joined" and len(self._peers) < MAX_PEERS:
            info = PeerInfo(event.peer, fit_name(event.name or ""))
            self._peers[info.id] = info
            self._meet(info)
        elif event.event == "left":
            self._peers.pop(event.peer, None)
            establishment = self._establishments.pop(event.peer, None)
            if establishment is not None:
                establishment.peer_left()

    def _lose_server(self, error: PeerError) -> None:
        """Links that are there go on without the server; new ones need it."""
        logger.info("the server is gone: %s", error)
        self._deaf = True
        for establishment in list(self._establishments.values()):
            establishment.peer_left()
            if self._is_code_room and isinstance(establishment.failure, Guessed):
                error = establishment.failure  # it may well have been the server
        self._end(error)

    # Setting up links

    def _meet(self, info: PeerInfo) -> None:
        """Begin a link with a peer."""
        from peer.link.setup import LinkSetup

        if self._deaf or info.id in self._establishments or info.id == self.me:
            return
        if self._is_code_room and self._attempted:
            # A code is good for one attempt, whatever became of it and whoever has left since.
            logger.info("ignoring another peer in a room for two")
            return
        if self._setting_up >= MAX_SETTING_UP:
            logger.info("ignoring a peer: too many come at once")
            return
        run = self._budget.begin(lambda granted: establishment.decide_guess(granted=granted))
        establishment = LinkSetup(
            local=self.me,
            peer=info,
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
        self._attempted = True
        self._setting_up += 1
        self._establishments[info.id] = establishment
        self._start(self._establish(establishment, run), f"link to {info.id}")

    async def _establish(self, establishment: LinkSetup, run: int) -> None:
        begun = asyncio.get_running_loop().time()
        try:
            link = await establishment.run()
            took = int((asyncio.get_running_loop().time() - begun) * 1000)
            self._take(establishment, link, took)
            return
        except PeerError as error:
            failure = self._in_words(establishment, error)
        finally:
            self._setting_up -= 1
            self._budget.end(run)
        self._forget(establishment)
        self._report(establishment, "failed", None)
        self._fail(establishment.peer, failure)

    def _take(self, establishment: LinkSetup, link: Link, took: int) -> None:
        relayed = link.path is not None and link.path.kind == "relayed"
        self._report(establishment, "relayed" if relayed else "direct", took)

        def over() -> None:
            self._links.discard(link)
            self._forget(establishment)

        self._links.add(link)
        link.add_done_callback(over)
        if len(self._ready) >= MAX_UNTAKEN:
            # One that is over may have brought something; but those that are there come first.
            over_already = next((each for each in self._ready if each.closed), None)
            if over_already is None:
                logger.info("closing a link: too many wait to be taken")
                self._start(link.close(), "close link")
                return
            self._ready.remove(over_already)
        self._ready.append(link)
        self._changed.set()

    def _forget(self, establishment: LinkSetup) -> None:
        if self._establishments.get(establishment.peer.id) is establishment:
            del self._establishments[establishment.peer.id]

    def _fail(self, peer: PeerInfo, error: PeerError) -> None:
        logger.info("no link to %s: %s", peer.id, error)
        # A traceback would keep the connection and all that belongs to it.
        error.__context__ = error.__cause__ = None
        self._failures.pop(peer.id, None)
        self._failures[peer.id] = error.with_traceback(None)
        if len(self._failures) > MAX_FAILURES:
            del self._failures[next(iter(self._failures))]
        if self._is_code_room:
            self._end(error)
            self._deaf = True
            self._client.send(Leave())  # which ends the room on the server
            return
        # In a named room somebody else may still come. Who came last, and has nobody, is told; but
        # not of faults and guesses of others, since one stranger would otherwise send everybody
        # away. Once all guesses are spent nobody can come.
        fault = isinstance(error, ProtocolError | PeerLeft | PeerTimeout | LinkClosed | Guessed)
        alone = not (self._setting_up or self._links or self._ready or self._first)
        if peer.id in self._there_before and alone and (self._budget.spent or not fault):
            self._news = error
            self._changed.set()

    def _in_words(self, establishment: LinkSetup, error: PeerError) -> PeerError:
        """The error as it fits a code or a password."""
        if not self._is_code_room:
            if isinstance(error, Guessed):
                return Guessed(
                    "Somebody tried a wrong password, or left before proving to know it."
                )
            if type(error) is WrongCode and str(error) == str(WrongCode()):
                return WrongCode("The password does not match the other side's.")
        elif isinstance(error, TooManyGuesses):
            return Guessed()
        elif type(error) is PeerLeft and establishment.offerer and not establishment.authenticated:
            return CodeSpent()
        return error

    def _end(self, error: PeerError) -> None:
        if self._error is None:
            self._error = error
        self._changed.set()

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

    def _report(self, establishment: LinkSetup, result: str, took: int | None) -> None:
        """Tell the server how it went; for its figures only."""
        if establishment.link_id:
            self._client.send(
                Stats(
                    link=establishment.link_id,
                    result=result,  # type: ignore[arg-type]  # one of the three, see the callers
                    open_ms=took,
                    stage=establishment.stage.value if result == "failed" else None,
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
            # Nobody has foreseen it: at least nobody shall wait for ever. One of several links ends
            # alone.
            if task is self._listener or self._is_code_room:
                error = PeerError(f"Something unexpected happened: {fault!r}.")
                error.__cause__ = fault
                self._end(error)
