"""Channels of an agreed id that the two sides do not open at the same moment."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from peer.config import ENGINES, ChannelParameters, EngineName
from peer.errors import ChannelClosed
from peer.rtc import Connection
from tests.support.links.connections import CONTROL, RecordingHandler, connect
from tests.support.processes.leftovers import nothing_left_behind

AGREED = ChannelParameters(label="agreed", id=20)

engines = pytest.mark.parametrize("theirs", ENGINES)


@contextlib.asynccontextmanager
async def connections(
    theirs: EngineName,
) -> AsyncIterator[tuple[Connection, Connection, RecordingHandler, RecordingHandler]]:
    """A sender with our engine, a receiver with one of both, and a channel to talk beside."""
    sender, receiver = Connection(engine="peerline"), Connection(engine=theirs)
    try:
        a = RecordingHandler(sender.create_channel(CONTROL))
        b = RecordingHandler(receiver.create_channel(CONTROL))
        await connect(sender, receiver)
        await asyncio.gather(a.opened.wait(), b.opened.wait())
        async with asyncio.timeout(20):
            yield sender, receiver, a, b
    finally:
        await asyncio.gather(sender.close(), receiver.close())


async def everything_has_arrived(a: RecordingHandler, b: RecordingHandler) -> None:
    """A message that left after all others, on a path that does not reorder, is there."""
    a.channel.send("after all")
    assert await b.messages.get() == "after all"
    b.channel.consume()


def taken(handler: RecordingHandler) -> list[str | bytes]:
    return [handler.messages.get_nowait() for _ in range(handler.messages.qsize())]


@engines
async def test_messages_that_come_before_our_side_has_opened_wait_for_it(
    theirs: EngineName,
) -> None:
    async with nothing_left_behind(), connections(theirs) as (sender, receiver, a, b):
        early = RecordingHandler(sender.create_channel(AGREED))
        sent: list[str | bytes] = [*map(str, range(20)), "", b"", b"\0" * 100_000, "ünï"]
        for message in sent:
            early.channel.send(message)
        await everything_has_arrived(a, b)
        late = RecordingHandler(receiver.create_channel(AGREED))
        early.channel.send("later")
        assert [await late.messages.get() for _ in range(25)] == [*sent, "later"]
        late.channel.send("back")
        assert await early.messages.get() == "back"


@engines
async def test_a_channel_that_was_closed_before_our_side_opened_brings_its_messages_and_ends(
    theirs: EngineName,
) -> None:
    async with nothing_left_behind(), connections(theirs) as (sender, receiver, a, b):
        early = RecordingHandler(sender.create_channel(AGREED))
        early.channel.send("last words")
        early.channel.close()
        await everything_has_arrived(a, b)
        await everything_has_arrived(b, a)
        late = RecordingHandler(receiver.create_channel(AGREED))
        await asyncio.gather(late.closed.wait(), early.closed.wait())
        assert taken(late) == ["last words"]
        assert early.clean is late.clean is True
        with pytest.raises(ChannelClosed):
            late.channel.send("too late")
        # The number is free again, on both sides.
        again = [RecordingHandler(c.create_channel(AGREED)) for c in (sender, receiver)]
        again[0].channel.send("again")
        assert await again[1].messages.get() == "again"


@engines
async def test_what_there_is_no_room_for_is_refused_and_nothing_else(theirs: EngineName) -> None:
    async with nothing_left_behind(), connections(theirs) as (sender, receiver, a, b):
        small = RecordingHandler(sender.create_channel(ChannelParameters(label="small", id=30)))
        small.channel.send("kept")
        early = RecordingHandler(sender.create_channel(AGREED))
        for _ in range(60):
            early.channel.send(bytes(50_000))
        await early.closed.wait()
        assert early.clean is True
        await everything_has_arrived(a, b)
        late = RecordingHandler(receiver.create_channel(small.channel.parameters))
        assert await late.messages.get() == "kept"
        late.channel.consume()
        again = [RecordingHandler(c.create_channel(AGREED)) for c in (sender, receiver)]
        again[0].channel.send("again")
        assert await again[1].messages.get() == "again"


async def test_what_is_kept_is_given_back_to_the_window() -> None:
    async with connections("peerline") as (sender, receiver, a, b):
        association = receiver._engine.association  # type: ignore[attr-defined]
        early = RecordingHandler(sender.create_channel(AGREED))
        for _ in range(60):
            early.channel.send(bytes(50_000))
        await early.closed.wait()
        await everything_has_arrived(a, b)
        assert association.stats().unread == 0
        for close_first in (True, False):
            parameters = ChannelParameters(label="short", id=40 + close_first)
            RecordingHandler(sender.create_channel(parameters)).channel.send("x")
            await everything_has_arrived(a, b)
            assert association.stats().unread > 0
            channel = receiver.create_channel(parameters)
            if close_first:
                channel.close()
            late = RecordingHandler(channel)
            assert await late.messages.get() == "x"
            channel.consume()
            assert association.stats().unread == 0
