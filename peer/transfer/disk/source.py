"""Files and folders to send: their listing and their content (floor 2)."""

from __future__ import annotations

import errno
import os
import stat
import threading
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from peer.errors import DiskError, TransferError
from peer.text import show_name
from peer.transfer.protocol.config import MAX_PATH
from peer.transfer.protocol.manifest import DIRECTORY, FILE, LINK, Entry, Manifest
from peer.transfer.protocol.names import (
    decode_path,
    encode_path,
    link_problem,
    numbered,
)
from peer.transfer.protocol.notes import LeftOut, Notes, Renamed

from .partial import PARTIAL_SUFFIX
from .problems import disk_error, may

__all__ = ["SourceChanged", "SourceLost", "Sources"]

OPEN_FILES = 4
"""Files that a reader keeps open: the current one, and some that may be read again."""

PROBLEMS: Final = 20
"""Problems that one message names."""

_READING: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW
"""Non-blocking, because a pipe may have replaced a file since it was listed."""


class SourceChanged(TransferError):
    """A file has changed since it was listed.

    Attributes:
        file: Its index in the manifest.
        reason: Reason, to follow the path in a sentence, if no part of it was sent.
    """

    def __init__(self, file: int, name: str) -> None:
        super().__init__(f'"{show_name(name)}" changed before all of it was sent.')
        self.file = file
        self.reason = "has changed since it was listed"


class SourceLost(DiskError):
    """A file can no longer be read.

    Attributes:
        file: Its index in the manifest.
        reason: Reason, to follow the path in a sentence.
    """

    def __init__(self, file: int, name: str, reason: str) -> None:
        super().__init__(f'"{show_name(name)}" {reason}.')
        self.file = file
        self.reason = reason


@dataclass(frozen=True, slots=True)
class _Found:
    """An entry to send, and its status."""

    entry: Entry
    info: os.stat_result


class Sources:
    """A listing of files and folders to send, and their content.

    `Sources.of` makes the listing. Show it to a person, and give it to `Link.send_files`: the
    offer is then what was shown. It serves one transfer, which closes its files.

    Attributes:
        manifest: Every file, folder and link that is offered.
        strict: Whether leaving anything out ends the transfer.
        left_out: Entries that are not offered, with the reason.
        renamed: Entries at the top that are offered under another name, because two have the same.
    """

    def __init__(self, *, strict: bool = False) -> None:
        """Make an empty listing; use `Sources.of`."""
        self._roots: dict[str, str] = {}
        """Local paths of the entries at the top, by their names in the offer."""
        self._identities = array("Q")
        """Device, inode and time of modification (ns) of each entry."""
        self._lock = threading.Lock()
        self._open: dict[int, int] = {}
        self._claimed = False
        self._closed = False
        self._busy: dict[int, int] = {}
        self.strict = strict
        self.left_out: Notes[LeftOut] = Notes()
        self.renamed: Notes[Renamed] = Notes()
        self.manifest = Manifest()

    @classmethod
    def of(cls, paths: Iterable[str | os.PathLike[str]], *, strict: bool = False) -> Self:
        """List files, and folders with everything in them. Blocks while it reads the folders.

        A path that is itself a symbolic link stands for its target. Links inside folders are sent
        as links if their targets are inside the same folder. Entries that cannot be read, and
        sockets, pipes and devices, are left out. Of two paths with the same last name, the second
        gets a number.

        Args:
            paths: Files and folders to send.
            strict: Refuse to leave anything out, now and while sending.

        Raises:
            DiskError: A path does not exist, nothing is left to send, or (if strict) an entry would
                be left out; the message names every problem.
            TransferError: The listing is too large for one transfer.
        """
        sources = cls(strict=strict)
        missing: list[str] = []
        resolved: dict[tuple[str, str], None] = {}
        for path in paths:
            try:
                resolved[_resolve(Path(path))] = None
            except DiskError as exc:
                missing.append(str(exc))
        if missing:
            raise DiskError(_together(missing))
        for real, name in resolved:
            sources._add_root(real, name)
        problems = [f'"{show_name(left.path)}" {left.reason}.' for left in sources.left_out]
        more = sources.left_out.total - len(problems)
        if not len(sources.manifest):
            raise DiskError(_together(["There is nothing to send.", *problems], more))
        if strict and problems:
            raise DiskError(_together(problems, more))
        return sources

    def _add_root(self, real: str, name: str) -> None:
        """List one given path."""
        root = next(each for each in numbered(name) if each not in self._roots)
        things = _walk(real, root)
        first = next(things)
        if isinstance(first, LeftOut):
            self.left_out.add(first)
            return
        self._roots[root] = real
        if root != name:
            self.renamed.add(Renamed(encode_path(real)[0], encode_path(root)[0]))
        self._add(first)
        for thing in things:
            if isinstance(thing, LeftOut):
                self.left_out.add(thing)
            else:
                self._add(thing)

    def _add(self, found: _Found) -> None:
        info = found.info
        try:
            self.manifest.extend((found.entry,))
        except ValueError as exc:
            raise TransferError(f"This does not fit in one transfer: {exc}.") from exc
        self._identities.extend((info.st_dev, info.st_ino, info.st_mtime_ns & _U64))

    def _claim(self) -> None:
        """Reserve the listing for one transfer.

        Raises:
            RuntimeError: A transfer has it already.
        """
        if self._claimed:
            raise RuntimeError("these sources belong to another transfer")
        self._claimed = True

    def path(self, index: int) -> str:
        """Return the local path of an entry."""
        entry = self.manifest[index]
        root, slash, rest = decode_path(entry.path, entry.escaped).partition("/")
        return f"{self._roots[root]}{slash}{rest}"

    def read(self, file: int, offset: int, length: int) -> bytes:
        """Read a part of a file.

        Raises:
            SourceLost: The file can no longer be opened.
            SourceChanged: The file has changed since it was listed.
            DiskError: The file cannot be read.
        """
        descriptor = self._descriptor(file)
        try:
            return self._read(descriptor, file, offset, length)
        finally:
            self._release(file)

    def read_whole(self, file: int) -> bytes:
        """Read a small file.

        Raises:
            SourceLost: The file can no longer be opened.
            SourceChanged: The file has changed since it was listed.
            DiskError: The file cannot be read.
        """
        descriptor = self._open_source(file)
        try:
            return self._read(descriptor, file, 0, self.manifest.size(file))
        finally:
            os.close(descriptor)

    def close(self) -> None:
        """Close all files; no thread may be reading."""
        with self._lock:
            self._closed = True
            while self._open:
                os.close(self._open.popitem()[1])

    def _read(self, descriptor: int, file: int, offset: int, length: int) -> bytes:
        try:
            data = os.pread(descriptor, length, offset)
            while len(data) < length:  # a network file system may return fewer bytes
                more = os.pread(descriptor, length - len(data), offset + len(data))
                if not more:
                    raise self._changed(file)
                data += more
            self._check_identity(descriptor, file)
        except OSError as exc:
            raise disk_error(exc, self.path(file), writing=False) from exc
        return data

    def _changed(self, file: int) -> SourceChanged:
        return SourceChanged(file, self.manifest[file].path)

    def _check_identity(self, descriptor: int, file: int) -> None:
        info = os.fstat(descriptor)
        known = self._identities[3 * file : 3 * file + 3]
        now = array("Q", (info.st_dev, info.st_ino, info.st_mtime_ns & _U64))
        if now != known or info.st_size != self.manifest.size(file):
            raise self._changed(file)

    def _descriptor(self, file: int) -> int:
        """Return a descriptor that stays open until `_release`."""
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
        name = self.manifest[file].path
        try:
            descriptor = os.open(self.path(file), _READING)
        except FileNotFoundError as exc:
            raise SourceLost(file, name, "has vanished") from exc
        except OSError as exc:
            raise SourceLost(file, name, _reason(exc)) from exc
        try:
            self._check_identity(descriptor, file)
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor


_U64: Final = (1 << 64) - 1


def _together(sentences: list[str], more: int = 0) -> str:
    """Join all problems in one message."""
    more += max(0, len(sentences) - PROBLEMS)
    rest = [f"... and {more} more."] if more else []
    return "\n".join([*sentences[:PROBLEMS], *rest])


def _resolve(path: Path) -> tuple[str, str]:
    """Return the real path of a given path, and its name in the offer.

    Raises:
        DiskError: The path does not exist.
    """
    try:
        real = path.resolve(strict=True)
    except (OSError, RuntimeError) as exc:
        problem = exc if isinstance(exc, OSError) else OSError(str(exc))
        raise disk_error(problem, path, writing=False) from exc
    # `.` and `..` get their real names; a link keeps its own name, not that of its target
    name = path.name if path.name not in ("", "..") else real.name
    if not name:
        raise DiskError("The root of the file system cannot be sent.")
    return str(real), name


def _walk(real: str, name: str) -> Iterator[_Found | LeftOut]:
    """List one entry, followed by its content."""
    shown = encode_path(name)[0]
    try:
        info = os.lstat(real)
    except OSError as exc:
        yield LeftOut(shown, _reason(exc))
        return
    if stat.S_ISDIR(info.st_mode):
        if not may(real, os.R_OK | os.X_OK):
            yield LeftOut(shown, "is a folder that cannot be read: permission denied")
            return
        yield _directory(name, info)
        yield from _walk_directory(real, name)
    elif stat.S_ISREG(info.st_mode):
        yield _file(real, name, info)
    else:
        yield LeftOut(shown, _what(info))


def _walk_directory(folder: str, name: str) -> Iterator[_Found | LeftOut]:
    """List the content of a folder, sorted, each folder before its content."""
    waiting = [(folder, name)]
    while waiting:
        folder, name = waiting.pop()
        try:
            with os.scandir(folder) as scan:
                children = sorted(child.name for child in scan)
        except OSError as exc:
            yield LeftOut(encode_path(name)[0], f"is a folder that {_reason(exc)}")
            continue
        below = []
        for child in children:
            path, child_name = f"{folder}/{child}", f"{name}/{child}"
            found = _child(path, child_name)
            yield found
            if isinstance(found, _Found) and found.entry.kind == DIRECTORY:
                below.append((path, child_name))
        waiting += reversed(below)


def _child(path: str, name: str) -> _Found | LeftOut:
    shown, _ = encode_path(name)
    if len(os.fsencode(shown)) > MAX_PATH:
        return LeftOut(shown, f"has a path of more than {MAX_PATH} bytes")
    try:
        info = os.lstat(path)
    except OSError as exc:
        return LeftOut(shown, _reason(exc))
    if stat.S_ISDIR(info.st_mode):
        return _directory(name, info)
    if stat.S_ISREG(info.st_mode):
        if path.endswith(PARTIAL_SUFFIX):
            return LeftOut(shown, "is an unfinished transfer")
        return _file(path, name, info)
    if stat.S_ISLNK(info.st_mode):
        return _link(path, name, info)
    return LeftOut(shown, _what(info))


def _reason(exc: OSError) -> str:
    """Return why an entry cannot be read, to follow its path in a sentence."""
    if exc.errno == errno.ENOENT:
        return "has vanished"
    if exc.errno in (errno.EACCES, errno.EPERM):
        return "cannot be read: permission denied"
    if exc.errno == errno.ENAMETOOLONG:
        return "has a path that is too long"
    if exc.errno == errno.ELOOP:
        return "cannot be read: a link is in the way"
    return f"cannot be read: {(exc.strerror or 'the system gives no reason').lower()}"


def _what(info: os.stat_result) -> str:
    for is_one, what in _OTHERS:
        if is_one(info.st_mode):
            return f"is {what}"
    return "is neither a file nor a folder nor a link"


_OTHERS: Final = (
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISCHR, "a device"),
)


def _milliseconds(info: os.stat_result) -> int:
    return info.st_mtime_ns // 1_000_000


def _directory(name: str, info: os.stat_result) -> _Found:
    path, escaped = encode_path(name)
    entry = Entry(
        path=path,
        kind=DIRECTORY,
        mtime=_milliseconds(info),
        mode=info.st_mode & 0o777,
        escaped=escaped,
    )
    return _Found(entry, info)


def _file(path: str, name: str, info: os.stat_result) -> _Found | LeftOut:
    sent, escaped = encode_path(name)
    if not may(path, os.R_OK):
        # Checked now, not after an hour of sending.
        return LeftOut(sent, "cannot be read: permission denied")
    entry = Entry(
        path=sent,
        kind=FILE,
        size=info.st_size,
        mtime=_milliseconds(info),
        mode=info.st_mode & 0o777,
        escaped=escaped,
    )
    return _Found(entry, info)


def _link(path: str, name: str, info: os.stat_result) -> _Found | LeftOut:
    sent, escaped = encode_path(name)
    try:
        target = os.readlink(path)  # noqa: PTH115 -- a Path would normalise the target
    except OSError as exc:
        return LeftOut(sent, _reason(exc))
    target = _plain_target(target)
    escaped = escaped or encode_path(target)[1]
    sent = encode_path(name, escape=escaped)[0]
    if len(sent.encode()) + len(os.fsencode(target)) > MAX_PATH:  # both have to fit in a message
        return LeftOut(sent, "is a link with a path that is too long")
    entry = Entry(
        path=sent,
        kind=LINK,
        target=encode_path(target, escape=escaped)[0],
        mtime=_milliseconds(info),
        escaped=escaped,
    )
    problem = link_problem(entry)
    return LeftOut(sent, problem) if problem is not None else _Found(entry, info)


def _plain_target(target: str) -> str:
    """Return a relative target without redundant parts, such as those in `./a//b/`."""
    if target.startswith("/"):
        return target
    return "/".join(part for part in target.split("/") if part not in ("", ".")) or "."
