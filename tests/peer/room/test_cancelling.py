"""Giving up at any moment leaves nothing behind: no channel, task, socket or room, on any side."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import aioice
import pytest

import peer
from peer.config import LinkConfig, Timeouts
from peer.link.link import Link
from peer.rtc import Connection
from peer.rtc.ice.agent import adopt
from signaling.server import SignalingServer
from tests.support.links.connections import connect
from tests.support.links.link_pair import LinkPair, link_pair
from tests.support.links.rooms import running_server
from tests.support.processes.cancelling import CancelledAt, cancel_at_each_turn
from tests.support.processes.leftovers import nothing_left_behind
from tests.support.waiting import until

LATE = pytest.mark.parametrize("late", [False, True], ids=["while it waits", "as it is done"])


async def cancelled(work: Coroutine[Any, Any, Any], step: int, *, late: bool) -> bool:
    """Run something in a task of its own, cancelled at one await; False if it has no such."""
    run = CancelledAt(work, step, late=late)

    async def wrapped() -> Any:
        return await run

    task = asyncio.create_task(wrapped())
    await asyncio.wait({task})
    assert task.cancelled() or not run.cancelled, "swallowed the cancellation"
    return run.cancelled


def channels_of(link: Link) -> set[int]:
    """Numbers of the channels that a link's engine knows, Peerline's own left out."""
    engine = link._connection.connection._engine
    known = getattr(engine, "_channels", None)
    if known is None:
        known = link._connection.connection._sctp._data_channels
    return {number for number in known if number > 2}


async def until_gone(pair: LinkPair) -> None:
    await until(lambda: not (channels_of(pair.ours) or channels_of(pair.theirs)))


@LATE
async def test_a_cancelled_open_leaves_no_channel_on_either_side(late: bool) -> None:
    async with link_pair() as pair:
        step = 0
        while await cancelled(pair.ours.open_channel("given up"), step, late=late):
            step += 1
            await until_gone(pair)
            assert len(pair.theirs.channels()) == 0
        assert step
        ours = await pair.ours.open_channel("wanted")
        theirs = [await anext(pair.theirs.channels()) for _ in range(2)][1]
        assert theirs.label == ours.label == "wanted"


async def test_a_hundred_opens_given_up_early_leave_no_channel() -> None:
    """A cancellation between any two turns of the loop, many at a time."""
    async with link_pair() as pair:
        tasks = []
        for turns in range(100):
            tasks.append(asyncio.create_task(pair.ours.open_channel(f"given up {turns}")))
            for _ in range(turns % 10):
                await asyncio.sleep(0)
            tasks[-1].cancel()
        await asyncio.wait(tasks)
        for task in tasks:
            if not task.cancelled():
                await task.result().close()
        await until_gone(pair)
        assert len(pair.theirs.channels()) == 0
        await pair.ours.chat.send("still here")


async def test_an_open_that_times_out_leaves_no_channel() -> None:
    async with link_pair() as pair:
        for _ in range(20):
            with contextlib.suppress(TimeoutError):
                channel = await asyncio.wait_for(pair.ours.open_channel("hasty"), 0)
                await channel.close()
        await until_gone(pair)
        assert len(pair.theirs.channels()) == 0


async def test_what_came_on_a_channel_before_it_closed_is_still_given_out() -> None:
    async with link_pair() as pair, asyncio.timeout(20):
        ours = await pair.ours.open_channel("short")
        await ours.send("read me")
        await ours.close()
        theirs = await anext(pair.theirs.channels())
        assert [message async for message in theirs] == ["read me"]


async def at_rest(server: SignalingServer) -> None:
    await until(lambda: not (server.rooms or server.connections))


@LATE
async def test_a_cancelled_host_leaves_nothing(late: bool) -> None:
    async with running_server() as server:
        step = 0
        running = True
        while running:
            async with nothing_left_behind():

                async def enter() -> None:
                    async with peer.host(server.urls[0]) as room:
                        assert room.code is not None

                running = await cancelled(enter(), step, late=late)
                await at_rest(server)
            step += 1
        assert step > 5


@LATE
async def test_a_cancelled_join_leaves_nothing(late: bool) -> None:
    async with running_server() as server:
        step = 0
        running = True
        while running:
            async with nothing_left_behind():

                async def enter() -> None:
                    room = await peer.join(server.urls[0], room="lobby")
                    await room.close()

                running = await cancelled(enter(), step, late=late)
                await at_rest(server)
            step += 1
        assert step > 5


@pytest.mark.parametrize("policy", ["all", "relay"])
async def test_a_cancelled_description_leaves_no_socket(policy: Any) -> None:
    async with nothing_left_behind():
        for late in (False, True):
            step = 0
            running = True
            while running:
                connection = Connection(policy=policy)
                connection.create_channel(peer.ChannelParameters(id=0))

                async def offer(connection: Connection = connection) -> None:
                    with contextlib.suppress(peer.NoPath):
                        await connection.offer()

                running = await cancelled(offer(), step, late=late)
                await connection.close()
                step += 1
            assert step


def open_files() -> set[str]:
    """Open files of this process, with sockets and pipes."""
    found = set()
    for fd in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):  # the one of the listing itself
            found.add(os.readlink(f"/proc/self/fd/{fd}"))
    return found


@LATE
async def test_files_whose_offer_or_acceptance_is_given_up_are_closed(
    tmp_path: Path, late: bool
) -> None:
    source = tmp_path / "in"
    source.mkdir()
    (source / "a").write_bytes(bytes(1000))
    async with link_pair() as pair, asyncio.timeout(30):
        before = open_files()
        assert await cancelled(pair.ours.send_files(source), 0, late=late)
        outgoing = await pair.ours.send_files(source)
        incoming = await anext(aiter(pair.theirs.transfers()))
        assert await cancelled(incoming.accept(tmp_path / "out"), 0, late=late)
        gc.collect()
        assert open_files() <= before
        # Nothing was decided by that.
        await incoming.accept(tmp_path / "out")
        await asyncio.gather(outgoing.done(), incoming.done())
    assert (tmp_path / "out" / "in" / "a").read_bytes() == bytes(1000)


async def test_connections_closed_at_any_moment_leave_nothing() -> None:
    async def meet() -> None:
        async with nothing_left_behind():
            ends = Connection(), Connection()
            try:
                for end in ends:
                    end.create_channel(peer.ChannelParameters(id=0))
                await connect(*ends)
            finally:
                await asyncio.gather(*(end.close() for end in ends))

    ends = await cancel_at_each_turn(meet, runs=16)
    assert all(end is None or isinstance(end, asyncio.CancelledError) for end in ends), ends


async def test_an_ice_connection_that_was_closed_as_its_checks_ended_asks_for_nothing() -> None:
    ice = adopt(aioice.Connection(ice_controlling=True))
    await ice.close()
    async with asyncio.timeout(5):
        await ice.query_consent()


async def test_a_meeting_given_up_at_any_moment_leaves_nothing_on_either_side() -> None:
    """One side is cancelled ever later, from before the server answers until there is a link."""
    config = LinkConfig(timeouts=Timeouts(close=1.0))
    async with running_server() as server, asyncio.timeout(100):

        async def meet() -> None:
            async with nothing_left_behind():
                entered: asyncio.Future[str] = asyncio.get_running_loop().create_future()

                async def join() -> None:
                    code = await entered
                    async with peer.join(server.urls[0], code, config=config) as room:
                        await room.link()

                guest = asyncio.create_task(join())
                try:
                    async with peer.host(server.urls[0], config=config) as room:
                        entered.set_result(str(room.code))
                        link = await room.link()
                        await link.open_channel("first")
                finally:
                    # The other side is left in order, or gives up for want of us.
                    if not entered.done():
                        guest.cancel()
                    await asyncio.gather(guest, return_exceptions=True)
                    await at_rest(server)

        ends = await cancel_at_each_turn(meet, runs=12)
        assert all(end is None or isinstance(end, asyncio.CancelledError) for end in ends), ends
        assert sum(end is not None for end in ends) > 5
