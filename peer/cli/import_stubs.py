"""Leaving out what a command never uses of the libraries it needs.

``import aiortc`` loads audio and video codecs, and ``import aioice`` a DNS library for names that
`peer.rtc` looks up itself: together a sixth of a command's CPU time before it connects. Neither
can be imported without. Here their places are taken by empty modules -- in
the command's process alone, never in that of a program that uses `peer` as a library and may want
the codecs. The versions of both libraries are pinned; `tests/peer/cli/test_import_stubs.py` tells
when they begin to use at import what is not there.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

__all__ = ["leave_out_unused"]

_UNUSED = ("av", "av.frame", "av.packet", "av.video", "av.video.codeccontext", "aioice.mdns")
_USERS = ("av", "aiortc", "aioice")


class LeftOut:
    """Stands for a class of a module that was left out; there are no objects of it."""

    def __init__(self, *_: object, **__: object) -> None:
        raise RuntimeError("this command was started without audio, video and aioice's mDNS")


class _Empty(ModuleType):
    """A module whose every class is `LeftOut`: enough for ``from av import VideoFrame``."""

    def __getattr__(self, name: str) -> Any:
        if not name[:1].isupper():
            raise AttributeError(f"module {self.__name__!r} was left out: it has no {name!r}")
        return LeftOut


def leave_out_unused() -> None:
    """Do so for the rest of this process, unless one of the libraries is loaded already."""
    if any(name in sys.modules for name in _USERS):
        return
    for name in _UNUSED:
        sys.modules[name] = _Empty(name)
    # aioice asks this of every candidate; those with such names never get there unresolved.
    vars(sys.modules["aioice.mdns"])["is_mdns_hostname"] = lambda host: host.endswith(".local")
