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

from signaling.ice_servers import IceConfig
from signaling.messages import (
    Error,
    IceUpdate,
    PeerEvent,
    Signal,
    SignalFrom,
    SignalKind,
    Stats,
)

from .codes import Code
from .config import LinkConfig
from .errors import LinkClosed, PeerError, PeerTimeout, WrongCode
from .events import PeerInfo, fit_name
from .signaling_client import SignalingClient

if TYPE_CHECKING:
    from .establish import Establishment
    from .link import Link
    from .negotiation import OutgoingSignal
    from .rtc import Connection

__all__ = ["Room"]

logger = logging.getLogger(__name__)

MAX_WRONG_GUESSES = 8
"""Wrong passwords of others after which a named room takes nobody new: somebody is guessing."""


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
        self._is_code_room = welcome.code is not None
        self._client = client
        self._password = password
        self._name = name
        self._own_ice = ice
        self._ice = ice or IceConfig(welcome.ice.servers, welcome.ice.policy)
        self._relay_only = relay_only
        self._config = config
        self._peers = {
            info.peer: PeerInfo(info.peer, fit_name(info.name or "")) for info in welcome.peers
        }
        self._there_before = frozenset(self._peers)
        self._establishments: dict[str, Establishment] = {}
        self._failures: dict[str, PeerError] = {}
        self._ready: deque[Link] = deque()
        self._first: Link | None = None
        self._links: set[Link] = set()
        self._pending: set[str] = set()
        self._wrong_guesses = 0
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
        """Why there is no link to some of the others, by their ids."""
        return MappingProxyType(self._failures)

    # Links

    async def link(self, timeout: float | None = None) -> Link:
        """Wait for a link: the next one that nobody has had yet; in a code room, the only one.

        Args:
            timeout: seconds; None waits for as long as it takes.

        Raises:
            PeerTimeout: there is none in time.
            WrongCode: the other side used another code; this one is spent.
            NoPath: there is no network path to the other side.
            PeerError: another reason why there is none, and will be none.
        """
        try:
            async with asyncio.timeout(timeout):
                link = await self._next()
        except TimeoutError:
            raise PeerTimeout("peer", "Nobody has come in time.") from None
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
            PeerError: there will be no more.
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
                raise self._error
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
        await loop.run_in_executor(None, import_module, f"{__package__}.establish")
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
        if establishment is not None:
            establishment.receive_signal(
                link=signal.link, gen=signal.gen, kind=signal.kind.value, data=signal.data
            )

    def _on_peer(self, event: PeerEvent) -> None:
        if event.event == "joined":
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
        for establishment in self._establishments.values():
            establishment.peer_left()
        self._end(error)

    # Setting up links

    def _meet(self, info: PeerInfo) -> None:
        """Begin a link with a peer."""
        from .establish import Establishment

        if info.id in self._establishments:
            return
        if self._is_code_room and self._establishments:
            # A code is good for one attempt: a server that lets others in gets no more guesses.
            logger.warning("ignoring another peer in a room for two")
            return
        if self._wrong_guesses >= MAX_WRONG_GUESSES:
            logger.warning("ignoring a peer: too many wrong passwords were tried")
            return
        establishment = Establishment(
            local=self.me,
            peer=info,
            room=self.id,
            password=self._password,
            own_name=self._name,
            make_connection=self._make_connection,
            send=lambda signal: self._send(info.id, signal),
            config=self._config,
        )
        self._establishments[info.id] = establishment
        self._pending.add(info.id)
        self._start(self._establish(establishment), f"link to {info.id}")

    async def _establish(self, establishment: Establishment) -> None:
        peer, begun = establishment.peer, asyncio.get_running_loop().time()
        try:
            link = await establishment.run()
        except PeerError as error:
            self._pending.discard(peer.id)
            self._report(establishment, "failed", None)
            self._fail(peer, error)
            return
        self._pending.discard(peer.id)
        took = int((asyncio.get_running_loop().time() - begun) * 1000)
        relayed = link.path is not None and link.path.kind == "relayed"
        self._report(establishment, "relayed" if relayed else "direct", took)
        self._links.add(link)
        link.add_done_callback(lambda: self._links.discard(link))
        self._ready.append(link)
        self._changed.set()

    def _fail(self, peer: PeerInfo, error: PeerError) -> None:
        logger.info("no link to %s: %s", peer.id, error)
        self._failures[peer.id] = error
        if isinstance(error, WrongCode):
            self._wrong_guesses += 1
        # In a named room somebody else may still come. Who came last, and has nobody, is told.
        told = peer.id in self._there_before and not (
            self._pending or self._links or self._ready or self._first
        )
        if self._is_code_room or told:
            self._end(error)
        elif self._wrong_guesses >= MAX_WRONG_GUESSES:
            self._end(WrongCode("Too many wrong passwords were tried in this room."))

    def _end(self, error: PeerError) -> None:
        if self._error is None:
            self._error = error
        self._changed.set()

    def _make_connection(self) -> Connection:
        from .rtc import Connection

        policy = "relay" if self._relay_only else self._ice.policy
        return Connection(self._ice.servers, policy=policy, engine=self._config.engine)

    def _send(self, peer: str, signal: OutgoingSignal) -> None:
        self._client.send(
            Signal(
                to=peer,
                link=signal.link,
                gen=signal.gen,
                kind=SignalKind(signal.kind),
                data=signal.data,
            )
        )

    def _report(self, establishment: Establishment, result: str, took: int | None) -> None:
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
            # Nobody has foreseen it: at least nobody shall wait for ever.
            error = PeerError(f"Something unexpected happened: {fault!r}.")
            error.__cause__ = fault
            self._end(error)
