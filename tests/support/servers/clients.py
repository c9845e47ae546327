"""Clients for a real signaling server, and the frames that any implementation must know."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any, Self, TypeVar

import aiohttp

from signaling.messages import (
    SUBPROTOCOL,
    WEBSOCKET_PATH,
    ClientMessage,
    Hello,
    Ping,
    Pong,
    ServerMessage,
    Welcome,
    parse_server,
    serialize,
)

__all__ = ["ENOUGH", "Client", "Closed", "open_client"]


ENOUGH = 20.0
"""Seconds after which what did not come will not come."""

M = TypeVar("M")


class Closed(Exception):
    """The server closed the connection."""

    def __init__(self, code: int | None, reason: str) -> None:
        super().__init__(f"{code} {reason}")
        self.code = code
        self.reason = reason


class Client:
    """One WebSocket, spoken to in messages or in raw frames."""

    def __init__(self, websocket: aiohttp.ClientWebSocketResponse) -> None:
        self.websocket = websocket
        self.welcome: Welcome | None = None

    @property
    def peer(self) -> str:
        assert self.welcome is not None
        return self.welcome.peer

    async def send(self, message: ClientMessage) -> None:
        await self.websocket.send_str(serialize(message))

    async def send_raw(self, text: str) -> None:
        await self.websocket.send_str(text)

    async def join(self, **hello: Any) -> Self:
        await self.send(Hello(**hello))
        self.welcome = await self.expect(Welcome)
        return self

    async def receive(self) -> ServerMessage:
        """The next message.

        Raises:
            Closed: The connection is closed; has the close code.
        """
        async with asyncio.timeout(ENOUGH):
            message = await self.websocket.receive()
        if message.type is aiohttp.WSMsgType.TEXT:
            return parse_server(message.data)
        if message.type is aiohttp.WSMsgType.CLOSE:
            raise Closed(message.data, message.extra or "")
        raise Closed(self.websocket.close_code, repr(message))

    async def expect(self, kind: type[M]) -> M:
        """The next message but pings (which are answered); it must be of this kind."""
        while True:
            message = await self.receive()
            if isinstance(message, Ping) and kind is not Ping:
                await self.send(Pong())
                continue
            assert isinstance(message, kind), message
            return message

    async def closed(self) -> int | None:
        """Read on until the server closes; the close code."""
        while True:
            try:
                await self.receive()
            except Closed as closed:
                return closed.code


@contextlib.asynccontextmanager
async def open_client(url: str, **options: Any) -> AsyncIterator[Client]:
    """Connect to the server at `url` (http or https), without saying hello."""
    options.setdefault("protocols", (SUBPROTOCOL,))
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(url + WEBSOCKET_PATH, **options) as websocket,
    ):
        yield Client(websocket)
