"""One connection to a signaling server (floor 2)."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl as ssl_module
from collections import deque
from collections.abc import AsyncIterator

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed
from websockets.protocol import State

from peer.errors import PeerTimeout, ServerRefused, ServerUnreachable
from signaling.errors import BadMessage, CloseCode, ErrorCode
from signaling.messages import (
    ClientMessage,
    Error,
    Hello,
    Leave,
    Limits,
    Ping,
    Pong,
    ServerMessage,
    Welcome,
    parse_server,
    serialize,
)

from .address import ServerAddress, host_and_port
from .websocket import CLOSE_TIMEOUT, open_first

__all__ = ["SignalingClient"]

logger = logging.getLogger(__name__)

MARGIN = 5.0
"""Seconds beyond the server's own heartbeat after which it counts as gone."""
NORMAL, UNSUPPORTED_DATA = 1000, 1003
"""Close codes that every WebSocket knows (RFC 6455, 7.4.1)."""
MAX_OUTBOX = 2048
"""Messages that may wait to be sent."""
SPARE = 0.75
"""Share of the server's limits that we use: its clock and ours do not tick alike."""

_SENTENCES: dict[str, str] = {
    ErrorCode.NO_SUCH_ROOM: (
        "Nobody is waiting with this code: it was mistyped, used already, or has expired."
    ),
    ErrorCode.ROOM_FULL: "Somebody else has already used this code: ask for a new one.",
    ErrorCode.RATE_LIMITED: "The server has counted too many attempts from here: wait a moment.",
    ErrorCode.OVER_CAPACITY: "The server is full: try again later.",
    ErrorCode.FORBIDDEN: "The server does not admit this client.",
}

_CLOSE_NAMES: dict[int, str] = {code.value: code.name.lower() for code in CloseCode}
_CLOSE_SENTENCES: dict[int, str] = {
    CloseCode.ROOM_CLOSED: "The code has expired: make a new one.",
    CloseCode.DRAINING: "The server is going away.",
    CloseCode.SLOW_CONSUMER: "The server ended the session: this machine read too slowly.",
    CloseCode.NO_PONG: "The server ended the session: it received nothing from this machine.",
}


class SignalingClient:
    """A joined room on a server. Make it with `SignalingClient.join`.

    Iterate over it for what the server says; pings are answered without being seen.

    Attributes:
        welcome: First message of the server.
    """

    def __init__(self, socket: ClientConnection, url: str) -> None:
        self._socket = socket
        self._url = url
        self._outbox: deque[ClientMessage] = deque()
        self._outgoing = asyncio.Event()
        self._writer: asyncio.Task[None] | None = None
        self._patience: float | None = None
        self.welcome: Welcome

    @classmethod
    async def join(
        cls,
        server: str,
        hello: Hello,
        *,
        ssl: ssl_module.SSLContext | None = None,
        timeout: float = 10.0,
    ) -> SignalingClient:
        """Connect, and join a room.

        Args:
            server: URL of the server, or of its page.
            hello: Which room, and who we are.
            ssl: For `https:` and `wss:`; None checks certificates as usual.
            timeout: Seconds until the welcome.

        Raises:
            ServerUnreachable: Nothing there answers, or not as a signaling server.
            ServerRefused: It does not let us into the room.
            PeerTimeout: It does not answer in time.
        """
        urls = ServerAddress.parse(server).websockets
        try:
            async with asyncio.timeout(timeout):
                socket, url = await open_first(urls, ssl)
                client = cls(socket, url)
                try:
                    await client._enter(hello)
                except BaseException:
                    await client._hang_up()
                    raise
        except TimeoutError:
            raise PeerTimeout(
                "join", f"The server {host_and_port(urls[0])} does not answer."
            ) from None
        return client

    @property
    def page(self) -> str:
        """The address of the server's page, by the scheme under which the server answered."""
        return ServerAddress.parse(self._url).page

    def send(self, message: ClientMessage) -> None:
        """Send a message soon, at the pace that the server allows.

        Messages beyond `MAX_OUTBOX` are dropped.
        """
        if len(self._outbox) >= MAX_OUTBOX:
            logger.info("dropping a message: the server takes too little")
            return
        self._outbox.append(message)
        self._outgoing.set()

    async def __aiter__(self) -> AsyncIterator[ServerMessage]:
        """Iterate over the messages of the server until either side closes the connection.

        Raises:
            ServerUnreachable: The connection is lost.
            ServerRefused: The server closed it, and would again.
        """
        while True:
            message = await self._receive()
            if isinstance(message, Ping):
                self.send(Pong())
            elif message is not None:
                yield message

    async def close(self) -> None:
        """Leave the room, and close the connection; what was sent before still goes out."""
        if self._writer is not None and self._socket.state is State.OPEN:
            self.send(Leave())
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_TIMEOUT):
                    while self._outbox and not self._writer.done():
                        self._outgoing.set()
                        await asyncio.sleep(0.001)
        if self._writer is not None:
            self._writer.cancel()
            await asyncio.wait({self._writer})
        await self._hang_up()

    async def _hang_up(self, code: int = NORMAL) -> None:
        """Close the connection, also one that takes nothing any more."""
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT):
                await self._socket.close(code)
        except TimeoutError:
            pass
        finally:
            self._socket.transport.abort()
        await self._socket.wait_closed()

    async def _enter(self, hello: Hello) -> None:
        with contextlib.suppress(ConnectionClosed):  # it may have said why
            await self._socket.send(serialize(hello))
        while True:
            message = await self._receive()
            if isinstance(message, Welcome):
                break
            if isinstance(message, Error):
                sentence = _SENTENCES.get(message.code)
                if message.code == ErrorCode.ROOM_FULL and hello.room is not None:
                    sentence = "The room is full."
                said = message.message.rstrip(".")
                raise ServerRefused(
                    message.code,
                    sentence or f"The server refused: {said}.",
                    message.retry_after,
                    retryable=message.retryable,
                )
        self.welcome = message
        heartbeat = message.heartbeat
        self._patience = heartbeat.interval + heartbeat.timeout + MARGIN
        self._writer = asyncio.create_task(self._write(message.limits), name="signaling writer")

    async def _receive(self) -> ServerMessage | None:
        """The next message; None for one that a newer server may send."""
        try:
            async with asyncio.timeout(self._patience):
                message = await self._socket.recv()
        except TimeoutError:
            raise ServerUnreachable(
                f"The server {host_and_port(self._url)} has stopped answering."
            ) from None
        except ConnectionClosed as error:
            raise self._end() from error
        if isinstance(message, bytes):
            await self._hang_up(UNSUPPORTED_DATA)
            raise self._end()
        try:
            return parse_server(message)
        except BadMessage as error:
            logger.info("ignoring a message of the server: %s", error)
            return None

    def _end(self) -> ServerRefused | ServerUnreachable:
        code = self._socket.close_code or 1006
        sentence = _CLOSE_SENTENCES.get(code)
        if 4000 <= code <= 4099:
            known = _CLOSE_NAMES.get(code, "server_refused")
            return ServerRefused(known, sentence or f"The server ended the session ({code}).")
        return ServerUnreachable(
            sentence or f"The connection to the server {host_and_port(self._url)} was lost."
        )

    async def _write(self, limits: Limits) -> None:
        """Send what is queued, no faster than the server takes it from one client."""
        loop = asyncio.get_running_loop()
        burst, rate = max(1.0, limits.burst * SPARE), max(1.0, limits.rate * SPARE)
        tokens, at = burst, loop.time()
        while True:
            if not self._outbox:
                self._outgoing.clear()
                await self._outgoing.wait()
                continue
            now = loop.time()
            tokens, at = min(burst, tokens + (now - at) * rate), now
            if tokens < 1:
                await asyncio.sleep((1 - tokens) / rate)
                continue
            tokens -= 1
            try:
                await self._socket.send(serialize(self._outbox[0]))
            except ConnectionClosed as error:
                logger.info("the connection to the server broke: %s", error)
                return  # the reader tells
            self._outbox.popleft()
