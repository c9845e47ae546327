"""The signaling server: HTTP and WebSockets around the `Hub` (floor 2).

::

    async with SignalingServer(ServerConfig(page=page_directory())) as server:
        print(server.urls)
        await asyncio.Event().wait()
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import os
import socket
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Final, Self

from aiohttp import WSMsgType, web

from .config import ServerConfig
from .connection import Connection
from .errors import CloseCode, ErrorCode
from .hub import Hub, Refusal
from .listeners import bind, url_of
from .messages import (
    MAX_MESSAGE_BYTES,
    SUBPROTOCOL,
    WEBSOCKET_PATH,
    Error,
    IceOffer,
    LeaveReason,
    serialize_bytes,
)
from .origins import origin_is_allowed
from .page import SECURITY_HEADERS, Page
from .rooms import Close, Effect, Send

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["SignalingServer"]

_log: Final = logging.getLogger("signaling")
_RETRY_AFTER: Final = {"Retry-After": "5"}
_ORIGIN_REFUSED: Final = Error(
    code=ErrorCode.ORIGIN_REFUSED,
    message="this server does not let pages of your page's origin connect",
    retryable=False,
)


class SignalingServer:
    """Lets peers find each other.

    Args:
        config: where to listen, what to bound, what to hand out.
    """

    def __init__(self, config: ServerConfig) -> None:
        self._config = config
        offer = IceOffer(servers=config.ice.servers, policy=config.ice.policy)
        self._hub = Hub(config.limits, config.heartbeat, offer, os.urandom)
        self._hub.avoid_numbers(config.taken_numbers)
        self._page = None if config.page is None else Page(config.page)
        self._connections: dict[int, Connection] = {}
        self._all_gone = asyncio.Event()
        self._numbers = itertools.count(1)
        self._runner: web.AppRunner | None = None
        self._ports: tuple[int, ...] = ()
        self._effects: deque[Effect] = deque()
        self._is_applying = False
        self._timer: asyncio.TimerHandle | None = None

    # --- for the program around it ---

    async def start(self) -> None:
        """Listen. After this, clients can connect.

        Raises:
            ListenError: an address is in use or not to be had; then nothing is left open.
        """
        if self._runner is not None:
            raise RuntimeError("the server was started before")
        self._runner = web.AppRunner(
            self._application(), access_log=None, shutdown_timeout=1.0, keepalive_timeout=30.0
        )
        await self._runner.setup()
        ports: list[int] = []
        opened: list[socket.socket] = []
        try:
            for listener in self._config.listeners:
                sockets = await bind(listener)
                opened += sockets
                ports.append(sockets[0].getsockname()[1])
                for sock in sockets:
                    await web.SockSite(self._runner, sock, ssl_context=listener.ssl).start()
        except BaseException:
            await self._runner.cleanup()
            for sock in opened:
                sock.close()
            raise
        self._ports = tuple(ports)

    async def close(self) -> None:
        """Say goodbye to everybody and stop; no task or socket is left. Twice is once."""
        runner, self._runner = self._runner, None
        if runner is None:
            return
        try:
            for site in list(runner.sites):
                await site.stop()
            self._apply(self._hub.drain())
            await self._wait_until_all_are_gone()
        finally:
            if self._timer is not None:
                self._timer.cancel()
            # Cancels the handlers that are still there.
            await runner.cleanup()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    @property
    def ports(self) -> tuple[int, ...]:
        """The port of each listener, in their order; empty before `start`."""
        return self._ports

    @property
    def port(self) -> int:
        """The port of the first listener."""
        return self._ports[0]

    @property
    def tls_port(self) -> int | None:
        """The port of the first listener that speaks TLS; None when there is none."""
        pairs = zip(self._config.listeners, self._ports, strict=False)
        return next((port for listener, port in pairs if listener.ssl is not None), None)

    @property
    def urls(self) -> tuple[str, ...]:
        """A URL for each listener; `localhost` for those that listen everywhere."""
        return tuple(map(url_of, self._config.listeners, self._ports))

    @property
    def connections(self) -> int:
        """How many clients are connected."""
        return self._hub.connections

    @property
    def rooms(self) -> int:
        """How many rooms there are."""
        return self._hub.rooms

    def reserve_code_numbers(self, exclude: Iterable[str]) -> None:
        """Give none of these numbers to new code rooms: others on the network use them.

        Each call replaces what the last one, or `ServerConfig.taken_numbers`, said.
        """
        self._hub.avoid_numbers(frozenset(exclude))

    # --- HTTP ---

    def _application(self) -> web.Application:
        application = web.Application(middlewares=[_access_log])
        application.on_response_prepare.append(_set_headers)
        application.router.add_get(WEBSOCKET_PATH, self._websocket, allow_head=False)
        application.router.add_get("/healthz", self._health)
        application.router.add_get("/{path:.*}", self._file)
        return application

    async def _health(self, request: web.Request) -> web.Response:
        is_draining = self._hub.is_draining
        return web.json_response(
            {
                "status": "draining" if is_draining else "ok",
                "connections": self._hub.connections,
                "rooms": self._hub.rooms,
                "tls_port": self.tls_port,
            },
            status=503 if is_draining else 200,
            headers={"Cache-Control": "no-store"},
        )

    async def _file(self, request: web.Request) -> web.Response:
        path = request.match_info["path"]
        if self._page is not None:
            return await self._page.respond(request, path)
        if path:
            raise web.HTTPNotFound(text="404: there is no such page\n")
        return web.Response(text="This is a Peerline signaling server without a page.\n")

    async def _websocket(self, request: web.Request) -> web.StreamResponse:
        refusal = self._hub.refuses(request.remote)
        if refusal is Refusal.TOO_MANY_CONNECTIONS:
            raise web.HTTPTooManyRequests(text=f"{refusal.value}\n", headers=_RETRY_AFTER)
        if refusal is not None:
            raise web.HTTPServiceUnavailable(text=f"{refusal.value}\n", headers=_RETRY_AFTER)
        origin, host = request.headers.get("Origin"), request.headers.get("Host")
        is_welcome = origin_is_allowed(origin, host, self._config.allow_origins)
        websocket = web.WebSocketResponse(
            protocols=(SUBPROTOCOL,),
            timeout=self._config.limits.close_timeout,
            autoping=False,
            compress=False,
            # aiohttp refuses what has this size or more, with 1009.
            max_msg_size=MAX_MESSAGE_BYTES + 1,
        )
        if not websocket.can_prepare(request):
            upgrade = {"Upgrade": "websocket", "Connection": "Upgrade"}
            return web.Response(status=426, text="this is a WebSocket\n", headers=upgrade)
        await websocket.prepare(request)
        await self._serve(request, websocket, is_welcome)
        return websocket

    # --- connections ---

    async def _serve(
        self, request: web.Request, websocket: web.WebSocketResponse, is_welcome: bool
    ) -> None:
        limits = self._config.limits
        number = next(self._numbers)
        connection = Connection(
            number,
            websocket,
            request.transport,
            queue_bytes=limits.queue_bytes,
            write_timeout=limits.write_timeout,
            close_timeout=limits.close_timeout,
            on_end=self._ended,
        )
        _log.info("connection %d from %s: opened", number, request.remote)
        self._connections[number] = connection
        self._all_gone.clear()
        try:
            if websocket.ws_protocol is None:
                what = f"this server speaks {SUBPROTOCOL} only"
                connection.close(CloseCode.UNSUPPORTED_VERSION, what)
            elif not is_welcome:
                # Said over the WebSocket: browsers show a page nothing of a refused handshake.
                connection.send(serialize_bytes(_ORIGIN_REFUSED))
                connection.close(CloseCode.ORIGIN_REFUSED, _ORIGIN_REFUSED.message)
            else:
                self._apply(self._hub.connect(number, request.remote, self._now()))
            await self._read(connection)
        finally:
            del self._connections[number]
            if not self._connections:
                self._all_gone.set()
            self._ended(number)
            code = connection.close_code or websocket.close_code
            _log.info("connection %d from %s: closed, %s", number, request.remote, code)

    async def _read(self, connection: Connection) -> None:
        hub, number = self._hub, connection.number
        async with contextlib.aclosing(connection.frames()) as frames:
            async for kind, data in frames:
                if isinstance(data, str):
                    self._apply(hub.receive_text(number, data, self._now()))
                elif kind is WSMsgType.BINARY:
                    self._apply(hub.receive_binary(number, self._now()))
                else:
                    effects = hub.receive_ping(number, self._now())
                    if effects is None:
                        connection.send_pong(data)
                    else:
                        self._apply(effects)

    def _ended(self, number: int) -> None:
        self._apply(self._hub.disconnect(number, LeaveReason.DISCONNECTED))

    async def _wait_until_all_are_gone(self) -> None:
        for _ in range(2):
            if not self._connections:
                return
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._config.limits.close_timeout + 0.5):
                    await self._all_gone.wait()
            # Whoever does not even read its queue gets no more of it.
            for connection in list(self._connections.values()):
                connection.hurry()

    def _apply(self, effects: list[Effect]) -> None:
        self._effects.extend(effects)
        if self._is_applying:
            # A send made a queue overflow, and its owner's goodbyes are in the line now.
            return
        self._is_applying = True
        try:
            while self._effects:
                effect = self._effects.popleft()
                connection = self._connections.get(effect.connection)
                if connection is None:
                    continue
                if isinstance(effect, Send):
                    connection.send(serialize_bytes(effect.message))
                elif isinstance(effect, Close):
                    connection.close(effect.code, effect.reason)
        finally:
            self._is_applying = False
        self._set_timer()

    # --- time ---

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    def _set_timer(self) -> None:
        deadline = self._hub.next_deadline()
        if self._timer is not None:
            # One that rings too early does no harm: it sets the next.
            if deadline is None or self._timer.when() <= deadline:
                return
            self._timer.cancel()
            self._timer = None
        if deadline is not None:
            self._timer = asyncio.get_running_loop().call_at(deadline, self._tick)

    def _tick(self) -> None:
        self._timer = None
        self._apply(self._hub.tick(self._now()))


async def _set_headers(request: web.Request, response: web.StreamResponse) -> None:
    response.headers["Server"] = "peerline"
    if not isinstance(response, web.WebSocketResponse):
        for name, value in SECURITY_HEADERS.items():
            response.headers.setdefault(name, value)


@web.middleware
async def _access_log(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Who asked for what, without the query: tokens may be in there."""
    status = 500
    try:
        response = await handler(request)
        status = response.status
        return response
    except web.HTTPException as error:
        status = error.status
        raise
    finally:
        path = request.rel_url.raw_path
        _log.info("%s %s %s: %d", request.remote, request.method, path, status)
