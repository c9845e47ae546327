"""Threads for what blocks: disk and hashing (floor 3)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

__all__ = ["Workers"]

P = ParamSpec("P")
T = TypeVar("T")

THREADS = 2
"""One may wait for a disk to flush while the other goes on. More were slower: they fight over the
interpreter lock and over the file (measured with 1 GiB: 261, 326 and 248 MB/s for 1, 2 and 4)."""


class Workers:
    """A few threads, started when they are needed and gone after `close`."""

    def __init__(self) -> None:
        self._executor: ThreadPoolExecutor | None = None
        self._closed = False

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a function in a thread.

        When cancelled, this still waits until the function returns: nobody closes a file under it.
        """
        if self._closed:
            return function(*args, **kwargs)  # somebody tidies up after the end: no new thread
        if self._executor is None:
            self._executor = ThreadPoolExecutor(THREADS, thread_name_prefix="peerline-disk")
        future = asyncio.wrap_future(self._executor.submit(function, *args, **kwargs))
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            await asyncio.wait({future})
            if not future.cancelled():
                future.exception()  # nobody is left to hear of it
            raise

    def close(self) -> None:
        """End the threads, after what they are doing."""
        self._closed = True
        if self._executor is not None:
            self._executor.shutdown()
            self._executor = None
