"""Unread messages are bounded, dropped if allowed, and do not hold up the rest for long."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging

import pytest

from peer.channel.channel import Channel
from peer.channel.unread import OVERHEAD, Unread
from peer.config import LinkConfig
from peer.errors import ChannelClosed, ChannelOverflow
from tests.support.links.link_pair import LinkPair, link_pair

WINDOW = 200_000
IMPATIENT = LinkConfig(
    receive_window=WINDOW,
    unread_patience=0.2,
    high_water=100_000,
    low_water=10_000,
    unreliable_limit=50_000,
    engine="peerline",
)


def account(*, windowed: bool = True, limit: int = 10_000, droppable: int = 10_000) -> Unread:
    return Unread(windowed=windowed, limit=limit, droppable=droppable, patience=10.0)


# The account


def test_messages_come_off_a_shelf_as_they_were_put() -> None:
    unread = account()
    shelf = unread.shelf()
    messages: list[str | bytes] = ["a", b"b", "ünï", b""]
    for message in messages:
        assert shelf.put(message, 0.0)
    assert unread
    assert shelf.bytes >= 4 * OVERHEAD + sum(map(len, messages))
    assert [shelf.take(0.0) for _ in messages] == messages
    assert shelf.bytes == 0
    assert not unread


@pytest.mark.parametrize("message", [b"", "", b"x" * 100, "☃" * 100])
def test_without_a_window_the_number_of_messages_is_bounded_too(message: str | bytes) -> None:
    unread = account(windowed=False, limit=100_000)
    shelves = [unread.shelf() for _ in range(3)]
    kept = 0
    while shelves[kept % 3].put(message, 0.0):
        kept += 1
    assert 0 < kept <= 100_000 // OVERHEAD
    shelves[0].take(0.0)
    assert shelves[1].put(message, 0.0)


def test_channels_that_were_forgotten_unread_do_not_count() -> None:
    unread = account(windowed=False, limit=10_000)
    shelf = unread.shelf()
    assert shelf.put(bytes(9000), 0.0)
    assert not unread.has_room(2000)
    del shelf
    gc.collect()
    assert unread.has_room(2000)


def test_closed_channels_leave_a_bounded_amount_outside_the_window() -> None:
    unread = account(limit=10_000)
    shelves = [unread.shelf() for _ in range(4)]
    kept = []
    for shelf in shelves:
        assert shelf.put(bytes(8000), 0.0)
        kept.append(shelf.release())
    assert kept == [True, True, False, False]
    assert sum(shelf.bytes for shelf in shelves) < 2 * 10_000
    shelves[0].take(0.0)
    assert unread.has_room()


def blamed(unread: Unread, times: list[float], *, held_up: bool = True) -> list[bool]:
    return [unread.check(time, held_up=held_up) is not None for time in times]


def test_a_channel_is_blamed_when_the_window_was_full_all_the_time() -> None:
    unread = account()
    other, shelf = unread.shelf(), unread.shelf()
    shelf.put(bytes(100), 0.0)
    other.put(b"less", 0.0)
    assert blamed(unread, [0.0, 2.5, 5.0, 7.5]) == [False] * 4
    assert unread.check(10.0, held_up=True) is shelf


def test_a_channel_that_is_read_is_not_blamed_however_slowly() -> None:
    unread = account()
    shelf = unread.shelf()
    for number in range(50):
        shelf.put(b"x", 0.0)
        assert not any(blamed(unread, [5.0 * number, 5.0 * number + 2.5]))
        shelf.take(5.0 * number + 2.5)
        shelf.put(b"x", 0.0)


def test_nobody_is_blamed_while_there_is_room() -> None:
    unread = account()
    unread.shelf().put(b"x", 0.0)
    shelf = unread.shelf()
    shelf.put(b"x", 0.0)
    assert not any(blamed(unread, [2.5 * n for n in range(20)], held_up=False))
    assert not any(blamed(unread, [50.0, 52.5, 55.0, 57.5]))


def test_nobody_is_blamed_for_a_program_that_stood_still() -> None:
    unread = account()
    shelf = unread.shelf()
    shelf.put(b"x", 0.0)
    assert not any(blamed(unread, [0.0, 2.5, 100.0, 102.5]))
    assert blamed(unread, [105.0, 107.5, 110.0]) == [False, False, True]


def test_of_what_may_be_dropped_a_bounded_amount_waits_and_always_the_newest() -> None:
    unread = account(droppable=10_000)
    shelves = [unread.shelf(droppable=True) for _ in range(5)]
    reliable = unread.shelf()
    for _ in range(100):
        reliable.put(bytes(1000), 0.0)
        for shelf in shelves:
            shelf.put(bytes(1000), 0.0)
            while shelf.must_drop:
                shelf.take(0.0)
    assert sum(shelf.bytes for shelf in shelves) <= 10_000 + 5 * (1000 + OVERHEAD)
    assert all(shelves)
    assert len(reliable) == 100


# A link


async def opened(pair: LinkPair, label: str, **how: object) -> tuple[Channel, Channel]:
    ours = await pair.ours.open_channel(label, **how)  # type: ignore[arg-type]
    return ours, await anext(pair.theirs.channels())


async def pour(channel: Channel, size: int = 1000) -> None:
    """Send until the channel breaks."""
    while True:
        await channel.send(bytes(size))


async def test_a_channel_that_nobody_reads_breaks_by_name_and_the_others_go_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with link_pair(IMPATIENT) as pair, asyncio.timeout(30):
        ours, theirs = await opened(pair, "state")
        other_ours, other_theirs = await opened(pair, "other")
        with pytest.raises(ChannelOverflow, match="other side did not read the channel 'state'"):
            await pour(ours)
        with pytest.raises(ChannelOverflow, match="'state'"):
            await theirs.send("too late")
        await other_ours.send("still here")
        assert await other_theirs.receive() == "still here"
        await pair.ours.chat.send("still here, too")
        read = 0
        with pytest.raises(ChannelOverflow, match=r"'state'.* unread"):
            async for message in theirs:
                read += len(message)
        assert 0 < read <= WINDOW
        assert not pair.ours.closed and not pair.theirs.closed
    assert [r.levelno for r in caplog.records if "'state'" in r.getMessage()] == [logging.WARNING]


async def test_a_window_of_empty_messages_is_found_as_well() -> None:
    async with link_pair(IMPATIENT) as pair, asyncio.timeout(30):
        ours, theirs = await opened(pair, "empty")
        with pytest.raises((ChannelOverflow, ChannelClosed)):
            while True:
                ours.send_now(b"")
                await asyncio.sleep(0)
        assert theirs.stats.waiting <= WINDOW // OVERHEAD + 1
        await pair.ours.chat.send("still here")


async def test_two_channels_that_nobody_reads_break_one_after_the_other() -> None:
    async with link_pair(IMPATIENT) as pair, asyncio.timeout(30):
        channels = [await opened(pair, str(number)) for number in range(2)]
        pouring = [asyncio.create_task(pour(ours)) for ours, _ in channels]
        ends = await asyncio.gather(*pouring, return_exceptions=True)
        assert all(isinstance(end, ChannelOverflow) for end in ends), ends
        await pair.ours.chat.send("still here")


async def test_a_slow_reader_keeps_its_channel() -> None:
    config = LinkConfig(receive_window=WINDOW, unread_patience=0.3, engine="peerline")
    async with link_pair(config) as pair, asyncio.timeout(30):
        ours, theirs = await opened(pair, "slow")
        pouring = asyncio.create_task(pour(ours, 50_000))
        for _ in range(10):
            await asyncio.sleep(0.1)
            assert len(await theirs.receive()) == 50_000
        assert not theirs.closed
        pouring.cancel()
        await asyncio.wait({pouring})


async def test_what_may_be_lost_is_dropped_oldest_first_and_holds_nothing_up() -> None:
    async with link_pair(IMPATIENT) as pair, asyncio.timeout(30):
        channels = [
            await opened(pair, "lossy", ordered=False, **how)
            for how in ({"max_retransmits": 0}, {"max_lifetime": 0.5}) * 3
        ]
        last = 0
        for last in range(400):
            for ours, _ in channels:
                await ours.send(b"%06d" % last + bytes(3000))
            await pair.theirs.chat.send("not held up") if last % 100 == 0 else None
        await pair.our_connection.connection.flush(10)
        for _, theirs in channels:
            stats = theirs.stats
            assert stats.dropped > 200
            assert stats.received == stats.dropped + stats.waiting
            assert theirs.waiting_bytes <= 50_000 + 4000
            newest = b""
            for _ in range(stats.waiting):
                message = await theirs.receive()
                assert isinstance(message, bytes)
                newest = max(newest, message[:6])
            assert newest == b"%06d" % last
            assert not theirs.closed
        await pair.ours.chat.send("still here")


async def test_channels_that_are_closed_unread_keep_a_bounded_amount() -> None:
    """Also when the program holds on to every one of them."""
    config = LinkConfig(receive_limit=WINDOW, engine="peerline")
    async with link_pair(config) as pair, asyncio.timeout(30):
        both = [await opened(pair, str(number)) for number in range(12)]
        for ours, theirs in both:
            for _ in range(3):
                await ours.send(bytes(20_000))
            await ours.close()
            with contextlib.suppress(ChannelOverflow):
                await theirs.wait_closed()
        held = [theirs for _, theirs in both]
        assert sum(channel.waiting_bytes for channel in held) <= 2 * WINDOW
        assert held[0].stats.waiting == 3
        with pytest.raises(ChannelOverflow, match="'11'"):
            await held[-1].receive()
        refused = await pair.ours.open_channel("one too many")
        await refused.wait_closed()


@pytest.mark.parametrize(
    "nonsense",
    [
        {"receive_window": 0},
        {"receive_limit": 0},
        {"unreliable_limit": 0},
        {"unread_patience": 0.0},
    ],
)
def test_limits_that_make_no_sense_are_refused(nonsense: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"at least|more than"):
        LinkConfig(**nonsense)  # type: ignore[arg-type]


async def test_the_window_is_what_was_asked_for() -> None:
    for window in (1, 100_000, 32 << 20):
        config = LinkConfig(receive_window=window, engine="peerline")
        async with link_pair(config) as pair:
            assert pair.our_connection.connection.receive_window == config.window
            ours, theirs = await opened(pair, "some")
            await ours.send("hello")
            assert await theirs.receive() == "hello"
