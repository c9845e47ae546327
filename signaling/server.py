"""The signaling server: sockets in front of a `Service` (floor 2).

::

    async with SignalingServer(ServerConfig(page=page_directory())) as server:
        print(server.urls)
        await asyncio.Event().wait()
"""

from __future__ import annotations

import dataclasses
import logging
import socket
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final, Self

from aiohttp import web

from .config import ServerConfig
from .descriptors import free_descriptors
from .door import Door
from .limits_config import LimitsConfig
from .listeners import bind, url_of
from .logs import HttpLog
from .service import Service

if TYPE_CHECKING:
    import ssl
    from types import TracebackType

__all__ = ["SignalingServer"]

_RESERVED: Final = 128
"""Descriptors for other purposes of the process: files, the peers' own sockets."""


class SignalingServer:
    """The signaling server: peers find each other here.

    Args:
        config: Listeners, bounds, and the ICE servers and page to hand out.
    """

    def __init__(self, config: ServerConfig) -> None:
        self._config = config
        self._limits = _within(free_descriptors() - _RESERVED, config.limits)
        self._service = Service(config, self._limits)
        self._runner: web.AppRunner | None = None
        self._door: Door | None = None
        self._ports: tuple[int, ...] = ()

    async def start(self) -> None:
        """Start to listen; clients can connect afterwards.

        Raises:
            ListenError: An address is in use or not available; nothing stays open.
        """
        if self._runner is not None:
            raise RuntimeError("the server was started before")
        log = self._service.log
        self._runner = runner = web.AppRunner(
            self._service.application(),
            access_log=None,
            logger=HttpLog(log, logging.getLogger("signaling")),
            shutdown_timeout=1.0,
            # The gates know when a connection is idle.
            keepalive_timeout=self._limits.idle_timeout * 2,
            lingering_time=0.0,
        )
        await runner.setup()
        bound: list[tuple[list[socket.socket], ssl.SSLContext | None]] = []
        try:
            for listener in self._config.listeners:
                bound.append((await bind(listener), listener.ssl))  # noqa: PERF401 (closed below)
        except BaseException:
            await runner.cleanup()
            for sockets, _ in bound:
                for sock in sockets:
                    sock.close()
            raise
        assert runner.server is not None
        self._door = Door(runner.server, self._limits, log)
        for sockets, context in bound:
            self._door.open(sockets, context)
        self._ports = tuple(sockets[0].getsockname()[1] for sockets, _ in bound)
        self._service.tls_port = self.tls_port

    async def close(self) -> None:
        """Say goodbye to every client and stop; no task or socket is left. Idempotent."""
        runner, self._runner = self._runner, None
        door, self._door = self._door, None
        if runner is None:
            return
        try:
            if door is not None:
                await door.stop_accepting()
            await self._service.close()
        finally:
            # This cancels the remaining handlers.
            await runner.cleanup()
            if door is not None:
                door.cut_all()

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
        """The port of the first listener that speaks TLS, or None."""
        pairs = zip(self._config.listeners, self._ports, strict=False)
        return next((port for listener, port in pairs if listener.ssl is not None), None)

    @property
    def urls(self) -> tuple[str, ...]:
        """A URL for each listener; `localhost` for those on all interfaces."""
        return tuple(map(url_of, self._config.listeners, self._ports))

    @property
    def connections(self) -> int:
        """Number of connected clients."""
        return self._service.connections

    @property
    def visitors(self) -> int:
        """Number of connections that are not WebSockets, or not yet."""
        return 0 if self._door is None else self._door.visitors

    @property
    def rooms(self) -> int:
        """Number of rooms."""
        return self._service.rooms

    def reserve_code_numbers(self, exclude: Iterable[str]) -> None:
        """Exclude these numbers from new code rooms: other servers on the network use them.

        Each call replaces the numbers of the last one and of `ServerConfig.taken_numbers`.
        """
        self._service.avoid_numbers(frozenset(exclude))


def _within(descriptors: int, limits: LimitsConfig) -> LimitsConfig:
    """Lower the numbers of connections to the number of descriptors."""
    visitors = min(limits.visitors, max(8, descriptors // 4))
    connections = min(limits.connections, max(8, descriptors - visitors))
    return dataclasses.replace(limits, visitors=visitors, connections=connections)
