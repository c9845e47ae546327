"""HTTP requests and WebSockets of the server, for any listener (floor 2).

`SignalingServer` puts sockets in front of it; `create_app` is for programs that have some already::

    app = web.Application()
    app.add_subapp("/peerline/", create_app())
    web.run_app(app)
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import os
import re
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Final

from aiohttp import WSMsgType, web

from .assets import default_ice_config, page_directory
from .config import ServerConfig
from .connection import ClientConnection
from .errors import CloseCode, ErrorCode
from .frame_meter import FrameMeter
from .gates import enter_frames
from .hosts import HostNames, host_of
from .hub import Hub, Refusal
from .limits_config import LimitsConfig
from .logs import ThrottledLog
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
from .rate_limit import AddressRates, Budget, address_key, is_loopback
from .rooms import Close, Effect, Send

__all__ = ["Service", "create_app"]

_log: Final = logging.getLogger("signaling")
_RETRY_AFTER: Final = {"Retry-After": "5"}
_ORIGIN_REFUSED: Final = Error(
    code=ErrorCode.ORIGIN_REFUSED,
    message="this server does not let pages of your page's origin connect",
    retryable=False,
)
_TOO_MUCH: Final = "more frames than may be sent, for too long"

# A message may have some fragments, and control frames may follow it.
_FRAMES_PER_MESSAGE: Final = 4
_LEAST_FRAMES: Final = 100
_LEAST_BYTES: Final = 1024 * 1024
# RFC 9112, 3.2.2: a target that contains a host, as proxies get it.
_ABSOLUTE: Final = re.compile(r"[a-z][a-z0-9+.-]*://([^/?#]*)", re.IGNORECASE)

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Service:
    """Rooms behind an aiohttp application.

    Args:
        config: The configuration; its listeners are ignored here.
        limits: The bounds, if they differ from those of the configuration.

    Attributes:
        log: For whoever lets the connections in.
        tls_port: The port that `/healthz` names.
    """

    def __init__(self, config: ServerConfig, limits: LimitsConfig | None = None) -> None:
        self._config = config
        self._limits = limits or config.limits
        offer = IceOffer(servers=config.ice.servers, policy=config.ice.policy)
        self._hub = Hub(self._limits, config.heartbeat, offer, os.urandom, self._is_flooded)
        self._hub.avoid_numbers(config.taken_numbers)
        self._hosts = HostNames(config.host_names)
        self._page = None if config.page is None else Page(config.page)
        self._requests = AddressRates(self._limits.requests_per_minute)
        self._connections: dict[int, ClientConnection] = {}
        self._per_address: Counter[str] = Counter()
        self._queues = Budget(self._limits.queue_bytes_in_all)
        self._held = Budget(self._limits.held_bytes_in_all)
        self._all_gone = asyncio.Event()
        self._numbers = itertools.count(1)
        self._effects: deque[Effect] = deque()
        self._is_applying = False
        self._timer: asyncio.TimerHandle | None = None
        self.log: Final = ThrottledLog(_log, monotonic)
        self.tls_port: int | None = None

    @property
    def connections(self) -> int:
        """Number of connected clients."""
        return self._hub.connections

    @property
    def rooms(self) -> int:
        """Number of rooms."""
        return self._hub.rooms

    def avoid_numbers(self, numbers: frozenset[str]) -> None:
        """Exclude these numbers from new code rooms."""
        self._hub.avoid_numbers(numbers)

    def application(self) -> web.Application:
        """Make the aiohttp application of this service."""
        application = web.Application(middlewares=[self._guard])
        application.on_response_prepare.append(_set_headers)
        application.router.add_get(WEBSOCKET_PATH, self._websocket, allow_head=False)
        application.router.add_get("/healthz", self._health)
        application.router.add_get("", self._prefix)
        application.router.add_get("/{path:.*}", self._file)
        return application

    async def close(self) -> None:
        """Say goodbye to every client; returns when they are gone. Idempotent."""
        try:
            self._apply(self._hub.drain())
            await self._wait_until_all_are_gone()
        finally:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None

    # --- HTTP ---

    @web.middleware
    async def _guard(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        """Refuse requests over the rate or for another host; log address and target."""
        status = 500
        try:
            self._check_request(request)
            response = await handler(request)
            status = response.status
            if "Upgrade" in request.headers and not isinstance(response, web.WebSocketResponse):
                # The rest on this connection need not be HTTP.
                response.force_close()
            return response
        except web.HTTPException as error:
            status = error.status
            if status >= 400:
                error.force_close()
            raise
        finally:
            # Without the query, which may contain secrets.
            path = request.rel_url.raw_path
            self.log.info(
                "request",
                request.remote,
                "%s %s %s: %d",
                request.remote,
                request.method,
                path,
                status,
            )

    def _check_request(self, request: web.Request) -> None:
        if not (self._limits.spare_loopback and is_loopback(request.remote)):
            wait = self._requests.take(address_key(request.remote), self._now())
            if wait > 0:
                raise web.HTTPTooManyRequests(
                    text="429: too many requests from this address\n",
                    headers={"Retry-After": str(int(wait) + 1)},
                )
        sockname = request.get_extra_info("sockname")
        local = str(sockname[0]) if isinstance(sockname, tuple) and sockname else None
        host = request.headers.get("Host")
        target = _ABSOLUTE.match(request.raw_path)
        names = [host] if target is None else [host, target[1]]
        if not all(self._hosts.accepts(name, local) for name in names) or (
            target is not None and host_of(target[1]) != host_of(host)
        ):
            raise web.HTTPMisdirectedRequest(
                text="421: this server answers only to its own names and addresses: "
                "open it by its address\n"
            )

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

    async def _prefix(self, request: web.Request) -> web.Response:
        """The page under a prefix finds its files only when its address ends with a slash."""
        path = request.rel_url.raw_path
        if path.endswith("/"):
            return await self._file(request)
        raise web.HTTPPermanentRedirect(f"{path}/")

    async def _file(self, request: web.Request) -> web.Response:
        path = request.match_info.get("path", "")
        if self._page is not None:
            return await self._page.respond(request, path)
        if path:
            raise web.HTTPNotFound(text="404: there is no such page\n")
        return web.Response(text="This is a Peerline signaling server without a page.\n")

    async def _websocket(self, request: web.Request) -> web.StreamResponse:
        refusal = self._hub.refuses(request.remote) or self._refuses_more(request.remote)
        if refusal is Refusal.TOO_MANY_CONNECTIONS:
            raise web.HTTPTooManyRequests(text=f"{refusal.value}\n", headers=_RETRY_AFTER)
        if refusal is not None:
            raise web.HTTPServiceUnavailable(text=f"{refusal.value}\n", headers=_RETRY_AFTER)
        origin, host = request.headers.get("Origin"), request.headers.get("Host")
        is_welcome = origin_is_allowed(origin, host, self._config.allow_origins)
        websocket = web.WebSocketResponse(
            protocols=(SUBPROTOCOL,),
            timeout=self._limits.close_timeout,
            autoping=False,
            compress=False,
            # aiohttp refuses messages of this size or more, with 1009.
            max_msg_size=MAX_MESSAGE_BYTES + 1,
        )
        request = _handshake(request)
        if not websocket.can_prepare(request):
            upgrade = {"Upgrade": "websocket", "Connection": "Upgrade"}
            return web.Response(status=426, text="this is a WebSocket\n", headers=upgrade)
        transport = request.transport
        if transport is None or transport.is_closing():
            # The client is gone. Over TLS, the transport may have lost its protocol.
            return web.Response(status=400)
        number = next(self._numbers)
        enter_frames(
            transport,
            self._meter(),
            budget=self._held,
            on_excess=lambda: self._excess(number),
            patience=self._limits.error_window,
        )
        await websocket.prepare(request)
        await self._serve(number, request, websocket, is_welcome)
        return websocket

    # --- connections ---

    def _refuses_more(self, address: str | None) -> Refusal | None:
        """Count per address, too: the hub does not count closing connections and refused ones."""
        if len(self._connections) >= self._limits.connections:
            return Refusal.OVER_CAPACITY
        is_spared = self._limits.spare_loopback and is_loopback(address)
        is_much = (
            self._per_address[address_key(address)] >= 2 * self._limits.connections_per_address
        )
        return Refusal.TOO_MANY_CONNECTIONS if is_much and not is_spared else None

    def _meter(self) -> FrameMeter:
        limits = self._limits
        return FrameMeter(
            max(_LEAST_FRAMES, limits.messages_per_second * _FRAMES_PER_MESSAGE),
            max(_LEAST_FRAMES, limits.burst * _FRAMES_PER_MESSAGE),
            max(_LEAST_BYTES, limits.messages_per_second * MAX_MESSAGE_BYTES),
            self._now(),
        )

    async def _serve(
        self,
        number: int,
        request: web.Request,
        websocket: web.WebSocketResponse,
        is_welcome: bool,
    ) -> None:
        limits, who = self._limits, request.remote
        connection = ClientConnection(
            number,
            websocket,
            request.transport,
            queue_bytes=limits.queue_bytes,
            budget=self._queues,
            write_timeout=limits.write_timeout,
            close_timeout=limits.close_timeout,
            on_end=self._ended,
        )
        self.log.info("opened", who, "connection %d from %s: opened", number, who)
        self._connections[number] = connection
        self._per_address[address_key(who)] += 1
        self._all_gone.clear()
        try:
            if websocket.ws_protocol is None:
                what = f"this server speaks {SUBPROTOCOL} only"
                connection.close(CloseCode.UNSUPPORTED_VERSION, what)
            elif not is_welcome:
                # The refusal goes over the WebSocket: browsers hide a refused handshake from pages.
                connection.send(serialize_bytes(_ORIGIN_REFUSED))
                connection.close(CloseCode.ORIGIN_REFUSED, _ORIGIN_REFUSED.message)
            else:
                self._apply(self._hub.connect(number, who, self._now()))
            await self._read(connection)
        finally:
            del self._connections[number]
            self._per_address[address_key(who)] -= 1
            if not self._per_address[address_key(who)]:
                del self._per_address[address_key(who)]
            if not self._connections:
                self._all_gone.set()
            self._ended(number)
            code = connection.close_code or websocket.close_code
            self.log.info("closed", who, "connection %d from %s: closed, %s", number, who, code)

    async def _read(self, connection: ClientConnection) -> None:
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

    def _is_flooded(self, number: int) -> bool:
        connection = self._connections.get(number)
        return connection is not None and connection.is_flooded

    def _excess(self, number: int) -> None:
        connection = self._connections.get(number)
        if connection is not None:
            connection.close(CloseCode.RATE_LIMITED, _TOO_MUCH)
            self._ended(number)

    async def _wait_until_all_are_gone(self) -> None:
        for _ in range(2):
            if not self._connections:
                return
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._limits.close_timeout + 0.5):
                    await self._all_gone.wait()
            # Clients that do not read their queue get no more.
            for connection in list(self._connections.values()):
                connection.hurry()

    def _apply(self, effects: list[Effect]) -> None:
        self._effects.extend(effects)
        if self._is_applying:
            # A send has made a queue overflow, and effects for its owner follow.
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
            # A timer that fires too early is harmless: it sets the next one.
            if deadline is None or self._timer.when() <= deadline:
                return
            self._timer.cancel()
            self._timer = None
        if deadline is not None:
            self._timer = asyncio.get_running_loop().call_at(deadline, self._tick)

    def _tick(self) -> None:
        self._timer = None
        self._apply(self._hub.tick(self._now()))


def create_app(config: ServerConfig | None = None) -> web.Application:
    """Make an aiohttp application that is a signaling server, for serving or mounting.

    It may be the whole of a program's application, or a part under a prefix
    (`app.add_subapp("/peerline/", create_app())`); peers then use `http://host/peerline/`. Its
    clients are told goodbye when the application shuts down.

    The listener bounds other connections than WebSockets, descriptors, and the time of a request;
    `SignalingServer` does that.

    Args:
        config: `listeners` is ignored. None: the page and the ICE servers that come with
            Peerline.

    Raises:
        AssetMissing: There is no configuration, and the installation is incomplete.
    """
    if config is None:
        config = ServerConfig(ice=default_ice_config(), page=page_directory())
    service = Service(config)
    application = service.application()

    async def say_goodbye(_: web.Application) -> None:
        await service.close()

    application.on_shutdown.append(say_goodbye)
    return application


def _handshake(request: web.Request) -> web.Request:
    """Return the request without headers on which aiohttp fails, or which it logs for strangers."""
    headers = request.headers.copy()
    for name, value in request.headers.items():
        if not (name.isascii() and value.isascii()):
            headers.popall(name, None)
    offered = headers.getall("Sec-WebSocket-Protocol", [])
    if not any(name.strip() == SUBPROTOCOL for field in offered for name in field.split(",")):
        headers.popall("Sec-WebSocket-Protocol", None)
    return request.clone(headers=headers)


async def _set_headers(request: web.Request, response: web.StreamResponse) -> None:
    response.headers["Server"] = "peerline"
    if not isinstance(response, web.WebSocketResponse):
        for name, value in SECURITY_HEADERS.items():
            response.headers.setdefault(name, value)
