"""Our WebSocket client, against servers that follow RFC 6455 and servers that do not."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from aiohttp import WSMsgType, web

from peer.websocket import HandshakeFailed, WebSocket
from tests.support.leftovers import nothing_left_behind

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
PROTOCOL = "test.1"
MAX_SIZE = 100_000

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def connect(url: str) -> WebSocket:
    return await WebSocket.connect(url, subprotocol=PROTOCOL, max_size=MAX_SIZE)


@contextlib.asynccontextmanager
async def raw_server(handler: Handler) -> AsyncIterator[str]:
    """A TCP server, one connection of which a function handles; yields its URL."""
    done = asyncio.Event()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await handler(reader, writer)
        finally:
            writer.close()
            done.set()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    async with server:
        yield f"ws://{host}:{port}/socket"
        await done.wait()


async def shake_hands(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> str:
    request = (await reader.readuntil(b"\r\n\r\n")).decode()
    key = request.partition("Sec-WebSocket-Key: ")[2].partition("\r\n")[0]
    proof = base64.b64encode(hashlib.sha1(key.encode() + GUID).digest()).decode()
    writer.write(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Accept: {proof}\r\n\r\n".encode()
    )
    return request


async def read_frame(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """A short masked frame of the client: opcode and payload."""
    first, second, *mask = await reader.readexactly(6)
    assert second & 0x80, "a client masks"
    payload = await reader.readexactly(second & 0x7F)
    return first & 0x0F, bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))


def sends(data: bytes, heard: list[tuple[int, bytes]], in_pieces: bool = False) -> Handler:
    """Sends bytes after the handshake, and hears one frame."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await shake_hands(reader, writer)
        for piece in [data[i : i + 1] for i in range(len(data))] if in_pieces else [data]:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)
        heard.append(await read_frame(reader))

    return handler


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65_535, 65_536, 90_000])
async def test_messages_of_every_length_go_both_ways(size: int) -> None:
    async def echo(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(protocols=(PROTOCOL,))
        await socket.prepare(request)
        async for message in socket:
            assert message.type is WSMsgType.TEXT
            await socket.send_str(message.data)
        return socket

    async def redirect(request: web.Request) -> web.Response:
        raise web.HTTPFound("/socket" if request.path == "/old" else request.path)

    application = web.Application()
    application.router.add_get("/socket", echo)
    application.router.add_get("/old", redirect)
    application.router.add_get("/loop", redirect)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        host, port = runner.addresses[0][:2]
        async with nothing_left_behind():
            socket = await connect(f"ws://{host}:{port}/old")
            text = ("aé" * size)[:size] if size < 60_000 else "a" * size
            await socket.send(text)
            assert await socket.receive() == text
            await socket.close(5)
            assert socket.closed
            with pytest.raises(ConnectionError):
                await socket.send("late")
            assert await socket.receive() is None
            with pytest.raises(HandshakeFailed):
                await connect(f"ws://{host}:{port}/loop")
    finally:
        await runner.cleanup()


@pytest.mark.parametrize("in_pieces", [False, True])
async def test_pings_are_answered_between_the_fragments_of_a_message(in_pieces: bool) -> None:
    heard: list[tuple[int, bytes]] = []
    frames = b"\x01\x02he" + b"\x89\x03you" + b"\x00\x01l" + b"\x8a\x00" + b"\x80\x02lo"
    async with raw_server(sends(frames, heard, in_pieces)) as url:
        socket = await connect(url)
        assert await socket.receive() == "hello"
        assert await socket.receive() is None
        assert socket.close_code is None
        await socket.close(5)
    assert heard == [(10, b"you")]


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        pytest.param(b"\xc1\x01a", 1002, id="reserved bit"),
        pytest.param(b"\x81\x81\0\0\0\0a", 1002, id="masked"),
        pytest.param(b"\x83\x01a", 1002, id="unknown opcode"),
        pytest.param(b"\x80\x01a", 1002, id="continuation of nothing"),
        pytest.param(b"\x01\x01a\x81\x01b", 1002, id="message within a message"),
        pytest.param(b"\x09\x01a", 1002, id="control frame in fragments"),
        pytest.param(b"\x89\x7e\x00\x7e", 1002, id="long control frame"),
        pytest.param(b"\x82\x01a", 1003, id="binary"),
        pytest.param(b"\x81\x01\xff", 1007, id="not UTF-8"),
        pytest.param(b"\x81\x7f" + (1 << 40).to_bytes(8, "big"), 1009, id="too long"),
        pytest.param(
            b"\x01\x01a\x00\x7f" + MAX_SIZE.to_bytes(8, "big"), 1009, id="too long in fragments"
        ),
    ],
)
async def test_a_server_that_breaks_the_rules_is_told_and_left(frame: bytes, code: int) -> None:
    heard: list[tuple[int, bytes]] = []
    async with raw_server(sends(frame + b"\x81\x01z", heard)) as url:
        socket = await connect(url)
        assert await socket.receive() is None
        await socket.close(5)
    assert heard == [(8, code.to_bytes(2, "big"))]


@pytest.mark.parametrize(("payload", "code"), [(b"\x10\x68bye", 4200), (b"", 1005)])
async def test_the_servers_goodbye_is_returned(payload: bytes, code: int) -> None:
    heard: list[tuple[int, bytes]] = []
    frames = b"\x81\x04last\x88" + bytes([len(payload)]) + payload
    async with raw_server(sends(frames, heard)) as url:
        socket = await connect(url)
        assert await socket.receive() == "last"
        assert await socket.receive() is None
        assert socket.close_code == code
        await socket.close(5)
    assert heard == [(8, payload[:2])]


async def test_messages_nobody_takes_hold_the_server_up_and_not_the_goodbye() -> None:
    heard: list[tuple[int, bytes]] = []
    count = 200_000  # with their frames, far more than the buffers of two sockets

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await shake_hands(reader, writer)
        writer.write(b"\x81\x7d" + bytes(125))
        flood = asyncio.ensure_future(_flood(writer, count))
        heard.append(await read_frame(reader))
        await flood

    async with raw_server(handler) as url:
        socket = await connect(url)
        assert await socket.receive() == "\0" * 125
        for _ in range(1000):
            await asyncio.sleep(0)
        assert len(socket._messages) < 10_000
        await socket.close(5)
    assert heard == [(8, b"\x03\xe8")]


async def _flood(writer: asyncio.StreamWriter, count: int) -> None:
    with contextlib.suppress(ConnectionError):
        for _ in range(count // 1000):
            writer.write((b"\x81\x7d" + bytes(125)) * 1000)
            await writer.drain()


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (b"HTTP/1.1 404 Not Found\r\n\r\n", 404),
        (b"HTTP/1.1 301 Moved\r\nLocation: ftp://elsewhere\r\n\r\n", 301),
        (b"HTTP/1.1 101 Yes\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: x\r\n\r\n", 101),
        (b"SSH-2.0-OpenSSH_9.6\r\n\r\n", 0),
        (b"x" * 20_000, 0),
    ],
)
async def test_what_is_no_websocket_server_is_told_by_its_answer(
    answer: bytes, status: int
) -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await reader.read()

    async with nothing_left_behind(), raw_server(handler) as url:
        with pytest.raises(HandshakeFailed) as caught:
            await connect(url)
        assert caught.value.status == status


async def test_a_server_that_hangs_up_on_the_request_is_a_lost_connection() -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")

    async with nothing_left_behind(), raw_server(handler) as url:
        with pytest.raises(ConnectionError):
            await connect(url)


async def test_the_request_names_the_host_the_path_and_the_user() -> None:
    requests: list[str] = []

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        requests.append(await shake_hands(reader, writer))
        await reader.read(2)

    async with nothing_left_behind(), raw_server(handler) as url:
        socket = await connect(url.replace("//", "//me:p%40ss@").replace("socket", "a b/é%20?q=1"))
        await socket.close(5)
    first, *headers = requests[0].split("\r\n")
    assert first == "GET /a%20b/%C3%A9%20?q=1 HTTP/1.1"
    assert f"Host: {url[5:].partition('/')[0]}" in headers
    assert f"Authorization: Basic {base64.b64encode(b'me:p@ss').decode()}" in headers
    assert f"Sec-WebSocket-Protocol: {PROTOCOL}" in headers
