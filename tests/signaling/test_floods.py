"""Frames that break no counted limit: they wait, and others do not."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from signaling import LimitsConfig, ServerConfig, SignalingServer
from signaling.errors import CloseCode
from signaling.frame_meter import FrameMeter
from signaling.messages import Ice, IceUpdate
from tests.support.processes.leftovers import nothing_left_behind
from tests.support.servers.clients import open_client
from tests.support.servers.raw_websocket import RawClient, open_raw
from tests.support.servers.websocket_frames import CONTINUATION, PING, PONG, frame

HELLO = frame(b'{"t":"hello","room":"flood"}')
FIRST = frame(b"{", fin=False)
# Bytes that are sent first, and bytes that are repeated.
FLOODS = {
    "pongs": (HELLO, frame(b"", PONG)),
    "long pongs": (HELLO, frame(b"x" * 125, PONG)),
    "empty fragments": (HELLO + FIRST, frame(b"", CONTINUATION, fin=False)),
    "tiny fragments": (HELLO + FIRST, frame(b" ", CONTINUATION, fin=False)),
    "no hello at all": (b"", frame(b"", PONG)),
    "frames after a goodbye": (frame(b"", 8), frame(b"", PONG)),
    "unmasked": (HELLO, frame(b"", PONG, mask=False)),
}


@contextlib.asynccontextmanager
async def running(*, error_window: float = 10.0) -> AsyncIterator[SignalingServer]:
    limits = LimitsConfig(error_window=error_window, close_timeout=0.2)
    async with nothing_left_behind(), SignalingServer(ServerConfig(limits=limits)) as server:
        yield server


class Counted:
    """How many bytes were handed to aiohttp."""

    def __init__(self) -> None:
        self.bytes = 0


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Counted:
    found = Counted()
    take = FrameMeter.take

    def counting(self: FrameMeter, now: float) -> bytes:
        passed = take(self, now)
        found.bytes += len(passed)
        return passed

    monkeypatch.setattr(FrameMeter, "take", counting)
    return found


async def flood(raw: RawClient, before: bytes, again: bytes) -> None:
    with contextlib.suppress(ConnectionError):
        await raw.send(before)
        while True:
            await raw.send(again * 20_000)


async def drain(raw: RawClient) -> None:
    with contextlib.suppress(ConnectionError):
        while await raw.reader.read(65_536):
            pass


@pytest.mark.parametrize("kind", FLOODS)
async def test_a_flood_of_frames_waits_and_others_do_not(kind: str, counted: Counted) -> None:
    before, again = FLOODS[kind]
    loop = asyncio.get_running_loop()
    async with (
        running() as server,
        open_client(server.urls[0]) as alice,
        open_raw(server.port) as raw,
    ):
        await alice.join(room="demo")
        start = loop.time()
        tasks = [
            asyncio.create_task(flood(raw, before, again)),
            asyncio.create_task(drain(raw)),
        ]
        for number in range(40):
            await alice.send(Ice(id=number))
            assert (await alice.expect(IceUpdate)).id == number
            await asyncio.sleep(0)
        frames = (counted.bytes - 40 * 40) / len(again)
        # 400 at once and 200 a second, of which the hello and the requests are a part.
        assert frames < 600 + 200 * (loop.time() - start)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        raw.writer.transport.abort()


async def test_a_flood_without_end_is_closed() -> None:
    async with running(error_window=0.2) as server, open_raw(server.port) as raw:
        flooding = asyncio.create_task(flood(raw, HELLO, frame(b"", PONG)))
        assert await raw.close_code() == CloseCode.RATE_LIMITED
        flooding.cancel()
        await asyncio.wait([flooding])
        assert server.connections == 0


async def test_a_burst_is_delayed_and_not_punished() -> None:
    async with running() as server, open_raw(server.port) as raw:
        await raw.send(HELLO + frame(b"", PONG) * 500 + frame(b'{"t":"leave"}'))
        assert await raw.close_code() == 1000


async def test_frames_sent_before_the_handshake_is_answered_count_too(counted: Counted) -> None:
    request = (
        b"GET /v1/ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Protocol: peerline.signal.v1\r\n\r\n"
    )
    async with running() as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(request + HELLO + frame(b"", PONG) * 10_000)
        await reader.readuntil(b"\r\n\r\n")
        assert b'"t":"welcome"' in await reader.read(65_536)
        assert 0 < counted.bytes < 6 * 1000
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def test_pings_are_messages_and_cost_their_sender_the_connection() -> None:
    async with running() as server, open_raw(server.port) as raw:
        await raw.send(HELLO + frame(b"", PING) * 300)
        assert await raw.close_code() == CloseCode.RATE_LIMITED


async def test_a_message_in_single_bytes_arrives() -> None:
    async with running() as server, open_raw(server.port) as raw:
        for byte in HELLO + frame(b'{"t":"leave"}'):
            await raw.send(bytes([byte]))
        assert await raw.close_code() == 1000


async def test_what_is_held_back_of_all_together_is_bounded() -> None:
    limits = LimitsConfig(held_bytes_in_all=1, close_timeout=0.2)
    async with nothing_left_behind(), SignalingServer(ServerConfig(limits=limits)) as server:
        held = server._service._held
        async with open_raw(server.port) as raw, open_raw(server.port) as modest:
            await modest.send(HELLO + frame(b"", PONG) * 500)
            flooding = asyncio.create_task(flood(raw, HELLO, frame(b"", PONG)))
            assert await raw.close_code() == CloseCode.RATE_LIMITED
            flooding.cancel()
            await asyncio.wait([flooding])
            await modest.send(frame(b'{"t":"leave"}'))
            assert await modest.close_code() == 1000
    assert held.used == 0
