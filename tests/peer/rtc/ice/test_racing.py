"""Trying several ways at once: the first that works wins, and nothing of the others stays."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from peer.rtc.ice.racing import race
from tests.support.processes.leftovers import nothing_left_behind

FOREVER = 3600.0
Attempt = tuple[float, Callable[[], Coroutine[Any, Any, str]]]


async def hang() -> str:
    await asyncio.Event().wait()
    raise AssertionError("never")


async def fail() -> str:
    raise OSError("no route")


def succeed(name: str) -> Callable[[], Coroutine[Any, Any, str]]:
    async def attempt() -> str:
        return name

    return attempt


@pytest.mark.parametrize(
    "attempts",
    [
        [(FOREVER, succeed("it"))],
        [(FOREVER, succeed("it")), (FOREVER, succeed("other"))],
        [(FOREVER, hang), (0.0, succeed("it"))],
        [(FOREVER, fail), (FOREVER, succeed("it")), (FOREVER, fail)],
        [(0.0, hang), (0.0, fail), (FOREVER, succeed("it"))],
        [(0.0, fail), (0.0, hang), (0.0, succeed("it")), (FOREVER, hang)],
    ],
)
async def test_the_first_that_works_wins(attempts: list[Attempt]) -> None:
    async with nothing_left_behind(), asyncio.timeout(10):
        assert await race(attempts) == "it"


async def test_when_all_fail_the_last_error_is_told() -> None:
    async with nothing_left_behind():
        with pytest.raises(OSError, match="no route"):
            await race([(FOREVER, fail), (FOREVER, fail)])
        with pytest.raises(OSError, match="nothing to try"):
            await race([])


async def test_what_nobody_foresees_is_raised() -> None:
    async def surprise() -> str:
        raise ArithmeticError

    async with nothing_left_behind():
        with pytest.raises(ArithmeticError):
            await race([(0.0, hang), (0.0, surprise)])


async def test_a_second_success_is_given_back() -> None:
    both = asyncio.Barrier(2)

    def attempt(name: str) -> Callable[[], Coroutine[Any, Any, str]]:
        async def meet() -> str:
            await both.wait()
            return name

        return meet

    discarded: list[str] = []
    won = await race([(0.0, attempt("a")), (0.0, attempt("b"))], discard=discarded.append)
    assert sorted([won, *discarded]) == ["a", "b"]


async def test_cancelling_cancels_all_and_gives_back_what_has_come() -> None:
    discarded: list[str] = []
    started = asyncio.Event()

    async def finish() -> str:
        started.set()
        return "late"

    async with nothing_left_behind():
        running = asyncio.create_task(race([(0.0, hang), (0.0, finish)], discard=discarded.append))
        await started.wait()
        running.cancel()
        await asyncio.wait({running})
        assert running.cancelled()
    assert discarded == ["late"]
