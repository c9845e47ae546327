"""Names that a file has before it is whole, and when its own is taken (floor 2)."""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None  # type: ignore[assignment]  # a module or None

__all__ = ["PARTIAL_SUFFIX", "numbered", "open_partial", "partial_link", "reserve"]

logger = logging.getLogger(__name__)

PARTIAL_SUFFIX: Final = ".peerline-part"
"""End of the name of a file that is not whole. `transfer.names` accepts no such name."""

NAME_LIMIT: Final = 255
"""Bytes of a name on every file system that matters."""

ATTEMPTS: Final = 10_000
"""Numbers that are tried before a name counts as hopelessly taken."""

_PARTIAL: Final = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


class _Taken(Exception):
    """Somebody else uses this partial name."""


def open_partial(folder: int, name: str) -> tuple[str, int]:
    """Open the partial file for `name`, empty, and lock it.

    What an earlier transfer left is used again. What is linked, not ours, no file or locked is
    left alone, and the next name is tried.
    """
    for attempt in range(ATTEMPTS):
        partial = _partial_name(name, attempt)
        try:
            descriptor = os.open(partial, _PARTIAL, 0o666, dir_fd=folder)
        except OSError as exc:
            if exc.errno in (errno.ELOOP, errno.EISDIR, errno.ENXIO, errno.EACCES) and _exists(
                folder, partial
            ):
                continue
            raise
        try:
            _claim(descriptor, folder, partial)
            os.ftruncate(descriptor, 0)
        except _Taken:
            os.close(descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        else:
            return partial, descriptor
    raise FileExistsError(errno.EEXIST, "File exists")


def partial_link(folder: int, name: str, target: str) -> str:
    """Make a link under a partial name that is free."""
    for attempt in range(ATTEMPTS):
        partial = _partial_name(name, attempt)
        try:
            os.symlink(target, partial, dir_fd=folder)
        except FileExistsError:
            continue
        return partial
    raise FileExistsError(errno.EEXIST, "File exists")


def _claim(descriptor: int, folder: int, partial: str) -> None:
    """Make sure that a partial file is ours alone.

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


def _exists(folder: int, name: str) -> bool:
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except OSError:
        return False
    return True


def reserve(folder: int, name: str) -> bool:
    """Take a name with an empty file, for file systems without hard links."""
    try:
        os.close(
            os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666, dir_fd=folder)
        )
    except FileExistsError:
        return False
    return True


def _partial_name(name: str, attempt: int = 0) -> str:
    """`.film.mkv.peerline-part`; then `.film.mkv.1.peerline-part`; never too long."""
    number = f".{attempt}" if attempt else ""
    partial = f".{name}{number}{PARTIAL_SUFFIX}"
    if len(partial.encode()) <= NAME_LIMIT:
        return partial
    digest = hashlib.sha256(name.encode()).hexdigest()[:16]
    rest = f"~{digest}{number}{PARTIAL_SUFFIX}"
    return f".{_cut(name, NAME_LIMIT - 1 - len(rest))}{rest}"


def numbered(name: str, *, folder: bool = False) -> Iterator[str]:
    """`film.mkv`, `film (1).mkv`, `film (2).mkv`, ...; never too long."""
    yield name
    stem, suffix = (name, "") if folder else _split_suffix(name)
    for number in range(1, ATTEMPTS):
        rest = f" ({number}){suffix}"
        yield f"{_cut(stem, NAME_LIMIT - len(rest.encode()))}{rest}"


def _split_suffix(name: str) -> tuple[str, str]:
    """Cut off `.mkv`, or `.tar.gz`; not the dot of a hidden file, nor an absurdly long suffix."""
    path = Path(name)
    suffix = path.suffix
    if suffix and Path(path.stem).suffix == ".tar":
        suffix = f".tar{suffix}"
    if not suffix or len(suffix.encode()) > 32 or suffix == name:
        return name, ""
    return name[: -len(suffix)], suffix


def _cut(text: str, limit: int) -> str:
    """The beginning of a text, at most `limit` UTF-8 bytes."""
    return text.encode()[:limit].decode(errors="ignore")
