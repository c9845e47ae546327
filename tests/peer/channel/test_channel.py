"""Channels: order, bounds, backpressure, and what each kind of end looks like."""

from __future__ import annotations

import asyncio
import contextlib
from array import array
from collections.abc import AsyncIterator, Awaitable
from typing import Any, cast

import pytest

from peer.channel.channel import Channel
from peer.config import ChannelParameters, LinkConfig, Priority, Timeouts
from peer.errors import ChannelClosed, ChannelOverflow, LinkClosed, LinkLost, MessageTooLarge
from peer.rtc import Connection
from tests.support.links.link_pair import LinkPair, link_pair
from tests.support.waiting import until


@contextlib.asynccontextmanager
async def channel_pair(
    config: LinkConfig | None = None, other: LinkConfig | None = None, **parameters: Any
) -> AsyncIterator[tuple[Channel, Channel, LinkPair]]:
    async with link_pair(config, other) as pair, asyncio.timeout(30):
        ours = await pair.ours.open_channel("test", **parameters)
        theirs = await anext(pair.theirs.channels())
        yield ours, theirs, pair


def own_engine() -> Connection:
    """A connection with our SCTP, whatever the environment says: aiortc's does less."""
    return Connection(engine="peerline")


async def send_all(channel: Channel, messages: list[bytes]) -> None:
    for message in messages:
        await channel.send(message)


async def collected(channel: Channel) -> list[str | bytes]:
    return [message async for message in channel]


async def test_messages_arrive_in_order_as_they_were_sent() -> None:
    messages: list[str | bytes] = ["one", b"two", "", b"", "ünï ☃", bytes(70_000)]
    async with channel_pair() as (ours, theirs, _):
        for message in messages:
            await ours.send(message)
        await ours.close()
        assert await collected(theirs) == messages


async def test_both_sides_see_the_same_parameters() -> None:
    async with channel_pair(ordered=False, max_retransmits=2, protocol="example.1") as (
        ours,
        theirs,
        _,
    ):
        for channel in (ours, theirs):
            assert channel.label == "test"
            assert channel.protocol == "example.1"
            assert channel.ordered is False
            assert channel.max_retransmits == 2
            assert channel.max_lifetime is None
            assert channel.priority == 256
        assert ours.id == theirs.id
        assert "test" in repr(ours)


async def test_both_sides_know_the_priority() -> None:
    """RFC 8832, 5.1: the field of DATA_CHANNEL_OPEN; aiortc's own SCTP has no use for it."""
    async with link_pair(make_connection=own_engine) as pair, asyncio.timeout(30):
        for priority in (Priority.BELOW_NORMAL, Priority.EXTRA_HIGH, 1, 65535):
            ours = await pair.ours.open_channel("test", priority=priority)
            theirs = await anext(pair.theirs.channels())
            assert (ours.priority, theirs.priority) == (priority, priority)


async def test_bytes_like_messages_arrive_as_bytes() -> None:
    async with channel_pair() as (ours, theirs, _):
        await ours.send(bytearray(b"a"))
        await ours.send(memoryview(b"b"))
        assert [await theirs.receive(), await theirs.receive()] == [b"a", b"b"]


async def test_send_waits_above_the_high_water_mark() -> None:
    config = LinkConfig(high_water=100_000, low_water=10_000)
    async with channel_pair(config) as (ours, theirs, _):
        peak = 0
        for _ in range(10):
            await ours.send(bytes(50_000))
            peak = max(peak, ours.buffered)
        assert peak <= config.high_water + 50_000
        await ours.drain()
        assert ours.buffered <= config.low_water
        for _ in range(10):
            assert await theirs.receive() == bytes(50_000)


@pytest.mark.parametrize("high", [0, 1, 2000, 100_000])
async def test_a_high_water_mark_below_the_low_one_stops_nothing(high: int) -> None:
    async with channel_pair(LinkConfig(high_water=high)) as (ours, theirs, _):
        sending = asyncio.create_task(send_all(ours, [bytes(3000)] * 200))
        for _ in range(200):
            assert await theirs.receive() == bytes(3000)
        await sending


async def test_a_cancelled_send_sends_nothing() -> None:
    async with channel_pair(LinkConfig(high_water=0, low_water=0)) as (ours, theirs, _):
        # The engine takes the first at once; the second waits for it.
        ours.send_now(bytes(200_000))
        ours.send_now(bytes(200_000))
        waiting = asyncio.create_task(ours.send("never"))
        await asyncio.sleep(0)
        waiting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await waiting
        await ours.send("after")
        assert await theirs.receive() == bytes(200_000)
        assert await theirs.receive() == bytes(200_000)
        assert await theirs.receive() == "after"


async def test_a_cancelled_receive_loses_nothing() -> None:
    async with channel_pair() as (ours, theirs, _):
        waiting = asyncio.create_task(theirs.receive())
        await asyncio.sleep(0)
        waiting.cancel()
        await ours.send("kept")
        assert await theirs.receive() == "kept"


async def test_a_message_over_the_other_sides_limit_is_refused() -> None:
    async with channel_pair() as (ours, theirs, pair):
        limit = pair.ours.max_message_size
        with pytest.raises(MessageTooLarge) as caught:
            await ours.send(bytes(limit + 1))
        assert (caught.value.size, caught.value.limit) == (limit + 1, limit)
        with pytest.raises(MessageTooLarge):
            await ours.send("☃" * (limit // 3 + 1))
        await ours.send(bytes(limit))
        assert await theirs.receive() == bytes(limit)


async def test_closing_ends_the_iteration_on_both_sides() -> None:
    async with channel_pair() as (ours, theirs, _):
        listening = asyncio.create_task(collected(ours))
        await ours.send("last")
        await ours.close()
        assert await listening == []
        assert await collected(theirs) == ["last"]
        assert ours.closed and theirs.closed
        await theirs.wait_closed()
        for channel in (ours, theirs):
            with pytest.raises(ChannelClosed):
                await channel.send("too late")
            with pytest.raises(ChannelClosed):
                await channel.receive()
        await ours.close()


async def test_leaving_the_block_closes_the_channel() -> None:
    async with channel_pair() as (ours, theirs, _):
        async with ours:
            await ours.send("inside")
        assert await collected(theirs) == ["inside"]


async def test_closing_the_link_ends_the_iteration() -> None:
    async with channel_pair() as (ours, theirs, pair):
        await ours.send("last")
        await pair.ours.close()
        assert await collected(theirs) == ["last"]
        with pytest.raises(LinkClosed):
            await theirs.send("too late")
        with pytest.raises(LinkClosed):
            await ours.receive()


async def test_a_broken_link_raises_after_what_was_received() -> None:
    config = LinkConfig(ping_interval=0.02, lost_after=0.1)
    async with channel_pair(config) as (ours, theirs, pair):
        await theirs.send("before")
        await theirs.send("it broke")
        async with asyncio.timeout(10):
            await pair.their_connection.connection.flush(20)
            await pair.vanish()
            seen = []
            with pytest.raises(LinkLost) as caught:
                async for message in ours:
                    seen.append(message)  # noqa: PERF401 (kept when it raises)
        assert not isinstance(caught.value, LinkClosed)
        assert seen == ["before", "it broke"]
        with pytest.raises(LinkLost):
            await ours.wait_closed()
        with pytest.raises(LinkLost):
            await ours.send("nobody there")


async def test_a_late_reader_gets_everything_and_the_sender_waits() -> None:
    """More than the window, from a sender that keeps to the high-water mark."""
    config = LinkConfig(receive_limit=200_000, high_water=100_000, engine="peerline")
    async with channel_pair(config) as (ours, theirs, _):
        sending = asyncio.create_task(send_all(ours, [bytes(50_000)] * 30))
        most = 0
        for _ in range(30):
            await until(lambda: theirs.waiting_bytes >= 150_000 or ours.stats.sent == 30)
            most = max(most, theirs.waiting_bytes)
            assert await theirs.receive() == bytes(50_000)
        await sending
        assert 150_000 <= most <= 250_000
        assert theirs.stats.received == ours.stats.sent == 30
        assert theirs.stats.waiting == theirs.stats.dropped == 0


async def test_without_a_window_a_reader_that_falls_behind_loses_the_channel_not_the_link() -> None:
    slow = LinkConfig(receive_limit=200_000, engine="aiortc")
    async with channel_pair(slow) as (ours, theirs, pair):
        for _ in range(10):
            await ours.send(bytes(50_000))
        received = 0
        await ours.wait_closed()
        with pytest.raises(ChannelOverflow, match=r"'test'.* 3 messages"):
            async for message in theirs:
                received += len(message)
        assert received == 150_000
        await pair.ours.chat.send("still here")


async def test_closed_channels_give_back_the_window_that_was_not_read() -> None:
    """RFC 9260, 6.2: a_rwnd is shared by all streams; what nobody will read must not hold it."""
    async with link_pair(make_connection=own_engine) as pair, asyncio.timeout(30):
        for closed_by_reader in (True, False) * 5:  # together more than a window
            ours = await pair.ours.open_channel("one look")
            theirs = await anext(pair.theirs.channels())
            for _ in range(17):
                await ours.send(bytes(60_000))
            assert await theirs.receive() == bytes(60_000)
            await (theirs if closed_by_reader else ours).close()
            await asyncio.gather(ours.wait_closed(), theirs.wait_closed())
        await pair.ours.chat.send("still here")


async def test_a_reader_may_close_while_more_than_the_window_is_on_its_way() -> None:
    """RFC 8831, 6.7: the other side resets its stream behind all that it has queued."""
    async with link_pair(make_connection=own_engine) as pair, asyncio.timeout(30):
        ours = await pair.ours.open_channel("one look")
        theirs = await anext(pair.theirs.channels())
        for _ in range(300):
            ours.send_now(bytes(60_000))
        assert await theirs.receive() == bytes(60_000)
        await asyncio.gather(theirs.close(), ours.wait_closed())
        await pair.ours.chat.send("still here")


async def test_without_a_window_empty_messages_count_too() -> None:
    slow = LinkConfig(receive_limit=4000, engine="aiortc")
    async with channel_pair(slow) as (ours, theirs, _):
        for _ in range(30):
            await ours.send(b"")
        await ours.wait_closed()
        with pytest.raises(ChannelOverflow):
            await collected(theirs)


@pytest.mark.parametrize("nonsense", [5, True, None, 1.5, [1, 2], {"a": 1}, ("a",), object()])
async def test_what_is_neither_text_nor_bytes_is_refused(nonsense: Any) -> None:
    async with channel_pair() as (ours, theirs, _):
        with pytest.raises(TypeError, match="text or bytes, not"):
            await ours.send(nonsense)
        with pytest.raises(TypeError, match="text or bytes, not"):
            ours.send_now(nonsense)
        with pytest.raises(ValueError, match="surrogates"):
            await ours.send("\ud800")
        await ours.send("fine")
        assert await theirs.receive() == "fine"


async def test_whatever_has_bytes_is_sent_as_those() -> None:
    shorts = array("H", [1, 2, 3, 4])
    async with channel_pair() as (ours, theirs, _):
        await ours.send(memoryview(shorts)[::2])
        assert await theirs.receive() == array("H", [1, 3]).tobytes()
        await ours.send(shorts)  # type: ignore[arg-type]
        ours.send_now(bytearray(b"now"))
        assert await theirs.receive() == shorts.tobytes()
        assert await theirs.receive() == b"now"


async def test_a_message_over_the_limit_is_never_sent_now_either() -> None:
    async with channel_pair() as (ours, _, pair):
        with pytest.raises(MessageTooLarge):
            ours.send_now(bytes(pair.ours.max_message_size + 1))


async def test_our_own_end_is_no_break() -> None:
    """Everything that waits while our side closes the link is told that it was closed."""
    config = LinkConfig(high_water=0, low_water=0, timeouts=Timeouts(close=0.1))
    async with channel_pair(config) as (ours, _, pair):
        for _ in range(8):
            ours.send_now(bytes(60_000))
        waiting = [
            asyncio.ensure_future(work)
            for work in cast(
                list[Awaitable[Any]],
                [
                    ours.send("waits for room"),
                    ours.receive(),
                    pair.ours.chat.receive(),
                    anext(pair.ours.channels()),
                    anext(pair.ours.transfers()),
                ],
            )
        ]
        await asyncio.sleep(0)
        await pair.vanish()
        await pair.ours.close()
        ends = await asyncio.gather(*waiting, return_exceptions=True)
        assert all(isinstance(end, LinkClosed | StopAsyncIteration) for end in ends), ends
        await pair.ours.wait_closed()
        for again in (ours.send("x"), ours.receive(), pair.ours.open_channel("x")):
            with pytest.raises(LinkClosed):
                await again


async def test_a_negotiated_channel_is_opened_by_both() -> None:
    async with link_pair() as pair, asyncio.timeout(30):
        ours, theirs = await asyncio.gather(
            pair.ours.open_channel("agreed", id=20), pair.theirs.open_channel("agreed", id=20)
        )
        await ours.send("hello")
        assert await theirs.receive() == "hello"
        assert ours.id == theirs.id == 20
        with pytest.raises(ValueError, match="20"):
            await pair.ours.open_channel("again", id=20)


@pytest.mark.parametrize("id", [0, 1, 2])
async def test_peerlines_own_ids_are_taken(id: int) -> None:
    async with link_pair() as pair:
        with pytest.raises(ValueError, match="own"):
            await pair.ours.open_channel("mine", id=id)


@pytest.mark.parametrize(
    "parameters",
    [
        {"label": "ünï"},
        {"protocol": "ünï"},
        {"max_retransmits": 1, "max_lifetime": 1.0},
        {"max_retransmits": -1},
        {"max_lifetime": 0.0},
        {"priority": 0},
        {"priority": 65536},
        {"id": 65535},
        {"label": "x" * 65536},
    ],
)
def test_parameters_that_make_no_sense_are_refused(parameters: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"must|both|most"):
        ChannelParameters(**parameters)


def test_reliable_is_what_gives_nothing_up() -> None:
    assert ChannelParameters().reliable
    assert not ChannelParameters(max_retransmits=0).reliable
    assert not ChannelParameters(max_lifetime=1.0).reliable
