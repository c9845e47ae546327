"""Against real Chromium and real Firefox over a path that loses and reorders packets."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace

import pytest
import pytest_asyncio

from lab.link import Link
from lab.lossy_relay import LossyRelay
from lab.namespaces import own_network
from peer.config import ChannelParameters
from peer.errors import ChannelClosed
from tests.support.browsers.bare_page import BROWSERS, BarePage, bare_page
from tests.support.stacks.remote import ETHERNET, Pair, meeting

pytestmark = [
    pytest.mark.interop,
    pytest.mark.browser,
    pytest.mark.asyncio(loop_scope="module"),
]

SIZES = (0, 1, 1200, 16_384, 65_536, 262_144)
PIECE, PIECES = 16_384, 128
MANY = 300
LIFETIME = 0.2
BRIEF = ChannelParameters(label="brief", max_lifetime=LIFETIME)
MODES = (
    ChannelParameters(label="plain", protocol="example.1"),
    ChannelParameters(label="unordered", ordered=False),
    ChannelParameters(label="negotiated", id=20),
)


@pytest.fixture(scope="module")
def network() -> Iterator[None]:
    with own_network():
        yield


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=BROWSERS)
async def page(
    request: pytest.FixtureRequest, network: None, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[BarePage]:
    async with bare_page(request.param, tmp_path_factory.mktemp("profile")) as page:
        yield page


async def numbers_until_closed(pair: Pair, by_us: bool, count: int, size: int) -> list[int]:
    """One side sends so many numbers and closes at once; which of them came."""
    await pair.count(by_us, range(count), size)
    return await pair.close(by_us)


both_offers = pytest.mark.parametrize(
    "we_offer", [True, False], ids=["we offer", "the browser offers"]
)


@both_offers
async def test_the_handshake_is_left_out_where_both_know_how(
    page: BarePage, we_offer: bool
) -> None:
    """draft-hancke-tsvwg-snap."""
    async with meeting(page, we_offer, LossyRelay()) as met:
        left_out = all("a=sctp-init:" in description for description in met.descriptions)
        assert left_out is (page.browser == "chromium without handshake")
        await met.control.come_back("hello")


@both_offers
async def test_messages_of_every_size_arrive_on_channels_of_every_mode(
    page: BarePage, we_offer: bool
) -> None:
    path = LossyRelay(Link(loss=0.02, reorder=0.02, mtu=ETHERNET))
    async with meeting(page, we_offer, path) as met:
        assert met.ours.max_message_size >= 262_144
        source = random.Random(1)
        await met.control.come_back(*map(source.randbytes, SIZES))
        await met.control.come_back(*("☃" * (size // 3) for size in SIZES))
        pairs = await met.channels(MODES)
        await asyncio.gather(
            *(pair.come_back("ünï ☃", b"", source.randbytes(65_536), "") for pair in pairs)
        )


@both_offers
async def test_streams_arrive_whole_both_ways_at_once(page: BarePage, we_offer: bool) -> None:
    path = LossyRelay(Link(loss=0.02, reorder=0.02, mtu=ETHERNET))
    async with meeting(page, we_offer, path) as met:
        await met.stream_both_ways(PIECE, PIECES)
    assert path.lost > 20 and path.overtaken > 20  # it was as bad as that


@both_offers
async def test_messages_that_are_not_sent_again_are_lost_alone(
    page: BarePage, we_offer: bool
) -> None:
    path = LossyRelay(Link(reorder=0.02, mtu=ETHERNET))
    async with meeting(page, we_offer, path) as met:
        for ordered in (True, False):
            once = ChannelParameters(label="once", ordered=ordered, max_retransmits=0)
            ours = await met.channel(once, opened_by_us=False)
            theirs = await met.channel(once, opened_by_us=True)
            path.change(loss=0.05)
            came = await asyncio.gather(
                numbers_until_closed(ours, True, MANY, 1000),
                numbers_until_closed(theirs, False, MANY, 1000),
            )
            path.change(loss=0.0)
            for numbers in came:
                assert 2 * MANY // 3 < len(numbers) < MANY
                assert len(set(numbers)) == len(numbers)
                assert not ordered or numbers == sorted(numbers)
        await met.control.come_back("still here")


@both_offers
async def test_messages_that_outlive_their_lifetime_never_arrive(
    page: BarePage, we_offer: bool
) -> None:
    path = LossyRelay(Link(reorder=0.02, mtu=ETHERNET))
    async with meeting(page, we_offer, path) as met:
        pairs = [
            (by_us, await met.channel(brief, opened_by_us=not by_us))
            for brief in (BRIEF, replace(BRIEF, ordered=False))
            for by_us in (True, False)
        ]
        await met.while_cut_off(
            2 * LIFETIME, *(pair.count(by_us, range(20), 1000) for by_us, pair in pairs)
        )
        for by_us, pair in pairs:
            await pair.count(by_us, range(20, 21), 1000)
        came = await asyncio.gather(*(pair.close(by_us) for by_us, pair in pairs))
        for (by_us, pair), numbers in zip(pairs, came, strict=True):
            assert set(numbers) >= {20}
            assert not pair.ours.channel.parameters.ordered or numbers == sorted(numbers)
            if by_us:
                assert numbers == [20]
            elif page.browser != "firefox":
                # Firefox 153 tells us of the lifetime, and then sends everything again regardless.
                assert len(numbers) < 20


@both_offers
async def test_closing_from_either_side_brings_what_was_sent_and_frees_the_number(
    page: BarePage, we_offer: bool
) -> None:
    path = LossyRelay(Link(loss=0.02, reorder=0.02, mtu=ETHERNET))
    async with meeting(page, we_offer, path) as met:
        agreed, told = ChannelParameters(label="again", id=30), ChannelParameters(label="told")

        async def use_twice(parameters: ChannelParameters, opened_by_us: bool) -> int:
            ids = set()
            for by_us in (True, False):
                pair = await met.channel(parameters, opened_by_us=opened_by_us)
                ids.add(pair.ours.channel.id)
                assert await numbers_until_closed(pair, by_us, 20, PIECE) == list(range(20))
                with pytest.raises(ChannelClosed):
                    pair.ours.channel.send("too late")
            return len(ids)

        # Both browsers take the lowest number that is free; we, one that has rested.
        numbers = await asyncio.gather(
            use_twice(agreed, True), use_twice(told, True), use_twice(told, False)
        )
        assert list(numbers) == [1, 2, 1]
