"""The client of the signaling server: addresses, refusals, and servers that misbehave."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from peer.errors import PeerTimeout, ServerRefused, ServerUnreachable
from peer.server import address, websocket
from peer.server.client import SignalingClient
from signaling.config import LimitsConfig, Listener, ServerConfig
from signaling.messages import (
    SUBPROTOCOL,
    Heartbeat,
    Hello,
    Limits,
    Ping,
    Pong,
    Signal,
    SignalFrom,
    SignalKind,
    Welcome,
    parse_client,
    serialize,
)
from signaling.server import SignalingServer
from signaling.tls import server_context
from tests.support.links.rooms import running_server
from tests.support.processes.leftovers import nothing_left_behind
from tests.support.servers.certificates import make_certificate

WELCOME = Welcome(session="s", resume_token="t", peer="p1", room="7", code="7")
HELLO = Hello(code=True)

Script = Callable[[web.WebSocketResponse], Awaitable[None]]


@contextlib.asynccontextmanager
async def scripted(script: Script) -> AsyncIterator[str]:
    """A server whose connections do what a script says; yields its URL."""

    async def handle(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(protocols=(SUBPROTOCOL,))
        await socket.prepare(request)
        await socket.receive_str()
        await script(socket)
        return socket

    application = web.Application()
    application.router.add_get("/v1/ws", handle)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        host, port = runner.addresses[0][:2]
        yield f"http://{host}:{port}"
    finally:
        await runner.cleanup()


@pytest.fixture
def not_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Loopback stands for another machine."""
    monkeypatch.setattr(address, "is_loopback", lambda host: False)


@pytest.mark.usefixtures("not_this_machine")
async def test_server_without_tls_is_found_where_no_scheme_asks_for_it() -> None:
    asyncio.get_running_loop().set_debug(False)  # it logs handshakes that fail on purpose
    async with nothing_left_behind(), running_server() as server:
        client = await SignalingClient.join(server.urls[0].partition("://")[2], HELLO)
        assert client.page == f"{server.urls[0]}/"
        await client.close()


@pytest.mark.usefixtures("not_this_machine")
async def test_server_with_tls_is_never_talked_to_without_it(tmp_path: Path) -> None:
    asyncio.get_running_loop().set_debug(False)  # it logs handshakes that fail on purpose
    files = make_certificate(tmp_path)
    trust = ssl.create_default_context(cafile=str(files.certificate))
    context = server_context(files.certificate, files.key)
    config = ServerConfig(listeners=(Listener("127.0.0.1", 0, context),))
    async with nothing_left_behind(), SignalingServer(config) as server:
        target = server.urls[0].partition("://")[2]
        client = await SignalingClient.join(target, HELLO, ssl=trust)
        assert client.page == f"https://{target}/"
        await client.close()
        with pytest.raises(ServerUnreachable, match="is not trusted"):
            await SignalingClient.join(target, HELLO)


@pytest.mark.usefixtures("not_this_machine")
async def test_server_that_never_answers_over_tls_costs_a_bounded_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(websocket, "TLS_PATIENCE", 0.05)
    ends = asyncio.Event()

    async def handle(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await ends.wait()
        writer.close()

    async with await asyncio.start_server(handle, "127.0.0.1", 0) as silent:
        port = silent.sockets[0].getsockname()[1]
        with pytest.raises(PeerTimeout):
            await SignalingClient.join(f"127.0.0.1:{port}", HELLO, timeout=0.3)
        ends.set()


async def test_joining_a_real_server_gives_its_welcome() -> None:
    async with nothing_left_behind(), running_server() as server:
        client = await SignalingClient.join(server.urls[0], HELLO)
        assert client.welcome.code == client.welcome.room
        await client.close()


async def test_a_server_behind_tls_has_to_show_a_trusted_certificate(tmp_path: Path) -> None:
    asyncio.get_running_loop().set_debug(False)  # it logs handshakes that fail on purpose
    files = make_certificate(tmp_path)
    trust = ssl.create_default_context(cafile=str(files.certificate))
    context = server_context(files.certificate, files.key)
    config = ServerConfig(listeners=(Listener("127.0.0.1", 0, context),))
    async with nothing_left_behind(), SignalingServer(config) as server:
        client = await SignalingClient.join(server.urls[0], HELLO, ssl=trust)
        assert client.welcome.code
        await client.close()
        with pytest.raises(ServerUnreachable, match="is not trusted"):
            await SignalingClient.join(server.urls[0], HELLO)


async def test_a_server_without_tls_is_not_taken_for_one_with_it() -> None:
    async with nothing_left_behind(), running_server() as server:
        with pytest.raises(ServerUnreachable, match=r"does not speak TLS|cannot be reached"):
            await SignalingClient.join(server.urls[0].replace("http:", "https:"), HELLO)


@pytest.mark.parametrize("server", ["http://a..b", "http://me@127.0.0.1:1"])
async def test_an_address_that_turns_out_to_be_none_is_told_as_such(server: str) -> None:
    async with nothing_left_behind():
        with pytest.raises(ServerUnreachable, match="is not the address of a server"):
            await SignalingClient.join(server, HELLO)


async def test_a_server_that_is_not_there_is_unreachable() -> None:
    async with nothing_left_behind():
        with pytest.raises(ServerUnreachable, match=r"127.0.0.1:1 "):
            await SignalingClient.join("http://127.0.0.1:1", HELLO)


async def test_a_web_server_of_another_kind_is_named_as_such() -> None:
    async with nothing_left_behind(), running_server() as server:
        with pytest.raises(ServerUnreachable, match="no Peerline server"):
            await SignalingClient.join(f"{server.urls[0]}/elsewhere", HELLO)


async def test_a_server_that_does_not_answer_times_out() -> None:
    async def silent(socket: web.WebSocketResponse) -> None:
        await socket.receive()

    async with nothing_left_behind(), scripted(silent) as url:
        with pytest.raises(PeerTimeout) as caught:
            await SignalingClient.join(url, HELLO, timeout=0.1)
        assert caught.value.stage == "join"


async def test_a_refusal_carries_its_code_and_a_sentence() -> None:
    async with running_server() as server:
        with pytest.raises(ServerRefused, match="mistyped") as caught:
            await SignalingClient.join(server.urls[0], Hello(code="9"))
        assert caught.value.code == "no_such_room"


@pytest.mark.parametrize("frame", ["nonsense", "{}", '{"t":"new"}', "[" * 5000])
async def test_messages_that_are_not_understood_are_passed_over(frame: str) -> None:
    async def script(socket: web.WebSocketResponse) -> None:
        await socket.send_str(frame)
        await socket.send_str(serialize(WELCOME))
        await socket.send_str(frame)
        await socket.send_str(
            serialize(
                SignalFrom(
                    from_="p2", to="p1", link="L", gen=0, kind=SignalKind.BYE, data="{}", seq=1
                )
            )
        )
        await socket.receive()

    async with nothing_left_behind(), scripted(script) as url:
        client = await SignalingClient.join(url, HELLO)
        messages = aiter(client)
        assert isinstance(await anext(messages), SignalFrom)
        await client.close()


async def test_pings_are_answered() -> None:
    answered: asyncio.Future[object] = asyncio.get_running_loop().create_future()

    async def script(socket: web.WebSocketResponse) -> None:
        await socket.send_str(serialize(WELCOME))
        await socket.send_str(serialize(Ping()))
        answered.set_result(parse_client(await socket.receive_str()))

    async with scripted(script) as url:
        client = await SignalingClient.join(url, HELLO)
        with pytest.raises(ServerUnreachable):
            async for _ in client:
                pass
        assert answered.result() == Pong()
        await client.close()


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (4008, ServerRefused),
        (4010, ServerRefused),
        (4200, ServerUnreachable),
        (1011, ServerUnreachable),
    ],
)
async def test_the_close_code_says_whether_it_is_for_good(
    code: int, error: type[Exception]
) -> None:
    async def script(socket: web.WebSocketResponse) -> None:
        await socket.send_str(serialize(WELCOME))
        await socket.close(code=code)

    async with nothing_left_behind(), scripted(script) as url:
        client = await SignalingClient.join(url, HELLO)
        with pytest.raises(error):
            async for _ in client:
                pass
        await client.close()


async def test_a_server_that_falls_silent_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("peer.server.client.MARGIN", 0.05)
    impatient = Welcome(
        session="s",
        resume_token="t",
        peer="p1",
        room="7",
        heartbeat=Heartbeat(interval=0.05, timeout=0.05),
    )

    async def script(socket: web.WebSocketResponse) -> None:
        await socket.send_str(serialize(impatient))
        await socket.receive()

    async with nothing_left_behind(), scripted(script) as url:
        client = await SignalingClient.join(url, HELLO)
        with pytest.raises(ServerUnreachable, match="stopped answering"):
            async for _ in client:
                pass
        await client.close()


async def test_what_was_sent_before_leaving_arrives() -> None:
    heard: list[object] = []
    finished = asyncio.Event()

    async def script(socket: web.WebSocketResponse) -> None:
        await socket.send_str(serialize(WELCOME))
        async for frame in socket:
            assert frame.type is aiohttp.WSMsgType.TEXT
            heard.append(parse_client(frame.data))
        finished.set()

    signal = Signal(to="p2", link="L", gen=0, kind=SignalKind.BYE, data="{}")
    async with scripted(script) as url:
        client = await SignalingClient.join(url, HELLO)
        client.send(signal)
        await client.close()
        await finished.wait()
        assert heard[0] == signal
        assert type(heard[1]).__name__ == "Leave"


async def test_many_messages_at_once_keep_to_the_servers_limits() -> None:
    """More signals than the burst are paced, so that none is refused."""
    limits = Limits(rate=200.0, burst=20)
    heard: list[float] = []
    done = asyncio.Event()

    async def script(socket: web.WebSocketResponse) -> None:
        loop = asyncio.get_running_loop()
        await socket.send_str(
            serialize(Welcome(session="s", resume_token="t", peer="p1", room="7", limits=limits))
        )
        async for _ in socket:
            heard.append(loop.time())
            if len(heard) == 60:
                done.set()

    async with scripted(script) as url:
        client = await SignalingClient.join(url, HELLO)
        start = asyncio.get_running_loop().time()
        for _ in range(60):
            client.send(Signal(to="p2", link="L", gen=0, kind=SignalKind.CANDIDATE, data="{}"))
        async with asyncio.timeout(20):
            await done.wait()
        # Never more than the burst and what the rate has added since.
        for count, at in enumerate(heard, 1):
            assert count <= limits.burst + limits.rate * (at - start) + 1
        await client.close()


async def test_one_of_several_addresses_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """RFC 8305: a name may have addresses at which nothing answers, or nothing listens."""
    loop = asyncio.get_running_loop()
    original = type(loop).getaddrinfo

    async def with_others(
        self: asyncio.AbstractEventLoop, host: str, port: int, **how: Any
    ) -> list[Any]:
        if host != "several.test":
            return await original(self, host, port, **how)
        found = await original(self, "127.0.0.1", port, **how)
        family, kind, protocol, name, _ = found[0]
        others = [(family, kind, protocol, name, (f"127.0.0.{n}", port)) for n in (2, 3)]
        return [*others, *found]

    async with running_server() as server, nothing_left_behind():
        monkeypatch.setattr(type(loop), "getaddrinfo", with_others)
        client = await SignalingClient.join(f"http://several.test:{server.port}", HELLO)
        await client.close()


async def test_full_room_is_told_from_a_code_that_somebody_else_has_used() -> None:
    limits = LimitsConfig(peers_per_room=2)
    async with nothing_left_behind(), running_server(limits=limits) as server:
        for first, second, said in (
            (Hello(code=True), None, "Somebody else has already used this code"),
            (Hello(room="hall"), Hello(room="hall"), r"^The room is full\.$"),
        ):
            host = await SignalingClient.join(server.urls[0], first)
            again = second or Hello(code=host.welcome.code)
            guest = await SignalingClient.join(server.urls[0], again)
            with pytest.raises(ServerRefused, match=said):
                await SignalingClient.join(server.urls[0], again)
            await guest.close()
            await host.close()
