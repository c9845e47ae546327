"""The server in uvloop, whose transports are not asyncio's, and with eager tasks."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import uvloop

from signaling import LimitsConfig, Listener, ServerConfig, SignalingServer, server_context
from signaling.errors import CloseCode
from signaling.messages import Ice, IceUpdate, PeerEvent
from tests.support.servers.certificates import make_certificate
from tests.support.servers.clients import open_client
from tests.support.servers.raw_websocket import open_raw, request
from tests.support.servers.websocket_frames import PONG, frame

LAST = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


def eager_loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    if sys.version_info >= (3, 12):
        loop.set_task_factory(asyncio.eager_task_factory)
    return loop


def in_loop(
    factory: Callable[[], asyncio.AbstractEventLoop], work: Callable[[], Awaitable[None]]
) -> None:
    async def main() -> None:
        await work()

    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(main())


@pytest.mark.parametrize("factory", [uvloop.new_event_loop, eager_loop], ids=["uvloop", "eager"])
def test_peers_meet_floods_wait_and_idlers_give_way(
    factory: Callable[[], asyncio.AbstractEventLoop], tmp_path: Path
) -> None:
    files = make_certificate(tmp_path)
    trust = ssl.create_default_context(cafile=str(files.certificate))
    tls = server_context(files.certificate, files.key)
    limits = LimitsConfig(visitors=5, error_window=0.3, close_timeout=0.3, request_timeout=0.5)
    config = ServerConfig((Listener(), Listener(ssl=tls)), limits=limits)

    async def work() -> None:
        async with SignalingServer(config) as server:
            plain, secure = server.urls
            async with open_client(secure, ssl=trust) as alice, open_client(plain) as bob:
                await alice.join(room="demo")
                await bob.join(room="demo")
                assert (await alice.expect(PeerEvent)).peer == bob.peer
                async with open_raw(server.port) as raw:

                    async def flood() -> None:
                        with contextlib.suppress(ConnectionError):
                            while True:
                                await raw.send(frame(b"", PONG) * 20_000)

                    flooding = asyncio.create_task(flood())
                    assert await raw.close_code() == CloseCode.RATE_LIMITED
                    flooding.cancel()
                    await asyncio.wait([flooding])
                    raw.writer.transport.abort()
                await alice.send(Ice(id=1))
                await alice.expect(IceUpdate)
                idlers = [
                    await asyncio.open_connection("127.0.0.1", port)
                    for port in server.ports
                    for _ in range(10)
                ]
                assert b"200 OK" in await request(server.port, LAST)
                assert server.visitors <= 5
                for reader, writer in idlers:
                    with contextlib.suppress(ConnectionError):
                        assert await reader.read() == b""
                    writer.close()
                    with contextlib.suppress(ConnectionError, ssl.SSLError):
                        await writer.wait_closed()
                assert server.connections == 2

    in_loop(factory, work)
