"""The signaling server inside a command: reachable, findable, and gone afterwards."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

import aiohttp
import ifaddr
import pytest

from peer.cli.local_server import lan, registry
from peer.cli.local_server.embedded import embedded_server
from peer.cli.local_server.lan import Announcement
from peer.cli.local_server.registry import NumberTaken
from signaling.errors import ListenError
from signaling.ice_servers import IceConfig, IceServer

LOCAL_ADDRESSES = lan.local_addresses


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RUNTIME_DIR", "DATA_HOME"):
        (tmp_path / name).mkdir(mode=0o700)
        monkeypatch.setenv(f"XDG_{name}", str(tmp_path / name))


@pytest.fixture
def on_a_network(monkeypatch: pytest.MonkeyPatch) -> list[Announcement]:
    """A machine on a network, whose announcements are noted instead of sent."""
    announced: list[Announcement] = []

    @asynccontextmanager
    async def announce(announcement: Announcement) -> AsyncIterator[None]:
        if announcement.number == "5":
            raise NumberTaken("5")
        if announcement.number == "6":
            raise OSError("no multicast")
        announced.append(announcement)
        yield

    monkeypatch.setattr(lan, "local_addresses", lambda: ("127.0.0.1",))
    monkeypatch.setattr(lan, "announce", announce)
    return announced


def folder() -> Path:
    found = registry.runtime_folder()
    assert found is not None
    return found


async def test_server_for_this_machine_alone_serves_the_page_over_plain_http() -> None:
    async with embedded_server(use_lan=False, port=0, ice=IceConfig()) as server:
        assert server.tls_port is None
        assert server.page == f"http://localhost:{server.port}"
        async with aiohttp.ClientSession() as session:
            async with session.get(f"{server.url}/healthz") as answer:
                assert (await answer.json())["status"] == "ok"
            async with session.get(f"{server.url}/") as answer:
                assert "text/html" in answer.headers["Content-Type"]


async def test_server_on_a_network_offers_https_with_its_own_certificate(
    on_a_network: list[Announcement],
) -> None:
    async with embedded_server(use_lan=True, port=0, ice=IceConfig()) as server:
        assert server.page == f"https://127.0.0.1:{server.tls_port}"
        assert server.certificate is not None
        trusting = ssl.create_default_context(cafile=str(server.certificate.certificate))
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"{server.page}/healthz", ssl=trusting) as answer,
        ):
            assert answer.status == 200
        # A page opened over plain HTTP reads the same.
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"{server.url}/healthz") as answer,
        ):
            assert (await answer.json())["tls_port"] == server.tls_port


async def test_web_pages_reach_the_server_by_no_name_of_their_own(
    on_a_network: list[Announcement],
) -> None:
    async with embedded_server(use_lan=True, port=0, ice=IceConfig()) as server:
        own = socket.gethostname()
        status = {}
        async with aiohttp.ClientSession() as session:
            for name in ("evil.example", "localhost", "127.0.0.1", own, f"{own}.LOCAL"):
                host = f"{name}:{server.port}"
                headers = {"Host": host, "Origin": f"http://{host}"}
                async with session.get(f"{server.url}/healthz", headers=headers) as answer:
                    status[name] = answer.status
                if name == "evil.example":
                    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
                        await session.ws_connect(f"{server.url}/v1/ws", headers=headers)
                    assert caught.value.status == 421
        assert status.pop("evil.example") == 421
        assert set(status.values()) == {200}


async def test_room_is_found_by_number_until_the_server_ends(
    on_a_network: list[Announcement],
) -> None:
    async with embedded_server(use_lan=True, port=0, ice=IceConfig()) as server:
        await server.announce("7")
        found = registry.find(folder(), "7")
        assert found is not None
        assert found.port == server.port
        assert on_a_network == [Announcement("7", ("127.0.0.1",), server.port, server.tls_port)]
        assert server.announced
    assert registry.find(folder(), "7") is None


async def test_number_taken_on_the_network_leaves_no_entry_behind(
    on_a_network: list[Announcement],
) -> None:
    async with embedded_server(use_lan=True, port=0, ice=IceConfig()) as server:
        with pytest.raises(NumberTaken):
            await server.announce("5")
        assert registry.find(folder(), "5") is None


async def test_number_taken_on_this_machine_is_refused() -> None:
    async with (
        embedded_server(use_lan=False, port=0, ice=IceConfig()) as first,
        embedded_server(use_lan=False, port=0, ice=IceConfig()) as second,
    ):
        await first.announce("7")
        with pytest.raises(NumberTaken):
            await second.announce("7")


async def test_network_without_multicast_still_finds_the_room_on_this_machine(
    on_a_network: list[Announcement],
) -> None:
    async with embedded_server(use_lan=True, port=0, ice=IceConfig()) as server:
        await server.announce("6")
        assert not server.announced
        assert registry.find(folder(), "6") is not None


async def test_no_place_for_a_certificate_leaves_plain_http(
    on_a_network: list[Announcement], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", "/dev/null/nowhere")
    async with embedded_server(use_lan=True, port=0, ice=IceConfig()) as server:
        assert server.certificate is None
        assert server.page == f"http://localhost:{server.port}"


async def test_taken_port_is_an_error_with_a_sentence() -> None:
    async with embedded_server(use_lan=False, port=0, ice=IceConfig()) as server:
        with pytest.raises(ListenError, match=str(server.port)):
            async with embedded_server(use_lan=False, port=server.port, ice=IceConfig()):
                pass


async def test_peers_are_told_the_ice_servers() -> None:
    ice = IceConfig((IceServer(("stun:stun.example.org",)),))
    async with (
        embedded_server(use_lan=False, port=0, ice=ice) as server,
        aiohttp.ClientSession() as session,
        session.ws_connect(f"{server.url}/v1/ws", protocols=["peerline.signal.v1"]) as websocket,
    ):
        await websocket.send_json({"t": "hello", "code": True})
        welcome = await websocket.receive_json()
    assert welcome["ice"]["servers"] == [{"urls": ["stun:stun.example.org"]}]


async def test_numbers_of_other_commands_are_not_handed_out() -> None:
    numbers = [str(number) for number in range(1, 10) if number != 4]
    with ExitStack() as others:
        for number in numbers:
            others.enter_context(registry.publish(folder(), number, 1234))
        async with (
            embedded_server(use_lan=False, port=0, ice=IceConfig()) as server,
            aiohttp.ClientSession() as session,
            session.ws_connect(
                f"{server.url}/v1/ws", protocols=["peerline.signal.v1"]
            ) as websocket,
        ):
            await websocket.send_json({"t": "hello", "code": True})
            assert (await websocket.receive_json())["code"] == "4"


def test_addresses_of_both_protocols_are_found_and_what_leads_nowhere_is_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def adapter(*addresses: str | tuple[str, int, int]) -> ifaddr.Adapter:
        ips = [ifaddr.IP(address, 24, "x") for address in addresses]
        return ifaddr.Adapter("x", "x", ips)

    found = [
        adapter("127.0.0.1", ("::1", 0, 0)),
        adapter(("fe80::1", 0, 2), ("fd66::1", 0, 0), "169.254.3.4", "10.0.0.7", "192.168.1.5"),
    ]
    monkeypatch.setattr(ifaddr, "get_adapters", lambda: found)
    monkeypatch.setattr(lan, "_default_route", lambda: "192.168.1.5")
    assert LOCAL_ADDRESSES() == ("192.168.1.5", "10.0.0.7", "169.254.3.4", "fd66::1")
    found[1:] = [adapter(("fe80::1", 0, 2), ("fd66::1", 0, 0))]
    assert LOCAL_ADDRESSES() == ("fd66::1",)


async def test_network_with_addresses_of_the_newer_protocol_alone_is_served(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lan, "local_addresses", lambda: ("::1",))
    async with embedded_server(use_lan=True, port=0, ice=IceConfig()) as server:
        assert server.page.startswith("https://[::1]:")
        for host in ("::1", "127.0.0.1"):
            _, writer = await asyncio.open_connection(host, server.port)
            writer.close()
            await writer.wait_closed()
