"""Registry of the embedded servers of a user on this machine: a folder of small files.

Two processes on one machine find each other through it, without multicast and with no interface but
`lo`. A file is named after its room (`7.json`) and locked by the process that made it: a process
that gets the lock knows that the owner has ended.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import stat
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

if sys.platform != "win32":
    import fcntl

__all__ = ["Entry", "NumberTaken", "find", "numbers", "publish", "runtime_folder"]

_NUMBER = re.compile("[1-9][0-9]{0,8}")


class NumberTaken(Exception):
    """Another process of this user serves a room with this number."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One embedded server of this user on this machine."""

    number: str
    """Number of the room."""
    port: int
    """Port of plain HTTP on 127.0.0.1."""
    pid: int


def runtime_folder() -> Path | None:
    """Return the folder of the entries of this user, made if missing; None if none is safe.

    It must belong to the user and be closed to others: a process that can write there could send
    the next `receive` of the user to its own server (and would still need the words of the code).
    """
    if sys.platform == "win32":
        return None  # no flock there, and no other reliable way to detect an ended owner
    import platformdirs

    with warnings.catch_warnings():
        # It warns about an unusable XDG_RUNTIME_DIR and falls back to a folder under /tmp,
        # which is checked below like any other.
        warnings.simplefilter("ignore")
        path = platformdirs.user_runtime_path("peerline", appauthor=False)
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        parent, found = path.parent.lstat(), path.lstat()
        if {parent.st_uid, found.st_uid} != {os.getuid()}:
            return None
        if not stat.S_ISDIR(found.st_mode) or stat.S_IMODE(parent.st_mode) & 0o022:
            return None
        if stat.S_IMODE(found.st_mode) & 0o077:
            path.chmod(0o700)
    except OSError:
        return None
    return path


@contextlib.contextmanager
def publish(folder: Path, number: str, port: int) -> Iterator[None]:
    """Keep an entry for `number` in the folder for as long as the context lasts.

    Raises:
        NumberTaken: A running process has that number.
        OSError: The folder cannot be written.
    """
    path = _path(folder, number)
    partial = folder / f".{number}.{os.getpid()}"
    descriptor = os.open(partial, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        # Locked and complete before it gets its name, so that no process reads half an entry.
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        entry = {"number": number, "port": port, "pid": os.getpid()}
        os.write(descriptor, json.dumps(entry).encode())
        try:
            _name(partial, path)
        finally:
            partial.unlink(missing_ok=True)
        try:
            yield
        finally:
            path.unlink(missing_ok=True)
    finally:
        os.close(descriptor)


def find(folder: Path, number: str) -> Entry | None:
    """Return the live entry for `number`; remove stale ones."""
    path = _path(folder, number)
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return None
    try:
        entry = _parse(os.read(descriptor, 4096), number)
        if entry is None or _is_dead(descriptor):
            _remove(path, descriptor)
            return None
        return entry
    finally:
        os.close(descriptor)


def numbers(folder: Path) -> list[str]:
    """Return the room numbers of all live entries."""
    names = [path.stem for path in folder.glob("[1-9]*.json")]
    return [name for name in names if _NUMBER.fullmatch(name) and find(folder, name) is not None]


def _name(partial: Path, path: Path) -> None:
    """Give the entry its name, unless a live entry has it."""
    for last in (False, True):
        try:
            path.hardlink_to(partial)
        except FileExistsError:
            if last or find(path.parent, path.stem) is not None:
                raise NumberTaken(path.stem) from None
        else:
            return


def _path(folder: Path, number: str) -> Path:
    if not _NUMBER.fullmatch(number):
        raise ValueError(f"not a room number: {number!r}")
    return folder / f"{number}.json"


def _parse(content: bytes, number: str) -> Entry | None:
    try:
        found = json.loads(content)
        entry = Entry(str(found["number"]), int(found["port"]), int(found["pid"]))
    except (ValueError, KeyError, TypeError):
        return None
    return entry if entry.number == number and 0 < entry.port < 65536 else None


def _is_dead(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _remove(path: Path, descriptor: int) -> None:
    """Remove a stale entry, unless a new one has taken its name."""
    with contextlib.suppress(OSError):
        if os.path.samestat(path.stat(), os.fstat(descriptor)):
            path.unlink()
