"""Accepts connections, and counts them before anything is spent on them (floor 2).

asyncio's own server accepts without bound and lets every TLS handshake take its time. Here a
connection gets a place, or is aborted, before the first byte is read.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import itertools
import socket
import ssl as ssl_module
from collections.abc import Callable, Iterable
from typing import Final

from .gates import HttpGate
from .limits_config import LimitsConfig
from .logs import ThrottledLog
from .rate_limit import TokenBucket
from .visitors import Visitors

__all__ = ["Door"]

# The system is short of descriptors or memory, which is temporary.
_EXHAUSTED: Final = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_BREATH: Final = 0.2
_BLINK: Final = 0.01
ACCEPTS_PER_SECOND: Final = 1000.0
TLS_ACCEPTS_PER_SECOND: Final = 300.0
"""The rest waits in the system's queue, so that connected clients are served, too. The bound
includes programs on this machine."""
REQUESTS_PER_SECOND: Final = 500.0
"""HTTP requests of all clients together; the rest waits, so that WebSockets are served, too."""


class Door:
    """Admits connections, each through an `HttpGate` of its own.

    Args:
        factory: Makes aiohttp's protocol for a connection.
        limits: The bounds.
        log: Receives a line for each refusal.
    """

    def __init__(
        self,
        factory: Callable[[], asyncio.Protocol],
        limits: LimitsConfig,
        log: ThrottledLog,
    ) -> None:
        self._factory = factory
        self._limits = limits
        self._log = log
        self._visitors = Visitors(
            limits.visitors,
            limits.connections_per_address,
            limits.visits_per_minute,
            spare_loopback=limits.spare_loopback,
        )
        now = asyncio.get_running_loop().time()
        self._requests = TokenBucket(REQUESTS_PER_SECOND, REQUESTS_PER_SECOND, now)
        self._numbers = itertools.count(1)
        self._sockets: list[socket.socket] = []
        self._accepting: list[asyncio.Task[None]] = []
        self._entering: dict[int, asyncio.Task[None]] = {}
        self._gates: dict[int, HttpGate] = {}

    @property
    def visitors(self) -> int:
        """Number of connections that are not WebSockets."""
        return len(self._visitors)

    def open(self, sockets: Iterable[socket.socket], ssl: ssl_module.SSLContext | None) -> None:
        """Accept connections on these sockets from now on, and own them."""
        for sock in sockets:
            self._sockets.append(sock)
            self._accepting.append(asyncio.create_task(self._accept(sock, ssl)))

    async def stop_accepting(self) -> None:
        """Stop accepting, and close the connections without a request."""
        tasks = [*self._accepting, *self._entering.values()]
        self._accepting.clear()
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        for sock in self._sockets:
            sock.close()
        self._sockets.clear()

    def cut_all(self) -> None:
        """Abort the remaining connections, and drop their unsent data."""
        for gate in list(self._gates.values()):
            gate.end()

    async def _accept(self, sock: socket.socket, ssl: ssl_module.SSLContext | None) -> None:
        loop = asyncio.get_running_loop()
        per_second = ACCEPTS_PER_SECOND if ssl is None else TLS_ACCEPTS_PER_SECOND
        pace = TokenBucket(per_second, per_second, loop.time())
        while True:
            # Other tasks need a turn: `sock_accept` does not wait while connections queue.
            await asyncio.sleep(pace.wait_for(1.0, loop.time()))
            pace.take(loop.time())
            try:
                conn, address = await loop.sock_accept(sock)
            except OSError as error:
                if error.errno in _EXHAUSTED:
                    self._log.warning("exhausted", None, "cannot accept: %s", error.strerror)
                # Other errors concern only the connection at the head of the queue (accept(2)).
                await asyncio.sleep(_BREATH if error.errno in _EXHAUSTED else _BLINK)
                continue
            host = str(address[0]) if isinstance(address, tuple) and address else None
            number = next(self._numbers)
            arrival = self._visitors.arrives(number, host, loop.time())
            if not arrival.is_welcome:
                self._log.info("refused", host, "%s refused: too many connections", host)
                conn.close()
                continue
            if arrival.gives_way is not None:
                self._cut(arrival.gives_way)
                self._log.info("cut", None, "the idlest connection gave way to a new one")
            self._let_in(number, host, conn, ssl)

    def _let_in(
        self, number: int, host: str | None, conn: socket.socket, ssl: ssl_module.SSLContext | None
    ) -> None:
        gate = HttpGate(
            self._factory(),
            on_request=lambda: self._visitors.asks(number),
            on_end=lambda: self._gone(number),
            on_refusal=lambda status: self._log.info(
                "refused", host, "%s refused: %d", host, status
            ),
            request_timeout=self._limits.request_timeout,
            idle_timeout=self._limits.idle_timeout,
            requests=self._requests,
        )

        def entered(_: asyncio.Task[None]) -> None:
            # Not in the task, because it may be cancelled before it starts.
            del self._entering[number]
            if not gate.was_made:
                conn.close()
                self._gone(number)

        self._gates[number] = gate
        self._entering[number] = task = asyncio.create_task(self._enter(gate, conn, ssl))
        task.add_done_callback(entered)

    async def _enter(
        self, gate: HttpGate, conn: socket.socket, ssl: ssl_module.SSLContext | None
    ) -> None:
        conn.setblocking(False)
        # An OSError concerns TLS: the client did not speak it, or took too long.
        with contextlib.suppress(OSError):
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: gate,
                conn,
                ssl=ssl,
                ssl_handshake_timeout=None if ssl is None else self._limits.request_timeout,
                ssl_shutdown_timeout=None if ssl is None else self._limits.close_timeout,
            )

    def _gone(self, number: int) -> None:
        self._visitors.leaves(number)
        self._gates.pop(number, None)

    def _cut(self, number: int) -> None:
        task = self._entering.get(number)
        if task is not None:
            task.cancel()
        gate = self._gates.get(number)
        if gate is not None:
            gate.end()
