"""Rooms on a real server: codes, passwords, meshes, and how each can go wrong."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

import peer
from peer.config import EngineName, LinkConfig, Timeouts
from peer.errors import (
    CodeError,
    LinkClosed,
    NoPath,
    PeerLeft,
    PeerTimeout,
    ServerRefused,
    ServerUnreachable,
    WrongCode,
)
from peer.link.link import Link
from peer.room.room import Room
from peer.rtc import Connection
from peer.rtc.engines.association import AssociationTransport
from peer.rtc.engines.stock import StockEngine
from peer.rtc.ice import verdict
from peer.rtc.ice.remote_candidates import Intake
from peer.security.codes import Code
from signaling.ice_servers import IceConfig
from signaling.server import SignalingServer
from tests.support.links.rooms import linked, running_server
from tests.support.processes.leftovers import nothing_left_behind


@contextlib.asynccontextmanager
async def hosting(server: SignalingServer) -> AsyncIterator[tuple[Room, Code]]:
    async with peer.host(server.urls[0], name="alice") as room:
        assert room.code is not None
        yield room, room.code


@pytest.mark.parametrize(
    ("asked", "environment", "engine"),
    [
        (None, "", AssociationTransport),
        (None, "aiortc", StockEngine),
        ("aiortc", "peerline", StockEngine),
        ("peerline", "aiortc", AssociationTransport),
    ],
)
async def test_the_engine_is_the_one_asked_for_or_the_environments(
    monkeypatch: pytest.MonkeyPatch, asked: EngineName | None, environment: str, engine: type
) -> None:
    monkeypatch.setenv("PEERLINE_ENGINE", environment)
    async with linked(config=LinkConfig(engine=asked)) as pair:
        for link in (pair.host, pair.guest):
            assert isinstance(link._connection.connection._engine, engine)


def test_an_engine_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="engine must be one of peerline, aiortc, not 'usrsctp'"):
        LinkConfig(engine="usrsctp")  # type: ignore[arg-type]


def another(code: Code) -> Code:
    """A code for the same room with other words."""
    return Code(code.number, ("acid", "acid") if code.words != ("acid", "acid") else ("acid",) * 3)


# Codes


async def test_two_peers_meet_by_a_code() -> None:
    async with nothing_left_behind(), linked() as pair:
        assert pair.host.sas == pair.guest.sas
        assert pair.host.authenticated and pair.guest.authenticated
        assert pair.host.peer.name == "bob"
        assert pair.guest.peer.name == "alice"
        assert pair.host.peer.agent.startswith("peerline/")
        assert pair.host.offerer and not pair.guest.offerer
        assert pair.host.path is not None and pair.host.path.kind == "direct"
        await pair.host.chat.send("hello")
        assert (await pair.guest.chat.receive()).text == "hello"


async def test_a_code_may_be_typed_loosely(server: SignalingServer) -> None:
    async with hosting(server) as (room, code):
        typed = str(code).replace("-", " ").upper()
        async with peer.join(server.urls[0], typed) as other:
            await asyncio.gather(room.link(), other.link())


async def test_iterating_over_a_code_room_gives_its_one_link(server: SignalingServer) -> None:
    async def links(room: Room) -> list[Link]:
        return [link async for link in room]

    async with (
        hosting(server) as (room, code),
        peer.join(server.urls[0], code) as other,
    ):
        ours, theirs = await asyncio.gather(links(room), links(other))
        assert len(ours) == len(theirs) == 1
        assert await room.link() is ours[0]


async def test_more_words_make_a_longer_code(server: SignalingServer) -> None:
    async with peer.host(server.urls[0], words=4) as room:
        assert room.code is not None
        assert len(room.code.words) == 4


async def test_a_wrong_code_fails_on_both_sides_and_is_spent(server: SignalingServer) -> None:
    async with nothing_left_behind(), hosting(server) as (room, code):
        async with peer.join(server.urls[0], another(code)) as other:
            for outcome in await asyncio.gather(room.link(), other.link(), return_exceptions=True):
                assert isinstance(outcome, WrongCode)
        # The right code comes too late: whoever guessed has used it up.
        with pytest.raises(ServerRefused):
            async with peer.join(server.urls[0], code) as third:
                await third.link()


async def test_a_third_peer_is_refused(server: SignalingServer) -> None:
    async with hosting(server) as (room, code), peer.join(server.urls[0], code) as other:
        await asyncio.gather(room.link(), other.link())
        with pytest.raises(ServerRefused):
            async with peer.join(server.urls[0], code):
                pass


async def test_a_code_that_nobody_made_is_refused(server: SignalingServer) -> None:
    with pytest.raises(ServerRefused, match="code") as caught:
        async with peer.join(server.urls[0], "7-acid-acid"):
            pass
    assert caught.value.code == "no_such_room"


async def test_what_is_no_code_never_reaches_a_server() -> None:
    with pytest.raises(CodeError):
        async with peer.join("127.0.0.1:1", "not a code"):
            pass


async def test_a_host_can_wait_for_a_while_only(server: SignalingServer) -> None:
    async with nothing_left_behind(), hosting(server) as (room, _):
        with pytest.raises(PeerTimeout) as caught:
            await room.link(timeout=0.01)
        assert caught.value.stage == "peer"


async def test_a_guest_that_leaves_before_there_is_a_link_is_told(server: SignalingServer) -> None:
    async with nothing_left_behind(), hosting(server) as (room, code):
        async with peer.join(server.urls[0], code):
            pass
        with pytest.raises((PeerLeft, LinkClosed)):
            await room.link()


async def test_a_host_that_leaves_before_there_is_a_link_is_told(server: SignalingServer) -> None:
    async with nothing_left_behind(), contextlib.AsyncExitStack() as stack:
        room = await stack.enter_async_context(peer.host(server.urls[0]))
        assert room.code is not None
        async with peer.join(server.urls[0], room.code) as other:
            await stack.aclose()
            with pytest.raises((PeerLeft, LinkClosed)):
                await other.link()


async def test_closing_the_room_closes_its_links_in_order() -> None:
    async with linked() as pair:
        await pair.rooms[0].close()
        await pair.guest.wait_closed()
        with pytest.raises(LinkClosed):
            await pair.guest.chat.send("too late")
        await pair.rooms[0].close()


async def test_a_link_outlives_its_server() -> None:
    async with contextlib.AsyncExitStack() as stack:
        server = await stack.enter_async_context(running_server())
        async with (
            hosting(server) as (room, code),
            peer.join(server.urls[0], code) as other,
        ):
            ours, theirs = await asyncio.gather(room.link(), other.link())
            await stack.aclose()
            await ours.chat.send("still here")
            assert (await theirs.chat.receive()).text == "still here"


async def test_a_room_that_loses_its_server_says_so() -> None:
    async with contextlib.AsyncExitStack() as stack:
        server = await stack.enter_async_context(running_server())
        async with hosting(server) as (room, _):
            waiting = asyncio.create_task(room.link())
            await asyncio.sleep(0)
            await stack.aclose()
            with pytest.raises(ServerUnreachable):
                await waiting


# Named rooms


async def test_peers_of_a_named_room_link_each_with_each(server: SignalingServer) -> None:
    names = ["ann", "ben", "cat"]
    async with nothing_left_behind(), contextlib.AsyncExitStack() as stack:
        rooms = [
            await stack.enter_async_context(
                peer.join(server.urls[0], room="demo", password="open sesame", name=name)
            )
            for name in names
        ]
        links: dict[str, list[Link]] = {name: [] for name in names}
        for name, room in zip(names, rooms, strict=True):
            for _ in range(2):
                links[name].append(await room.link(timeout=30))
        for name in names:
            assert {link.peer.name for link in links[name]} == set(names) - {name}
            assert all(link.authenticated for link in links[name])
        await links["ann"][0].chat.send("hello")


async def test_a_room_without_password_links_without_proof(server: SignalingServer) -> None:
    async with (
        peer.join(server.urls[0], room="demo", name="ann") as first,
        peer.join(server.urls[0], room="demo", name="ben") as second,
    ):
        ours, theirs = await asyncio.gather(first.link(), second.link())
        assert not ours.authenticated and not theirs.authenticated
        assert ours.sas == theirs.sas
        assert len(ours.sas) == 4
        assert first.code is None
        assert [info.name for info in first.peers.values()] == ["ben"]


async def test_who_comes_with_a_wrong_password_is_told_and_others_go_on(
    server: SignalingServer,
) -> None:
    async with peer.join(server.urls[0], room="demo", password="right") as first:
        async with peer.join(server.urls[0], room="demo", password="wrong") as wrong:
            with pytest.raises(WrongCode):
                await wrong.link()
            assert isinstance(wrong.failures[first.me], WrongCode)
        async with peer.join(server.urls[0], room="demo", password="right") as right:
            await asyncio.gather(first.link(), right.link())


async def test_a_password_that_only_one_has_is_a_wrong_code(server: SignalingServer) -> None:
    async with (
        peer.join(server.urls[0], room="demo", password="secret"),
        peer.join(server.urls[0], room="demo") as second,
    ):
        with pytest.raises(WrongCode, match="password"):
            await second.link()


@pytest.mark.parametrize(
    "arguments",
    [{}, {"code": "7-acid-acid", "room": "demo"}, {"code": "7-acid-acid", "password": "x"}],
)
async def test_contradictions_are_refused(arguments: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="code"):
        async with peer.join("127.0.0.1:1", **arguments):  # type: ignore[arg-type]
            pass


# Network


async def test_relay_only_without_a_relay_is_no_path(server: SignalingServer) -> None:
    async with nothing_left_behind(), peer.host(server.urls[0], relay_only=True) as room:
        assert room.code is not None
        async with peer.join(server.urls[0], room.code) as other:
            with pytest.raises(NoPath, match="TURN"):
                await room.link()
            with pytest.raises(NoPath, match="TURN"):
                await other.link()


async def attempted(config: LinkConfig) -> list[Link | BaseException]:
    """The outcomes of two people who meet with these settings."""
    async with (
        nothing_left_behind(),
        running_server() as server,
        peer.host(server.urls[0], config=config) as room,
    ):
        assert room.code is not None
        async with peer.join(server.urls[0], room.code, config=config) as other:
            return list(await asyncio.gather(room.link(), other.link(), return_exceptions=True))


async def test_two_machines_that_cannot_reach_each_other_are_told_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Connection, "add_candidate", lambda self, line: None)
    outcomes = await attempted(LinkConfig(attempts=2, timeouts=Timeouts(path=0.3)))
    for outcome in outcomes:
        assert isinstance(outcome, NoPath)
        assert outcome.exit_code == 6


async def test_no_path_is_told_once_both_have_told_all_and_both_hear_what_would_help(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def ignore(self: Intake, candidate: object, mid: str) -> None: ...

    made: list[Connection] = []
    offer = Connection.offer

    async def count(self: Connection) -> str:
        made.append(self)
        return await offer(self)

    monkeypatch.setattr(Intake, "_add", ignore)
    monkeypatch.setattr(Connection, "offer", count)
    monkeypatch.setattr(verdict, "CHECKS", 0.1)
    monkeypatch.setattr(verdict, "SETTLED", 0.1)
    outcomes = await attempted(LinkConfig(attempts=5))
    assert len(made) == 1
    for outcome in outcomes:
        assert isinstance(outcome, NoPath)
        assert "a STUN server is needed" in outcome.hint


async def test_a_connection_that_does_not_come_about_is_followed_by_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    add, made = Connection.add_candidate, []

    def add_to_later_ones(self: Connection, line: str) -> None:
        if self not in made:
            made.append(self)
        if made.index(self) >= 2:
            add(self, line)

    monkeypatch.setattr(Connection, "add_candidate", add_to_later_ones)
    outcomes = await attempted(LinkConfig(attempts=3, timeouts=Timeouts(path=1.0)))
    assert all(isinstance(outcome, Link) for outcome in outcomes)
    assert len(made) >= 4


@pytest.mark.parametrize(
    ("name", "shown"), [("x" * 100, "x" * 64), ("a\x1b[31mb\u202e", "a[31mb"), ("\n", "")]
)
async def test_names_are_made_fit_for_others(
    server: SignalingServer, name: str, shown: str
) -> None:
    async with (
        peer.join(server.urls[0], room="demo", name=name) as first,
        peer.join(server.urls[0], room="demo") as second,
    ):
        assert [info.name for info in second.peers.values()] == [shown]
        assert (await second.link()).peer.name == shown
        await first.link()


async def test_a_silent_other_side_is_a_timeout_that_names_the_stage(
    server: SignalingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Room, "_on_signal", lambda self, signal: None)
    config = LinkConfig(timeouts=Timeouts(pake=0.1))
    async with (
        nothing_left_behind(),
        hosting(server) as (_, code),
        peer.join(server.urls[0], code, config=config) as other,
    ):
        with pytest.raises(PeerTimeout) as caught:
            await other.link()
        assert caught.value.stage == "pake"


async def test_own_servers_stand_in_for_those_of_the_server() -> None:
    relay = IceConfig((), "relay")
    async with running_server(relay) as server:
        async with (
            peer.host(server.urls[0], ice=IceConfig()) as room,
            asyncio.timeout(30),
        ):
            assert room.code is not None
            async with peer.join(server.urls[0], room.code, ice=IceConfig()) as other:
                await asyncio.gather(room.link(), other.link())
        async with peer.host(server.urls[0]) as room:
            assert room.code is not None
            async with peer.join(server.urls[0], room.code) as other:
                with pytest.raises(NoPath):
                    await room.link()
                with pytest.raises(NoPath):
                    await other.link()
