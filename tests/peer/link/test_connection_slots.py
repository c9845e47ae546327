"""Slots for connections that are tried at once: a waiter gets one in bounded time."""

from __future__ import annotations

import asyncio

import pytest

from peer.errors import PeerTimeout
from peer.link.connection_slots import ConnectionSlots


class Holder:
    """Takes a slot and never leaves it by itself."""

    def __init__(self, slots: ConnectionSlots) -> None:
        self.entered = asyncio.Event()
        self.task = asyncio.create_task(self._hold(slots))

    async def _hold(self, slots: ConnectionSlots) -> None:
        async with slots.slot():
            self.entered.set()
            await asyncio.Event().wait()

    async def leave(self) -> None:
        self.task.cancel()
        await asyncio.wait({self.task})


async def test_nobody_must_leave_while_nobody_waits() -> None:
    slots = ConnectionSlots(1, patience=0.0)
    holder = Holder(slots)
    await holder.entered.wait()
    for _ in range(20):
        await asyncio.sleep(0)
    assert not holder.task.done()
    await holder.leave()


async def test_the_oldest_holder_makes_room() -> None:
    slots = ConnectionSlots(2, patience=0.01)
    first, second = Holder(slots), Holder(slots)
    await second.entered.wait()
    third = Holder(slots)
    await third.entered.wait()
    assert isinstance(first.task.exception(), PeerTimeout)
    assert not second.task.done()
    await second.leave()
    await third.leave()


async def test_a_line_moves_on_to_its_end() -> None:
    slots = ConnectionSlots(2, patience=0.01)
    holders = [Holder(slots) for _ in range(9)]
    async with asyncio.timeout(10):
        await holders[-1].entered.wait()
    assert all(isinstance(each.task.exception(), PeerTimeout) for each in holders[:7])
    assert not any(each.task.done() for each in holders[7:])
    for each in holders[7:]:
        await each.leave()
    async with slots.slot(), slots.slot():
        pass


async def test_who_stops_waiting_drives_nobody_out() -> None:
    slots = ConnectionSlots(1, patience=0.05)
    holder = Holder(slots)
    await holder.entered.wait()
    impatient = Holder(slots)
    await asyncio.sleep(0)
    await impatient.leave()
    driven_out, _ = await asyncio.wait({holder.task}, timeout=0.06)
    assert not driven_out
    await holder.leave()


async def test_a_timeout_of_the_block_is_its_own() -> None:
    slots = ConnectionSlots(1, patience=1.0)
    with pytest.raises(TimeoutError):
        async with slots.slot():
            raise TimeoutError
    async with slots.slot():
        pass
