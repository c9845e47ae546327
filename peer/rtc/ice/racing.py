"""Staggered parallel attempts (RFC 8305, 5)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, TypeVar

__all__ = ["race"]

Result = TypeVar("Result")


async def race(
    attempts: Iterable[tuple[float, Callable[[], Coroutine[Any, Any, Result]]]],
    *,
    foreseen: tuple[type[Exception], ...] = (OSError,),
    discard: Callable[[Result], None] = lambda result: None,
) -> Result:
    """Return what the first attempt that succeeds returns.

    Each starts when all before it have failed, or have had a head start (RFC 8305, 5). All of them
    have ended when this function returns or raises.

    Args:
        attempts: Head start of the earlier attempts in seconds, and the function to call.
        foreseen: Errors of a failed attempt.
        discard: Called with the result of an attempt that succeeded in addition to the first.

    Raises:
        Exception: One of `foreseen`, of the last failure; `OSError` without any attempt.
    """
    running: set[asyncio.Task[Result]] = set()
    waiting = list(attempts)[::-1]
    winner: asyncio.Task[Result] | None = None
    error: Exception = OSError("there is nothing to try")
    try:
        while winner is None:
            if running:
                head_start = waiting[-1][0] if waiting else None
                done, _ = await asyncio.wait(
                    running, timeout=head_start, return_when=asyncio.FIRST_COMPLETED
                )
                winner, failure = _winner(done, running, foreseen)
                error = failure or error
                if winner is not None or (running and not waiting):
                    continue
            if not waiting:
                raise error
            running.add(asyncio.create_task(waiting.pop()[1]()))
        return winner.result()
    finally:
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running)
        for task in running:
            if task is not winner and not task.cancelled() and task.exception() is None:
                discard(task.result())


def _winner(
    done: set[asyncio.Task[Result]],
    running: set[asyncio.Task[Result]],
    foreseen: tuple[type[Exception], ...],
) -> tuple[asyncio.Task[Result] | None, Exception | None]:
    """Return a task that succeeded, or the error of one that failed."""
    error: Exception | None = None
    for task in done:
        try:
            task.result()
        except foreseen as failure:
            error = failure
            running.discard(task)
        else:
            return task, None
    return None, error
