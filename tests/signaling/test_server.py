"""The server as its clients see it, over real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import socket
from collections.abc import AsyncIterator

import aiohttp
import pytest

from signaling import HeartbeatConfig, LimitsConfig, Listener, ListenError, ServerConfig
from signaling.errors import CloseCode, ConfigError
from signaling.ice_servers import IceConfig, IceServer
from signaling.messages import (
    WEBSOCKET_PATH,
    Error,
    Hello,
    Ice,
    IceUpdate,
    Leave,
    Ok,
    PeerEvent,
    Ping,
    Pong,
    Signal,
    SignalFrom,
    SignalKind,
)
from signaling.server import SignalingServer
from tests.support.processes.leftovers import nothing_left_behind
from tests.support.servers.clients import Client, Closed, open_client
from tests.support.servers.raw_websocket import open_raw
from tests.support.servers.websocket_frames import frame

ICE = IceConfig((IceServer(("turn:t.example",), "user", "very-secret"),), "relay")


@pytest.fixture
async def server() -> AsyncIterator[SignalingServer]:
    async with nothing_left_behind(), SignalingServer(ServerConfig(ice=ICE)) as server:
        yield server


def signal(to: str, data: str = "sealed", id: int | None = None) -> Signal:
    return Signal(to=to, link="l", gen=0, kind=SignalKind.OFFER, data=data, id=id)


async def exchange(first: Client, second: Client, data: str = "sealed") -> None:
    """A signal each way."""
    for sender, receiver in ((first, second), (second, first)):
        await sender.send(signal(receiver.peer, data, id=1))
        assert (await sender.expect(Ok)).id == 1
        relayed = await receiver.expect(SignalFrom)
        assert (relayed.from_, relayed.data) == (sender.peer, data)


async def test_two_peers_meet_by_code_and_exchange_signals(server: SignalingServer) -> None:
    url = server.urls[0]
    async with open_client(url) as alice, open_client(url) as bob:
        await alice.join(code=True, name="alice")
        assert alice.welcome is not None
        await bob.join(code=alice.welcome.code, name="bob")
        assert bob.welcome is not None
        assert [peer.name for peer in bob.welcome.peers] == ["alice"]
        assert bob.welcome.ice.servers == ICE.servers
        assert bob.welcome.ice.policy == "relay"
        joined = await alice.expect(PeerEvent)
        assert (joined.event, joined.peer, joined.name) == ("joined", bob.peer, "bob")
        await exchange(alice, bob)
        assert server.connections == 2
        assert server.rooms == 1
        await bob.send(Leave(id=7))
        assert (await bob.expect(Ok)).id == 7
        assert await bob.closed() == 1000
        left = await alice.expect(PeerEvent)
        assert (left.event, left.reason) == ("left", "leave")


async def test_the_largest_signal_passes_whole(server: SignalingServer) -> None:
    url = server.urls[0]
    async with open_client(url) as alice, open_client(url) as bob:
        await alice.join(room="demo")
        await bob.join(room="demo")
        await alice.expect(PeerEvent)
        for data in ("x" * 48 * 1024, "€" * 16 * 1024, "\\" * 30_000, "\0" * 10_000):
            await exchange(alice, bob, data)


async def test_a_client_that_vanishes_is_told_to_the_others(server: SignalingServer) -> None:
    async with open_client(server.urls[0]) as alice:
        await alice.join(room="demo")
        async with open_raw(server.port) as raw:
            await raw.send(frame(b'{"t":"hello","room":"demo"}'))
            await alice.expect(PeerEvent)
            raw.reset()
            left = await alice.expect(PeerEvent)
            assert (left.event, left.reason) == ("left", "disconnected")


async def test_ice_servers_can_be_asked_for_again(server: SignalingServer) -> None:
    async with open_client(server.urls[0]) as alice:
        await alice.join(room="demo")
        await alice.send(Ice(id=3))
        update = await alice.expect(IceUpdate)
        assert (update.id, update.ice.servers) == (3, ICE.servers)


async def test_reserved_numbers_are_not_given_out(server: SignalingServer) -> None:
    server.reserve_code_numbers(str(number) for number in range(1, 10))
    async with open_client(server.urls[0]) as alice:
        await alice.join(code=True)
        assert alice.welcome is not None
        assert len(str(alice.welcome.code)) == 2


async def test_taken_numbers_of_the_configuration_are_not_given_out() -> None:
    config = ServerConfig(taken_numbers=frozenset(set("123456789") - {"4"}))
    async with SignalingServer(config) as server, open_client(server.urls[0]) as alice:
        await alice.join(code=True)
        assert alice.welcome is not None
        assert alice.welcome.code == "4"


async def test_health_says_how_it_is(server: SignalingServer) -> None:
    async with (
        open_client(server.urls[0]) as alice,
        aiohttp.ClientSession() as session,
    ):
        await alice.join(room="demo")
        async with session.get(server.urls[0] + "/healthz") as response:
            assert response.status == 200
            assert response.content_type == "application/json"
            assert response.headers["Cache-Control"] == "no-store"
            assert await response.json() == {
                "status": "ok",
                "connections": 1,
                "rooms": 1,
                "tls_port": None,
            }


async def test_a_server_without_page_says_so(server: SignalingServer) -> None:
    async with aiohttp.ClientSession() as session:
        async with session.get(server.urls[0]) as response:
            assert "without a page" in await response.text()
        async with session.get(server.urls[0] + "/index.html") as response:
            assert response.status == 404


# --- the handshake ---


async def test_compression_is_not_spoken(server: SignalingServer) -> None:
    async with open_client(server.urls[0], compress=15) as alice:
        assert alice.websocket.compress == 0


@pytest.mark.parametrize("protocols", [(), ("peerline.signal.v9",)])
async def test_another_protocol_is_closed_with_4004(
    server: SignalingServer, protocols: tuple[str, ...], caplog: pytest.LogCaptureFixture
) -> None:
    async with open_client(server.urls[0], protocols=protocols) as alice:
        assert await alice.closed() == CloseCode.UNSUPPORTED_VERSION


async def test_a_plain_request_is_told_to_upgrade(server: SignalingServer) -> None:
    async with (
        aiohttp.ClientSession() as session,
        session.get(server.urls[0] + WEBSOCKET_PATH) as response,
    ):
        assert response.status == 426
        assert response.headers["Upgrade"] == "websocket"


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "http://localhost", "null", "http://127.0.0.1:1"]
)
async def test_strange_origins_are_refused(server: SignalingServer, origin: str) -> None:
    async with open_client(server.urls[0], origin=origin) as mallory:
        # Said before anything is read, and nothing that is sent matters.
        await mallory.send(Hello(room="demo"))
        error = await mallory.expect(Error)
        assert (error.code, error.retryable) == ("origin_refused", False)
        assert "origin" in error.message
        with pytest.raises(Closed) as caught:
            await mallory.receive()
        assert caught.value.code == CloseCode.ORIGIN_REFUSED
        assert caught.value.reason == error.message
        assert server.rooms == 0


async def test_refused_pages_have_places_too() -> None:
    limits = LimitsConfig(connections_per_address=2, spare_loopback=False, close_timeout=20.0)
    async with (
        SignalingServer(ServerConfig(limits=limits)) as server,
        contextlib.AsyncExitStack() as stack,
    ):
        headers = {"Origin": "https://evil.example"}
        for _ in range(4):
            await stack.enter_async_context(open_raw(server.port, headers=headers))
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            await stack.enter_async_context(
                open_client(server.urls[0], origin="https://evil.example")
            )
        assert caught.value.status == 429


async def test_the_own_origin_may_connect(server: SignalingServer) -> None:
    for scheme in ("http", "https"):
        origin = f"{scheme}://127.0.0.1:{server.port}"
        async with open_client(server.urls[0], origin=origin) as alice:
            await alice.join(room="demo")


async def test_allowed_origins_may_connect() -> None:
    config = ServerConfig(allow_origins=("https://app.example",))
    async with SignalingServer(config) as server:
        async with open_client(server.urls[0], origin="https://app.example") as alice:
            await alice.join(room="demo")
        async with open_client(server.urls[0], origin="http://app.example") as mallory:
            assert await mallory.closed() == CloseCode.ORIGIN_REFUSED


@pytest.mark.parametrize(
    ("limits", "status"),
    [
        (LimitsConfig(connections=1), 503),
        (LimitsConfig(connections_per_address=1, spare_loopback=False), 429),
    ],
)
async def test_one_connection_too_many_is_refused_with_a_time_to_wait(
    limits: LimitsConfig, status: int
) -> None:
    async with SignalingServer(ServerConfig(limits=limits)) as server:
        async with open_client(server.urls[0]) as alice:
            await alice.join(room="demo")
            with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
                async with open_client(server.urls[0]):
                    pass
            assert caught.value.status == status
            assert caught.value.headers is not None
            assert int(caught.value.headers["Retry-After"]) > 0
            await alice.send(Leave())
            await alice.closed()
        async with open_client(server.urls[0]) as bob:
            await bob.join(room="demo")


# --- deadlines and rates ---


async def test_silence_instead_of_hello_is_closed_with_4005() -> None:
    config = ServerConfig(limits=LimitsConfig(hello_timeout=0.05))
    async with SignalingServer(config) as server, open_client(server.urls[0]) as alice:
        assert await alice.closed() == CloseCode.HELLO_TIMEOUT


async def test_silence_instead_of_pong_is_closed_with_4105() -> None:
    config = ServerConfig(heartbeat=HeartbeatConfig(interval=0.1, timeout=1.0))
    async with (
        SignalingServer(config) as server,
        open_client(server.urls[0]) as alice,
        open_client(server.urls[0]) as bob,
    ):
        await alice.join(room="demo")
        await bob.join(room="demo")
        await alice.expect(PeerEvent)
        await bob.expect(Ping)
        # `expect` answers alice's pings; bob answers none.
        left = await alice.expect(PeerEvent)
        assert (left.event, left.peer, left.reason) == ("left", bob.peer, "timeout")
        assert await bob.closed() == CloseCode.NO_PONG
        await alice.expect(Ping)
        await alice.send(Pong())


async def test_too_many_messages_are_refused_and_then_closed() -> None:
    config = ServerConfig(limits=LimitsConfig(messages_per_second=0.001, burst=3))
    async with SignalingServer(config) as server, open_client(server.urls[0]) as alice:
        await alice.join(room="demo")
        for _ in range(12):
            await alice.send(Pong())
        error = await alice.expect(Error)
        assert (error.code, error.retryable) == ("rate_limited", True)
        assert error.retry_after
        assert await alice.closed() == CloseCode.RATE_LIMITED


async def test_guessing_codes_is_stopped_per_address() -> None:
    limits = LimitsConfig(code_joins_per_minute=3, spare_loopback=False)
    codes = []
    async with SignalingServer(ServerConfig(limits=limits)) as server:
        for guess in range(1, 6):
            async with open_client(server.urls[0]) as client:
                await client.send(Hello(code=str(guess)))
                codes.append(((await client.expect(Error)).code, await client.closed()))
    assert codes[:3] == [("no_such_room", CloseCode.FORBIDDEN)] * 3
    assert codes[3:] == [("rate_limited", CloseCode.RATE_LIMITED)] * 2


# --- starting and stopping ---


async def test_closing_says_goodbye_and_leaves_nothing() -> None:
    async with nothing_left_behind():
        server = SignalingServer(ServerConfig())
        await server.start()
        url = server.urls[0]
        async with open_client(url) as alice, open_client(url) as bob, open_client(url) as mute:
            await alice.join(room="demo")
            await bob.join(room="demo")
            await alice.expect(PeerEvent)
            closing = asyncio.create_task(server.close())
            for client in (alice, bob, mute):
                message = await client.receive()
                assert type(message).__name__ == "Draining"
                assert await client.closed() == CloseCode.DRAINING
            await closing
        await server.close()
        with pytest.raises(aiohttp.ClientConnectorError):
            async with open_client(url):
                pass


async def test_closing_does_not_wait_for_clients_that_do_not_answer() -> None:
    limits = LimitsConfig(close_timeout=0.1)
    async with (
        nothing_left_behind(),
        SignalingServer(ServerConfig(limits=limits)) as server,
        open_raw(server.port) as raw,
    ):
        await raw.send(b"\x81")
        await server.close()


async def test_a_server_is_started_once() -> None:
    async with SignalingServer(ServerConfig()) as server:
        with pytest.raises(RuntimeError):
            await server.start()


async def test_listeners_share_their_rooms() -> None:
    config = ServerConfig(listeners=(Listener(), Listener("localhost"), Listener("127.0.0.2")))
    async with nothing_left_behind(), SignalingServer(config) as server:
        assert len(set(server.ports)) == len(server.ports) == 3
        async with open_client(server.urls[0]) as alice, open_client(server.urls[2]) as bob:
            await alice.join(room="demo")
            await bob.join(room="demo")
            await alice.expect(PeerEvent)
            await exchange(alice, bob)
        async with open_client(server.urls[1]) as carol:
            await carol.join(room="demo")


async def test_a_port_in_use_is_one_sentence_and_leaves_nothing_open() -> None:
    async with nothing_left_behind():
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            server = SignalingServer(ServerConfig(listeners=(Listener(), Listener(port=port))))
            with pytest.raises(ListenError, match="another program uses it"):
                await server.start()
            await server.close()


async def test_an_address_that_is_not_ours_is_one_sentence() -> None:
    for host, said in (("192.0.2.99", "does not have that address"), ("no.invalid", "no such")):
        with pytest.raises(ListenError, match=said):
            await SignalingServer(ServerConfig(listeners=(Listener(host),))).start()


def test_configurations_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ConfigError, match="port"):
        Listener(port=65536)
    with pytest.raises(ConfigError, match="at least one"):
        ServerConfig(listeners=())
    with pytest.raises(ConfigError, match="burst must be more than 0"):
        LimitsConfig(burst=0)
    with pytest.raises(ConfigError, match="peers_per_room"):
        LimitsConfig(peers_per_room=513)
    with pytest.raises(ConfigError, match="interval"):
        HeartbeatConfig(interval=float("nan"))


# --- what is logged ---


async def test_logs_tell_of_connections_but_not_of_what_is_said(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    async with SignalingServer(ServerConfig(ice=ICE)) as server:
        url = server.urls[0]
        async with open_client(url) as alice, aiohttp.ClientSession() as session:
            await alice.join(room="secret-room", token="secret-token", name="secret-name")
            await alice.send_raw('{"t":"secret-type"}')
            await alice.expect(Error)
            async with session.get(url + "/healthz?token=secret-query") as response:
                await response.read()
            async with session.get(url + "/%0d%0aforged?x") as response:
                assert response.status == 404
    said = "\n".join(record.getMessage() for record in caplog.records if record.name == "signaling")
    assert "connection 1 from 127.0.0.1: opened" in said
    assert "GET /healthz: 200" in said
    assert "/%0D%0Aforged" in said
    everything = "\n".join(
        record.getMessage() for record in caplog.records if record.name != "asyncio"
    )
    for secret in ("secret-", "very-secret"):
        assert secret not in everything
    assert json.dumps({"t": "pong"}) not in everything
