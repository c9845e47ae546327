"""Against werift, a WebRTC in TypeScript, over a path that loses and reorders packets.

werift 0.24.4 has defects of its own, read in its source, that leave the following out:

- It repeats DTLS records under their old sequence numbers, which every other stack takes for
  replays (RFC 6347, 4.1.2.6): the path is good until both are connected.
- An empty message leaves no packet, but uses up a number of its stream, and whatever follows waits
  for ever: it is never asked for one.
- It takes "no retransmissions" for "any number", and compares a lifetime in seconds with a deadline
  in milliseconds: whatever it sends arrives, however late.
- It forgets that a channel is unordered when it announces it together with either limit.
- Closing does not wait for what is buffered; and it takes the answer to its reset of a stream for
  one that concerns the channel that has the number by then.
- When a gap closes, it hands up the messages that waited for it only as far as their TSNs follow
  each other: with another stream's in between, the rest waits for the next chunk of the stream. So
  what is the last on its stream is not sent while another stream sends, too.
- It leaves without a word: neither ABORT nor close_notify.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from lab.link import Link
from lab.lossy_relay import LossyRelay
from peer.config import ChannelParameters
from tests.support.stacks.npm import werift
from tests.support.stacks.program import Program
from tests.support.stacks.remote import (
    ETHERNET,
    Meeting,
    described,
    meeting,
    pieces,
)

pytestmark = [pytest.mark.interop, pytest.mark.asyncio(loop_scope="module")]

LARGE = {"maxMessageSize": 262_144}
SIZES = (1, 1199, 1200, 1201, 16_384, 65_536, 262_144)
PIECE, PIECES = 16_384, 64
LIFETIME = 0.2
MODES = (
    ChannelParameters(label="plain", protocol="example.1"),
    ChannelParameters(label="unordered", ordered=False),
    ChannelParameters(label="no-retransmits", max_retransmits=0),
    ChannelParameters(label="lifetime", max_lifetime=LIFETIME),
    ChannelParameters(label="negotiated", id=20),
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def other() -> AsyncIterator[Program]:
    async with werift() as other:
        yield other


@contextlib.asynccontextmanager
async def lossy_meeting(
    other: Program, we_offer: bool, *, loss: float = 0.02, settings: dict[str, Any] | None = None
) -> AsyncIterator[Meeting]:
    """We and werift, connected by a path that loses and reorders from then on."""
    path = LossyRelay(Link(mtu=ETHERNET))
    async with meeting(other, we_offer, path, settings) as met:
        path.change(loss=loss, reorder=0.02)
        yield met


both_offers = pytest.mark.parametrize("we_offer", [True, False], ids=["we offer", "werift offers"])


@both_offers
async def test_messages_of_every_size_come_and_go(other: Program, we_offer: bool) -> None:
    async with lossy_meeting(other, we_offer, settings=LARGE) as met:
        assert met.ours.max_message_size == 262_144
        await met.control.come_back(*(pieces(size, size, 1)[0] for size in SIZES))
        await met.control.come_back(*("☃" * (size // 3) for size in SIZES[1:]))
        for empty in ("", b""):
            met.control.ours.channel.send(empty)
            assert await met.control.call("take") == described(empty)
        await met.control.come_back("still here")


@both_offers
async def test_channels_of_every_mode_carry_messages(other: Program, we_offer: bool) -> None:
    async with meeting(other, we_offer, LossyRelay(Link(mtu=ETHERNET))) as met:
        assert met.ours.max_message_size == 65_536
        with pytest.raises(ValueError, match="65536"):
            met.control.ours.channel.send(bytes(65_537))
        pairs = await met.channels(MODES)
        await asyncio.gather(*(pair.come_back("ünï ☃", b"bytes", bytes(5000)) for pair in pairs))


@both_offers
async def test_streams_arrive_whole_both_ways_at_once(other: Program, we_offer: bool) -> None:
    async with lossy_meeting(other, we_offer) as met:
        await met.stream_both_ways(PIECE, PIECES)
    assert met.path.lost > 10 and met.path.overtaken > 10  # it was as bad as that


@both_offers
async def test_messages_that_we_do_not_send_again_are_lost_alone(
    other: Program, we_offer: bool
) -> None:
    async with lossy_meeting(other, we_offer, loss=0.0) as met:
        for ordered in (True, False):
            once = ChannelParameters(label="once", ordered=ordered, max_retransmits=0)
            pair = await met.channel(once, opened_by_us=True)
            met.path.change(loss=0.05)
            met.path.disturbed.clear()
            await pair.count(True, range(300), 1000)
            numbers = await pair.close(True)
            met.path.change(loss=0.0)
            # A datagram has parts of two messages at most. But ordered messages that
            # wait for an earlier one may be dropped together with it, although they have arrived.
            spoilt = 2 * met.path.disturbed["theirs"]
            assert (200 if ordered else 300 - spoilt) <= len(numbers) < 300
            assert len(set(numbers)) == len(numbers)
            assert not ordered or numbers == sorted(numbers)
        await met.control.come_back("still here")


@both_offers
async def test_messages_of_ours_that_outlive_their_lifetime_never_arrive(
    other: Program, we_offer: bool
) -> None:
    async with lossy_meeting(other, we_offer, loss=0.0) as met:
        await met.outlive(LIFETIME)


@both_offers
async def test_closing_from_either_side_brings_what_was_sent(
    other: Program, we_offer: bool
) -> None:
    async with lossy_meeting(other, we_offer) as met:
        pairs = [
            (by_us, await met.channel(ChannelParameters(label="short"), opened_by_us=opened_by_us))
            for by_us in (True, False)
            for opened_by_us in (True, False)
        ]
        for _, pair in pairs:
            await pair.come_back("both have sent")
        for by_us, pair in pairs:
            await pair.send_and_close(by_us, PIECE)


@both_offers
async def test_a_closed_channels_number_is_free_again(other: Program, we_offer: bool) -> None:
    agreed, told = ChannelParameters(label="again", id=30), ChannelParameters(label="told")
    async with meeting(other, we_offer, LossyRelay(Link(mtu=ETHERNET))) as met:

        async def use_twice(parameters: ChannelParameters, opened_by_us: bool) -> int:
            ids = set()
            for by_us in (True, False):
                pair = await met.channel(parameters, opened_by_us=opened_by_us)
                ids.add(pair.ours.channel.id)
                await pair.come_back("both have sent")
                await pair.send_and_close(by_us, PIECE)
                await met.control.come_back("our answer to its reset has arrived")
            return len(ids)

        # werift takes the lowest number that is free; we, one that has rested.
        assert await use_twice(agreed, True) == 1
        assert await use_twice(told, False) == 1
        assert await use_twice(told, True) == 2


@both_offers
async def test_our_leaving_ends_werifts_channels(other: Program, we_offer: bool) -> None:
    async with meeting(other, we_offer, LossyRelay()) as met:
        await met.ours.close()
        await met.control.call("closed")
