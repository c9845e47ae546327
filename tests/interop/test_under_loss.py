"""Against stock aiortc and libwebrtc over a path that loses and reorders packets."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import random
from collections.abc import AsyncIterator

import aiortc
import pytest

from peer.config import ChannelParameters
from peer.rtc import Connection
from tests.support.connections import CONTROL, RecordingHandler, recorded
from tests.support.libwebrtc import Foreign, Meeting
from tests.support.lossy import LossyPath

pytestmark = pytest.mark.interop

STACKS = ("aiortc", "libwebrtc")
PIECE = 16_384
ETHERNET = 1472
"""UDP payload bytes of a packet of 1500."""


@contextlib.asynccontextmanager
async def meeting(stack: str, we_offer: bool, path: LossyPath) -> AsyncIterator[Meeting]:
    """We and another stack, connected through a relay."""
    ours = Connection(engine="peerline")
    foreign = Foreign(aiortc if stack == "aiortc" else None)
    control = RecordingHandler(ours.create_channel(CONTROL))
    foreign_control = foreign.create_channel(CONTROL)
    incoming = recorded(ours)
    try:
        async with asyncio.timeout(50):
            if we_offer:
                offer = await path.rewrite(await ours.offer(), "ours")
                answer = await path.rewrite(await foreign.answer(offer), "theirs")
                await ours.accept_answer(answer)
            else:
                offer = await path.rewrite(await foreign.offer(), "theirs")
                answer = await path.rewrite(await ours.answer(offer), "ours")
                await foreign.accept_answer(answer)
            await ours.connected()
            await foreign_control.opened.wait()
            yield Meeting(ours, foreign, control, foreign_control, incoming)
    finally:
        await asyncio.gather(ours.close(), foreign.pc.close())
        await path.close()


def pieces(seed: int, size: int) -> list[bytes]:
    source = random.Random(seed)
    return [source.randbytes(min(PIECE, size - at)) for at in range(0, size, PIECE)]


async def digest_of(queue: asyncio.Queue[str | bytes], size: int) -> str:
    hashed, count = hashlib.sha256(), 0
    while count < size:
        message = await queue.get()
        assert isinstance(message, bytes)
        hashed.update(message)
        count += len(message)
    return hashed.hexdigest()


@pytest.mark.parametrize("we_offer", [True, False], ids=["we offer", "they offer"])
@pytest.mark.parametrize("stack", STACKS)
async def test_streams_arrive_whole_both_ways_under_loss(stack: str, we_offer: bool) -> None:
    path = LossyPath(loss=0.03, reorder=0.02, mtu=ETHERNET)
    # Stock aiortc recovers from losses at a round trip of a second each.
    there, back = pieces(1, 3_000_000), pieces(2, 300_000 if stack == "aiortc" else 3_000_000)
    async with meeting(stack, we_offer, path) as met:
        for piece in there:
            met.control.channel.send(piece)
        for piece in back:
            met.foreign_control.raw.send(piece)
        got_there, got_back = await asyncio.gather(
            digest_of(met.foreign_control.messages, sum(map(len, there))),
            digest_of(met.control.messages, sum(map(len, back))),
        )
    assert got_there == hashlib.sha256(b"".join(there)).hexdigest()
    assert got_back == hashlib.sha256(b"".join(back)).hexdigest()
    assert path.lost > 20 and path.overtaken > 10  # it was as bad as that


@pytest.mark.parametrize("stack", STACKS)
async def test_what_was_sent_before_closing_arrives_under_loss(stack: str) -> None:
    path = LossyPath(loss=0.05, reorder=0.02)
    async with meeting(stack, True, path) as met:
        for turn in range(3):
            ours, theirs = await met.channel(
                ChannelParameters(label=f"turn {turn}"), opened_by_us=True
            )
            for piece in pieces(turn, 200_000):
                ours.channel.send(piece)
            ours.channel.close()
            assert await digest_of(theirs.messages, 200_000) == (
                hashlib.sha256(b"".join(pieces(turn, 200_000))).hexdigest()
            )
            await asyncio.gather(ours.closed.wait(), theirs.closed.wait())
            assert ours.clean is True
    assert path.lost > 10


@pytest.mark.parametrize("stack", STACKS)
async def test_packets_grow_until_they_fill_ethernet(stack: str) -> None:
    path = LossyPath()
    sent = pieces(3, 1_000_000)
    async with meeting(stack, True, path) as met:
        met.control.channel.send("first")  # the path is probed meanwhile
        assert await met.foreign_control.messages.get() == "first"
        for piece in sent:
            met.control.channel.send(piece)
        got = await digest_of(met.foreign_control.messages, 1_000_000)
        assert got == hashlib.sha256(b"".join(sent)).hexdigest()
    assert 1460 <= path.largest["theirs"] <= ETHERNET


@pytest.mark.parametrize("stack", STACKS)
async def test_a_path_that_carries_less_is_found_out(stack: str) -> None:
    path = LossyPath(mtu=1420, loss=0.01)
    sent = pieces(4, 1_000_000)
    async with meeting(stack, False, path) as met:
        for piece in sent:
            met.control.channel.send(piece)
        got = await digest_of(met.foreign_control.messages, 1_000_000)
        assert got == hashlib.sha256(b"".join(sent)).hexdigest()
    assert path.largest["theirs"] <= 1420
