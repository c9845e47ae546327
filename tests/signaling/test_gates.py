"""Connections that are no WebSockets have bounded places, bytes, requests and time."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from signaling import (
    LimitsConfig,
    Listener,
    ServerConfig,
    SignalingServer,
    door,
    gates,
    server_context,
)
from signaling.rate_limit import TokenBucket
from tests.support.processes.leftovers import nothing_left_behind
from tests.support.servers.certificates import make_certificate
from tests.support.servers.clients import open_client
from tests.support.servers.raw_websocket import ENOUGH, request

HALF = b"GET / HTTP/1.1\r\nHost: x\r\nX-A: "
ASK = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
LAST = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


@contextlib.asynccontextmanager
async def serving(
    tls: ssl.SSLContext | None = None, **limits: object
) -> AsyncIterator[SignalingServer]:
    config = ServerConfig((Listener(ssl=tls),), limits=LimitsConfig(**limits))  # type: ignore[arg-type]
    async with nothing_left_behind(), SignalingServer(config) as server:
        yield server


class Stranger:
    """A socket and nothing more."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def ended(self) -> bytes:
        """Everything until the server ends the connection."""
        async with asyncio.timeout(ENOUGH):
            try:
                return await self.reader.read()
            except ConnectionError:
                return b""


@contextlib.asynccontextmanager
async def strangers(
    server: SignalingServer, count: int, first: bytes
) -> AsyncIterator[list[Stranger]]:
    async with contextlib.AsyncExitStack() as stack:
        found = []
        for _ in range(count):
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            stack.push_async_callback(_close, writer)
            found.append(Stranger(reader, writer))
            with contextlib.suppress(ConnectionError):
                await found[-1].send(first)
        yield found


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


async def healthy(server: SignalingServer) -> bool:
    return b'"status": "ok"' in await request(server.port, LAST)


@pytest.fixture
def tls(tmp_path: Path) -> ssl.SSLContext:
    files = make_certificate(tmp_path)
    return server_context(files.certificate, files.key)


@pytest.mark.parametrize("first", [b"", HALF, b"\r\n", ASK])
async def test_many_idle_connections_keep_nobody_out(first: bytes) -> None:
    async with serving(visitors=10) as server, strangers(server, 40, first) as all_of_them:
        assert await healthy(server)
        assert server.visitors <= 10
        for stranger in all_of_them[:20]:
            answer = await stranger.ended()
            assert answer == b"" or b'"status": "ok"' in answer
        async with open_client(server.urls[0]) as alice:
            await alice.join(room="demo")


async def test_many_unfinished_handshakes_keep_nobody_out(tls: ssl.SSLContext) -> None:
    async with serving(tls, visitors=10) as server:
        hello = b"\x16\x03\x01\x00\xf8\x01"
        async with strangers(server, 20, b"") as silent, strangers(server, 20, hello) as slow:
            async with aiohttp.ClientSession() as session:
                url = f"https://127.0.0.1:{server.port}/healthz"
                async with session.get(url, ssl=False) as response:
                    assert (await response.json())["status"] == "ok"
            assert server.visitors <= 10
            for stranger in [*silent, *slow[:5]]:
                await stranger.ended()


async def test_an_unfinished_handshake_ends_in_time(tls: ssl.SSLContext) -> None:
    async with serving(tls, request_timeout=0.1) as server, strangers(server, 3, b"\x16") as some:
        for stranger in some:
            await stranger.ended()
        assert server.visitors == 0


async def test_a_request_must_end_in_time_however_many_bytes_come() -> None:
    async with serving(request_timeout=0.3) as server, strangers(server, 2, HALF) as (quiet, busy):

        async def drip() -> None:
            while True:
                await busy.send(b"x")
                await asyncio.sleep(0.01)

        dripping = asyncio.create_task(drip())
        assert await quiet.ended() == b""
        assert await busy.ended() == b""
        dripping.cancel()
        await asyncio.wait([dripping])
        assert dripping.cancelled() or isinstance(dripping.exception(), ConnectionError)
        assert server.visitors == 0


async def test_an_idle_connection_ends_in_time() -> None:
    async with serving(idle_timeout=0.1) as server, strangers(server, 1, ASK) as (idle,):
        assert (await idle.ended()).startswith(b"HTTP/1.1 200 OK")
        assert server.visitors == 0


async def test_a_client_that_takes_nothing_of_its_answers_is_cut() -> None:
    async with serving(idle_timeout=0.1, request_timeout=0.1) as server:
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
        sock.setblocking(False)
        with sock:
            loop = asyncio.get_running_loop()
            await loop.sock_connect(sock, ("127.0.0.1", server.port))
            with contextlib.suppress(TimeoutError, ConnectionError):
                async with asyncio.timeout(ENOUGH):
                    while server.visitors:
                        await loop.sock_sendall(sock, ASK * 100)
            assert server.visitors == 0


@pytest.mark.parametrize(
    "fields",
    [
        b"Content-Length: 1",
        b"content-length: 00",
        b"Content-Length:99999999999999999999",
        b"Content-Length : 5",
        b"Content-Length: 0\r\nContent-Length: 5",
        b"Transfer-Encoding: chunked",
        b"transfer-encoding:identity",
    ],
)
async def test_bodies_are_refused_before_they_are_read(fields: bytes) -> None:
    async with serving() as server:
        for method in (b"GET", b"POST", b"PUT"):
            text = method + b" / HTTP/1.1\r\nHost: x\r\n" + fields + b"\r\n\r\n"
            assert (await request(server.port, text)).startswith(b"HTTP/1.1 413 ")
        assert await healthy(server)


async def test_an_announcement_of_no_body_is_fine() -> None:
    async with serving() as server:
        text = b"GET /healthz HTTP/1.0\r\nContent-Length: 0\r\n\r\n"
        assert (await request(server.port, text)).startswith(b"HTTP/1.0 200 ")


@pytest.mark.parametrize(
    "text",
    [
        b"GET /" + b"x" * 20_000 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nX: " + b"x" * 20_000,
        b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 4000 + b"\r\n",
        b"GET / HTTP/1.1\r\n" + b"X" * 3_000_000,
    ],
)
async def test_long_requests_are_refused_before_they_end(text: bytes) -> None:
    async with serving() as server:
        answer = await request(server.port, text)
        # With bytes unread, the connection may end before the answer is seen.
        assert answer == b"" or answer.startswith(b"HTTP/1.1 431 ")
        assert await healthy(server)


@pytest.mark.parametrize(
    "text", [b"\x16\x03\x01", b"\x00", b"1 / HTTP/1.1\r\n\r\n", b"\r\n\r\n\xff"]
)
async def test_what_is_no_http_is_refused_at_once(text: bytes) -> None:
    async with serving() as server:
        assert (await request(server.port, text)).startswith(b"HTTP/1.1 400 ")


async def test_requests_in_one_go_are_all_answered() -> None:
    async with serving() as server:
        answer = await request(server.port, ASK * 3 + LAST)
        assert answer.count(b"HTTP/1.1 200 OK") == 4


async def test_a_browser_may_go_on_after_the_page_itself() -> None:
    first = ASK[:-2] + b"Upgrade-Insecure-Requests: 1\r\n\r\n"
    async with serving() as server:
        assert (await request(server.port, first + LAST)).count(b'"status": "ok"') == 2


async def test_a_request_in_single_bytes_is_answered() -> None:
    async with serving() as server, strangers(server, 1, b"") as (slow,):
        for byte in LAST:
            await slow.send(bytes([byte]))
        assert (await slow.ended()).startswith(b"HTTP/1.1 200 OK")


async def test_a_connection_whose_upgrade_was_declined_ends() -> None:
    async with serving() as server:
        text = b"GET /healthz HTTP/1.1\r\nHost: x\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n"
        answer = await request(server.port, text + ASK)
        assert answer.count(b"HTTP/1.1 ") == 1
        assert answer.startswith(b"HTTP/1.1 200 OK")


async def test_requests_of_an_address_are_limited() -> None:
    async with serving(requests_per_minute=3, spare_loopback=False) as server:
        answers = [await request(server.port, LAST) for _ in range(5)]
        assert [answer[9:12] for answer in answers] == [b"200"] * 3 + [b"429"] * 2
        assert b"Retry-After: " in answers[-1]


async def test_connections_of_an_address_are_limited() -> None:
    async with serving(visits_per_minute=3, spare_loopback=False) as server:
        answers = [await request(server.port, LAST) for _ in range(5)]
        assert [answer[9:12] for answer in answers] == [b"200"] * 3 + [b""] * 2


async def test_idle_connections_of_an_address_are_limited() -> None:
    async with (
        serving(connections_per_address=4, spare_loopback=False) as server,
        strangers(server, 9, HALF) as some,
    ):
        for stranger in some[4:]:
            await stranger.ended()
        assert server.visitors == 4


async def test_a_websocket_gives_its_place_at_the_door_back() -> None:
    async with serving(visitors=2) as server, contextlib.AsyncExitStack() as stack:
        for _ in range(6):
            client = await stack.enter_async_context(open_client(server.urls[0]))
            await client.join(room="demo")
        assert server.visitors == 0
        assert server.connections == 6


async def test_nonsense_is_logged_in_a_bounded_number_of_lines(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, logger="signaling")
    async with serving() as server:
        for text in (b"GET / HTTP/9.9\r\n\r\n", b"\x16\x03", b"GET / HTTP/1.1\r\n\x00: x\r\n\r\n"):
            for _ in range(100):
                await request(server.port, text)
    records = [record for record in caplog.records if record.name.startswith(("signaling", "aio"))]
    assert 0 < len(records) < 200
    assert all(len(record.getMessage()) < 200 for record in records)
    assert all(record.levelno == logging.INFO for record in records)
    assert not any(record.exc_info for record in records)


async def test_a_server_that_closes_waits_for_none_of_them(tls: ssl.SSLContext) -> None:
    async with nothing_left_behind():
        for context in (None, tls):
            config = ServerConfig((Listener(ssl=context),))
            async with contextlib.AsyncExitStack() as stack:
                server = SignalingServer(config)
                await server.start()
                await stack.enter_async_context(strangers(server, 5, b""))
                await stack.enter_async_context(strangers(server, 5, HALF))
                async with asyncio.timeout(ENOUGH):
                    await server.close()
                assert server.visitors == 0


@pytest.mark.parametrize(
    "text",
    [
        b"CONNECT \r\nevil.example:80 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET  / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /\x00 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /\xe2\x80\xa8 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/2.0\r\nHost: x\r\n\r\n",
        b"GET /\r\nHost: x\r\n\r\n",
        b"GET /\nHost: x\r\n\r\n",
    ],
)
async def test_a_request_line_is_one_or_is_refused(text: bytes) -> None:
    async with serving() as server:
        assert (await request(server.port, text)).startswith(b"HTTP/1.1 400 ")
        assert await healthy(server)


async def test_expectations_are_refused() -> None:
    async with serving() as server:
        text = b"GET / HTTP/1.1\r\nHost: x\r\nExpect: \xff\xfe\r\n\r\n"
        assert (await request(server.port, text)).startswith(b"HTTP/1.1 417 ")


@pytest.mark.parametrize(
    ("field", "answer"),
    [
        (b"Sec-WebSocket-Protocol: " + b"x" * 4000, b"HTTP/1.1 101 "),
        (b"Sec-WebSocket-Protocol: \xff, \xe2\x80\xa8", b"HTTP/1.1 101 "),
        (b"Sec-WebSocket-Key: \xe2\x80\xa8", b"HTTP/1.1 426 "),
        (b"Origin: \xff", b"HTTP/1.1 101 "),
        (b"Cookie: a=\xc3\xa4", b"HTTP/1.1 101 "),
        (b"Sec-WebSocket-Key: ====", b"HTTP/1.1 426 "),
        (b"Sec-WebSocket-Version: \xff", b"HTTP/1.1 426 "),
        (b"Sec-WebSocket-Extensions: permessage-deflate; \xff=\x80", b"HTTP/1.1 101 "),
    ],
)
async def test_odd_handshakes_are_answered_without_a_line_in_the_log(
    field: bytes, answer: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    fields = {
        b"Sec-WebSocket-Key": b"dGhlIHNhbXBsZSBub25jZQ==",
        b"Sec-WebSocket-Version": b"13",
    }
    name, _, value = field.partition(b": ")
    lines = [b"GET /v1/ws HTTP/1.1", b"Host: x", b"Upgrade: websocket", b"Connection: Upgrade"]
    lines += [key + b": " + text for key, text in {**fields, name: value}.items()]
    async with serving(close_timeout=0.1) as server:
        reply = await request(server.port, b"\r\n".join([*lines, b"", b""]))
        assert reply.startswith(answer)
    # Not asyncio's, which complains about slow callbacks here.
    assert [r for r in caplog.records if r.name != "asyncio" and r.levelno >= logging.WARNING] == []


async def test_a_browsers_connection_serves_one_request_after_the_other() -> None:
    text = (
        b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: keep-alive\r\n"
        b"Upgrade-Insecure-Requests: 1\r\nExpect-CT: x\r\nContent-Language: de\r\n\r\n"
    )
    async with serving() as server, strangers(server, 1, text) as (browser,):
        for _ in range(3):
            await browser.reader.readuntil(b"}")
            await browser.send(text)
        await browser.send(LAST)
        assert (await browser.ended()).count(b"HTTP/1.1 200 OK") == 2


class Slow(asyncio.Transport):
    """Of a client that does not read."""

    waiting = 1

    def get_write_buffer_size(self) -> int:
        return self.waiting

    def is_closing(self) -> bool:
        return False

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


class Heard(asyncio.Protocol):
    def __init__(self) -> None:
        self.data = b""

    def data_received(self, data: bytes) -> None:
        self.data += data


async def test_requests_wait_while_their_answers_are_not_read() -> None:
    """aiohttp would keep them, and each would put off the end of the connection."""
    inner, transport = Heard(), Slow()
    gate = gates.HttpGate(
        inner,
        on_request=lambda: None,
        on_end=lambda: None,
        on_refusal=lambda status: None,
        request_timeout=60.0,
        idle_timeout=60.0,
        requests=TokenBucket(1e6, 1e6, 0.0),
    )
    gate.connection_made(transport)
    gate.data_received(ASK + ASK)
    assert inner.data == b""
    transport.waiting = 0
    gate._go_on()
    assert inner.data == ASK + ASK
    gate.connection_lost(None)


async def test_a_target_of_thousands_of_parts_is_refused() -> None:
    async with serving() as server:
        text = b"GET /" + b"a/" * 600 + b" HTTP/1.1\r\nHost: x\r\n\r\n"
        assert (await request(server.port, text)).startswith(b"HTTP/1.1 414 ")


async def test_requests_of_all_together_have_a_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "REQUESTS_PER_SECOND", 20.0)
    loop = asyncio.get_running_loop()
    async with serving() as server:
        start = loop.time()
        answers = await asyncio.gather(*(request(server.port, ASK * 9 + LAST) for _ in range(3)))
        assert [answer.count(b"HTTP/1.1 200 OK") for answer in answers] == [10] * 3
        # 20 at once, and 10 at 20 a second.
        assert loop.time() - start > 0.4
