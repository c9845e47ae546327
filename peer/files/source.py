"""What is to be sent: the list of it, and its content (floor 2)."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from peer.errors import DiskError, TransferError, UnsafeName
from peer.transfer.manifest import DIRECTORY, FILE, LINK, Entry, Manifest
from peer.transfer.names import display_name, safe_manifest

from .problems import disk_error, may

__all__ = ["Skipped", "SourceChanged", "Sources"]

OPEN_FILES = 4
"""Files that a reader keeps open: the current one, and some that may have to be read again."""


class SourceChanged(TransferError):
    """A file is not what it was when it was offered.

    Attributes:
        file: its index in the manifest.
    """

    def __init__(self, file: int, name: str) -> None:
        super().__init__(f'"{display_name(name)}" changed while it was being sent.')
        self.file = file


@dataclass(frozen=True, slots=True)
class Skipped:
    """Something inside a folder that will not be sent."""

    path: Path
    reason: str
    """To follow the path in a sentence: `is a socket`."""

    def __str__(self) -> str:
        return f'"{display_name(str(self.path))}" {self.reason} and is not sent.'


@dataclass(frozen=True, slots=True)
class _Source:
    """Where an entry's content is, and how to see whether it is still the same."""

    path: Path
    entry: Entry
    identity: tuple[int, int, int, int]
    """Device, inode, size, mtime in ns."""


def _identity(info: os.stat_result) -> tuple[int, int, int, int]:
    return info.st_dev, info.st_ino, info.st_size, info.st_mtime_ns


class Sources:
    """Files and folders to send.

    `Sources.of` lists them; `read` reads segments and may be called from several threads.
    """

    def __init__(self, found: Iterable[_Source], skipped: Iterable[Skipped] = ()) -> None:
        self._sources = tuple(found)
        self._lock = threading.Lock()
        self._open: dict[int, int] = {}
        self._closed = False
        self._busy: dict[int, int] = {}
        self.skipped = tuple(skipped)
        """What was left out, for a warning."""
        self.manifest = Manifest(source.entry for source in self._sources)

    @classmethod
    def of(cls, paths: Iterable[str | os.PathLike[str]]) -> Self:
        """List files, and folders with everything in them.

        A path that is itself a symbolic link stands for what it points to. Links inside folders
        are sent as links, when they stay inside the folder. Sockets, pipes and devices inside
        folders are skipped.

        Raises:
            DiskError: something does not exist or cannot be read, or nothing is left to send.
            UnsafeName: a name that the other side would have to refuse.
            TransferError: more than fits one transfer.
        """
        found: list[_Source] = []
        skipped: list[Skipped] = []
        for path in paths:
            for thing in _walk(Path(path)):
                if isinstance(thing, Skipped):
                    skipped.append(thing)
                else:
                    found.append(thing)
        if not found:
            raise DiskError("There is nothing to send.")
        safe_manifest(source.entry for source in found)
        try:
            return cls(found, skipped)
        except ValueError as exc:
            raise TransferError(f"This does not fit in one transfer: {exc}.") from exc

    def read(self, file: int, offset: int, length: int) -> bytes:
        """Read a part of a file.

        Raises:
            SourceChanged: it is not what was listed.
            DiskError: it cannot be read.
        """
        source = self._sources[file]
        descriptor = self._descriptor(file)
        try:
            data = os.pread(descriptor, length, offset)
            while len(data) < length:  # a network file system may return less than there is
                more = os.pread(descriptor, length - len(data), offset + len(data))
                if not more:
                    raise SourceChanged(file, source.entry.path)
                data += more
            if _identity(os.fstat(descriptor)) != source.identity:
                raise SourceChanged(file, source.entry.path)
        except OSError as exc:
            raise disk_error(exc, source.path, writing=False) from exc
        finally:
            self._release(file)
        return data

    def close(self) -> None:
        """Close all files; nothing must be reading."""
        with self._lock:
            self._closed = True
            while self._open:
                os.close(self._open.popitem()[1])

    def _descriptor(self, file: int) -> int:
        """An open descriptor, that stays open until `_release`."""
        with self._lock:
            if self._closed:
                raise DiskError("The transfer is over.")
            descriptor = self._open.pop(file, None)
            if descriptor is None:
                descriptor = self._open_source(file)
            self._open[file] = descriptor  # the last one is the youngest
            self._busy[file] = self._busy.get(file, 0) + 1
            return descriptor

    def _release(self, file: int) -> None:
        with self._lock:
            self._busy[file] -= 1
            if not self._busy[file]:
                del self._busy[file]
            for idle in [other for other in self._open if other not in self._busy]:
                if len(self._open) <= OPEN_FILES:
                    break
                os.close(self._open.pop(idle))

    def _open_source(self, file: int) -> int:
        source = self._sources[file]
        try:
            # Not blocking: the file may have been replaced by a pipe since it was listed.
            descriptor = os.open(
                source.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW
            )
        except FileNotFoundError as exc:
            raise SourceChanged(file, source.entry.path) from exc
        except OSError as exc:
            raise disk_error(exc, source.path, writing=False) from exc
        if _identity(os.fstat(descriptor)) != source.identity:
            os.close(descriptor)
            raise SourceChanged(file, source.entry.path)
        return descriptor


def _walk(path: Path) -> Iterator[_Source | Skipped]:
    """List one thing that a person named."""
    try:
        real = path.resolve(strict=True)
        info = real.stat()
    except (OSError, RuntimeError) as exc:
        problem = exc if isinstance(exc, OSError) else OSError(str(exc))
        raise disk_error(problem, path, writing=False) from exc
    # `.` and `..` have names too; a link goes by its own name, not by its target's
    name = path.name if path.name not in ("", "..") else real.name
    if not name:
        raise DiskError("The root of the file system cannot be sent.")
    if stat.S_ISDIR(info.st_mode):
        yield _directory(real, name, info)
        yield from _walk_directory(real, name)
    elif stat.S_ISREG(info.st_mode):
        yield _file(real, name, info)
    else:
        raise DiskError(f'"{display_name(str(path))}" is neither a file nor a folder.')


def _walk_directory(folder: Path, name: str) -> Iterator[_Source | Skipped]:
    """List what is inside a folder, sorted, folders before what they hold."""
    waiting = [(folder, name)]
    while waiting:
        folder, name = waiting.pop()
        try:
            with os.scandir(folder) as scan:
                children = sorted(scan, key=lambda child: child.name)
        except OSError as exc:
            raise disk_error(exc, folder, writing=False) from exc
        below = []
        for child in children:
            path, child_name = folder / child.name, f"{name}/{child.name}"
            try:
                info = child.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue  # gone since the folder was read
            except OSError as exc:
                raise disk_error(exc, path, writing=False) from exc
            if stat.S_ISDIR(info.st_mode):
                yield _directory(path, child_name, info)
                below.append((path, child_name))
            elif stat.S_ISREG(info.st_mode):
                if not child.name.endswith(".peerline-part"):
                    yield _file(path, child_name, info)
                else:
                    yield Skipped(path, "is an unfinished transfer")
            elif stat.S_ISLNK(info.st_mode):
                yield _link(path, child_name, info)
            else:
                yield Skipped(path, "is neither a file nor a folder nor a link")
        waiting += reversed(below)


def _milliseconds(info: os.stat_result) -> int:
    return info.st_mtime_ns // 1_000_000


def _directory(path: Path, name: str, info: os.stat_result) -> _Source:
    entry = Entry(path=name, kind=DIRECTORY, mtime=_milliseconds(info), mode=info.st_mode & 0o777)
    return _Source(path, entry, _identity(info))


def _file(path: Path, name: str, info: os.stat_result) -> _Source:
    if not may(path, os.R_OK):
        # Now, not after an hour of sending.
        raise disk_error(PermissionError(13, "Permission denied"), path, writing=False)
    entry = Entry(
        path=name,
        kind=FILE,
        size=info.st_size,
        mtime=_milliseconds(info),
        mode=info.st_mode & 0o777,
    )
    return _Source(path, entry, _identity(info))


def _link(path: Path, name: str, info: os.stat_result) -> _Source | Skipped:
    try:
        target = str(path.readlink())
    except OSError as exc:
        raise disk_error(exc, path, writing=False) from exc
    entry = Entry(path=name, kind=LINK, target=target, mtime=_milliseconds(info))
    try:
        safe_manifest([Entry(path=name, kind=FILE, size=0)])
    except UnsafeName:
        pass  # the name itself is refused later, together with the others
    else:
        try:
            safe_manifest([entry])
        except UnsafeName as exc:
            return Skipped(path, exc.reason)
    return _Source(path, entry, _identity(info))
