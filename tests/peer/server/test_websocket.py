"""The client of the signaling server against what it may find on the wire instead of one."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from aiohttp import web

from peer.errors import ServerRefused, ServerUnreachable
from peer.server.client import SignalingClient
from signaling.config import Listener, ServerConfig
from signaling.messages import (
    MAX_SERVER_MESSAGE_BYTES,
    SUBPROTOCOL,
    Error,
    Hello,
    Limits,
    Ping,
    Signal,
    SignalKind,
    Welcome,
    serialize,
)
from signaling.server import SignalingServer
from signaling.tls import server_context
from tests.support.links.rooms import running_server
from tests.support.processes.leftovers import nothing_left_behind
from tests.support.processes.logged import complaints
from tests.support.servers.certificates import make_certificate

WELCOME = Welcome(session="s", resume_token="t", peer="p1", room="7", code="7")
HELLO = Hello(code=True)

RawScript = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def raw_server(script: RawScript) -> AsyncIterator[str]:
    """A TCP server that does with one connection what a script says; yields its URL."""
    done = asyncio.Event()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await script(reader, writer)
        finally:
            writer.close()
            done.set()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    async with server:
        yield f"http://{host}:{port}"
        await done.wait()


@contextlib.asynccontextmanager
async def redirecting(target: str, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """A web server that sends everybody elsewhere; yields its URL."""

    async def redirect(_: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": target})

    application = web.Application()
    application.router.add_get("/{path:.*}", redirect)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await site.start()
    try:
        host, port = runner.addresses[0][:2]
        yield f"{'https' if tls else 'http'}://{host}:{port}"
    finally:
        await runner.cleanup()


async def shake_hands(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> str:
    request = (await reader.readuntil(b"\r\n\r\n")).decode()
    key = request.partition("Sec-WebSocket-Key: ")[2].partition("\r\n")[0]
    salted = key.encode() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
    proof = base64.b64encode(hashlib.sha1(salted).digest()).decode()
    writer.write(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Accept: {proof}\r\n\r\n".encode()
    )
    return request


def frame(payload: bytes, first_byte: int = 0x81) -> bytes:
    """A short frame of the server, text if nothing else is said."""
    size = len(payload)
    head = bytes([size]) if size < 126 else b"\x7e" + size.to_bytes(2, "big")
    return bytes([first_byte]) + head + payload


async def read_frame(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """A short masked frame of the client: opcode and payload."""
    first, second = await reader.readexactly(2)
    size = second & 0x7F
    if size == 126:
        size = int.from_bytes(await reader.readexactly(2), "big")
    mask = await reader.readexactly(4)
    payload = await reader.readexactly(size)
    return first & 0x0F, bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))


async def test_a_redirection_is_followed_also_to_tls(tmp_path: Path) -> None:
    files = make_certificate(tmp_path)
    trust = ssl.create_default_context(cafile=str(files.certificate))
    context = server_context(files.certificate, files.key)
    config = ServerConfig(listeners=(Listener("127.0.0.1", 0), Listener("127.0.0.1", 0, context)))
    async with nothing_left_behind(), SignalingServer(config) as server:
        for url in server.urls:
            for target in (url, url.replace("http", "ws", 1)):
                async with redirecting(f"{target}/v1/ws") as start:
                    client = await SignalingClient.join(start, HELLO, ssl=trust)
                    assert client.welcome.code
                    await client.close()


async def test_a_redirection_away_from_tls_is_not_followed(tmp_path: Path) -> None:
    files = make_certificate(tmp_path)
    trust = ssl.create_default_context(cafile=str(files.certificate))
    context = server_context(files.certificate, files.key)
    async with nothing_left_behind(), running_server() as server:
        for target in (server.urls[0], server.urls[0].replace("http", "ws", 1)):
            async with redirecting(f"{target}/v1/ws", context) as start:
                with pytest.raises(ServerUnreachable, match="answers 302"):
                    await SignalingClient.join(start, HELLO, ssl=trust)


@pytest.mark.parametrize("target", ["/v1/ws", "ftp://elsewhere/", "http://[", "//a..b/v1/ws"])
async def test_a_redirection_to_nowhere_is_no_server(target: str) -> None:
    async with nothing_left_behind(), redirecting(target) as start:
        with pytest.raises(ServerUnreachable):
            await SignalingClient.join(start, HELLO)


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "answers 404"),
        (b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", "try again later"),
        (b"HTTP/1.1 101 Yes\r\nUpgrade: websocket\r\n\r\n", "something else"),
        (b"SSH-2.0-OpenSSH_9.6\r\n\r\n", "something else"),
        (b"x" * 20_000, "something else"),
        (b"HTTP/1.1 404 Not\r\nLoc", "cannot be reached"),
        (b"", "cannot be reached"),
    ],
)
async def test_what_is_no_such_server_is_told_by_its_answer(
    answer: bytes, sentence: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()

    async with nothing_left_behind(), raw_server(script) as url:
        with pytest.raises(ServerUnreachable, match=sentence):
            await SignalingClient.join(url, HELLO)
    assert complaints(caplog) == []


async def test_the_request_names_the_host_the_path_and_the_user() -> None:
    requests: list[str] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        requests.append(await shake_hands(reader, writer))
        await read_frame(reader)
        writer.write(frame(serialize(WELCOME).encode()))
        while (await read_frame(reader))[0] != 8:
            pass

    async with nothing_left_behind(), raw_server(script) as url:
        client = await SignalingClient.join(url.replace("//", "//me:pass@") + "/a b", HELLO)
        await client.close()
    first, *headers = requests[0].split("\r\n")
    assert first == "GET /a%20b/v1/ws HTTP/1.1"
    assert f"Host: {url[7:]}" in headers
    assert f"Authorization: Basic {base64.b64encode(b'me:pass').decode()}" in headers
    assert f"Sec-WebSocket-Protocol: {SUBPROTOCOL}" in headers
    assert "User-Agent: peerline" in headers
    assert "Sec-WebSocket-Extensions" not in requests[0]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        pytest.param(frame(b"a", 0xC1), 1002, id="reserved bit"),
        pytest.param(frame(b"a", 0x82), 1003, id="binary"),
        pytest.param(frame(b"\xff"), 1007, id="not UTF-8"),
        pytest.param(
            b"\x81\x7f" + (MAX_SERVER_MESSAGE_BYTES + 1).to_bytes(8, "big"), 1009, id="too long"
        ),
    ],
)
async def test_a_server_that_breaks_the_rules_is_told_and_left(
    data: bytes, code: int, caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[tuple[int, bytes]] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await shake_hands(reader, writer)
        await read_frame(reader)
        writer.write(frame(serialize(WELCOME).encode()) + data)
        heard.append(await read_frame(reader))

    async with nothing_left_behind(), raw_server(script) as url:
        client = await SignalingClient.join(url, HELLO)
        with pytest.raises(ServerUnreachable, match="was lost"):
            async for _ in client:
                pytest.fail("nothing was said")
        await client.close()
    assert heard[0][0] == 8
    assert heard[0][1][:2] == code.to_bytes(2, "big")
    assert complaints(caplog) == []


async def test_what_a_server_says_before_it_hears_us_is_heard() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await shake_hands(reader, writer)
        refusal = serialize(Error(code="over_capacity", message="full", retryable=True))
        writer.write(frame(refusal.encode()) + frame((4100).to_bytes(2, "big"), 0x88))
        while (await read_frame(reader))[0] != 8:
            pass

    async with nothing_left_behind(), raw_server(script) as url:
        with pytest.raises(ServerRefused, match="is full"):
            await SignalingClient.join(url, HELLO)


async def test_a_server_nobody_listens_to_any_more_still_hears_the_goodbye(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("peer.server.client.CLOSE_TIMEOUT", 0.2)
    heard: list[int] = []

    async def flood(writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while True:
                writer.write(frame(serialize(Ping()).encode()) * 1000)
                await writer.drain()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await shake_hands(reader, writer)
        await read_frame(reader)
        writer.write(frame(serialize(WELCOME).encode()))
        flooding = asyncio.ensure_future(flood(writer))
        while 8 not in heard:
            heard.append((await read_frame(reader))[0])
        await flooding

    async with nothing_left_behind(), raw_server(script) as url:
        client = await SignalingClient.join(url, HELLO)
        await client.close()
    assert heard == [1, 8]


async def test_a_server_that_hears_nothing_any_more_is_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("peer.server.client.CLOSE_TIMEOUT", 0.2)
    left = asyncio.Event()
    generous = Limits(rate=1e6, burst=10_000)

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await shake_hands(reader, writer)
        await read_frame(reader)
        welcome = Welcome(session="s", resume_token="t", peer="p1", room="7", limits=generous)
        writer.write(frame(serialize(welcome).encode()))
        await left.wait()

    async with nothing_left_behind(), raw_server(script) as url:
        client = await SignalingClient.join(url, HELLO)
        for _ in range(400):  # far more than the buffers of two sockets
            data = "x" * 48_000
            client.send(Signal(to="p2", link="L", gen=0, kind=SignalKind.OFFER, data=data))
        await client.close()
        left.set()
