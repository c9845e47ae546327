"""When no path is told to be none, and what is said to help."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from peer.errors import NoPath, PeerError
from peer.rtc import Connection, GatheringTimes
from peer.rtc.ice import verdict
from peer.rtc.ice.candidates import Candidate
from peer.rtc.ice.diagnosis import GatheredCandidates, advice, changes_ports, hopeless
from peer.rtc.sdp import Description
from tests.support.links.connections import CONTROL, RecordingHandler
from tests.support.processes.leftovers import nothing_left_behind
from tests.support.servers.stun import running_stun_server

HOST = Candidate("1", 1, "192.168.1.5", 1000, "host")
HOST6 = Candidate("1", 1, "2001:db8::5", 1000, "host")
PUBLIC = Candidate("1", 1, "8.8.8.8", 1000, "host")
NAME = Candidate("1", 1, "1b2c3d4e-1111-4222-8333-444455556666.local", 1000, "host")
SEEN = Candidate("2", 1, "198.51.100.7", 2000, "srflx", ("192.168.1.5", 1000))
SEEN_ELSEWHERE = Candidate("2", 1, "198.51.100.7", 2001, "srflx", ("192.168.1.5", 1000))
HIDDEN = Candidate("2", 1, "198.51.100.7", 2002, "srflx", ("0.0.0.0", 9))
RELAYED = Candidate("3", 1, "203.0.113.1", 3000, "relay")
RELAYED6 = Candidate("3", 1, "2001:db8::9", 3000, "relay")

CONE, SYMMETRIC = (HOST, SEEN), (HOST, SEEN, SEEN_ELSEWHERE)


@pytest.mark.parametrize(
    ("ours", "theirs", "said"),
    [
        (SYMMETRIC, SYMMETRIC, "Both routers change ports for every destination"),
        (SYMMETRIC, CONE, "This side's router changes ports"),
        (CONE, SYMMETRIC, "The other side's router changes ports"),
        (CONE, CONE, "let nothing in that was not asked for: a TURN server is needed"),
        ((HOST6,), CONE, "This side has only IPv6 addresses and the other only IPv4"),
        (CONE, (HOST6,), "This side has only IPv4 addresses and the other only IPv6"),
        ((HOST6, RELAYED6), CONE, "a TURN server that both can reach is needed"),
        ((HOST,), CONE, "This side's network lets no answer of a STUN server through"),
        (CONE, (HOST,), "The other side's network lets no answer of a STUN server through"),
        ((HOST,), (HOST,), "both networks probably block UDP"),
        ((PUBLIC,), CONE, "let nothing in that was not asked for"),
        ((RELAYED,), CONE, "This side shows nothing but the address of its TURN server"),
        (CONE, (RELAYED,), "The other side shows nothing but the address of its TURN server"),
        ((*CONE, RELAYED), CONE, "Not even the TURN server's address led to the other side"),
        (CONE, (*CONE, RELAYED), "Not even the TURN server's address led to the other side"),
    ],
)
def test_what_would_help_is_named(
    ours: tuple[Candidate, ...], theirs: tuple[Candidate, ...], said: str
) -> None:
    assert said in advice(GatheredCandidates(ours), GatheredCandidates(theirs))


def test_without_servers_that_is_what_is_missing() -> None:
    assert "a STUN server is needed" in advice(
        GatheredCandidates((HOST,), servers=False), GatheredCandidates((HOST,))
    )
    assert (
        advice(GatheredCandidates(()), GatheredCandidates((HOST,)))
        == advice(GatheredCandidates((HOST,)), GatheredCandidates(()))
        == ""
    )


def test_both_sides_say_the_same_of_the_same() -> None:
    assert advice(GatheredCandidates(SYMMETRIC), GatheredCandidates(SYMMETRIC)) == advice(
        GatheredCandidates(SYMMETRIC), GatheredCandidates(SYMMETRIC)
    )
    ours, theirs = (
        advice(GatheredCandidates(SYMMETRIC), GatheredCandidates(CONE)),
        advice(GatheredCandidates(CONE), GatheredCandidates(SYMMETRIC)),
    )
    assert ours.startswith("This side's") and theirs.startswith("The other side's")


def test_ports_that_change_are_seen_where_the_socket_is_known() -> None:
    assert changes_ports(SYMMETRIC)
    assert not changes_ports(CONE)
    assert not changes_ports((SEEN, HIDDEN))
    other_socket = Candidate("2", 1, "198.51.100.7", 2001, "srflx", ("192.168.1.6", 1000))
    assert not changes_ports((SEEN, other_socket))


def test_what_can_never_meet_is_known() -> None:
    assert hopeless((HOST,), (HOST6,))
    assert not hopeless((HOST, HOST6), (HOST6,))
    assert not hopeless((HOST6,), (NAME,))
    assert not hopeless((HOST,), ())


@contextlib.asynccontextmanager
async def apart(
    ours: tuple[Candidate, ...], theirs: tuple[Candidate, ...], *, complete: bool = True
) -> AsyncIterator[tuple[list[Connection], asyncio.Queue[PeerError]]]:
    """Two connections that were told candidates which lead nowhere."""
    ends = [Connection(), Connection()]
    for end in ends:
        RecordingHandler(end.create_channel(CONTROL))
    errors: asyncio.Queue[PeerError] = asyncio.Queue()
    ends[0].on_ended = ends[1].on_ended = errors.put_nowait
    try:
        offer = instead(await ends[0].offer(), theirs, complete)
        answer = instead(await ends[1].answer(offer), ours, complete)
        await ends[0].accept_answer(answer)
        yield ends, errors
    finally:
        await asyncio.gather(*(end.close() for end in ends))


def instead(text: str, candidates: tuple[Candidate, ...], complete: bool) -> str:
    import dataclasses

    told = dataclasses.replace(Description.parse(text), candidates=candidates, complete=complete)
    # Another password: no check of one reaches the other by an address that was not told.
    return dataclasses.replace(told, password="x" * 22, ufrag="none").text()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verdict, "CHECKS", 0.1)
    monkeypatch.setattr(verdict, "SETTLED", 0.05)


LEADS_NOWHERE = (Candidate("1", 1, "127.0.0.1", 9, "host"),)


async def test_both_sides_are_told_soon_after_the_last_candidate(impatient: None) -> None:
    async with (
        nothing_left_behind(),
        asyncio.timeout(10),
        apart(LEADS_NOWHERE, LEADS_NOWHERE) as (ends, errors),
    ):
        for _ in ends:
            error = await errors.get()
            assert isinstance(error, NoPath)
            assert error.conclusive
            assert "a STUN server is needed" in error.hint


async def test_nothing_is_said_before_the_other_side_has_told_all(impatient: None) -> None:
    async with (
        asyncio.timeout(10),
        apart(LEADS_NOWHERE, LEADS_NOWHERE, complete=False) as (ends, errors),
    ):
        assert ends[0]._verdict._timer is None and ends[1]._verdict._timer is None
        ends[0].add_candidate(None)
        assert isinstance(await errors.get(), NoPath)
        assert errors.empty()


async def test_nothing_is_said_before_we_have_told_all(impatient: None) -> None:
    times = GatheringTimes(grace=0.0, limit=3600.0)
    async with running_stun_server(answering=False) as dead:
        end = Connection([dead.entry], times=times)
        end.create_channel(CONTROL)
        try:
            await end.offer()
            end._verdict.heard(*LEADS_NOWHERE)
            end._verdict.heard_all()
            end._verdict.begin()
            assert end._verdict._timer is None
        finally:
            await end.close()


async def test_where_no_family_is_shared_it_is_told_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(verdict, "CHECKS", 3600.0)
    monkeypatch.setattr("aioice.ice.get_host_addresses", lambda **_: ["127.0.0.1"])
    async with asyncio.timeout(10), apart((HOST6,), (HOST6,)) as (_, errors):
        error = await errors.get()
        assert isinstance(error, NoPath)
        assert "only IPv4 addresses and the other only IPv6" in error.hint


async def test_a_link_that_came_about_is_not_judged(impatient: None) -> None:
    from tests.support.links.connections import connected_pair

    async with connected_pair() as (_, _, one, two):
        for end in (one, two):
            assert end._verdict._began_at is None
