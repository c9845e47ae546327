"""Capabilities of the file system of a folder, determined by trying (floor 2)."""

from __future__ import annotations

import os
import secrets
import stat
import sys
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final

from peer.transfer.protocol.config import MAX_PATH_PART
from peer.transfer.protocol.names import LINUX, PORTABLE, Platform

__all__ = ["Abilities", "probe"]

_SHORTEST: Final = 100
"""Smallest plausible limit of a name, in bytes."""


@dataclass(frozen=True, slots=True)
class Abilities:
    """Capabilities of a file system."""

    platform: Platform
    """Names that it can hold."""
    allowed: int
    """Permission bits that a new file can have here: those that the umask leaves."""


def probe(folder: int) -> Abilities:
    """Create a file with an odd name in an open folder, and remove it.

    This recognises a memory stick, a share or a folder that ignores case wherever it is mounted:
    the odd name is refused, or is found under another spelling.

    Raises:
        OSError: Not even a file with a plain name can be made.
    """
    base = f".peerline-{secrets.token_hex(6)}-probe"
    odd = f'{base}:"\\\udcff'
    platform = LINUX if sys.platform == "linux" else PORTABLE
    allowed = None
    if platform is LINUX:
        try:
            allowed = _make(folder, odd)
        except OSError:
            platform = PORTABLE
        else:
            if _exists(folder, odd.upper()):
                platform = replace(PORTABLE, reserved=False, any_bytes=True)
            os.unlink(odd, dir_fd=folder)
    if allowed is None:
        allowed = _make(folder, base)
        os.unlink(base, dir_fd=folder)
    return Abilities(replace(platform, limit=_limit(folder)), allowed)


def _make(folder: int, name: str) -> int:
    """Make an empty file with all permission bits; return those that it got."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
    descriptor = os.open(name, flags, 0o777, dir_fd=folder)
    try:
        return stat.S_IMODE(os.fstat(descriptor).st_mode) & 0o777
    finally:
        os.close(descriptor)


def _exists(folder: int, name: str) -> bool:
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except OSError:
        return False
    return True


def _limit(folder: int) -> int:
    """Bytes of the longest name; some encrypting file systems have a lower limit."""
    with suppress(OSError, ValueError):
        limit = os.fpathconf(folder, "PC_NAME_MAX")
        if _SHORTEST <= limit < MAX_PATH_PART:
            return limit
    return MAX_PATH_PART
