"""Names that a file has before it is whole, and when its own is taken (floor 2)."""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import stat
from contextlib import suppress
from typing import Final

from peer.transfer.protocol.names import cut

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None  # type: ignore[assignment]  # a module or None

__all__ = ["ATTEMPTS", "PARTIAL_SUFFIX", "PRIVATE", "open_partial", "partial_link"]

logger = logging.getLogger(__name__)

PARTIAL_SUFFIX: Final = ".peerline-part"
"""End of the name of a file that is not whole. `transfer.names` hands out no such name."""

PRIVATE: Final = 0o600
"""Mode of a file that is not whole: never wider than what it is going to get."""

ATTEMPTS: Final = 10_000
"""Numbers that are tried before a name counts as hopelessly taken."""

_PARTIAL: Final = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


class _Taken(Exception):
    """Somebody else uses this partial name."""


def open_partial(folder: int, name: str, limit: int) -> tuple[str, int]:
    """Open the partial file for `name`, empty, for its owner alone, and lock it.

    What an earlier transfer left is used again. What is linked, not ours, no file or locked is
    left alone, and the next name is tried.
    """
    for attempt in range(ATTEMPTS):
        partial = _partial_name(name, attempt, limit)
        try:
            descriptor = os.open(partial, _PARTIAL, PRIVATE, dir_fd=folder)
        except OSError as exc:
            if exc.errno in (errno.ELOOP, errno.EISDIR, errno.ENXIO, errno.EACCES) and _exists(
                folder, partial
            ):
                continue
            raise
        try:
            if _claim(descriptor, folder, partial):
                _empty(descriptor)
        except _Taken:
            os.close(descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        else:
            return partial, descriptor
    raise FileExistsError(errno.EEXIST, "File exists")


def partial_link(folder: int, name: str, target: str, limit: int) -> str:
    """Make a link under a partial name that is free."""
    for attempt in range(ATTEMPTS):
        partial = _partial_name(name, attempt, limit)
        try:
            os.symlink(target, partial, dir_fd=folder)
        except FileExistsError:
            continue
        return partial
    raise FileExistsError(errno.EEXIST, "File exists")


def _empty(descriptor: int) -> None:
    """Take over what an earlier transfer left."""
    os.ftruncate(descriptor, 0)
    with suppress(PermissionError):  # file systems without modes
        os.fchmod(descriptor, PRIVATE)


def _claim(descriptor: int, folder: int, partial: str) -> bool:
    """Make sure that a partial file is ours alone.

    Returns:
        Whether it may be an older one.

    Raises:
        _Taken: it is not.
    """
    info = os.fstat(descriptor)
    if not stat.S_ISREG(info.st_mode) or info.st_nlink != 1 or info.st_uid != os.geteuid():
        raise _Taken
    if fcntl is not None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise _Taken from None
        except OSError:
            logger.debug("no locks on this file system")
    try:
        now = os.stat(partial, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        raise _Taken from None  # its owner has just given it its final name
    if (now.st_dev, now.st_ino) != (info.st_dev, info.st_ino):
        raise _Taken
    return info.st_size > 0 or stat.S_IMODE(info.st_mode) & ~PRIVATE != 0


def _exists(folder: int, name: str) -> bool:
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except OSError:
        return False
    return True


def _partial_name(name: str, attempt: int, limit: int) -> str:
    """`.film.mkv.peerline-part`; then `.film.mkv.1.peerline-part`; never longer than `limit`."""
    number = f".{attempt}" if attempt else ""
    partial = f".{name}{number}{PARTIAL_SUFFIX}"
    if len(os.fsencode(partial)) <= limit:
        return partial
    digest = hashlib.sha256(os.fsencode(name)).hexdigest()[:16]
    rest = f"~{digest}{number}{PARTIAL_SUFFIX}"
    return f".{cut(name, limit - 1 - len(rest))}{rest}"
