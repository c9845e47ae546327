"""Protocols between a socket and aiohttp: bounds on bytes, frames, requests and time (floor 2).

aiohttp reads everything that arrives at once, and has no deadline for a request. Two protocols
around its own bound that. `HttpGate` passes whole requests without bodies, and aborts a connection
that does not send one in time; `FrameGate` replaces it when the connection becomes a WebSocket, and
passes frames at their rate. Both hold the rest back and pause reading from the socket, so that a
fast sender waits in its own network stack.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Final, cast

from .frame_meter import FrameMeter
from .rate_limit import Budget, TokenBucket
from .tls import unsent

__all__ = ["FrameGate", "HttpGate", "enter_frames"]

MAX_HEAD: Final = 16 * 1024
"""Largest request line and headers, bytes; browsers send less than 1 KiB here."""
MAX_TARGET: Final = 1024
"""Longest request target, bytes: aiohttp looks up the whole path, then the path without its last
part, and so on, which takes milliseconds for thousands of parts."""
REQUESTS_PER_SECOND: Final = 20.0
REQUESTS_AT_ONCE: Final = 40
"""Requests of one connection; the rest waits. A page consists of some fifty files."""
READS_PER_SECOND: Final = 100.0
READS_AT_ONCE: Final = 200
"""Reads per second. Each costs the same for one byte or many, so faster ones are joined."""
_PAUSE: Final = 0.1
"""Shortest pause of reading, seconds."""
_HELD: Final = 1024 * 1024
"""Most bytes that are held back; reading pauses long before."""

_METHOD: Final = re.compile(rb"[\r\n]*(?:[A-Za-z]+(?: |\Z)|\Z)")
# RFC 9112, 3, without the latitude that it allows: aiohttp fails in other ways on some lines.
_REQUEST_LINE: Final = re.compile(rb"(?:\r\n)*[A-Za-z]+ ([!-~]+) HTTP/1\.[01]\r\n")

_REFUSALS: Final = {
    400: "Bad Request",
    413: "Content Too Large",
    414: "URI Too Long",
    417: "Expectation Failed",
    431: "Request Header Fields Too Large",
}


class _Gate(asyncio.Protocol):
    """Passes the calls that aiohttp needs, and joins small reads.

    Args:
        inner: aiohttp's protocol.
    """

    def __init__(self, inner: asyncio.Protocol) -> None:
        self.inner: Final = inner
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._reads = TokenBucket(READS_PER_SECOND, READS_AT_ONCE, self._loop.time())
        self._timer: asyncio.TimerHandle | None = None
        self._is_paused = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are not subclasses of asyncio's.
        self._transport = cast(asyncio.Transport, transport)
        self.inner.connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self.stop()
        self.inner.connection_lost(exc)

    def pause_writing(self) -> None:
        self.inner.pause_writing()

    def resume_writing(self) -> None:
        self.inner.resume_writing()

    def eof_received(self) -> bool | None:
        return self.inner.eof_received()

    def stop(self) -> None:
        """Cancel the timers."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _pause(self, seconds: float | None) -> None:
        """Pause reading for a time in seconds; None: until `_resume`."""
        if self._transport is None or self._transport.is_closing():
            return
        # Repeatedly, because aiohttp resumes reading when it wants more.
        self._is_paused = True
        self._transport.pause_reading()
        if self._timer is None and seconds is not None:
            self._timer = self._loop.call_later(max(seconds, _PAUSE), self._go_on)

    def _resume(self) -> None:
        if self._is_paused and self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()
        self._is_paused = False

    def _go_on(self) -> None:
        self._timer = None
        if self._transport is not None and not self._transport.is_closing():
            self._pass_on()

    def _pass_on(self) -> None:
        raise NotImplementedError


class HttpGate(_Gate):
    """Passes one whole request head after another, each within its time.

    Args:
        inner: aiohttp's protocol.
        on_request: Called with each whole head.
        on_end: Called when the connection is gone, or has become a WebSocket.
        on_refusal: Called with the status of a refused request.
        request_timeout: Seconds from the connection to the first whole head.
        idle_timeout: Seconds to the next head, while nothing is being sent to the client.
        requests: Requests that may be answered, of all connections; the rest waits.
    """

    def __init__(
        self,
        inner: asyncio.Protocol,
        *,
        on_request: Callable[[], None],
        on_end: Callable[[], None],
        on_refusal: Callable[[int], None],
        request_timeout: float,
        idle_timeout: float,
        requests: TokenBucket,
    ) -> None:
        super().__init__(inner)
        self.was_made = False
        self._on_request = on_request
        self._on_end = on_end
        self._on_refusal = on_refusal
        self._request_timeout = request_timeout
        self._idle_timeout = idle_timeout
        self._own = TokenBucket(REQUESTS_PER_SECOND, REQUESTS_AT_ONCE, self._loop.time())
        self._requests = requests
        self._held = bytearray()
        self._searched = 0
        # After a request to upgrade, no HTTP follows.
        self._is_upgrading = False
        self._deadline: asyncio.TimerHandle | None = None
        self._unsent: int | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the time for the first request."""
        self.was_made = True
        super().connection_made(transport)
        self._deadline = self._loop.call_later(self._request_timeout, self._out_of_time)

    def data_received(self, data: bytes) -> None:
        """Take bytes of the client; whole heads pass on."""
        self._held += data
        if len(self._held) > _HELD:
            self._refuse(431)
        elif self._is_upgrading:
            self._pause(None)
        elif self._timer is not None:
            self._pause(_PAUSE)
        else:
            self._pass_on()

    def connection_lost(self, exc: Exception | None) -> None:
        """Pass the end of the connection on, and report it."""
        super().connection_lost(exc)
        self._on_end()

    def release(self) -> bytes:
        """Leave; the held bytes go to the next gate."""
        self.stop()
        self._on_end()
        held = bytes(self._held)
        self._held.clear()
        self._resume()
        return held

    def end(self) -> None:
        """Abort the connection."""
        self.stop()
        if self._transport is not None:
            self._transport.abort()

    def stop(self) -> None:
        """Cancel the timers."""
        super().stop()
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _pass_on(self) -> None:
        while self._held and not self._is_upgrading:
            end = self._held.find(b"\r\n\r\n", max(0, self._searched - 3))
            self._searched = len(self._held)
            size = len(self._held) if end < 0 else end + 4
            if size > MAX_HEAD:
                self._refuse(431)
                return
            if _METHOD.match(self._held) is None:
                # This is often TLS: a client that waits for the answer to its handshake.
                self._refuse(400)
                return
            if end < 0:
                break
            head = bytes(self._held[:size])
            fields = head.lower()
            status = _fault_of(head, fields)
            if status is not None:
                self._refuse(status)
                return
            wait = self._wait()
            if wait > 0:
                self._searched = 0
                self._pause(wait)
                return
            del self._held[:size]
            self._searched = 0
            # With its colon: browsers send `Upgrade-Insecure-Requests` with every page they open.
            self._is_upgrading = b"\r\nupgrade:" in fields
            self._expect_the_next()
            self._on_request()
            self.inner.data_received(head)
        wait = self._reads.take(self._loop.time())
        if wait > 0 or self._is_upgrading:
            self._pause(None if self._is_upgrading else wait)
        else:
            self._resume()

    def _wait(self) -> float:
        """Seconds until the next request may be read; 0.0: at once."""
        if self._transport is not None and unsent(self._transport):
            # The client does not read its answers; aiohttp would collect its requests meanwhile.
            return _PAUSE
        now = self._loop.time()
        return self._own.wait_for(1.0, now) or self._requests.take(now) or self._own.take(now)

    def _expect_the_next(self) -> None:
        self._unsent = None
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = self._loop.call_later(self._idle_timeout, self._out_of_time)

    def _out_of_time(self) -> None:
        self._deadline = None
        if self._transport is None:
            return
        waiting = unsent(self._transport)
        if waiting and (self._unsent is None or waiting < self._unsent):
            # The client reads its answer slowly, but reads it.
            self._unsent = waiting
            self._deadline = self._loop.call_later(self._idle_timeout, self._out_of_time)
            return
        self._transport.abort()

    def _refuse(self, status: int) -> None:
        self._held.clear()
        self._searched = 0
        self._is_upgrading = True
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        self._on_refusal(status)
        transport.write(
            f"HTTP/1.1 {status} {_REFUSALS[status]}\r\n"
            "Content-Length: 0\r\nConnection: close\r\n\r\n".encode()
        )
        transport.close()


def _fault_of(head: bytes, fields: bytes) -> int | None:
    """Return the status that refuses a request, or None (`fields`: the same in lower case)."""
    line = _REQUEST_LINE.match(head)
    if line is None and head.strip(b"\r\n"):
        return 400
    if line is not None and len(line[1]) > MAX_TARGET:
        return 414
    if _has_body(fields):
        return 413
    # An Expect announces a body, too (RFC 9110, 10.1.1).
    return 417 if b"\r\nexpect:" in fields else None


def _has_body(fields: bytes) -> bool:
    """Whether a request (in lower case) announces a body; no request here needs one."""
    if b"\r\ntransfer-encoding" in fields:
        return True
    _, found, rest = fields.partition(b"\r\ncontent-length")
    if not found:
        return False
    value, _, after = rest.partition(b"\r\n")
    return value.strip(b" \t:") != b"0" or b"\r\ncontent-length" in b"\r\n" + after


class FrameGate(_Gate):
    """Passes the frames of a WebSocket at the rate at which they may come.

    Args:
        inner: aiohttp's protocol.
        meter: Decides which frames may pass.
        budget: Bytes that may be held back, of all clients together.
        on_excess: Called once, when the client has sent too much for too long; reading ends then.
        patience: Seconds for which a client may exceed its rates without a pause.
    """

    def __init__(
        self,
        inner: asyncio.Protocol,
        meter: FrameMeter,
        *,
        budget: Budget,
        on_excess: Callable[[], None],
        patience: float,
    ) -> None:
        super().__init__(inner)
        self._meter = meter
        self._budget = budget
        self._counted = 0
        self._on_excess = on_excess
        self._patience = patience
        self._behind_since: float | None = None
        self._is_over = False

    def start(self, transport: asyncio.Transport, held: bytes) -> None:
        """Take over a connection from which `held` has been read."""
        self._transport = transport
        if held:
            self.data_received(held)

    def data_received(self, data: bytes) -> None:
        """Take bytes of the client; they pass on at its rates."""
        if self._is_over:
            self._pause(None)
            return
        self._meter.receive(data)
        if self._timer is not None:
            self._pause(_PAUSE)
            self._count(self._meter.held)
        else:
            self._pass_on()

    def stop(self) -> None:
        """Cancel the timers, and give the held bytes back to the budget."""
        super().stop()
        self._count(0)

    def _count(self, held: int) -> None:
        self._budget.used += held - self._counted
        self._counted = held

    def _pass_on(self) -> None:
        now = self._loop.time()
        passed = self._meter.take(now)
        held = self._meter.held
        self._count(held)
        if passed:
            self.inner.data_received(passed)
        wait = self._meter.wait(now)
        if wait is None:
            self._behind_since = None
            wait = self._reads.take(now)
            if wait > 0:
                self._pause(wait)
            else:
                self._resume()
            return
        if self._behind_since is None:
            self._behind_since = now
        is_too_much = held > _HELD or not self._budget.has_room(held)
        if is_too_much or now - self._behind_since >= self._patience:
            self._is_over = True
            self._count(0)
            self._pause(None)
            self._on_excess()
            return
        self._pause(wait)


def enter_frames(
    transport: asyncio.Transport,
    meter: FrameMeter,
    *,
    budget: Budget,
    on_excess: Callable[[], None],
    patience: float,
) -> FrameGate:
    """Put a `FrameGate` in the place of aiohttp's protocol, or of the `HttpGate` around it."""
    protocol = transport.get_protocol()
    held = b""
    if isinstance(protocol, HttpGate):
        inner, held = protocol.inner, protocol.release()
    else:
        assert isinstance(protocol, asyncio.Protocol)
        inner = protocol
    gate = FrameGate(inner, meter, budget=budget, on_excess=on_excess, patience=patience)
    transport.set_protocol(gate)
    gate.start(transport, held)
    return gate
