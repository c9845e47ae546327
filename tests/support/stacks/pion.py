"""pion, a WebRTC in Go: the present one, and Debian's. `make test` builds both."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Final

import pytest

from tests.support.stacks.program import Program, running

__all__ = ["pion"]

_PROGRAMS: Final = Path(__file__).parents[2] / "interop" / "pion" / "programs"


def pion(generation: int) -> contextlib.AbstractAsyncContextManager[Program]:
    """A process with pion/webrtc of this major version, 3 or 4."""
    program = _PROGRAMS / f"pion{generation}"
    if not program.is_file():
        pytest.fail(f"pion {generation} is not built: `make test` does that, where there is Go")
    return running(program)
