"""A signaling server in an attacker's hands that has made everything up itself."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from signaling.messages import (
    SUBPROTOCOL,
    ClientMessage,
    Hello,
    Limits,
    PeerEvent,
    PeerInfo,
    ServerMessage,
    Signal,
    SignalFrom,
    SignalKind,
    Welcome,
    parse_client,
    serialize,
)

__all__ = ["Victim", "hostile_server"]

VICTIM = "50000000-cafecafe"


class Victim:
    """The one client that a hostile server has, as the server sees it.

    Attributes:
        hello: Its hello.
        signals: Signals that it has sent.
    """

    def __init__(self, socket: ServerConnection, hello: Hello) -> None:
        self.hello = hello
        self.signals: list[Signal] = []
        self._socket = socket
        self._heard = asyncio.Event()

    async def send(self, message: ServerMessage) -> None:
        await self._socket.send(serialize(message))

    async def welcome(
        self, *, code: str | None, peers: tuple[str, ...] = (), room: str = ""
    ) -> None:
        await self.send(
            Welcome(
                session="session-0",
                resume_token="token-00",
                peer=VICTIM,
                room=room or code or self.hello.room or "7",
                code=code,
                peers=tuple(PeerInfo(peer=peer) for peer in peers),
                limits=Limits(rate=1e9, burst=10**9),
            )
        )

    async def joined(self, peer: str) -> None:
        await self.send(PeerEvent(event="joined", peer=peer, seq=1))

    async def left(self, peer: str) -> None:
        await self.send(PeerEvent(event="left", peer=peer, seq=1))

    async def signal(self, peer: str, kind: SignalKind, data: str, link: str, gen: int = 0) -> None:
        await self.send(
            SignalFrom(from_=peer, to=VICTIM, link=link, gen=gen, kind=kind, data=data, seq=1)
        )

    async def hang_up(self) -> None:
        await self._socket.close()

    async def heard(self, wanted: Callable[[Signal], bool]) -> Signal:
        """Wait for a signal of the victim's."""
        while True:
            for signal in self.signals:
                if wanted(signal):
                    return signal
            self._heard.clear()
            await self._heard.wait()

    async def listen(self) -> None:
        async for frame in self._socket:
            message: ClientMessage = parse_client(frame if isinstance(frame, str) else "")
            if isinstance(message, Signal):
                self.signals.append(message)
            self._heard.set()


@contextlib.asynccontextmanager
async def hostile_server(
    attack: Callable[[Victim], Coroutine[Any, Any, None]],
) -> AsyncIterator[str]:
    """Run `attack` on each client that comes; yields the server's URL."""
    faults: list[BaseException] = []

    async def handle(socket: ServerConnection) -> None:
        hello = parse_client(str(await socket.recv()))
        assert isinstance(hello, Hello)
        victim = Victim(socket, hello)
        attacking = asyncio.create_task(attack(victim))
        await victim.listen()
        attacking.cancel()
        await asyncio.wait({attacking})
        if not attacking.cancelled() and (fault := attacking.exception()) is not None:
            faults.append(fault)

    async with serve(handle, "127.0.0.1", 0, subprotocols=[SUBPROTOCOL]) as server:  # type: ignore[list-item]
        host, port = next(iter(server.sockets)).getsockname()[:2]
        yield f"ws://{host}:{port}"
    for fault in faults:
        if not isinstance(fault, ConnectionClosed):  # the victim has left
            raise fault
