"""Waiting for a state that nothing announces."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

__all__ = ["until"]

INTERVAL = 0.005
"""Seconds between two looks."""


async def until(condition: Callable[[], object], *, seconds: float = 20.0) -> None:
    """Wait until a condition holds, for states without an event or a callback to wait for.

    Args:
        condition: Looked at until it is true.
        seconds: After so many it will not come true any more.

    Raises:
        TimeoutError: It did not.
    """
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(INTERVAL)
