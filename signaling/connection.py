"""One WebSocket connection: reads frames, and writes from a queue of its own (floor 2).

No sender waits for another client to read: `send` appends to the queue and returns, and one task
empties the queue. A client with a full queue, or with a socket that accepts nothing, is closed with
4102, so a stalled reader affects only itself. A client that reads but receives more than it can
read counts as flooded first, and its senders are refused.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

from aiohttp import WSMsgType, web

from .errors import CloseCode
from .messages import MAX_MESSAGE_BYTES
from .rate_limit import Budget
from .tls import unsent

__all__ = ["ClientConnection", "Frame"]

Frame: TypeAlias = tuple[WSMsgType, str | bytes]
"""TEXT with its text; BINARY or PING with their bytes."""

_STALLED: Final = 2.0
"""Seconds without a sent message after which a client counts as one that reads nothing."""

_WANTED: Final = frozenset({WSMsgType.TEXT, WSMsgType.BINARY, WSMsgType.PING})


@dataclass(frozen=True, slots=True)
class _Outgoing:
    opcode: WSMsgType
    payload: bytes

    @property
    def size(self) -> int:
        # The header counts, or a client that sends empty pings would fill memory for free.
        return len(self.payload) + 10


class ClientConnection:
    """Owns one WebSocket, to its end.

    Args:
        number: The connection's number in the hub.
        websocket: Prepared, with `autoping=False`: only the queue writes.
        transport: The socket's, for aborting a connection that does not close; None if it is gone.
        queue_bytes: Most bytes that wait to be written.
        budget: Bytes that may wait in all queues together.
        write_timeout: Seconds that one message may take.
        close_timeout: Seconds for the closing handshake.
        on_end: Called once or twice when reading has ended; the connection may still be closing.

    Attributes:
        close_code: The code with which this side closed the connection; None before that.
    """

    def __init__(
        self,
        number: int,
        websocket: web.WebSocketResponse,
        transport: asyncio.Transport | None,
        *,
        queue_bytes: int,
        budget: Budget,
        write_timeout: float,
        close_timeout: float,
        on_end: Callable[[int], None],
    ) -> None:
        self.number = number
        self.close_code: int | None = None
        self._reason = ""
        self._websocket = websocket
        self._transport = transport
        self._queue_limit = queue_bytes
        self._budget = budget
        self._write_timeout = write_timeout
        self._close_timeout = close_timeout
        self._on_end = on_end
        self._queue: deque[_Outgoing] = deque()
        self._queued = 0
        self._wrote_at = asyncio.get_running_loop().time()
        self._wake = asyncio.Event()
        # Set to expire now, it ends the reading, whichever task asks for it.
        self._reading: asyncio.Timeout | None = None
        self._must_stop = False

    # --- for the server; no method here waits ---

    def send(self, payload: bytes) -> None:
        """Queue a text message; does nothing while the connection closes."""
        self._put(_Outgoing(WSMsgType.TEXT, payload))

    def send_pong(self, payload: bytes) -> None:
        """Queue the answer to a WebSocket ping (RFC 6455, 5.5.3)."""
        self._put(_Outgoing(WSMsgType.PONG, payload))

    def close(self, code: int, reason: str) -> None:
        """Close after everything queued before has been written. Idempotent."""
        if self.close_code is None:
            self.close_code = code
            self._reason = reason
            self._wake.set()

    @property
    def is_flooded(self) -> bool:
        """Whether the client reads, but slower than others send to it."""
        is_much = self._queued > self._queue_limit // 2
        if not (is_much or not self._budget.has_room(self._queued + MAX_MESSAGE_BYTES)):
            return False
        return asyncio.get_running_loop().time() - self._wrote_at < _STALLED

    def hurry(self) -> None:
        """Close without writing the queue."""
        self._queue.clear()
        self._count(-self._queued)
        self._stop_reading()

    def _put(self, outgoing: _Outgoing) -> None:
        if self.close_code is not None:
            return
        queued = self._queued + outgoing.size
        if queued > self._queue_limit or not self._budget.has_room(queued):
            self._give_up()
            return
        self._queue.append(outgoing)
        self._count(outgoing.size)
        self._wake.set()

    def _count(self, size: int) -> None:
        self._queued += size
        self._budget.used += size

    def _give_up(self) -> None:
        self.close_code = CloseCode.SLOW_CONSUMER
        self._reason = "reads too slowly"
        self.hurry()
        self._on_end(self.number)

    def _stop_reading(self) -> None:
        self._must_stop = True
        if self._reading is not None and not self._reading.expired():
            self._reading.reschedule(asyncio.get_running_loop().time())

    # --- the connection's life ---

    async def frames(self) -> AsyncGenerator[Frame, None]:
        """Iterate over everything that the client sends, until either side closes.

        When the iteration ends the connection is closed and its task is gone. Use it under
        `contextlib.aclosing`, so that this holds whatever ends it.
        """
        writer = asyncio.create_task(self._write(), name=f"signaling writer {self.number}")
        try:
            while (frame := await self._receive()) is not None:
                # After this side has closed, frames are read for the closing handshake only.
                if self.close_code is None:
                    yield frame
        finally:
            writer.cancel()
            self._on_end(self.number)
            await asyncio.wait([writer])
            self._queue.clear()
            self._count(-self._queued)
            await self._finish()
            if not writer.cancelled():
                writer.result()

    async def _receive(self) -> Frame | None:
        if self._must_stop:
            return None
        try:
            async with asyncio.timeout(None) as self._reading:
                while True:
                    message = await self._websocket.receive()
                    if message.type in _WANTED:
                        return message.type, message.data
                    if message.type is not WSMsgType.PONG:
                        return None
        except TimeoutError:
            return None
        finally:
            self._reading = None

    async def _write(self) -> None:
        try:
            while self._queue or self.close_code is None:
                if not self._queue:
                    self._wake.clear()
                    await self._wake.wait()
                    continue
                outgoing = self._queue.popleft()
                async with asyncio.timeout(self._write_timeout):
                    await self._websocket.send_frame(outgoing.payload, outgoing.opcode)
                # The queue was cleared meanwhile, when the client was aborted.
                self._count(-min(outgoing.size, self._queued))
                self._wrote_at = asyncio.get_running_loop().time()
        except TimeoutError:
            self._give_up()
        except ConnectionError:
            # The client is gone; the reading half notices it by itself.
            pass
        finally:
            self._stop_reading()

    async def _finish(self) -> None:
        """Do the closing handshake (RFC 6455, 7) as far as the client takes part, then abort.

        `drain=False` and the check of what is left: waiting to write would be waiting for a
        client that may never read again.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._close_timeout
        code = 1000 if self.close_code is None else self.close_code
        if self._transport is not None and not self._transport.is_closing():
            # Over TLS, asyncio ends a connection whose client has ended only while reading.
            self._transport.resume_reading()
        with contextlib.suppress(TimeoutError, ConnectionError):
            async with asyncio.timeout_at(deadline):
                await self._websocket.close(code=code, message=self._reason.encode(), drain=False)
        transport = self._transport
        if transport is None:
            return
        # A client may close without reading; asyncio offers nothing to await here.
        while unsent(transport) > 0 and loop.time() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        # Only once: over TLS, a second `abort` has no effect.
        if not transport.is_closing():
            transport.close()
        if unsent(transport) > 0:
            transport.abort()
