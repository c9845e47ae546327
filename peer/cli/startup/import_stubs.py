"""Stubs for modules that libraries import and no command uses.

`import aiortc` loads audio and video codecs, and `import aioice` a DNS library for names that
`peer.rtc` looks up itself: together a sixth of a command's CPU time before it connects. Neither can
be imported without them, so empty modules take their places: in the process of the command alone,
never in a program that uses `peer` as a library and may need the codecs. The versions of both
libraries are pinned, and `tests/peer/cli/startup/test_import_stubs.py` fails if they begin to use a
stub at import.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

__all__ = ["leave_out_unused"]

_UNUSED = ("av", "av.frame", "av.packet", "av.video", "av.video.codeccontext", "aioice.mdns")
_USERS = ("av", "aiortc", "aioice")


class LeftOut:
    """Stand-in for a class of a stubbed module; it cannot be instantiated."""

    def __init__(self, *_: object, **__: object) -> None:
        raise RuntimeError("this command was started without audio, video and aioice's mDNS")


class _Empty(ModuleType):
    """A module whose every class is `LeftOut`: enough for `from av import VideoFrame`."""

    def __getattr__(self, name: str) -> Any:
        if not name[:1].isupper():
            raise AttributeError(f"module {self.__name__!r} was left out: it has no {name!r}")
        return LeftOut


def leave_out_unused() -> None:
    """Install the stubs in this process, unless one of the libraries is loaded already."""
    if any(name in sys.modules for name in _USERS):
        return
    for name in _UNUSED:
        sys.modules[name] = _Empty(name)
    # aioice calls this for every candidate; `peer.rtc` resolves such names before.
    vars(sys.modules["aioice.mdns"])["is_mdns_hostname"] = lambda host: host.endswith(".local")
