"""Finds tasks, threads and sockets that a piece of code leaves behind."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import threading
from collections.abc import AsyncIterator
from pathlib import Path

__all__ = ["nothing_left_behind"]

TURNS = 20
"""Turns of the event loop that a closed transport may take until its socket is gone."""


def open_sockets() -> set[str]:
    """The sockets this process has open, each as the kernel names it."""
    found = set()
    for entry in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            target = os.readlink(entry)
            if target.startswith("socket:"):
                found.add(target)
    return found


def own_threads() -> set[threading.Thread]:
    """The threads, without those of the event loop's pool, which the loop itself ends."""
    pools = ("asyncio_", "uvloop_")
    return {thread for thread in threading.enumerate() if not thread.name.startswith(pools)}


def other_tasks() -> set[asyncio.Task[object]]:
    """All tasks but this one: a fixture ends in another task than it began in."""
    return {task for task in asyncio.all_tasks() if task is not asyncio.current_task()}


@contextlib.asynccontextmanager
async def nothing_left_behind() -> AsyncIterator[None]:
    """Assert that whatever the block has started has ended when the block is left."""
    tasks, threads, sockets = other_tasks(), own_threads(), open_sockets()
    yield
    for _ in range(TURNS):
        if other_tasks() <= tasks and open_sockets() <= sockets:
            break
        await asyncio.sleep(0)
    # Anything unclosed warns when it is collected, and a warning fails the test.
    gc.collect()
    left = other_tasks() - tasks
    assert not left, f"tasks left behind: {left}"
    assert not own_threads() - threads, f"threads left behind: {own_threads() - threads}"
    assert not open_sockets() - sockets, f"sockets left behind: {open_sockets() - sockets}"
