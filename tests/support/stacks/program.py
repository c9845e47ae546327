"""Another WebRTC stack in a process that does what a test says, line by line."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

from tests.support.stacks.remote import Remote

__all__ = ["Program", "running"]

_LONGEST_LINE: Final = 1024 * 1024


class Program(Remote):
    """A running process: a call is a line of its input, a reply one of its output."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        super().__init__()
        self._process = process

    async def _send(self, call: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{call}\n".encode())
        await self._process.stdin.drain()

    async def listen(self) -> None:
        """Take its replies until it ends."""
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            self.replied(line.decode())
        self.gone("the other stack's process has ended")


@contextlib.asynccontextmanager
async def running(*command: str | Path) -> AsyncIterator[Program]:
    """A program for as long as it is needed; what it complains of is shown."""
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=_LONGEST_LINE,
    )
    remote = Program(process)
    listening = asyncio.create_task(remote.listen())
    try:
        yield remote
    finally:
        with contextlib.suppress(ProcessLookupError):  # it may have crashed
            process.kill()
        await listening
        await process.wait()
