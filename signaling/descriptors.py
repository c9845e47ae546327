"""The number of files and sockets that this process may have open (floor 2)."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import Final

__all__ = ["free_descriptors", "raise_descriptor_limit"]

# macOS reports no limit, and accepts no more than this (OPEN_MAX).
_MACOS: Final = 10_240
_MANY: Final = 1 << 20


def raise_descriptor_limit() -> int:
    """Raise the limit of open files to the most that the system allows, and return it.

    The default is 1024 almost everywhere, for programs that call `select`, which this one does not.
    A limit that cannot be raised stays.
    """
    if sys.platform == "win32":
        return _MANY
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        except (OSError, ValueError):
            if 0 <= soft < _MACOS:
                with contextlib.suppress(OSError, ValueError):
                    resource.setrlimit(resource.RLIMIT_NOFILE, (_MACOS, hard))
    return _limit()


def free_descriptors() -> int:
    """Number of files that this process may open in addition."""
    return max(0, _limit() - _used())


def _limit() -> int:
    if sys.platform == "win32":
        return _MANY
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _MANY if soft == resource.RLIM_INFINITY else min(soft, _MANY)


def _used() -> int:
    for folder in ("/proc/self/fd", "/dev/fd"):
        try:
            return sum(1 for _ in Path(folder).iterdir())
        except OSError:
            continue
    return 64
