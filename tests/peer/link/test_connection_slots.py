"""Places for connections that are tried at once: who waits for one gets it in bounded time."""

from __future__ import annotations

import asyncio

import pytest

from peer.errors import PeerTimeout
from peer.link.connection_slots import Places


class Holder:
    """Somebody who takes a place and never leaves it by itself."""

    def __init__(self, places: Places) -> None:
        self.entered = asyncio.Event()
        self.task = asyncio.create_task(self._hold(places))

    async def _hold(self, places: Places) -> None:
        async with places.place():
            self.entered.set()
            await asyncio.Event().wait()

    async def leave(self) -> None:
        self.task.cancel()
        await asyncio.wait({self.task})


async def test_nobody_must_leave_while_nobody_waits() -> None:
    places = Places(1, patience=0.0)
    holder = Holder(places)
    await holder.entered.wait()
    for _ in range(20):
        await asyncio.sleep(0)
    assert not holder.task.done()
    await holder.leave()


async def test_who_has_had_a_place_for_longest_makes_room() -> None:
    places = Places(2, patience=0.01)
    first, second = Holder(places), Holder(places)
    await second.entered.wait()
    third = Holder(places)
    await third.entered.wait()
    assert isinstance(first.task.exception(), PeerTimeout)
    assert not second.task.done()
    await second.leave()
    await third.leave()


async def test_a_line_moves_on_to_its_end() -> None:
    places = Places(2, patience=0.01)
    holders = [Holder(places) for _ in range(9)]
    async with asyncio.timeout(10):
        await holders[-1].entered.wait()
    assert all(isinstance(each.task.exception(), PeerTimeout) for each in holders[:7])
    assert not any(each.task.done() for each in holders[7:])
    for each in holders[7:]:
        await each.leave()
    async with places.place(), places.place():
        pass


async def test_who_stops_waiting_drives_nobody_out() -> None:
    places = Places(1, patience=0.05)
    holder = Holder(places)
    await holder.entered.wait()
    impatient = Holder(places)
    await asyncio.sleep(0)
    await impatient.leave()
    driven_out, _ = await asyncio.wait({holder.task}, timeout=0.06)
    assert not driven_out
    await holder.leave()


async def test_a_timeout_of_the_block_is_its_own() -> None:
    places = Places(1, patience=1.0)
    with pytest.raises(TimeoutError):
        async with places.place():
            raise TimeoutError
    async with places.place():
        pass
