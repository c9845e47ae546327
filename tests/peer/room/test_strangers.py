"""Strangers in a room: what they send ends at most their own link, and nothing of them stays."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import os
from collections import Counter
from collections.abc import AsyncIterator, Callable

import pytest

import peer
from peer.config import LinkConfig, Timeouts
from peer.errors import NoPath, PeerLeft, ProtocolError, WrongCode
from peer.link.link import Link
from peer.link.negotiation import Negotiation
from peer.room.room import Room
from peer.rtc import Connection
from peer.security.sealing import b64u_encode, commitment
from signaling.messages import PeerEvent, Signal, SignalFrom, SignalKind
from signaling.server import SignalingServer
from tests.support.links.connections import CONTROL
from tests.support.processes.leftovers import nothing_left_behind, open_sockets, other_tasks
from tests.support.servers.clients import Client, open_client
from tests.support.waiting import until

KEPT = (
    "Association",
    "Attempt",
    "Connection",
    "LinkSetup",
    "Gatherer",
    "Generation",
    "Link",
    "PeerConnection",
    "RTCCertificate",
    "RTCDtlsTransport",
    "StunProtocol",
)
"""Classes of which one instance or more belongs to each connection."""
PACKAGES = ("peer", "aiortc", "aioice")


@contextlib.asynccontextmanager
async def lobby(
    server: SignalingServer, config: LinkConfig | None = None
) -> AsyncIterator[tuple[Room, Room, Link, Link]]:
    """A room without a password in which two are talking."""
    async with (
        peer.join(server.urls[0], room="lobby", name="ann", config=config) as first,
        peer.join(server.urls[0], room="lobby", name="ben", config=config) as second,
    ):
        ours, theirs = await asyncio.gather(first.link(), second.link())
        yield first, second, ours, theirs
        await ours.chat.send("still here")
        assert (await theirs.chat.receive()).text == "still here"


@contextlib.asynccontextmanager
async def stranger(server: SignalingServer) -> AsyncIterator[Client]:
    async with open_client(server.urls[0].rstrip("/")) as client:
        await client.join(room="lobby")
        yield client


async def newcomer(client: Client) -> str:
    """The id of who comes next."""
    while True:
        event = await client.receive()
        if isinstance(event, PeerEvent) and event.event == "joined":
            return event.peer


def offer_of(sdp: str) -> str:
    return json.dumps({"sdp": sdp, "commit": commitment(os.urandom(32))})


async def offering(change: Callable[[str], str] = str) -> str:
    """An offer of somebody who will never be there."""
    connection = Connection()
    connection.create_channel(CONTROL)
    try:
        return offer_of(change(await connection.offer()))
    finally:
        await connection.close()


async def failure(room: Room, of: str) -> peer.PeerError:
    await until(lambda: of in room.failures)
    return room.failures[of]


# Faults

NONSENSE: dict[str, Callable[[str], str]] = {
    "an odd port": lambda sdp: sdp.replace("m=application 9", "m=application/9 9"),
    "a second section": lambda sdp: sdp + "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\n",
    "no section": lambda sdp: sdp.partition("m=")[0],
    "no credentials": lambda sdp: sdp.replace("a=ice-", "a=x-"),
    "an odd role": lambda sdp: sdp.replace("setup:active", "setup:actpass"),
    "a proposal of another kind": lambda sdp: sdp + "a=sctp-init:AAAA\r\n",
    "nothing": lambda sdp: "",
    "other characters": lambda sdp: "\u2028\x00" + sdp,
}


async def test_offers_that_make_no_sense_end_no_other_link(server: SignalingServer) -> None:
    config = LinkConfig(attempts=1, timeouts=Timeouts(description=5.0, path=5.0))
    async with nothing_left_behind(), lobby(server, config) as (first, second, _, _):
        waiting = asyncio.create_task(first.link())
        for room in (first, second):
            for change in NONSENSE.values():
                async with stranger(server) as client:
                    # Earlier peers offer; their answer is as good a place for nonsense.
                    theirs = await client.expect(SignalFrom)
                    while theirs.from_ != room.me or theirs.kind is not SignalKind.OFFER:
                        theirs = await client.expect(SignalFrom)
                    await client.send(answer_to(theirs, change))
                    error = await failure(room, client.peer)
                    assert error.__traceback__ is None and error.__context__ is None
        assert not waiting.done()
        waiting.cancel()


def answer_to(offer: SignalFrom, change: Callable[[str], str]) -> Signal:
    sdp = json.loads(offer.data)["sdp"].replace("a=setup:actpass", "a=setup:active")
    body = json.dumps({"sdp": change(sdp), "nonce": b64u_encode(os.urandom(32))})
    return Signal(to=offer.from_, link=offer.link, gen=offer.gen, kind=SignalKind.ANSWER, data=body)


@pytest.mark.parametrize("change", ["m=application/9 9", "m=audio 9"])
async def test_an_offer_that_makes_no_sense_ends_the_link_with_who_sent_it(
    server: SignalingServer, change: str
) -> None:
    async with nothing_left_behind(), stranger(server) as client:
        data = await offering(lambda sdp: sdp.replace("m=application 9", change))
        async with lobby(server) as (first, second, _, _):
            for room in (first, second):
                assert await newcomer(client) == room.me
                await client.send(
                    Signal(to=room.me, link="L", gen=0, kind=SignalKind.OFFER, data=data)
                )
            for room in (first, second):
                assert isinstance(await failure(room, client.peer), ProtocolError)


@pytest.mark.parametrize("name", ["answer", "add_candidate", "offer", "accept_answer"])
async def test_a_fault_that_nobody_has_foreseen_ends_one_link(
    server: SignalingServer, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    real, broken = getattr(Connection, name), asyncio.Event()

    def faulty(self: Connection, *arguments: str) -> object:
        if broken.is_set():
            raise ZeroDivisionError(name)
        return real(self, *arguments)

    monkeypatch.setattr(Connection, name, faulty)
    config = LinkConfig(timeouts=Timeouts(description=2.0, path=2.0))
    async with nothing_left_behind(), lobby(server, config) as (first, second, _, _):
        broken.set()
        async with peer.join(server.urls[0], room="lobby", name="cat", config=config) as third:
            errors = [
                await failure(first, third.me),
                await failure(second, third.me),
                await failure(third, first.me),
            ]
            assert any(isinstance(error, ProtocolError) for error in errors)
            broken.clear()
        async with peer.join(server.urls[0], room="lobby", name="cat", config=config) as third:
            await asyncio.gather(first.link(), second.link(), third.link(), third.link())


@pytest.mark.parametrize("name", ["receive_signal", "description_made", "peer_left", "get_timer"])
async def test_a_fault_of_the_negotiation_ends_one_link(
    server: SignalingServer, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    async with nothing_left_behind(), lobby(server) as (first, _, _, _):

        def faulty(self: Negotiation, *arguments: object, **named: object) -> object:
            raise ZeroDivisionError(name)

        with monkeypatch.context() as context:
            context.setattr(Negotiation, name, faulty)
            async with stranger(server) as client:
                await client.send(
                    Signal(to=first.me, link="L", gen=0, kind=SignalKind.BYE, data="{}")
                )
                us = client.peer
            assert isinstance(await failure(first, us), peer.PeerError)


async def test_no_signal_of_a_stranger_touches_another_link(server: SignalingServer) -> None:
    bodies = ["{}", "nonsense", '{"code":"verification_failed"}', "[" * 9000]
    async with nothing_left_behind(), lobby(server) as (first, second, _, _):
        waiting = asyncio.create_task(second.link())
        for kind in SignalKind:
            async with stranger(server) as client:
                for _ in range(2):
                    theirs = await client.expect(SignalFrom)
                    for link in ("L", theirs.link):
                        for data in bodies:
                            to = theirs.from_
                            await client.send(Signal(to=to, link=link, gen=0, kind=kind, data=data))
            for room in (first, second):  # which has read all that came before by then
                await failure(room, client.peer)
        assert not waiting.done()
        waiting.cancel()


async def test_a_stranger_who_was_there_first_sends_nobody_away(server: SignalingServer) -> None:
    config = LinkConfig(timeouts=Timeouts(description=1.0))
    async with (
        nothing_left_behind(),
        stranger(server) as client,
        peer.join(server.urls[0], room="lobby", config=config) as room,
    ):
        waiting = asyncio.create_task(room.link())
        await failure(room, client.peer)
        async with peer.join(server.urls[0], room="lobby") as friend:
            link = await waiting
            assert link.peer.id == friend.me


@pytest.mark.parametrize("code", ["wrong_code", "too_many_guesses", "verification_failed"])
async def test_what_a_stranger_claims_who_was_there_first_sends_nobody_away(
    server: SignalingServer, code: str
) -> None:
    where = {"room": "lobby", "password": "right"}
    async with (
        nothing_left_behind(),
        stranger(server) as client,
        peer.join(server.urls[0], **where) as room,  # type: ignore[arg-type]
    ):
        assert await newcomer(client) == room.me
        data = json.dumps({"code": code})
        await client.send(Signal(to=room.me, link="L", gen=0, kind=SignalKind.BYE, data=data))
        assert isinstance(await failure(room, client.peer), PeerLeft)
        async with peer.join(server.urls[0], **where) as friend:  # type: ignore[arg-type]
            await asyncio.gather(room.link(), friend.link())
        assert room._wrong_guesses == 0


async def test_who_is_told_of_a_failure_is_still_in_the_room(server: SignalingServer) -> None:
    async with (
        peer.join(server.urls[0], room="demo", password="right") as first,
        peer.join(server.urls[0], room="demo", password="wrong") as wrong,
    ):
        with pytest.raises(WrongCode, match="password"):
            await wrong.link()
        async with peer.join(server.urls[0], room="demo", password="wrong") as friend:
            links = await asyncio.gather(wrong.link(), friend.link())
            assert all(link.authenticated for link in links)
        assert isinstance(first.failures[wrong.me], WrongCode)


# Leftovers


def kept() -> Counter[str]:
    gc.collect()
    kinds = (type(each) for each in gc.get_objects())
    ours = (kind for kind in kinds if str(kind.__module__).partition(".")[0] in PACKAGES)
    return Counter(kind.__qualname__ for kind in ours if kind.__name__ in KEPT)


async def settled(room: Room) -> None:
    """Wait until nothing is being set up any more."""
    await until(lambda: not room._roster.setting_up)


@pytest.mark.parametrize("waits", [True, False], ids=["seen off", "at once"])
async def test_strangers_who_come_and_go_leave_nothing(
    server: SignalingServer, waits: bool
) -> None:
    async with lobby(server) as (first, second, _, _):
        await asyncio.sleep(0)
        before, sockets, tasks = kept(), open_sockets(), len(other_tasks())
        for _ in range(20):
            async with stranger(server) as client:
                if waits:
                    await client.expect(SignalFrom)
        for room in (first, second):
            await settled(room)
        assert kept() == before
        assert len(open_sockets() - sockets) <= 0
        assert len(other_tasks()) <= tasks


async def test_failures_are_remembered_up_to_a_bound(
    server: SignalingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("peer.room.roster.MAX_FAILURES", 4)
    async with peer.join(server.urls[0], room="lobby", password="x") as room:
        for _ in range(6):
            async with stranger(server):
                pass
        await settled(room)
        assert len(room.failures) == 4
        assert not room._setups


async def test_offers_again_and_again_are_answered_a_few_times_and_leave_nothing(
    server: SignalingServer,
) -> None:
    config = LinkConfig(timeouts=Timeouts(path=0.5))
    async with stranger(server) as client:
        data = await offering()
        async with peer.join(server.urls[0], room="lobby", config=config) as room:
            before, sockets = kept(), open_sockets()
            assert await newcomer(client) == room.me
            for gen in range(40):
                await client.send(
                    Signal(to=room.me, link="L", gen=gen, kind=SignalKind.OFFER, data=data)
                )
            assert isinstance(await failure(room, client.peer), NoPath)
            await settled(room)
            assert kept() == before
            assert open_sockets() <= sockets


async def test_no_more_than_some_connections_are_tried_at_once(
    server: SignalingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("peer.room.room.MAX_CONNECTING", 2)
    trying, most = 0, 0
    real = Connection.offer

    async def counted(self: Connection) -> str:
        nonlocal trying, most
        trying += 1
        most = max(most, trying)
        try:
            return await real(self)
        finally:
            trying -= 1

    monkeypatch.setattr(Connection, "offer", counted)
    config = LinkConfig(timeouts=Timeouts(description=0.3))
    async with (
        nothing_left_behind(),
        peer.join(server.urls[0], room="lobby", config=config) as room,
        contextlib.AsyncExitStack() as stack,
    ):
        clients = [await stack.enter_async_context(stranger(server)) for _ in range(8)]
        for client in clients:
            await failure(room, client.peer)
        assert 1 <= most <= 2
        monkeypatch.setattr(Connection, "offer", real)
        async with peer.join(server.urls[0], room="lobby") as friend:
            await asyncio.gather(room.link(), friend.link(timeout=20))


async def test_strangers_who_take_all_places_and_never_answer_keep_nobody_out(
    server: SignalingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("peer.room.room.MAX_CONNECTING", 2)
    monkeypatch.setattr("peer.room.room.CONNECTING_PATIENCE", 0.1)
    config = LinkConfig(attempts=1)  # nobody comes back, so that the friend need not be fast
    async with (
        nothing_left_behind(),
        peer.join(server.urls[0], room="lobby", config=config) as room,
        contextlib.AsyncExitStack() as stack,
    ):
        for _ in range(6):
            await stack.enter_async_context(stranger(server))
        async with peer.join(server.urls[0], room="lobby") as friend:
            links = await asyncio.gather(room.link(timeout=20), friend.link(timeout=20))
            assert links[0].peer.id == friend.me


async def test_links_that_nobody_takes_are_bounded(
    server: SignalingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("peer.room.link_queue.MAX_UNTAKEN", 2)
    async with nothing_left_behind(), peer.join(server.urls[0], room="lobby") as room:
        for _ in range(4):
            async with peer.join(server.urls[0], room="lobby") as guest:
                await guest.link()
        async with contextlib.AsyncExitStack() as stack:
            guests = [
                await stack.enter_async_context(peer.join(server.urls[0], room="lobby"))
                for _ in range(3)
            ]
            for guest in guests:
                with contextlib.suppress(peer.PeerError):
                    await guest.link(timeout=20)
            await settled(room)
            assert len(room._queue) <= 2
