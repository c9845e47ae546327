"""TURN, against a real coturn: relay-only peers, live and dead servers, wrong credentials."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import cast

import pytest
import pytest_asyncio

from peer.errors import NoPath
from peer.rtc import Connection, GatheringTimes
from peer.rtc.ice.relay import RelayTransport
from peer.rtc.sdp import candidate_lines
from signaling.ice_servers import IceServer
from tests.support.links.connections import CONTROL, RecordingHandler, connected_pair
from tests.support.processes.leftovers import nothing_left_behind
from tests.support.servers.coturn import Coturn, running_coturn
from tests.support.servers.stun import running_stun_server

pytestmark = pytest.mark.turn

FOREVER = 3600.0


@pytest_asyncio.fixture
async def coturn(tmp_path: Path) -> AsyncIterator[Coturn]:
    async with running_coturn(tmp_path) as server:
        yield server


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_relay_only_peers_talk_through_the_server(coturn: Coturn, transport: str) -> None:
    async with (
        nothing_left_behind(),
        connected_pair([coturn.entry(transport)], policy="relay") as (ours, theirs, offerer, _),
    ):
        assert offerer.path is not None
        assert offerer.path.kind == "relayed"
        assert offerer.path.local_type == "relay"
        payload = bytes(range(256)) * 256
        ours.channel.send(payload)
        assert await theirs.messages.get() == payload


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_a_stream_arrives_whole_through_the_server(coturn: Coturn, transport: str) -> None:
    pieces = [bytes([n]) * 65_536 for n in range(48)]  # 3 MB
    async with (
        nothing_left_behind(),
        connected_pair([coturn.entry(transport)], policy="relay") as (ours, theirs, _, _),
    ):
        for piece in pieces:
            ours.channel.send(piece)
        received = hashlib.sha256()
        for _ in pieces:
            message = await theirs.messages.get()
            assert isinstance(message, bytes)
            received.update(message)
            theirs.channel.consume()
    assert received.digest() == hashlib.sha256(b"".join(pieces)).digest()


async def test_relay_only_peers_show_no_address_of_their_own(coturn: Coturn) -> None:
    connection = Connection([coturn.entry()], policy="relay")
    connection.create_channel(CONTROL)
    try:
        lines = candidate_lines(await connection.offer())
        assert lines
        for line in lines:
            assert " typ relay " in line
            assert line.endswith("raddr 0.0.0.0 rport 9")
    finally:
        await connection.close()


async def test_a_direct_path_is_preferred_to_the_relay(coturn: Coturn) -> None:
    async with connected_pair([coturn.entry()]) as (_, _, offerer, _):
        assert offerer.path is not None
        assert offerer.path.kind == "direct"


async def test_a_dead_server_listed_first_does_not_stand_in_the_way(coturn: Coturn) -> None:
    async with running_stun_server(answering=False) as dead:
        dead_turn = IceServer(
            urls=(dead.entry.urls[0].replace("stun:", "turn:"),), username="a", credential="b"
        )
        times = GatheringTimes(relay=FOREVER, limit=FOREVER)
        async with connected_pair(
            [dead_turn, dead.entry, coturn.entry()], policy="relay", times=times
        ) as (ours, theirs, _, _):
            ours.channel.send("hello")
            assert await theirs.messages.get() == "hello"


async def test_wrong_credentials_are_named_in_the_error(coturn: Coturn) -> None:
    async with nothing_left_behind():
        connection = Connection([coturn.entry(credential="wrong")], policy="relay")
        connection.create_channel(CONTROL)
        with pytest.raises(NoPath, match=r"turn:127.0.0.1:\d+.* refuses: 401"):
            await connection.offer()
        await connection.close()


async def test_a_relay_that_answers_late_is_still_used(coturn: Coturn) -> None:
    times = GatheringTimes(grace=0.0)
    async with connected_pair([coturn.entry()], times=times) as (ours, theirs, _, _):
        ours.channel.send("hello")
        assert await theirs.messages.get() == "hello"


async def test_closing_leaves_nothing_behind_after_the_server_died(coturn: Coturn) -> None:
    async with (
        nothing_left_behind(),
        connected_pair([coturn.entry()], policy="relay") as (ours, theirs, _, _),
    ):
        ours.channel.send("hello")
        assert await theirs.messages.get() == "hello"
        await coturn.kill()


async def test_one_allocation_is_held_and_udp_comes_first(coturn: Coturn) -> None:
    servers = [coturn.entry("tcp"), coturn.entry("udp"), coturn.entry("udp")]
    async with nothing_left_behind(), connected_pair(servers, policy="relay") as (_, _, one, two):
        for connection in (one, two):
            relays = [p for p in connection._ice._protocols if p.local_candidate.type == "relay"]
            assert len(relays) == 1
            carrier = cast(RelayTransport, relays[0].transport).carrier
            assert hasattr(carrier, "sendto")


async def test_tcp_is_used_where_the_server_does_not_answer_over_udp(coturn: Coturn) -> None:
    async with running_stun_server(answering=False) as dead:
        silent = IceServer(
            urls=(dead.entry.urls[0].replace("stun:", "turn:"),), username="a", credential="b"
        )
        async with connected_pair([silent, coturn.entry("tcp")], policy="relay") as (_, _, one, _):
            assert one.path is not None
            (relay,) = (p for p in one._ice._protocols if p.local_candidate.type == "relay")
            assert relay.local_candidate.priority >> 8 == 65535 >> 1


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_what_is_lost_on_the_way_is_repeated_through_the_relay(
    coturn: Coturn, transport: str
) -> None:
    """The first copy of each check and of each flight is lost: aioice's come later, or fail."""
    entry = coturn.entry(transport)
    ends = [Connection([entry], policy="relay", engine="peerline") for _ in range(2)]
    handlers = [RecordingHandler(end.create_channel(CONTROL)) for end in ends]
    repeated: set[bytes] = set()
    try:
        answer = await ends[1].answer(await ends[0].offer())
        for end in ends:
            for protocol in end._ice._protocols:
                _lose_first(cast(RelayTransport, protocol.transport), repeated)
        await ends[0].accept_answer(answer)
        async with asyncio.timeout(20):
            await asyncio.gather(*(end.connected() for end in ends))
            handlers[0].channel.send("hello")
            assert await handlers[1].messages.get() == "hello"
        assert any(data[0] < 4 for data in repeated)
        assert any(data[0] == 22 for data in repeated)
    finally:
        await asyncio.gather(*(end.close() for end in ends))


def _lose_first(transport: RelayTransport, repeated: set[bytes]) -> None:
    seen: set[bytes] = set()
    send = transport.sendto

    def sendto(data: bytes, addr: tuple[str, int]) -> None:
        if data in seen:
            repeated.add(bytes(data))
        elif data[0] in (0, 22):
            seen.add(bytes(data))
            return
        send(data, addr)

    transport.sendto = sendto  # type: ignore[method-assign]


async def test_every_address_of_a_turn_name_is_tried(
    coturn: Coturn, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def found(host: str) -> list[str]:
        assert host == "turn.example"
        return ["::1", "127.0.0.1"]

    monkeypatch.setattr("peer.rtc.ice.relay.look_up", found)
    for transport in ("udp", "tcp"):
        entry = coturn.entry(transport)
        urls = tuple(url.replace("127.0.0.1", "turn.example") for url in entry.urls)
        named = IceServer(urls=urls, username=entry.username, credential=entry.credential)
        async with nothing_left_behind():
            connection = Connection([named], policy="relay")
            connection.create_channel(CONTROL)
            assert " typ relay " in await connection.offer()
            await connection.close()
