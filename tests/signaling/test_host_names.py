"""A server that knows its names serves nobody under another one (DNS rebinding)."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest

from signaling import LimitsConfig, ServerConfig, SignalingServer
from tests.support.processes.leftovers import nothing_left_behind
from tests.support.servers.clients import open_client
from tests.support.servers.raw_websocket import request

UPGRADE = (
    b"Upgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: peerline.signal.v1\r\n"
)
CLOSE = b"Connection: close\r\n"


@pytest.fixture
async def server() -> AsyncIterator[SignalingServer]:
    config = ServerConfig(host_names=("Desk.local", "192.168.1.5"), limits=LimitsConfig())
    async with nothing_left_behind(), SignalingServer(config) as server:
        yield server


async def ask(server: SignalingServer, text: bytes) -> bytes:
    """The status of the answer; empty when the connection ended without one."""
    return (await request(server.port, text.replace(b"PORT", b"%d" % server.port)))[9:12]


TARGETS = {
    "evil.example": b"GET %s HTTP/1.1\r\nHost: evil.example:PORT\r\n",
    "no port": b"GET %s HTTP/1.1\r\nHost: evil.example\r\n",
    "HTTP/1.0": b"GET %s HTTP/1.0\r\nHost: evil.example:PORT\r\n",
    "no Host": b"GET %s HTTP/1.1\r\n",
    "no Host in HTTP/1.0": b"GET %s HTTP/1.0\r\n",
    "empty Host": b"GET %s HTTP/1.1\r\nHost:\r\n",
    "two Hosts": b"GET %s HTTP/1.1\r\nHost: localhost:PORT\r\nHost: evil.example:PORT\r\n",
    "two Hosts, other order": b"GET %s HTTP/1.1\r\nHost: evil.example\r\nHost: localhost\r\n",
    "a list": b"GET %s HTTP/1.1\r\nHost: localhost, evil.example\r\n",
    "absolute": b"GET http://evil.example:PORT%s HTTP/1.1\r\nHost: localhost:PORT\r\n",
    "absolute, own name": b"GET http://localhost%s HTTP/1.1\r\nHost: evil.example\r\n",
    "absolute, without Host": b"GET http://localhost%s HTTP/1.1\r\n",
    "absolute, user": b"GET http://localhost@evil.example%s HTTP/1.1\r\nHost: localhost\r\n",
    "absolute, upper case": b"GET HTTP://EVIL.example%s HTTP/1.1\r\nHost: localhost\r\n",
    "forwarded": b"GET %s HTTP/1.1\r\nHost: evil.example\r\nX-Forwarded-Host: localhost\r\n",
    "this is an address too": b"GET %s HTTP/1.1\r\nHost: 0.0.0.0:PORT\r\n",
    "another address": b"GET %s HTTP/1.1\r\nHost: 192.168.1.6:PORT\r\n",
}


@pytest.mark.parametrize("target", TARGETS)
async def test_other_names_get_nothing(server: SignalingServer, target: str) -> None:
    line = TARGETS[target]
    for path in (b"/", b"/healthz", b"/page/main.js"):
        assert await ask(server, line % path + CLOSE + b"\r\n") in (b"421", b"400")
    handshake = line % b"/v1/ws" + UPGRADE + b"Connection: Upgrade\r\n\r\n"
    assert await ask(server, handshake) in (b"421", b"400")
    origin = b"Origin: http://evil.example:PORT\r\n"
    assert await ask(server, handshake[:-2] + origin + b"\r\n") in (b"421", b"400")
    assert server.connections == 0


@pytest.mark.parametrize(
    "text",
    [
        b"GET /healthz HTTP/1.1\r\nHost: localhost:PORT\r\n",
        b"GET /healthz HTTP/1.1\r\nhost: LOCALHOST.\r\n",
        b"GET /healthz HTTP/1.0\r\nHost: 127.0.0.1:PORT\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: [::1]:PORT\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: desk.local:9\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: 192.168.1.5\r\n",
        b"GET http://desk.local:PORT/healthz HTTP/1.1\r\nHost: desk.local:PORT\r\n",
    ],
)
async def test_own_names_are_served(server: SignalingServer, text: bytes) -> None:
    assert await ask(server, text + CLOSE + b"\r\n") == b"200"


async def test_pages_under_own_names_may_connect(server: SignalingServer) -> None:
    for name in ("localhost", "127.0.0.1", "desk.local"):
        headers = {"Host": f"{name}:{server.port}", "Origin": f"http://{name}:{server.port}"}
        async with open_client(server.urls[0], headers=headers) as alice:
            await alice.join(room="demo")


async def test_the_answer_to_another_name_says_what_to_do(server: SignalingServer) -> None:
    async with (
        aiohttp.ClientSession() as session,
        session.get(server.urls[0], headers={"Host": "evil.example"}) as response,
    ):
        assert response.status == 421
        assert "its address" in await response.text()


async def test_without_names_every_name_is_served() -> None:
    async with SignalingServer(ServerConfig()) as server:
        for text in (
            b"GET /healthz HTTP/1.0\r\n",
            b"GET /healthz HTTP/1.1\r\nHost: any.example\r\n",
        ):
            assert await ask(server, text + CLOSE + b"\r\n") == b"200"


async def test_the_address_of_the_connection_is_a_name() -> None:
    async with SignalingServer(ServerConfig(host_names=())) as server:
        assert (
            await ask(server, b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n" + CLOSE + b"\r\n") == b"200"
        )
        assert await ask(server, b"GET / HTTP/1.1\r\nHost: desk\r\n" + CLOSE + b"\r\n") == b"421"
