"""A WebSocket client that can do everything wrong: bytes on a socket (RFC 6455)."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator, Mapping

from signaling.messages import SUBPROTOCOL, WEBSOCKET_PATH
from tests.support.servers.websocket_frames import CLOSE, frame

__all__ = ["RawClient", "open_raw", "request"]

ENOUGH = 20.0


class RawClient:
    """A socket on which the handshake is done."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def receive(self) -> tuple[int, bytes] | None:
        """The next frame's opcode and payload; None at the end of the stream."""
        try:
            async with asyncio.timeout(ENOUGH):
                first, second = await self.reader.readexactly(2)
                length = second & 0x7F
                if length == 126:
                    (length,) = struct.unpack("!H", await self.reader.readexactly(2))
                elif length == 127:
                    (length,) = struct.unpack("!Q", await self.reader.readexactly(8))
                return first & 0x0F, await self.reader.readexactly(length)
        except (asyncio.IncompleteReadError, ConnectionError):
            return None

    async def close_code(self) -> int | None:
        """Read on to the server's close frame, answer it; its code, or None without one."""
        while (received := await self.receive()) is not None:
            opcode, payload = received
            if opcode == CLOSE:
                with contextlib.suppress(ConnectionError):
                    await self.send(frame(payload[:2], CLOSE))
                return struct.unpack("!H", payload[:2])[0] if payload else 1005
        return None

    def reset(self) -> None:
        """Cut the connection the hard way: the server gets a reset and not an end."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


@contextlib.asynccontextmanager
async def open_raw(
    port: int,
    *,
    path: str = WEBSOCKET_PATH,
    headers: Mapping[str, str] | None = None,
    protocol: str | None = SUBPROTOCOL,
    receive_buffer: int | None = None,
) -> AsyncIterator[RawClient]:
    """Connect and shake hands; `receive_buffer` (bytes) makes a reader that stalls early."""
    sock = socket.socket()
    sock.setblocking(False)
    if receive_buffer is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
    reader, writer = await asyncio.open_connection(sock=sock, limit=4096)
    try:
        lines = [
            f"GET {path} HTTP/1.1",
            f"Host: 127.0.0.1:{port}",
            "Upgrade: websocket",
            "Connection: Upgrade",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
            "Sec-WebSocket-Version: 13",
        ]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        if protocol is not None:
            lines.append(f"Sec-WebSocket-Protocol: {protocol}")
        writer.write("\r\n".join([*lines, "", ""]).encode())
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101"), head
        # The RFC's own example of a key and its answer.
        assert b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in head
        yield RawClient(reader, writer)
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def request(port: int, text: bytes) -> bytes:
    """Send bytes as an HTTP request, and return all that comes back until the end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(text)
        async with asyncio.timeout(ENOUGH):
            return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
