"""STUN servers: those that answer are used, those that do not are not waited for."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from peer.errors import NoPath
from peer.rtc import Connection, GatheringTimes
from peer.rtc.ice.servers import Endpoint, endpoints, in_turn, look_up
from peer.rtc.sdp import candidate_lines
from signaling.ice_servers import IceServer
from tests.support.links.connections import (
    CONTROL,
    RecordingHandler,
    connect,
    connected_pair,
)
from tests.support.processes.leftovers import nothing_left_behind
from tests.support.servers.stun import running_stun_server

FOREVER = 3600.0
PATIENT = GatheringTimes(grace=FOREVER, limit=FOREVER)
"""Waits for every server: a test that ends with it has not waited for a dead one."""
IMPATIENT = GatheringTimes(grace=0.0, limit=FOREVER)


@contextlib.asynccontextmanager
async def connection(
    *servers: IceServer, times: GatheringTimes
) -> AsyncIterator[tuple[Connection, asyncio.Queue[str | None]]]:
    made = Connection(servers, times=times)
    late: asyncio.Queue[str | None] = asyncio.Queue()
    made.on_candidate = late.put_nowait
    made.create_channel(CONTROL)
    try:
        yield made, late
    finally:
        await made.close()


def kinds(lines: tuple[str, ...]) -> set[str]:
    return {line.split(" typ ")[1].split()[0] for line in lines}


async def test_a_server_that_answers_adds_its_candidate_to_the_offer() -> None:
    async with (
        nothing_left_behind(),
        running_stun_server("192.0.2.7") as server,
        connection(server.entry, times=PATIENT) as (made, _),
    ):
        lines = candidate_lines(await made.offer())
        assert kinds(lines) == {"host", "srflx"}
        assert any(" 192.0.2.7 " in line for line in lines)


async def test_a_dead_server_beside_a_live_one_is_not_waited_for() -> None:
    async with (
        running_stun_server(answering=False) as dead,
        running_stun_server("192.0.2.7") as live,
        connection(dead.entry, live.entry, times=PATIENT) as (made, _),
    ):
        # Would take an hour if the dead one, listed first, were waited for.
        offer = await made.offer()
        assert "192.0.2.7" in offer
        assert dead.asked.is_set()


async def test_the_offer_is_made_without_a_server_that_has_not_answered() -> None:
    async with (
        nothing_left_behind(),
        running_stun_server(answering=False) as dead,
        connection(dead.entry, times=IMPATIENT) as (made, _),
    ):
        offer = await made.offer()
        assert kinds(candidate_lines(offer)) == {"host"}
        assert "end-of-candidates" not in offer


async def test_a_late_answer_follows_the_offer_as_a_candidate() -> None:
    async with (
        running_stun_server("192.0.2.9", answering=False) as slow,
        connection(slow.entry, times=IMPATIENT) as (made, late),
    ):
        await made.offer()
        await slow.asked.wait()
        slow.answer()
        line = await late.get()
        assert line is not None
        assert line.startswith("candidate:")
        assert " 192.0.2.9 " in line
        assert kinds((line,)) == {"srflx"}


async def test_the_end_of_candidates_is_told_when_the_last_server_is_given_up() -> None:
    times = GatheringTimes(grace=0.0, limit=0.05)
    async with (
        running_stun_server(answering=False) as dead,
        connection(dead.entry, times=times) as (made, late),
    ):
        await made.offer()
        assert await late.get() is None
        assert made.no_path().hint == f"{dead.entry.urls[0]} does not answer."


async def test_peers_connect_while_their_servers_are_dead() -> None:
    async with (
        nothing_left_behind(),
        running_stun_server(answering=False) as dead,
        connected_pair([dead.entry], times=IMPATIENT) as (ours, theirs, _, _),
    ):
        ours.channel.send("hello")
        assert await theirs.messages.get() == "hello"


async def test_without_servers_the_offer_is_complete() -> None:
    async with connection(times=PATIENT) as (made, _):
        offer = await made.offer()
        assert kinds(candidate_lines(offer)) == {"host"}
        assert "a=end-of-candidates" in offer


async def test_a_machine_with_no_other_interface_offers_the_loopback_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("aioice.ice.get_host_addresses", lambda **_: [])
    async with connected_pair() as (ours, theirs, offerer, _):
        assert offerer.path is not None
        assert offerer.path.local_address.startswith(("127.0.0.1:", "[::1]:"))
        ours.channel.send("hello")
        assert await theirs.messages.get() == "hello"


async def test_the_loopback_interface_is_not_offered_beside_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with connection(times=PATIENT) as (made, _):
        monkeypatch.setattr("aioice.ice.get_host_addresses", lambda **_: ["127.0.0.2"])
        offer = await made.offer()
        assert " 127.0.0.2 " in offer
        assert " 127.0.0.1 " not in offer


async def test_candidates_that_come_before_the_description_are_kept() -> None:
    offerer, answerer = Connection(), Connection()
    ours = RecordingHandler(offerer.create_channel(CONTROL))
    theirs = RecordingHandler(answerer.create_channel(CONTROL))
    try:
        offer = await offerer.offer()
        for line in candidate_lines(offer):
            answerer.add_candidate(line)
        bare = "".join(
            f"{line}\r\n" for line in offer.splitlines() if not line.startswith("a=candidate")
        )
        answer = await answerer.answer(bare)
        # Without candidates of the offerer the answerer's checks would still reach it: what is
        # tested is that the early ones are applied, so leave out the answerer's.
        await offerer.accept_answer(
            "".join(f"{x}\r\n" for x in answer.splitlines() if not x.startswith("a=candidate"))
        )
        async with asyncio.timeout(20):
            await asyncio.gather(offerer.connected(), answerer.connected())
        ours.channel.send("hello")
        assert await theirs.messages.get() == "hello"
    finally:
        await asyncio.gather(offerer.close(), answerer.close())


async def test_a_complete_offer_whose_name_cannot_be_resolved_is_answered_with_candidates() -> None:
    """A description of Firefox: only `.local` names, and `a=end-of-candidates`."""
    offerer, answerer = Connection(), Connection()
    offerer.create_channel(CONTROL)
    answerer.create_channel(CONTROL)
    try:
        offer = await offerer.offer()
        lines = [line for line in offer.splitlines() if not line.startswith("a=candidate")]
        lines.insert(
            next(i for i, line in enumerate(lines) if line.startswith("a=end-of")),
            "a=candidate:0 1 UDP 2122187007 "
            "1b2c3d4e-0000-4000-8000-000000000000.local 50000 typ host",
        )
        answer = await answerer.answer("".join(f"{line}\r\n" for line in lines))
        assert candidate_lines(answer)
        # The answerer learns the offerer's address from its checks.
        await offerer.accept_answer(answer)
        async with asyncio.timeout(20):
            await asyncio.gather(offerer.connected(), answerer.connected())
    finally:
        await asyncio.gather(offerer.close(), answerer.close())


async def test_late_candidates_of_both_sides_are_exchanged() -> None:
    async with running_stun_server("192.0.2.9", answering=False) as slow:
        offerer = Connection([slow.entry], times=IMPATIENT)
        answerer = Connection([slow.entry], times=IMPATIENT)
        offerer.create_channel(CONTROL)
        answerer.create_channel(CONTROL)
        try:
            await connect(offerer, answerer)
            slow.answer()
        finally:
            await asyncio.gather(offerer.close(), answerer.close())


def test_urls_become_endpoints_in_the_listed_order() -> None:
    stun, turn = endpoints(
        [
            IceServer(urls=("stun:one.example", "STUN:[2001:db8::1]:19302", "stun:one.example")),
            IceServer(
                urls=(
                    "turn:two.example",
                    "turn:two.example:80?transport=tcp",
                    "turns:two.example",
                    "turns:two.example?transport=udp",
                    "stuns:two.example",
                ),
                username="alice",
                credential="secret",
            ),
        ]
    )
    assert [(e.host, e.port) for e in stun] == [("one.example", 3478), ("2001:db8::1", 19302)]
    assert [(e.port, e.transport, e.tls) for e in turn] == [
        (3478, "udp", False),
        (80, "tcp", False),
        (5349, "tcp", True),
    ]
    assert {(e.username, e.credential) for e in turn} == {("alice", "secret")}
    assert "secret" not in repr(turn)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=60))
def test_any_text_is_an_endpoint_or_nothing(url: str) -> None:
    stun, turn = endpoints([IceServer(urls=(url,))])
    assert all(isinstance(endpoint, Endpoint) for endpoint in stun + turn)


async def test_numeric_addresses_need_no_resolver() -> None:
    async with nothing_left_behind():
        assert await look_up("192.0.2.1") == ["192.0.2.1"]
        assert await look_up("2001:db8::1") == ["2001:db8::1"]


@pytest.mark.parametrize("host", ["no-such-name.invalid", "a" * 300, "\ud800", "a..b"])
async def test_a_name_without_address_is_an_error(host: str) -> None:
    with pytest.raises(OSError):
        await look_up(host)


async def test_gathering_that_is_cancelled_anywhere_leaves_no_socket() -> None:
    for turns in range(12):
        async with nothing_left_behind():
            made = Connection()
            made.create_channel(CONTROL)
            offering = asyncio.create_task(made.offer())
            for _ in range(turns):
                await asyncio.sleep(0)
            offering.cancel()
            await asyncio.wait({offering})
            await made.close()


def priorities(lines: tuple[str, ...]) -> list[int]:
    return [int(line.split()[3]) for line in lines]


async def test_each_address_has_a_priority_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """RFC 8445, 5.1.2.1; those of bridges come last, and STUN is not asked from them."""
    addresses = ["127.0.0.2", "127.0.0.3", "127.0.0.4"]
    monkeypatch.setattr(
        "peer.rtc.ice.gathering.interface_names",
        lambda: dict(zip(addresses, ["docker0", "eth0", "wlan0"], strict=True)),
    )
    async with (
        running_stun_server("192.0.2.7") as server,
        connection(server.entry, times=PATIENT) as (made, _),
    ):
        monkeypatch.setattr("aioice.ice.get_host_addresses", lambda **_: addresses)
        lines = candidate_lines(await made.offer())
        await made._gatherer.finished()  # type: ignore[union-attr]
        hosts = sorted(
            (line for line in lines if " typ host" in line), key=lambda line: -int(line.split()[3])
        )
        assert [line.split()[4] for line in hosts] == ["127.0.0.3", "127.0.0.4", "127.0.0.2"]
        found = made._ice.local_candidates
        assert len({c.priority for c in found}) == len(found)
        bases = {c.related_address for c in found if c.type == "srflx"}
        assert bases == {"127.0.0.3", "127.0.0.4"}


@pytest.mark.parametrize("answers", [["127.0.0.99", "127.0.0.1"], ["::1", "127.0.0.1"]])
async def test_every_address_of_a_name_is_tried(
    monkeypatch: pytest.MonkeyPatch, answers: list[str]
) -> None:
    async def found(host: str) -> list[str]:
        assert host == "stun.example"
        return answers

    monkeypatch.setattr("peer.rtc.ice.gathering.look_up", found)
    async with running_stun_server("192.0.2.7") as server:
        port = server.entry.urls[0].rpartition(":")[2]
        named = IceServer(urls=(f"stun:stun.example:{port}",))
        async with connection(named, times=PATIENT) as (made, _):
            monkeypatch.setattr("aioice.ice.get_host_addresses", lambda **_: ["127.0.0.1", "::1"])
            assert "192.0.2.7" in await made.offer()
            await made._gatherer.finished()  # type: ignore[union-attr]
            assert made.no_path().hint == ""


async def test_stun_over_ipv6_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A site's own prefix may be translated (NPTv6)."""
    asked: list[tuple[str, int]] = []

    async def ask(protocol: object, address: tuple[str, int]) -> tuple[str, int]:
        asked.append(address)
        return "2001:db8::7", 7

    monkeypatch.setattr("peer.rtc.ice.gathering._ask", ask)
    monkeypatch.setattr("aioice.ice.get_host_addresses", lambda **_: ["::1"])
    async with connection(IceServer(urls=("stun:[::1]:3478",)), times=PATIENT) as (made, _):
        assert "2001:db8::7 7 typ srflx raddr ::1" in await made.offer()
        assert asked == [("::1", 3478)]


def test_addresses_of_both_families_take_turns() -> None:
    assert in_turn(["2::1", "2::2", "2::3", "1.1.1.1", "2::1", "1.1.1.2"]) == [
        "2::1",
        "1.1.1.1",
        "2::2",
        "1.1.1.2",
        "2::3",
    ]
    assert len(in_turn(f"10.0.0.{n}" for n in range(100))) == 6


async def test_own_addresses_can_be_kept_out_of_sight() -> None:
    async with running_stun_server("192.0.2.7") as server:
        made = Connection([server.entry], times=PATIENT, hide_hosts=True)
        made.create_channel(CONTROL)
        try:
            lines = candidate_lines(await made.offer())
            assert kinds(lines) == {"srflx"}
            assert all(line.endswith("raddr 0.0.0.0 rport 9") for line in lines)
        finally:
            await made.close()


async def test_with_own_addresses_out_of_sight_and_no_server_there_is_nothing_to_offer() -> None:
    made = Connection(hide_hosts=True)
    made.create_channel(CONTROL)
    try:
        with pytest.raises(NoPath, match="own addresses must stay hidden"):
            await made.offer()
    finally:
        await made.close()
