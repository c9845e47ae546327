"""No bytes of a stranger, to HTTP or in WebSocket frames, lead to an unexpected error.

`PEERLINE_FUZZ` says how many inputs (requests, frames) each test makes; `PEERLINE_FUZZ_SEED` which.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import os
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest

from signaling import (
    LimitsConfig,
    Listener,
    ServerConfig,
    SignalingServer,
    gates,
    page_directory,
    server_context,
)
from tests.support.processes.leftovers import nothing_left_behind
from tests.support.servers.certificates import make_certificate
from tests.support.servers.clients import ENOUGH, open_client
from tests.support.servers.raw_websocket import request
from tests.support.servers.websocket_frames import frame
from tests.support.signaling_vectors import VECTORS

INPUTS = int(os.environ.get("PEERLINE_FUZZ", "1500"))
SEED = int(os.environ.get("PEERLINE_FUZZ_SEED", "7"))

HANDSHAKE = (
    b"GET /v1/ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Protocol: peerline.signal.v1\r\n\r\n"
)
REQUESTS = [
    HANDSHAKE,
    b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b'GET /page/main.js HTTP/1.1\r\nHost: localhost\r\nIf-None-Match: "a", W/"b"\r\n\r\n',
    b"HEAD /healthz?a=b&c HTTP/1.0\r\nHost: localhost\r\nCookie: a=b; c\r\n\r\n",
    b"GET http://localhost/healthz HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nabc",
    b"PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\nOrigin: null\r\nRange: bytes=0-\r\n\r\n",
    b"CONNECT evil.example:80 HTTP/1.1\r\nHost: evil.example:80\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"GET /%2e%2e/%00/\xc3\xa4/..\\x HTTP/1.1\r\nHost: [::1]:80\r\nX-Forwarded-For: 1\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
]
PIECES = [
    b"\r\n", b"\n", b"\r", b"\0", b" ", b"\t", b":", b"\r\n\r\n", b"HTTP/1.1", b"HTTP/9.9", b"//",
    b"http://", b"@", b"%", b"%zz", b"[", b"]", b"::", b"#", b"?", b"\xff\xfe", b"\xe2\x80\xa8",
    b"\r\nHost: evil.example", b"\r\nUpgrade: h2c", b"\r\nUpgrade: websocket",
    b"\r\nConnection: close",
    b"\r\nContent-Length: 9", b"\r\nContent-Length: -1", b"\r\nTransfer-Encoding: gzip, chunked",
    b"\r\nSec-WebSocket-Version: 99", b"\r\nSec-WebSocket-Extensions: permessage-deflate",
    b"\r\nSec-WebSocket-Key: x", b"\r\nOrigin: http://evil.example", b"\r\n folded", b"x" * 9000,
    b"\r\nX: " + b"y" * 4000, b"\r\nContent-Encoding: deflate", b"\r\nExpect: 200-maybe",
]  # fmt: skip
TEXTS = [
    str(item["text"]).encode()
    for name in ("client", "server", "bad_client")
    for item in VECTORS[name]
    if "text" in item
]


def mutated(random: Random, data: bytes) -> bytes:
    """The same with some of it changed, gone, doubled, or put in."""
    text = bytearray(data)
    for _ in range(random.choice((0, 1, 1, 2, 5))):
        at = random.randrange(len(text) + 1)
        match random.randrange(6):
            case 0 if text:
                text[at % len(text)] = random.randrange(256)
            case 1:
                del text[at : at + random.randrange(1, 20)]
            case 2:
                text[at:at] = text[at : at + random.randrange(1, 40)]
            case 3:
                del text[at:]
            case _:
                text[at:at] = random.choice(PIECES)
    return bytes(text)


def a_request(random: Random) -> bytes:
    if random.random() < 0.05:
        return random.randbytes(random.randrange(600))
    return mutated(random, random.choice(REQUESTS))


def a_frame(random: Random) -> bytes:
    if random.random() < 0.03:
        return random.randbytes(random.randrange(200))
    payload = mutated(random, random.choice(TEXTS))
    if random.random() < 0.1:
        payload = random.randbytes(random.randrange(200))
    if random.random() < 0.05:
        payload = struct.pack("!H", random.randrange(65536)) + payload[:100]
    opcode = random.choice((1, 1, 1, 1, 1, 0, 2, 8, 9, 10, 3, 11))
    made = frame(
        payload[: random.choice((125, 125, 70_000))],
        opcode,
        fin=random.random() < 0.9,
        rsv=random.choice((0,) * 30 + (1, 2, 4)),
        mask=random.random() < 0.95,
    )
    return mutated(random, made) if random.random() < 0.03 else made


@contextlib.asynccontextmanager
async def watched(tls: ssl.SSLContext | None, **limits: Any) -> AsyncIterator[SignalingServer]:
    """A server; in the end it must be well, and nobody may have complained."""
    complaints: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: complaints.append(context))
    # asyncio logs slow callbacks, and failed handshakes, in its debug mode.
    loop.set_debug(False)
    listeners = (Listener(), Listener(ssl=tls)) if tls else (Listener(),)
    config = ServerConfig(listeners, page=page_directory(), limits=LimitsConfig(**limits))
    try:
        async with nothing_left_behind(), SignalingServer(config) as server:
            yield server
            ask = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
            assert b'"status": "ok"' in await request(server.port, ask)
            async with open_client(server.urls[0]) as alice:
                await alice.join(code=True)
    finally:
        loop.set_exception_handler(None)
    assert complaints == []


async def visit(random: Random, port: int, inputs: list[bytes]) -> None:
    """Send all that in pieces of some size, and leave in some way."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    sock = writer.get_extra_info("socket")
    ending = random.randrange(4)
    try:
        async with asyncio.timeout(ENOUGH):
            data = b"".join(inputs)
            size = random.choice((len(data) or 1, len(data) or 1, 1000, 50))
            for at in range(0, len(data), size):
                writer.write(data[at : at + size])
                await writer.drain()
            if ending == 0:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                writer.transport.abort()
            elif ending == 1:
                writer.write_eof()
                await reader.read()
            elif ending == 2:
                await asyncio.sleep(0)
            else:
                await reader.read(4096)
    except OSError:
        pass  # The server may end the connection at any moment.
    finally:
        writer.transport.abort()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


def complaints_in(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [
        f"{record.name}: {record.getMessage()}"
        for record in caplog.records
        if record.levelno >= logging.WARNING or record.exc_info
    ]


async def fuzz(
    server: SignalingServer, ports: list[int], start: bytes, make: Callable[[Random], bytes]
) -> None:
    random = Random(SEED)
    left = INPUTS
    for port in itertools.cycle(ports):
        if left <= 0:
            return
        visits = []
        for _ in range(8):
            count = random.choice((1, 1, 3, 20))
            left -= count
            inputs = [make(random) for _ in range(count)]
            visits.append(visit(Random(random.random()), port, [start, *inputs]))
        await asyncio.gather(*visits)


@pytest.fixture
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rates of a connection would make this a test of patience."""
    for name in ("REQUESTS_PER_SECOND", "REQUESTS_AT_ONCE", "READS_PER_SECOND", "READS_AT_ONCE"):
        monkeypatch.setattr(gates, name, 1e9)


HELLO = frame(b'{"t":"hello","room":"demo"}')
FAST = {"messages_per_second": 1e6, "burst": 10**6, "close_timeout": 0.2, "request_timeout": 1.0}


@pytest.mark.timeout(120 + INPUTS // 50)
async def test_any_http_request(
    unhurried: None, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    files = make_certificate(tmp_path)
    tls = server_context(files.certificate, files.key)
    async with watched(tls, **FAST, idle_timeout=1.0) as server:
        await fuzz(server, [server.ports[0], server.ports[0], server.ports[1]], b"", a_request)
    assert complaints_in(caplog) == []


@pytest.mark.timeout(120 + INPUTS // 50)
@pytest.mark.parametrize("hello", [b"", HELLO], ids=["strangers", "members"])
async def test_any_websocket_frame(
    unhurried: None, hello: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with watched(None, **FAST, errors=10**6) as server:
        await fuzz(server, [server.port], HANDSHAKE + hello, a_frame)
    assert complaints_in(caplog) == []


@pytest.mark.timeout(120 + INPUTS // 50)
async def test_anything_within_the_usual_rates(caplog: pytest.LogCaptureFixture) -> None:
    def either(random: Random) -> bytes:
        return a_request(random) if random.random() < 0.3 else HANDSHAKE + a_frame(random)

    async with watched(None, close_timeout=0.2, request_timeout=0.5, visitors=6) as server:
        await fuzz(server, [server.port], b"", either)
    assert complaints_in(caplog) == []
