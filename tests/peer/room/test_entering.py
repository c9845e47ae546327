"""Entering a room: by `await`, by `async with`, by a task; and without stopping the event loop."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest

import peer
from peer.errors import LinkClosed, ServerUnreachable
from tests.support.links.rooms import running_server
from tests.support.processes.leftovers import nothing_left_behind


async def test_a_room_can_be_awaited_and_closed() -> None:
    async with running_server() as server, nothing_left_behind():
        room = await peer.host(server.urls[0], name="alice")
        assert room.code is not None
        other = await peer.join(server.urls[0], str(room.code))
        async with asyncio.timeout(20):
            links = await asyncio.gather(room.link(), other.link())
            await links[0].chat.send("hello")
        await room.close()
        await other.close()
        await room.close()


async def test_an_awaited_room_is_closed_at_the_end_of_its_block() -> None:
    async with running_server() as server, nothing_left_behind():
        async with await peer.join(server.urls[0], room="lobby") as room:
            assert server.rooms == 1
        with pytest.raises(LinkClosed):
            await room.link()


async def test_tasks_and_timeouts_take_it() -> None:
    async with running_server() as server, nothing_left_behind():
        url = server.urls[0]
        rooms = [
            await asyncio.wait_for(peer.join(url, room="lobby"), 20),
            await asyncio.create_task(peer.join(url, room="lobby")),
            *await asyncio.gather(peer.join(url, room="lobby"), peer.host(url)),
        ]
        async with asyncio.TaskGroup() as group:
            rooms.append(await group.create_task(peer.host(url)))
        for room in rooms:
            await room.close()


async def test_it_is_good_for_once() -> None:
    async with running_server() as server:
        entering = peer.host(server.urls[0])
        async with entering:
            pass
        with pytest.raises(RuntimeError):
            await entering


async def test_one_that_is_never_awaited_does_nothing() -> None:
    async with running_server() as server:
        peer.host(server.urls[0])
        peer.join(server.urls[0], room="lobby").close()
        assert server.connections == 0


async def test_what_makes_no_sense_is_refused_before_anything_else() -> None:
    with pytest.raises(ValueError, match="give a code, or a room"):
        peer.join("http://127.0.0.1:1")
    with pytest.raises(ValueError, match="give a code, or a room"):
        peer.join("http://127.0.0.1:1", "7-guitar-ocean", room="lobby")
    with pytest.raises(ServerUnreachable):
        await peer.host("http://127.0.0.1:1")


async def test_somebody_who_waits_for_a_link_is_told_that_we_closed_the_room() -> None:
    async with running_server() as server:
        for entering in (peer.host(server.urls[0]), peer.join(server.urls[0], room="lobby")):
            async with entering as room:
                waiting = asyncio.create_task(room.link())
                iterating = asyncio.create_task(anext(aiter(room)))
                await asyncio.sleep(0)
            for task in (waiting, iterating):
                with pytest.raises(LinkClosed, match="The room is closed"):
                    await task


PROGRAM = """
import asyncio, importlib.abc, sys, threading
import peer
from tests.support.links.rooms import running_server

loaded = {}

class Watch(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        loaded[name] = threading.current_thread() is threading.main_thread()

async def main():
    async with running_server() as server:
        sys.meta_path.insert(0, Watch())
        async with peer.host(server.urls[0]) as room, peer.join(server.urls[0], room.code) as other:
            await asyncio.gather(room.link(), other.link())
    heavy = ("aiortc", "aioice", "websockets.asyncio.client", "cryptography", "peer.room")
    print(*(name for name in heavy if loaded.get(name)))

asyncio.run(main())
"""


def test_nothing_heavy_is_loaded_on_the_event_loop() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.split() == []
