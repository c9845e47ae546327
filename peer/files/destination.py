"""Where received files go (floor 2).

Every name comes from a `SafePlan`, and is walked part by part from an open folder with `dir_fd` and
`O_NOFOLLOW`: whatever somebody puts in the way meanwhile, nothing is written outside the folder.

A file grows under a partial name (`.film.mkv.peerline-part`, locked against other receivers),
gets its mode and time, is flushed, and then takes its final name in one step that never replaces
anything unless asked: a taken name becomes `film (1).mkv`, a taken folder `photos (1)`.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, Self

from peer.errors import DiskError
from peer.transfer.manifest import Entry
from peer.transfer.names import SafePlan, display_name

from .partial import numbered, open_partial, partial_link, reserve
from .problems import disk_error, human_size, may

__all__ = ["Destination", "NoRoom"]

_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NO_HARD_LINKS: Final = frozenset(
    {errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK, errno.EACCES}
)
_WRITE_SIZE: Final = 1 << 14
"""Bytes of one write. Linux takes memory for the page cache in blocks as large as the write, and
free blocks that are large have seldom been used before: where a hypervisor backs memory at its
first use, one write of a mebibyte took three to five times as long as sixty-four of these."""
_WRITE_OUT: Final = 16 << 20
"""Bytes of a file after which the disk is told to begin with them. Otherwise it waits until the
end, and a person with it: a second for each gigabyte and more."""


class NoRoom(DiskError):
    """The disk has less room than the files need."""


class _OpenFile:
    """A partial file."""

    __slots__ = ("_dirty", "_end", "_start", "descriptor", "folder", "partial")

    def __init__(self, folder: int, partial: str, descriptor: int) -> None:
        self.folder = folder
        """Descriptor of the folder it is in."""
        self.partial = partial
        """Its name there."""
        self.descriptor = descriptor
        self._dirty = 0
        self._start, self._end = sys.maxsize, 0

    def wrote(self, offset: int, length: int) -> None:
        """After so many bytes start writing what the operating system holds, and do not wait."""
        self._dirty += length
        self._start = min(self._start, offset)
        self._end = max(self._end, offset + length)
        if self._dirty < _WRITE_OUT:
            return
        if sys.platform == "linux":  # elsewhere the advice has no such effect, or is not there
            # Only what is new: what is on the disk already would be dropped from memory.
            start, length = self._start, self._end - self._start
            with suppress(OSError):  # a file system, or a sandbox, that takes no advice
                os.posix_fadvise(self.descriptor, start, length, os.POSIX_FADV_DONTNEED)
        self._dirty = 0
        self._start, self._end = sys.maxsize, 0

    def close(self) -> None:
        os.close(self.descriptor)
        os.close(self.folder)


class Destination:
    """The folder that a transfer is received into.

    Methods that take a `file` (index in the plan) may be called from several threads, for one file
    in the order write, finish.

    Args:
        folder: Where to put everything; made when it does not exist.
        plan: What is going to arrive.
        overwrite: Replace files that exist, and merge folders.
        flush: Wait until a file is on the disk before it gets its final name.

    Raises:
        DiskError: the folder cannot be made or written to, or has too little room (`NoRoom`).
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        plan: SafePlan,
        *,
        overwrite: bool = False,
        flush: bool = True,
    ) -> None:
        self.folder = Path(folder).absolute()
        self._plan = plan
        self._overwrite = overwrite
        self._flush = flush
        self._lock = threading.Lock()
        self._open: dict[int, _OpenFile] = {}
        self._root_names: dict[str, str] = {}
        """By first part of a path: the name that it got here."""
        self._root = _open_root(self.folder)
        try:
            self._check_room(sum(safe.entry.size or 0 for safe in plan))
        except DiskError:
            os.close(self._root)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def paths(self) -> list[Path]:
        """What was received, as a person finds it: the files and folders at the top."""
        roots = dict.fromkeys(safe.parts[0] for safe in self._plan)
        with self._lock:
            return [
                self.folder / self._root_names[root] for root in roots if root in self._root_names
            ]

    def write(self, file: int, offset: int, data: bytes | memoryview) -> None:
        """Write a part of a file.

        Raises:
            DiskError: full, no permission, ...
        """
        try:
            opened = self._opened(file)
            view = memoryview(data)
            while view:
                written = os.pwrite(opened.descriptor, view[:_WRITE_SIZE], offset)
                view = view[written:]
                offset += written
            if self._flush:
                opened.wrote(offset - len(data), len(data))
        except OSError as exc:
            raise self._error(exc, file) from exc

    def finish(self, file: int) -> Path:
        """Give a file its mode, its time and its final name.

        Returns:
            The final path.

        Raises:
            DiskError: it cannot take that name.
        """
        try:
            opened = self._opened(file)
            entry = self._plan[file].entry
            _set_mode_and_time(opened.descriptor, entry)
            if self._flush:
                os.fsync(opened.descriptor)
            name = self._name_file(opened, self._plan[file].parts[-1])
            with self._lock:
                del self._open[file]
            opened.close()
            return self._placed(file, name)
        except OSError as exc:
            raise self._error(exc, file) from exc

    def make_directory(self, file: int) -> Path:
        """Make a folder.

        Raises:
            DiskError: it cannot be made.
        """
        parts = self._plan[file].parts
        try:
            os.close(self._walk(parts))
        except OSError as exc:
            raise self._error(exc, file) from exc
        return self._placed(file, parts[-1] if len(parts) > 1 else self._root_names[parts[0]])

    def make_link(self, file: int) -> Path:
        """Make a symbolic link. Call it when all files are finished.

        Raises:
            DiskError: it cannot be made.
        """
        safe = self._plan[file]
        target = self._target(safe.parts, safe.entry.target or "")
        try:
            folder = self._walk(safe.parts[:-1])
            try:
                name = self._name_link(folder, safe.parts[-1], target)
            finally:
                os.close(folder)
        except OSError as exc:
            raise self._error(exc, file) from exc
        return self._placed(file, name)

    def partial_paths(self) -> list[Path]:
        """Unfinished files that have begun to arrive; they stay when the transfer breaks off."""
        with self._lock:
            return [
                self._path(self._plan[file].parts[:-1]) / opened.partial
                for file, opened in self._open.items()
            ]

    def close(self) -> None:
        """Close everything; partial files stay. Nothing must be writing."""
        with self._lock:
            if self._root < 0:
                return
            while self._open:
                self._open.popitem()[1].close()
            if self._flush:
                with suppress(OSError):  # some file systems cannot; the names are only safer for it
                    os.fsync(self._root)
            os.close(self._root)
            self._root = -1

    # Room and errors

    def _check_room(self, needed: int) -> None:
        try:
            info = os.fstatvfs(self._root)
        except OSError:
            return  # a file system that does not tell
        free = info.f_bavail * info.f_frsize
        if needed > free:
            raise NoRoom(
                f'Not enough room in "{display_name(str(self.folder))}": '
                f"{human_size(needed)} needed, {human_size(free)} free."
            )

    def _error(self, exc: OSError, file: int) -> DiskError:
        return disk_error(exc, "/".join(self._plan[file].parts), writing=True)

    def _path(self, parts: Sequence[str]) -> Path:
        if not parts:
            return self.folder
        return self.folder.joinpath(self._root_names.get(parts[0], parts[0]), *parts[1:])

    def _placed(self, file: int, name: str) -> Path:
        """Note under which name an entry stands now."""
        parts = self._plan[file].parts
        if len(parts) == 1:
            with self._lock:
                self._root_names[parts[0]] = name
            return self.folder / name
        return self._path(parts[:-1]) / name

    # Folders

    def _walk(self, parts: Sequence[str]) -> int:
        """Open a folder below the root, making what is missing, following no link.

        Returns:
            A descriptor that the caller closes.
        """
        descriptor = os.dup(self._root)
        try:
            for depth, part in enumerate(parts):
                if depth == 0:
                    with self._lock:
                        part = self._root_folder(part)
                else:
                    with suppress(FileExistsError):
                        os.mkdir(part, dir_fd=descriptor)
                below = os.open(part, _FOLDER, dir_fd=descriptor)
                os.close(descriptor)
                descriptor = below
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def _root_folder(self, part: str) -> str:
        """The name that a folder at the top got; makes it the first time. Needs the lock."""
        known = self._root_names.get(part)
        if known is not None:
            return known
        if self._overwrite:
            with suppress(FileExistsError):
                os.mkdir(part, dir_fd=self._root)
            self._root_names[part] = part
            return part
        for name in numbered(part, folder=True):
            try:
                os.mkdir(name, dir_fd=self._root)
            except FileExistsError:
                continue
            self._root_names[part] = name
            return name
        raise FileExistsError(errno.EEXIST, "File exists")

    def _target(self, parts: Sequence[str], target: str) -> str:
        """Where a link points to, with the names that things got here.

        Only links at the top point to things at the top, whose names may have been taken.
        """
        if len(parts) > 1:
            return target
        first, slash, rest = target.partition("/")
        with self._lock:
            return f"{self._root_names.get(first, first)}{slash}{rest}"

    # Files

    def _opened(self, file: int) -> _OpenFile:
        with self._lock:
            opened = self._open.get(file)
            if opened is not None:
                return opened
        parts = self._plan[file].parts
        folder = self._walk(parts[:-1])
        try:
            partial, descriptor = open_partial(folder, parts[-1])
        except BaseException:
            os.close(folder)
            raise
        mine = _OpenFile(folder, partial, descriptor)
        with self._lock:
            opened = self._open.setdefault(file, mine)
        if opened is not mine:  # another thread was faster
            os.unlink(partial, dir_fd=folder)
            mine.close()
        return opened

    def _name_file(self, opened: _OpenFile, wanted: str) -> str:
        """Give a partial file its final name.

        Returns:
            The name it got.
        """
        folder, partial = opened.folder, opened.partial
        if self._overwrite:
            os.replace(partial, wanted, src_dir_fd=folder, dst_dir_fd=folder)
            return wanted
        for name in numbered(wanted):
            try:
                os.link(partial, name, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
            except FileExistsError:
                continue
            except OSError as exc:
                if exc.errno not in _NO_HARD_LINKS:
                    raise
                if not reserve(folder, name):
                    continue
                os.replace(partial, name, src_dir_fd=folder, dst_dir_fd=folder)
            else:
                os.unlink(partial, dir_fd=folder)
            return name
        raise FileExistsError(errno.EEXIST, "File exists")

    def _name_link(self, folder: int, wanted: str, target: str) -> str:
        for name in numbered(wanted):
            try:
                os.symlink(target, name, dir_fd=folder)
            except FileExistsError:
                if not self._overwrite:
                    continue
                partial = partial_link(folder, wanted, target)
                os.replace(partial, name, src_dir_fd=folder, dst_dir_fd=folder)
            return name
        raise FileExistsError(errno.EEXIST, "File exists")


def _open_root(folder: Path) -> int:
    """Make and open the destination itself; the one path that is the user's own and trusted."""
    if os.open not in os.supports_dir_fd:
        raise DiskError("Receiving files is not supported on this operating system.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as exc:
        raise disk_error(exc, folder, writing=True) from exc
    if not may(folder, os.W_OK | os.X_OK):
        os.close(descriptor)
        raise disk_error(PermissionError(errno.EACCES, "Permission denied"), folder, writing=True)
    return descriptor


def _set_mode_and_time(descriptor: int, entry: Entry) -> None:
    """Set the x bits where the umask lets the file be read, and the time. Nothing else, ever."""
    if entry.mode is not None and entry.mode & 0o111:
        mode = stat.S_IMODE(os.fstat(descriptor).st_mode) & 0o666
        with suppress(PermissionError):  # file systems without modes
            os.fchmod(descriptor, mode | (entry.mode & (mode >> 2) & 0o111))
    if entry.mtime is not None:
        time = entry.mtime * 1_000_000
        with suppress(OSError, OverflowError):  # a time that this disk cannot hold
            os.utime(descriptor, ns=(time, time))
