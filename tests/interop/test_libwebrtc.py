"""Against libwebrtc, the WebRTC of Chrome: both roles, every mode of channel, every size."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from peer.config import ChannelParameters
from peer.errors import ChannelClosed
from tests.support.stacks.libwebrtc import ForeignChannel, Meeting, meeting

pytestmark = pytest.mark.interop

MODES = {
    "plain": ChannelParameters(label="plain"),
    "unordered": ChannelParameters(label="unordered", ordered=False),
    "retransmits": ChannelParameters(label="retransmits", ordered=False, max_retransmits=3),
    "no-retransmits": ChannelParameters(label="no-retransmits", max_retransmits=0),
    "lifetime": ChannelParameters(label="lifetime", ordered=False, max_lifetime=0.5),
    "protocol": ChannelParameters(label="protocol", protocol="example.1"),
    "negotiated": ChannelParameters(label="negotiated", id=20),
    "empty-label": ChannelParameters(),
}
SIZES = [0, 1, 1199, 1200, 16_384, 65_536, 200_000, 262_144]


@pytest.fixture(params=["peerline", "aiortc"])
def engine(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest_asyncio.fixture(params=["we offer", "libwebrtc offers"])
async def met(request: pytest.FixtureRequest, engine: Any) -> AsyncIterator[Meeting]:
    async with meeting(we_offer=request.param == "we offer", engine=engine) as made:
        yield made


def payload(size: int) -> bytes:
    return hashlib.shake_128(str(size).encode()).digest(size)


@pytest.mark.parametrize("opened_by_us", [True, False], ids=["by us", "by libwebrtc"])
@pytest.mark.parametrize("mode", MODES)
async def test_a_channel_of_every_mode_carries_messages_both_ways(
    met: Meeting, mode: str, opened_by_us: bool
) -> None:
    parameters = MODES[mode]
    ours, theirs = await met.channel(parameters, opened_by_us=opened_by_us)
    assert theirs.raw.label == parameters.label
    assert theirs.raw.ordered == parameters.ordered
    assert theirs.raw.maxRetransmits == parameters.max_retransmits
    lifetime = theirs.raw.maxPacketLifeTime
    assert (None if lifetime is None else lifetime / 1000) == parameters.max_lifetime
    assert theirs.raw.protocol == parameters.protocol
    if parameters.id is None:
        assert ours.channel.parameters == parameters
    assert ours.channel.id == theirs.raw.id
    for message in ("text", b"bytes", "ünï ☃"):
        ours.channel.send(message)
        assert await theirs.messages.get() == message
        theirs.raw.send(message)
        assert await ours.messages.get() == message


async def test_messages_of_every_size_arrive_byte_for_byte(met: Meeting) -> None:
    for size in SIZES:
        message = payload(size)
        met.control.channel.send(message)
        assert await met.foreign_control.messages.get() == message
        met.foreign_control.raw.send(message)
        assert await met.control.messages.get() == message
    text = "☃" * (262_144 // 3)
    met.control.channel.send(text)
    assert await met.foreign_control.messages.get() == text
    met.foreign_control.raw.send(text)
    assert await met.control.messages.get() == text
    for empty in ("", b""):
        met.control.channel.send(empty)
        assert await met.foreign_control.messages.get() == empty
        met.foreign_control.raw.send(empty)
        assert await met.control.messages.get() == empty


async def test_a_stream_of_messages_arrives_whole_and_in_order(met: Meeting) -> None:
    messages = [payload(size) for size in (65_536, 1, 40_000) * 15]
    digest = hashlib.sha256(b"".join(messages)).digest()

    async def heard(queue: asyncio.Queue[str | bytes]) -> bytes:
        received = [await queue.get() for _ in messages]
        return hashlib.sha256(b"".join(m for m in received if isinstance(m, bytes))).digest()

    for message in messages:
        met.control.channel.send(message)
        met.foreign_control.raw.send(message)
    results = await asyncio.gather(heard(met.foreign_control.messages), heard(met.control.messages))
    assert set(results) == {digest}


async def test_many_small_unordered_messages_all_arrive(met: Meeting) -> None:
    ours, theirs = await met.channel(MODES["unordered"], opened_by_us=True)
    messages = {str(number) for number in range(200)}
    for message in messages:
        ours.channel.send(message)
        theirs.raw.send(message)
    assert {await theirs.messages.get() for _ in messages} == messages
    assert {await ours.messages.get() for _ in messages} == messages


async def test_the_sizes_that_each_side_accepts_are_known(met: Meeting) -> None:
    assert met.ours.max_message_size == 262_144
    with pytest.raises(ValueError, match="262144"):
        met.control.channel.send(bytes(262_145))
    met.control.channel.send("still open")
    assert await met.foreign_control.messages.get() == "still open"


@pytest.mark.parametrize("closed_by_us", [True, False], ids=["by us", "by libwebrtc"])
async def test_closing_a_channel_closes_both_ends_and_frees_its_number(
    met: Meeting, closed_by_us: bool
) -> None:
    parameters = ChannelParameters(label="again", id=30)
    for turn in range(2):
        ours, theirs = await met.channel(parameters, opened_by_us=True)
        ours.channel.send(f"turn {turn}")
        assert await theirs.messages.get() == f"turn {turn}"
        if closed_by_us:
            ours.channel.close()
        else:
            theirs.raw.close()
        await asyncio.gather(ours.closed.wait(), theirs.closed.wait())
        assert ours.clean is True
        with pytest.raises(ChannelClosed):
            ours.channel.send("too late")


async def test_channels_can_be_opened_late_by_both_at_once(met: Meeting) -> None:
    async def use(opened_by_us: bool) -> ForeignChannel:
        ours, theirs = await met.channel(ChannelParameters(label="late"), opened_by_us=opened_by_us)
        ours.channel.send("x")
        assert await theirs.messages.get() == "x"
        return theirs

    first, second = await asyncio.gather(use(True), use(False))
    assert first.raw.id != second.raw.id


async def test_libwebrtc_leaving_ends_our_connection(met: Meeting) -> None:
    ended: asyncio.Future[Exception] = asyncio.get_running_loop().create_future()
    met.ours.on_ended = ended.set_result
    await met.foreign.pc.close()
    await met.control.closed.wait()
    assert met.control.clean is False
    await ended


async def test_our_leaving_ends_libwebrtcs_channels(met: Meeting) -> None:
    await met.ours.close()
    await met.foreign_control.closed.wait()


async def test_the_path_is_known(met: Meeting) -> None:
    assert met.ours.path is not None
    assert met.ours.path.kind == "direct"
    assert len(met.ours.remote_fingerprint) == 32
