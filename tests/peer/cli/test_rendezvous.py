"""From what a person types to the server where the other side waits."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from peer.cli.exit_status import UsageProblem
from peer.cli.local_server import lan, registry
from peer.cli.local_server.lan import Announcement
from peer.cli.options import ReachFlags
from peer.cli.rendezvous import Invitation, Reach, locate
from peer.errors import CodeError, ServerUnreachable
from peer.security.codes import Code
from signaling.errors import IceConfigError
from tests.support.links.rooms import running_server

CODE = "7-acid-thorn"


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))


def reach(*, server: str | None = None, use_lan: bool = False, ice: Path | None = None) -> Reach:
    flags = ReachFlags(
        server=server,
        name=None,
        lan=use_lan,
        ice_config=ice,
        relay_only=False,
        no_host_candidates=False,
        engine=None,
    )
    return Reach.from_flags(flags)


async def test_given_server_is_used_for_a_code_alone() -> None:
    code, server = await locate(reach(server="example.org"), CODE)
    assert code == Code.parse(CODE)
    assert server.page == "https://example.org/"


async def test_link_or_command_of_another_server_is_never_tried_at_the_given_one() -> None:
    for text in (f"http://localhost:1/#{CODE}", f"peerline receive --server localhost:1 {CODE}"):
        _, server = await locate(reach(server="example.org"), text)
        assert server.page.endswith("://localhost:1/")


async def test_link_names_its_server() -> None:
    _, server = await locate(reach(), f"https://192.168.1.5:4433/#{CODE}")
    assert server.page == "https://192.168.1.5:4433/"
    assert server.websocket == "wss://192.168.1.5:4433/v1/ws"


async def test_code_of_this_machine_is_found_without_a_network() -> None:
    folder = registry.runtime_folder()
    assert folder is not None
    with registry.publish(folder, "7", 4321):
        _, server = await locate(reach(), CODE)
    assert server.page == "http://127.0.0.1:4321/"


async def test_code_on_the_network_is_found_at_the_first_address_that_answers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    listening = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]

    async def find(number: str, *, timeout: float) -> Announcement:
        # Nobody has 127.0.0.2's port, everybody has 127.0.0.1's.
        return Announcement(number, ("127.0.0.2", "127.0.0.1"), port, None)

    monkeypatch.setattr(lan, "find", find)
    async with listening:
        _, server = await locate(reach(use_lan=True), CODE)
    assert server.page == f"http://127.0.0.1:{port}/"


async def test_code_that_nobody_has_is_a_sentence_with_a_way_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def find(number: str, *, timeout: float) -> None:
        return None

    monkeypatch.setattr(lan, "find", find)
    with pytest.raises(ServerUnreachable, match=r"Nobody on this network .* --server"):
        await locate(reach(use_lan=True), CODE)
    with pytest.raises(ServerUnreachable, match="Nobody on this machine"):
        await locate(reach(), CODE)


async def test_what_is_no_code_is_refused_before_anything_is_searched() -> None:
    with pytest.raises(CodeError, match="did you mean"):
        await locate(reach(use_lan=True), "7-acid-thorm")


def test_other_side_is_told_the_server_only_where_it_needs_it() -> None:
    room: object = None
    invitation = Invitation(room, Code.parse(CODE), "https://example.org/x/", None)  # type: ignore[arg-type]  # the room is not asked
    assert invitation.command("receive") == ("peerline receive --server https://example.org/x")
    assert invitation.link == f"https://example.org/x/#{CODE}"


def test_ice_file_is_read_and_its_mistakes_are_named(tmp_path: Path) -> None:
    path = tmp_path / "ice.yaml"
    path.write_text("ice_servers: [{urls: 'stun:stun.example.org'}]")
    found = reach(ice=path).ice
    assert found is not None
    assert found.servers[0].urls == ("stun:stun.example.org",)
    path.write_text("ice_servers: [{urls: 'http://example.org'}]")
    with pytest.raises(IceConfigError, match=r"ice_servers\[0\]"):
        reach(ice=path)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(UsageProblem, match="not a text file"):
        reach(ice=path)


async def test_record_of_a_server_that_does_not_answer_gives_way_to_the_network(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def find(number: str, *, timeout: float) -> Announcement:
        return Announcement(number, ("127.0.0.1",), port, None)

    monkeypatch.setattr(lan, "find", find)
    monkeypatch.setattr("peer.cli.rendezvous._CONNECT_PATIENCE", 0.1)
    folder = registry.runtime_folder()
    assert folder is not None
    ends = asyncio.Event()

    async def silent(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await ends.wait()
        writer.close()

    async def other(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-none\r\n")
        writer.close()

    async with (
        await asyncio.start_server(silent, "127.0.0.1", 0) as stopped,
        await asyncio.start_server(other, "127.0.0.1", 0) as foreign,
        running_server() as server,
    ):
        port = server.ports[0]
        for dead in (1, *(each.sockets[0].getsockname()[1] for each in (stopped, foreign))):
            with registry.publish(folder, "7", dead):
                _, found = await locate(reach(use_lan=True), CODE)
                assert found.page == f"http://127.0.0.1:{port}/"
                # Without a network it is all there is.
                _, found = await locate(reach(), CODE)
                assert found.page == f"http://127.0.0.1:{dead}/"
        with registry.publish(folder, "7", port):
            monkeypatch.setattr(lan, "find", None)
            _, found = await locate(reach(use_lan=True), CODE)
            assert found.page == f"http://127.0.0.1:{port}/"
        ends.set()


async def test_address_of_the_newer_internet_protocol_is_written_in_brackets(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def find(number: str, *, timeout: float) -> Announcement:
        return Announcement(number, ("::1",), port, None)

    monkeypatch.setattr(lan, "find", find)
    listening = await asyncio.start_server(lambda _, writer: writer.close(), "::1", 0)
    port = listening.sockets[0].getsockname()[1]
    async with listening:
        _, server = await locate(reach(use_lan=True), CODE)
    assert server.page == f"http://[::1]:{port}/"
