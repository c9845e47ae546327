"""TURN, against a real coturn: relay-only peers, live and dead servers, wrong credentials."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from peer.errors import NoPath
from peer.rtc import Connection, GatheringTimes
from peer.rtc.sdp import candidate_lines
from signaling.ice_servers import IceServer
from tests.support.connections import CONTROL, connected_pair
from tests.support.coturn import Coturn, running_coturn
from tests.support.leftovers import nothing_left_behind
from tests.support.stun import running_stun_server

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
