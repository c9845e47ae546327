"""A WebSocket client (RFC 6455): as much of one as talking to a signaling server needs (floor 2).

Text messages, no extensions. aiohttp has a client too, but importing it takes as much CPU time as
all of our own modules together, most of it for an HTTP client and TLS settings nobody uses here.
"""

from __future__ import annotations

import asyncio
import base64
import enum
import hashlib
import os
import ssl as ssl_module
from collections import deque
from typing import cast
from urllib.parse import quote, unquote, urljoin, urlsplit

__all__ = ["HandshakeFailed", "WebSocket"]

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, 1.3
_MAX_HEAD = 16_384
"""Bytes of a server's answer before the first frame."""
_MAX_WAITING = 64
"""Messages that wait to be received before no more are read from the network."""
_MAX_REDIRECTS = 5
_HAPPY_EYEBALLS = 0.25
"""Seconds after which the next of a host's addresses is tried as well (RFC 8305, 5)."""

_FIN = 0x80
_MASKED = 0x80
_MAX_CONTROL = 125  # RFC 6455, 5.5

_NORMAL, _PROTOCOL_ERROR, _UNSUPPORTED, _NO_STATUS = 1000, 1002, 1003, 1005
_BAD_TEXT, _TOO_BIG = 1007, 1009


class _Opcode(enum.IntEnum):
    CONTINUATION = 0
    TEXT = 1
    BINARY = 2
    CLOSE = 8
    PING = 9
    PONG = 10


class HandshakeFailed(Exception):
    """Something answers there, but not as a WebSocket server.

    Attributes:
        status: of its HTTP answer; 0 when it does not speak HTTP.
        location: where it says to go instead.
    """

    def __init__(self, status: int, location: str = "") -> None:
        super().__init__(f"the server answers {status}")
        self.status = status
        self.location = location


class WebSocket(asyncio.Protocol):
    """A connection to a server. Make it with `WebSocket.connect`.

    Attributes:
        close_code: the server's (RFC 6455, 7.4); None while it is open, or when it just broke.
    """

    def __init__(self, max_size: int) -> None:
        self.close_code: int | None = None
        self._max_size = max_size
        self._transport: asyncio.Transport
        self._buffer = bytearray()
        self._head: asyncio.Future[bytes] | None = asyncio.get_running_loop().create_future()
        self._fragments: bytearray | None = None
        self._messages: deque[str] = deque()
        self._arrived = asyncio.Event()
        self._writable = asyncio.Event()
        self._over = asyncio.Event()
        """Nothing more will be received."""
        self._lost = asyncio.Event()
        self._close_sent = False

    @classmethod
    async def connect(
        cls,
        url: str,
        *,
        subprotocol: str,
        max_size: int,
        ssl: ssl_module.SSLContext | None = None,
    ) -> WebSocket:
        """Connect; bound it with `asyncio.timeout`.

        Args:
            url: `ws:` or `wss:`. Redirections are followed, but not from TLS to none.
            subprotocol: what is to be spoken.
            max_size: bytes of the longest message that is taken.
            ssl: for `wss:`; None checks certificates as usual.

        Raises:
            HandshakeFailed: what answers is no such server.
            OSError: nothing answers, or not over TLS as it should (`ssl.SSLError`).
        """
        for _ in range(_MAX_REDIRECTS):
            try:
                return await cls._connect_once(url, subprotocol, max_size, ssl)
            except HandshakeFailed as error:
                target = urljoin(url.replace("ws", "http", 1), error.location)
                target = target.replace("http", "ws", 1) if target.startswith("http") else target
                allowed = ("wss://",) if url.startswith("wss:") else ("ws://", "wss://")
                if error.location == "" or not target.startswith(allowed):
                    raise
                url = target
        raise HandshakeFailed(310)

    @property
    def closed(self) -> bool:
        """Whether nothing can be sent any more."""
        return self._close_sent or self._over.is_set()

    async def receive(self) -> str | None:
        """The next message; None when the connection is over."""
        while not self._messages:
            if self._over.is_set():
                return None
            self._arrived.clear()
            await self._arrived.wait()
        message = self._messages.popleft()
        if len(self._messages) == _MAX_WAITING - 1 and not self._over.is_set():
            self._transport.resume_reading()
        return message

    async def send(self, message: str) -> None:
        """Send a message; returns when there is room for another.

        Raises:
            ConnectionError: the connection is over.
        """
        if self.closed:
            raise ConnectionResetError("the connection is closed")
        self._write(_Opcode.TEXT, message.encode())
        await self._writable.wait()

    async def close(self, patience: float) -> None:
        """Say goodbye, wait for the server's, and disconnect.

        Args:
            patience: seconds to wait.
        """
        self._send_close(_NORMAL)
        # A server whose messages nobody takes any more must still get its goodbye through.
        self._messages.clear()
        try:
            if not self._lost.is_set():
                self._transport.resume_reading()
            async with asyncio.timeout(patience):
                await self._over.wait()
                self._transport.close()
                await self._lost.wait()
        except TimeoutError:
            pass
        finally:
            self._transport.abort()
        await self._lost.wait()

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._writable.set()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if self._head is not None:
            self._read_head(self._head)
        if self._head is None:
            while not self._over.is_set() and self._read_frame():
                pass
        if len(self._messages) >= _MAX_WAITING and not self._over.is_set():
            self._transport.pause_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end()
        self._writable.set()
        self._lost.set()
        if self._head is not None and not self._head.done():
            self._head.set_exception(exc or ConnectionResetError("the server hung up"))
            self._head.exception()  # nobody may be waiting any more

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    # The handshake (RFC 6455, 4)

    @classmethod
    async def _connect_once(
        cls, url: str, subprotocol: str, max_size: int, ssl: ssl_module.SSLContext | None
    ) -> WebSocket:
        parts = urlsplit(url)
        secure = parts.scheme == "wss"
        host = parts.hostname or ""
        if not host.isascii():
            try:
                host = host.encode("idna").decode()
            except UnicodeError as error:
                raise OSError(f"{host!r} is no host name") from error
        _, socket = await asyncio.get_running_loop().create_connection(
            lambda: cls(max_size),
            host,
            parts.port or (443 if secure else 80),
            ssl=(ssl or True) if secure else None,
            happy_eyeballs_delay=_HAPPY_EYEBALLS,
        )
        try:
            await socket._shake_hands(url, host, subprotocol)
        except BaseException:
            socket._transport.abort()
            raise
        return socket

    async def _shake_hands(self, url: str, host: str, subprotocol: str) -> None:
        parts = urlsplit(url)
        key = base64.b64encode(os.urandom(16))
        authority = f"[{host}]" if ":" in host else host
        if parts.port is not None:
            authority += f":{parts.port}"
        target = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~")
        if parts.query:
            target += "?" + quote(parts.query, safe="/%:@!$&'()*+,;=~?")
        lines = [
            f"GET {target} HTTP/1.1",
            f"Host: {authority}",
            "User-Agent: peerline",
            "Connection: Upgrade",
            "Upgrade: websocket",
            f"Sec-WebSocket-Key: {key.decode()}",
            "Sec-WebSocket-Version: 13",
            f"Sec-WebSocket-Protocol: {subprotocol}",
        ]
        if parts.username is not None:
            user = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            lines.append(f"Authorization: Basic {base64.b64encode(user.encode()).decode()}")
        self._transport.write("\r\n".join([*lines, "", ""]).encode())
        assert self._head is not None, "nothing has been received yet"
        status, headers = _parse_head(await self._head)
        if status != 101:
            raise HandshakeFailed(status, headers.get("location", "") if status // 100 == 3 else "")
        proof = hashlib.sha1(key + _GUID, usedforsecurity=False).digest()
        if (
            headers.get("upgrade", "").lower() != "websocket"
            or headers.get("sec-websocket-accept") != base64.b64encode(proof).decode()
            or headers.get("sec-websocket-protocol", subprotocol) != subprotocol
            or "sec-websocket-extensions" in headers
        ):
            raise HandshakeFailed(status)

    def _read_head(self, head: asyncio.Future[bytes]) -> None:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0 and len(self._buffer) <= _MAX_HEAD:
            return
        # What follows an answer that is none, or a refusal, are no frames; nobody reads them.
        found = bytes(self._buffer[: end + 2]) if end >= 0 else b""
        del self._buffer[: end + 4 if end >= 0 else None]
        self._head = None
        if not head.done():
            head.set_result(found)

    # Frames (RFC 6455, 5)

    def _read_frame(self) -> bool:
        """Take one frame from the buffer; False when it is not complete."""
        buffer = self._buffer
        if len(buffer) < 2:
            return False
        size, start = buffer[1] & 0x7F, 2
        if size >= 126:
            start = 4 if size == 126 else 10
            if len(buffer) < start:
                return False
            size = int.from_bytes(buffer[2:start], "big")
        opcode, final = buffer[0] & 0x0F, bool(buffer[0] & _FIN)
        is_control = opcode >= _Opcode.CLOSE
        # Reserved bits belong to extensions, and a server does not mask.
        if buffer[0] & 0x70 or buffer[1] & _MASKED:
            return self._fail(_PROTOCOL_ERROR)
        if is_control and (not final or size > _MAX_CONTROL):
            return self._fail(_PROTOCOL_ERROR)
        if size + len(self._fragments or b"") > self._max_size and not is_control:
            return self._fail(_TOO_BIG)
        if len(buffer) < start + size:
            return False
        payload = bytes(buffer[start : start + size])
        del buffer[: start + size]
        return self._on_frame(opcode, final, payload)

    def _on_frame(self, opcode: int, final: bool, payload: bytes) -> bool:
        match opcode:
            case _Opcode.TEXT if self._fragments is None:
                self._fragments = bytearray(payload)
            case _Opcode.CONTINUATION if self._fragments is not None:
                self._fragments += payload
            case _Opcode.BINARY:
                return self._fail(_UNSUPPORTED)
            case _Opcode.PING:
                if not self._close_sent:
                    self._write(_Opcode.PONG, payload)
                return True
            case _Opcode.PONG:
                return True
            case _Opcode.CLOSE:
                self.close_code = (
                    int.from_bytes(payload[:2], "big") if len(payload) >= 2 else _NO_STATUS
                )
                self._send_close(self.close_code)
                self._end()
                return False
            case _:
                return self._fail(_PROTOCOL_ERROR)
        if final:
            try:
                message = self._fragments.decode()
            except UnicodeDecodeError:
                return self._fail(_BAD_TEXT)
            self._fragments = None
            if not self._close_sent:
                self._messages.append(message)
                self._arrived.set()
        return True

    def _fail(self, code: int) -> bool:
        """The server breaks the rules: say so, and read no more (RFC 6455, 7.1.7)."""
        self._send_close(code)
        self._end()
        return False

    def _end(self) -> None:
        self._over.set()
        self._arrived.set()

    def _send_close(self, code: int) -> None:
        if not self._close_sent and not self._lost.is_set():
            # "No status" is what a close without one is called; it never travels (7.4.1).
            self._write(_Opcode.CLOSE, b"" if code == _NO_STATUS else code.to_bytes(2, "big"))
        self._close_sent = True

    def _write(self, opcode: _Opcode, payload: bytes) -> None:
        self._transport.write(_frame(opcode, payload, os.urandom(4)))


def _frame(opcode: _Opcode, payload: bytes, mask: bytes) -> bytes:
    """One whole message as a frame from a client, masked (RFC 6455, 5.3)."""
    size = len(payload)
    if size < 126:
        head = bytes([_FIN | opcode, _MASKED | size])
    elif size < 1 << 16:
        head = bytes([_FIN | opcode, _MASKED | 126]) + size.to_bytes(2, "big")
    else:
        head = bytes([_FIN | opcode, _MASKED | 127]) + size.to_bytes(8, "big")
    key = (mask * (size // 4 + 1))[:size]
    masked = int.from_bytes(payload, "big") ^ int.from_bytes(key, "big")
    return head + mask + masked.to_bytes(size, "big")


def _parse_head(head: bytes) -> tuple[int, dict[str, str]]:
    """Status and headers, names in lower case, of an HTTP answer; 0 when it is none."""
    first, *lines = head.decode("latin-1").split("\r\n")
    version, _, rest = first.partition(" ")
    if not version.startswith("HTTP/1.") or not rest[:3].isdecimal():
        return 0, {}
    pairs = (line.partition(":") for line in lines if line)
    return int(rest[:3]), {name.strip().lower(): value.strip() for name, _, value in pairs}
