"""Partial files: their names, locks and ownership (floor 2)."""

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
"""Suffix of the name of an incomplete file. `protocol.names` never returns such a name."""

PRIVATE: Final = 0o600
"""Mode of an incomplete file: never wider than the final one."""

ATTEMPTS: Final = 10_000
"""Numbers that are tried before the search for a free name fails."""

_PARTIAL: Final = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


class _Taken(Exception):
    """The partial name is in use elsewhere."""


def open_partial(folder: int, name: str, limit: int) -> tuple[str, int]:
    """Open an empty partial file for `name`, private to its owner, and lock it.

    A partial file of an earlier transfer is used again. An entry that is linked, locked, no regular
    file or of another owner is not touched, and the next name is tried.
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
    """Make a link under a free partial name."""
    for attempt in range(ATTEMPTS):
        partial = _partial_name(name, attempt, limit)
        try:
            os.symlink(target, partial, dir_fd=folder)
        except FileExistsError:
            continue
        return partial
    raise FileExistsError(errno.EEXIST, "File exists")


def _empty(descriptor: int) -> None:
    """Truncate the partial file of an earlier transfer."""
    os.ftruncate(descriptor, 0)
    with suppress(PermissionError):  # file systems without modes
        os.fchmod(descriptor, PRIVATE)


def _claim(descriptor: int, folder: int, partial: str) -> bool:
    """Check that no one else uses a partial file, and lock it.

    Returns:
        Whether it may be an earlier one.

    Raises:
        _Taken: It is in use elsewhere.
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
        raise _Taken from None  # it has just got its final name
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
