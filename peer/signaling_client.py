"""One connection to a signaling server (floor 2)."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import ssl as ssl_module
from collections import deque
from collections.abc import AsyncIterator
from urllib.parse import quote, urljoin, urlsplit, urlunsplit
from urllib.request import getproxies, proxy_bypass

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import (
    ConnectionClosed,
    InvalidHandshake,
    InvalidMessage,
    InvalidProxy,
    InvalidProxyStatus,
    InvalidStatus,
    InvalidURI,
    ProxyError,
    WebSocketException,
)
from websockets.http11 import Response
from websockets.protocol import State
from websockets.typing import Subprotocol

from signaling.errors import BadMessage, CloseCode, ErrorCode
from signaling.messages import (
    MAX_SERVER_MESSAGE_BYTES,
    SUBPROTOCOL,
    WEBSOCKET_PATH,
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

from .errors import PeerTimeout, ServerRefused, ServerUnreachable

__all__ = ["SignalingClient", "websocket_url"]

logger = logging.getLogger(__name__)

MARGIN = 5.0
"""Seconds beyond the server's own heartbeat after which it counts as gone."""
CLOSE_TIMEOUT = 2.0
NORMAL, UNSUPPORTED_DATA = 1000, 1003
"""Close codes that every WebSocket knows (RFC 6455, 7.4.1)."""
MAX_WAITING = 64
"""Messages that wait to be taken before no more are read from the network."""
MAX_REDIRECTS = 5
HAPPY_EYEBALLS = 0.25
"""Seconds after which the next of a host's addresses is tried as well (RFC 8305, 5)."""
SPARE = 0.75
"""Share of the server's limits that we use: its clock and ours do not tick alike."""

_SENTENCES: dict[str, str] = {
    ErrorCode.NO_SUCH_ROOM: "Nobody is waiting with this code: it is mistyped, used, or expired.",
    ErrorCode.ROOM_FULL: "The room is full: somebody else has used the code already.",
    ErrorCode.RATE_LIMITED: "The server has had too many attempts from here: wait a moment.",
    ErrorCode.OVER_CAPACITY: "The server is full: try again later.",
    ErrorCode.FORBIDDEN: "The server does not let us in.",
}

_CLOSE_SENTENCES: dict[int, str] = {
    CloseCode.ROOM_CLOSED: "The code has expired: make a new one.",
    CloseCode.DRAINING: "The server is going away.",
    CloseCode.SLOW_CONSUMER: "The server gave us up: we did not read fast enough.",
    CloseCode.NO_PONG: "The server gave us up: it heard nothing from us.",
}


def websocket_url(server: str) -> str:
    """The WebSocket's address of a server, from its page's or its own, or just `host:port`.

    Raises:
        ServerUnreachable: it is no address.
    """
    text = server.strip()
    if "://" not in text:
        text = f"http://{text}"
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        raise ServerUnreachable(f"{server!r} is not the address of a server.") from None
    schemes = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}
    if parts.scheme not in schemes or not parts.hostname:
        raise ServerUnreachable(f"{server!r} is not the address of a server.")
    path = parts.path.rstrip("/").removesuffix(WEBSOCKET_PATH) + WEBSOCKET_PATH
    path = quote(path, safe="/%:@!$&'()*+,;=~")
    return urlunsplit((schemes[parts.scheme], parts.netloc, path, "", ""))


class SignalingClient:
    """A joined room on a server. Make it with `SignalingClient.join`.

    Iterate over it for what the server says; pings are answered without being seen.

    Attributes:
        welcome: what the server said first.
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
            hello: which room, and who we are.
            ssl: for `https:` and `wss:`; None checks certificates as usual.
            timeout: seconds until the welcome.

        Raises:
            ServerUnreachable: nothing there answers, or not as a signaling server.
            ServerRefused: it does not let us into the room.
            PeerTimeout: it does not answer in time.
        """
        url = websocket_url(server)
        try:
            async with asyncio.timeout(timeout):
                try:
                    socket = await _connect(url, ssl)
                # What is wrong with an address shows late as well, as a ValueError; a proxy may
                # need a library that is not there.
                except (WebSocketException, OSError, ValueError, ImportError) as error:
                    # Those about an address quote it, and with it a password.
                    quotes = not isinstance(error, OSError | InvalidHandshake | ConnectionClosed)
                    cause = None if quotes else error
                    raise ServerUnreachable(_reason(url, error)) from cause
                client = cls(socket, url)
                try:
                    await client._enter(hello)
                except BaseException:
                    await client._hang_up()
                    raise
        except TimeoutError:
            raise PeerTimeout("join", f"The server {_shown(url)} does not answer.") from None
        return client

    def send(self, message: ClientMessage) -> None:
        """Send a message soon, at the pace that the server allows."""
        self._outbox.append(message)
        self._outgoing.set()

    async def __aiter__(self) -> AsyncIterator[ServerMessage]:
        """What the server says, until it or we close the connection.

        Raises:
            ServerUnreachable: the connection is lost.
            ServerRefused: the server closed it, and would again.
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
                raise ServerRefused(
                    message.code,
                    _SENTENCES.get(message.code, f"The server refused: {message.message}."),
                    message.retry_after,
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
                f"Nothing has been heard of the server {_shown(self._url)} for a while."
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
            return ServerRefused("closed", sentence or f"The server ended the session ({code}).")
        return ServerUnreachable(
            sentence or f"The connection to the server {_shown(self._url)} was lost."
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


class _Connect(connect):
    """Leaves redirections to `_connect`: servers name `https:` where this knows `wss:` alone."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


async def _connect(url: str, ssl: ssl_module.SSLContext | None) -> ClientConnection:
    """Open the WebSocket, where the server or its redirections say.

    Raises:
        WebSocketException: what answers, or the proxy on the way, is no such server.
        OSError: nothing answers, or not over TLS as it should (`ssl.SSLError`).
        ValueError: this is no address.
        ImportError: the proxy on the way needs a library that is not installed.
    """
    redirects = 0
    while True:
        try:
            return await _Connect(
                url,
                subprotocols=[Subprotocol(SUBPROTOCOL)],
                compression=None,
                user_agent_header="peerline",
                proxy=True if _takes_proxy(url) else None,
                open_timeout=None,  # the caller's
                ping_interval=None,  # the server's heartbeat serves both
                close_timeout=CLOSE_TIMEOUT,
                max_size=MAX_SERVER_MESSAGE_BYTES,
                max_queue=MAX_WAITING,
                ssl=(ssl or True) if url.startswith("wss:") else None,
                happy_eyeballs_delay=HAPPY_EYEBALLS,
            )
        except InvalidStatus as error:
            target = _redirection(url, error.response)
            redirects += 1
            if target is None or redirects > MAX_REDIRECTS:
                raise
            url = target


def _redirection(url: str, response: Response) -> str | None:
    """Where an answer sends us: never from TLS to none."""
    locations = response.headers.get_all("Location")
    if response.status_code // 100 != 3 or not locations:
        return None
    target = urljoin(url, locations[0])
    if target.startswith(("http:", "https:")):
        target = target.replace("http", "ws", 1)
    allowed = ("wss://",) if url.startswith("wss:") else ("ws://", "wss://")
    return target if target.startswith(allowed) else None


def _takes_proxy(url: str) -> bool:
    """Whether this machine's settings have a proxy for it; none leads to our own network."""
    host = urlsplit(url).hostname or ""
    try:
        near = not ipaddress.ip_address(host).is_global
    except ValueError:
        near = host == "localhost" or host.endswith((".localhost", ".local"))
    return not near and not proxy_bypass(_shown(url)) and bool(getproxies().keys() - {"no"})


def _shown(url: str) -> str:
    return urlsplit(url).netloc.rpartition("@")[2]


def _reason(url: str, error: Exception) -> str:
    server = _shown(url)
    match error:
        case InvalidProxyStatus():
            status = error.response.status_code
            return f"The proxy does not lead to the server {server} (it answers {status})."
        case ProxyError():
            return f"The proxy on the way to the server {server} does not speak as one."
        case InvalidProxy():
            return "The proxy in this machine's settings needs an address such as http://host:port."
        case ImportError():
            return "The proxy in this machine's settings speaks SOCKS: that needs python-socks."
        case InvalidStatus() if error.response.status_code in (429, 503):
            return f"The server {server} takes no more connections now: try again later."
        case InvalidStatus():
            status = error.response.status_code
            return f"There is no Peerline server at {server} (it answers {status})."
        case InvalidMessage(__cause__=EOFError()):
            return f"The server {server} cannot be reached."
        case InvalidHandshake():
            return f"There is no Peerline server at {server} (it speaks something else)."
        case ssl_module.SSLCertVerificationError():
            return f"The certificate of the server {server} is not trusted."
        case ssl_module.SSLError():
            return f"The server {server} does not speak TLS as it should."
        case ValueError() if _takes_proxy(url):
            return f"The address of the server {server}, or of this machine's proxy, is none."
        case InvalidURI() | ValueError():
            return f"{server!r} is not the address of a server."
        case _:
            way = " through this machine's proxy" if _takes_proxy(url) else ""
            return f"The server {server} cannot be reached{way}."
