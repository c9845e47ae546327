"""Cancelling a piece of work at each of its awaits in turn."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Generator
from typing import Any, Generic, TypeVar

__all__ = ["CancelledAt", "cancel_at_each_turn"]

Result = TypeVar("Result")


class CancelledAt(Generic[Result]):
    """Runs a coroutine in the current task, which is cancelled at one of its awaits.

    Args:
        work: The work to run.
        step: Number of the await, from 0.
        late: Cancel when what is awaited is done, and before the coroutine learns of it; else
            while it is awaited.
    """

    def __init__(self, work: Coroutine[Any, Any, Result], step: int, *, late: bool) -> None:
        self._work = work
        self._step = step
        self._late = late
        self.cancelled = False
        """Whether there was such an await."""

    def __await__(self) -> Generator[Any, Any, Result]:
        task = asyncio.current_task()
        assert task is not None
        loop = asyncio.get_running_loop()

        def cancel(_: object = None) -> None:
            task.cancel()

        sent: BaseException | None = None
        while True:
            try:
                awaited = self._work.send(None) if sent is None else self._work.throw(sent)
            except StopIteration as end:
                result: Result = end.value
                return result
            if self._step == 0:
                self.cancelled = True
                if self._late and awaited is not None:
                    awaited.add_done_callback(cancel)
                else:
                    loop.call_soon(cancel)
            self._step -= 1
            sent = None
            try:
                yield awaited
            except BaseException as error:  # noqa: BLE001 - the coroutine gets it
                sent = error


async def cancel_at_each_turn(
    run: Callable[[], Awaitable[None]], *, runs: int
) -> list[BaseException | None]:
    """Run something again and again, cancelled ever later, by what the event loop has done.

    Args:
        run: The work; it leaves nothing behind, however it ends.
        runs: Number of runs.

    Returns:
        The outcome of each run.
    """
    loop = asyncio.get_running_loop()
    call_soon = loop.call_soon
    calls, limit = 0, 1 << 62
    task: asyncio.Task[None] | None = None

    def counted(callback: Any, *args: Any, context: Any = None) -> asyncio.Handle:
        nonlocal calls
        calls += 1
        if calls == limit and task is not None:
            task.cancel()
        return call_soon(callback, *args, context=context)

    async def bounded() -> None:
        await run()

    ends: list[BaseException | None] = []
    loop.call_soon = counted  # type: ignore[assignment]
    try:
        task = asyncio.create_task(bounded())
        await task
        total = calls
        for number in range(runs):
            limit, calls = 1 + total * number // runs, 0
            task = asyncio.create_task(bounded())
            await asyncio.wait({task})
            ends.append(asyncio.CancelledError() if task.cancelled() else task.exception())
    finally:
        del loop.call_soon
    return ends
