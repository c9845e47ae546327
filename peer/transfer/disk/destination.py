"""Folder into which files are received (floor 2).

Every name comes from a `NamePlan` and is walked part by part from an open folder with `dir_fd` and
`O_NOFOLLOW`: even if somebody puts links in the way, no file is written outside the folder.

A file grows under a partial name (`.film.mkv.peerline-part`, locked against other receivers and
private to its owner), gets its mode and time, is flushed, and then takes its final name in one step
that replaces an existing file only if asked: a taken name becomes `film (1).mkv`, a taken folder
`photos (1)`. Folders are private to their owner until `set_folders`.
"""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final, Self

from peer.errors import DiskError, TransferError
from peer.text import show_name
from peer.transfer.protocol.manifest import Entry, Manifest
from peer.transfer.protocol.names import encode_path, numbered
from peer.transfer.protocol.notes import LeftOut, Notes, Renamed
from peer.transfer.protocol.plan import NamePlan
from peer.transfer.sizes import format_size

from .abilities import probe
from .flushing import flush
from .naming import take_name
from .partial import ATTEMPTS, open_partial, partial_link
from .problems import disk_error, may
from .writing import OpenFile, set_mode_and_time, write

__all__ = ["Destination", "NoRoom"]

_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_OPEN_AT_ONCE: Final = 300
"""Files and folders that `put` has open at a time. Two threads do so, and the usual limit is
1024."""
_PRIVATE_FOLDER: Final = 0o700
"""Mode of a folder that is being filled."""
_NO_LINKS: Final = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS})


class NoRoom(DiskError):
    """The disk has too little free space for the files."""


@dataclass(slots=True)
class _Folder:
    """A folder that this transfer made."""

    mode: int | None = None
    mtime: int | None = None


class Destination:
    """The folder that a transfer is received into.

    Methods with a `file` argument (index in the manifest) may be called from several threads; for
    one file in the order write, finish.

    Args:
        folder: Destination; made if it does not exist.
        manifest: Entries to receive.
        overwrite: Replace files that exist, and merge folders.
        flush: Wait until a file is on the disk before it gets its final name.

    Raises:
        DiskError: The folder cannot be made or written to, or has too little room (`NoRoom`).
        TransferError: The manifest is not valid.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        manifest: Manifest,
        *,
        overwrite: bool = False,
        flush: bool = True,
    ) -> None:
        self.folder = Path(folder).absolute()
        self._manifest = manifest
        self._overwrite = overwrite
        self._flush = flush
        self._lock = threading.Lock()
        self._open: dict[int, OpenFile] = {}
        self._root_names: dict[str, str] = {}
        """Names at the destination, by the first part of a path."""
        self._folders: dict[tuple[str, ...], _Folder] = {}
        """Folders that were made, in order, by their parts in the plan."""
        self.renamed: Notes[Renamed] = Notes()
        """Names that differ from the offered ones."""
        self.left_out: Notes[LeftOut] = Notes()
        """Entries that could not be put in place."""
        self._root = _open_root(self.folder)
        try:
            self._check_room(manifest.bytes)
            abilities = probe(self._root)
            self._allowed = abilities.allowed
            self._limit = abilities.platform.limit
            self._plan = NamePlan(manifest, abilities.platform)
        except OSError as exc:
            os.close(self._root)
            raise disk_error(exc, self.folder, writing=True) from exc
        except ValueError as exc:
            os.close(self._root)
            raise TransferError(f"The offer is not valid: {exc}.") from exc
        except BaseException:
            os.close(self._root)
            raise
        for note in self._plan.renamed:
            self.renamed.add(note)
        self.renamed.count(self._plan.renamed.total - len(self._plan.renamed))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def paths(self) -> list[Path]:
        """Return the received files and folders at the top."""
        with self._lock:
            return [self.folder / name for name in self._root_names.values()]

    def write(self, file: int, offset: int, data: bytes | memoryview) -> None:
        """Write a part of a file.

        Raises:
            DiskError: The disk is full, or there is no permission, ...
        """
        try:
            opened = self._opened(file)
            write(opened.descriptor, data, offset)
            if self._flush:
                opened.wrote(offset, len(data))
        except OSError as exc:
            raise self._error(exc, file) from exc

    def finish(self, file: int) -> Path:
        """Give a file its mode, its time and its final name.

        Returns:
            The final path.

        Raises:
            DiskError: The file cannot take that name.
        """
        try:
            opened = self._opened(file)
            self._set_mode_and_time(opened.descriptor, self._manifest[file])
            if self._flush:
                os.fsync(opened.descriptor)
            parts = self._plan.parts(file)
            name = self._name_file(opened.folder, opened.partial, parts[-1])
            with self._lock:
                del self._open[file]
            opened.close()
            return self._placed(parts, name)
        except OSError as exc:
            raise self._error(exc, file) from exc

    def is_empty(self, file: int) -> bool:
        """Return whether a file has no content."""
        return not self._manifest.size(file)

    def put(self, files: Iterable[tuple[int, bytes | memoryview]]) -> None:
        """Write and finish small files, each with its whole content.

        They are flushed together, before any of them gets its final name.

        Raises:
            DiskError: The disk is full, or there is no permission, ...; files without their final
                names are removed.
        """
        rest = iter(files)
        while self._put_some(rest):
            pass

    def _put_some(self, files: Iterator[tuple[int, bytes | memoryview]]) -> bool:
        """Put as many as may be open at a time; return whether there may be more."""
        folders: dict[tuple[str, ...], int] = {}
        waiting: list[tuple[tuple[str, ...], str, int]] = []
        file = placed = 0
        try:
            for file, data in files:
                parts = self._plan.parts(file)
                folder = folders.get(parts[:-1])
                if folder is None:
                    folder = folders[parts[:-1]] = self._walk(parts[:-1])
                partial, descriptor = open_partial(folder, parts[-1], self._limit)
                waiting.append((parts, partial, descriptor))
                write(descriptor, data, 0)
                self._set_mode_and_time(descriptor, self._manifest[file])
                if len(waiting) + len(folders) >= _OPEN_AT_ONCE:
                    break
            if self._flush:
                flush(descriptor for *_, descriptor in waiting)
            for parts, partial, _ in waiting:
                self._placed(parts, self._name_file(folders[parts[:-1]], partial, parts[-1]))
                placed += 1
        except OSError as exc:
            for parts, partial, _ in waiting[placed:]:
                with suppress(OSError):  # an incomplete small file has no use
                    os.unlink(partial, dir_fd=folders[parts[:-1]])
            raise self._error(exc, file) from exc
        finally:
            for *_, descriptor in waiting:
                os.close(descriptor)
            for descriptor in folders.values():
                os.close(descriptor)
        return bool(waiting)

    def make_directory(self, file: int) -> Path:
        """Make a folder, private to its owner until `set_folders`.

        Raises:
            DiskError: It cannot be made.
        """
        parts = self._plan.parts(file)
        entry = self._manifest[file]
        try:
            os.close(self._walk(parts))
        except OSError as exc:
            raise self._error(exc, file) from exc
        with self._lock:
            made = self._folders.get(parts)
            if made is not None:
                made.mode, made.mtime = entry.mode, entry.mtime
        return self._path(parts)

    def make_link(self, file: int) -> bool:
        """Make a symbolic link. Call it when all files are finished.

        Returns:
            False if it was not made; `left_out` has the reason.

        Raises:
            DiskError: It cannot be made.
        """
        parts = self._plan.parts(file)
        target = self._plan.target(file)
        if target is None:
            self._leave_out(file, self._plan.link_problem(file))
            return False
        moved = self._moved_target(parts, target)
        if moved is None:
            self._leave_out(file, "is a link to something that has not arrived")
            return False
        try:
            folder = self._walk(parts[:-1])
            try:
                name = self._name_link(folder, parts[-1], moved)
            finally:
                os.close(folder)
        except OSError as exc:
            if exc.errno not in _NO_LINKS:
                raise self._error(exc, file) from exc
            self._leave_out(file, "is a link, which this disk cannot hold")
            return False
        self._placed(parts, name)
        return True

    def set_folders(self) -> None:
        """Set modes and times of the folders that were made, the deepest first.

        Raises:
            DiskError: One of them, or the destination, was removed.
        """
        while self._folders:
            parts, made = self._folders.popitem()
            try:
                descriptor = self._walk(parts)
                try:
                    self._set_folder(descriptor, made)
                finally:
                    os.close(descriptor)
            except OSError as exc:
                raise disk_error(exc, "/".join(parts), writing=True) from exc
        if self._flush:
            with suppress(OSError):  # not supported by some file systems, and not essential
                os.fsync(self._root)
        self._check_folder()

    def partial_paths(self) -> list[Path]:
        """Return the unfinished files; they stay if the transfer breaks off."""
        with self._lock:
            return [
                self._path(self._plan.parts(file)[:-1]) / opened.partial
                for file, opened in self._open.items()
            ]

    def close(self) -> None:
        """Close all files; partial files stay. No thread may be writing."""
        if self._root < 0:
            return
        with suppress(DiskError):  # after a break, received folders still get their modes
            self.set_folders()
        with self._lock:
            while self._open:
                self._open.popitem()[1].close()
            os.close(self._root)
            self._root = -1

    # Room and errors

    def _check_folder(self) -> None:
        """Check that the path of the destination still leads to the written files.

        Raises:
            DiskError: The folder was moved or removed.
        """
        try:
            there = os.path.samestat(self.folder.stat(), os.fstat(self._root))
        except OSError:
            there = False
        if not there:
            shown = show_name(str(self.folder))
            raise DiskError(f'"{shown}" was moved or removed while files were put there.')

    def _check_room(self, needed: int) -> None:
        try:
            info = os.fstatvfs(self._root)
        except OSError:
            return  # not supported by the file system
        if not info.f_blocks:
            return  # a file system without a size, such as ramfs
        free = info.f_bavail * info.f_frsize
        if needed > free:
            raise NoRoom(
                f'Not enough room in "{show_name(str(self.folder))}": '
                f"{format_size(needed)} needed, {format_size(free)} free."
            )

    def _error(self, exc: OSError, file: int) -> DiskError:
        return disk_error(exc, self._manifest[file].path, writing=True)

    def _leave_out(self, file: int, reason: str) -> None:
        with self._lock:
            self.left_out.add(LeftOut(self._manifest[file].path, reason))

    def _path(self, parts: Sequence[str]) -> Path:
        if not parts:
            return self.folder
        return self.folder.joinpath(self._root_names.get(parts[0], parts[0]), *parts[1:])

    def _placed(self, parts: tuple[str, ...], name: str) -> Path:
        """Note the final name of an entry."""
        if len(parts) == 1:
            with self._lock:
                self._root_names[parts[0]] = name
        path = self._path(parts[:-1]) / name
        if name != parts[-1]:
            self._note_rename(parts, path)
        return path

    def _note_rename(self, parts: Sequence[str], path: Path) -> None:
        """Note that another name was used because the wanted one was taken."""
        placed = str(path.relative_to(self.folder))
        with self._lock:
            self.renamed.add(Renamed(encode_path("/".join(parts))[0], encode_path(placed)[0]))

    # Folders

    def _walk(self, parts: Sequence[str]) -> int:
        """Open a folder below the root; make missing folders, follow no link.

        Returns:
            A descriptor that the caller closes.
        """
        descriptor = os.dup(self._root)
        try:
            for depth, part in enumerate(parts):
                if depth == 0:
                    part = self._root_folder(part)
                below = self._enter(descriptor, part, tuple(parts[: depth + 1]), make=depth > 0)
                os.close(descriptor)
                descriptor = below
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def _enter(self, above: int, name: str, parts: tuple[str, ...], *, make: bool) -> int:
        """Open a folder; make it if it does not exist."""
        try:
            return os.open(name, _FOLDER, dir_fd=above)
        except FileNotFoundError:
            if not make:
                raise
        with self._lock, suppress(FileExistsError):
            os.mkdir(name, _PRIVATE_FOLDER, dir_fd=above)
            self._folders[parts] = _Folder()
        return os.open(name, _FOLDER, dir_fd=above)

    def _root_folder(self, part: str) -> str:
        """Return the name of a folder at the top; make the folder the first time."""
        with self._lock:
            known = self._root_names.get(part)
            if known is not None:
                return known
            name = self._make_root_folder(part)
            self._root_names[part] = name
        if name != part:
            self._note_rename([part], self.folder / name)
        return name

    def _make_root_folder(self, part: str) -> str:
        """Make a folder at the top under a free name, and return the name. Needs the lock."""
        for name in islice(numbered(part, folder=True, limit=self._limit), ATTEMPTS):
            try:
                os.mkdir(name, _PRIVATE_FOLDER, dir_fd=self._root)
            except FileExistsError:
                if self._overwrite:
                    return name
            else:
                self._folders[part,] = _Folder()
                return name
        raise FileExistsError(errno.EEXIST, "File exists")

    def _moved_target(self, parts: Sequence[str], target: str) -> str | None:
        """Return the target of a link with the names at the destination.

        Only links at the top point to entries at the top, which may have other names here. A target
        that has not arrived may still exist as a file of another origin: then the result is None.
        """
        if len(parts) > 1:
            return target
        first, slash, rest = target.partition("/")
        with self._lock:
            known = self._root_names.get(first)
        return None if known is None else f"{known}{slash}{rest}"

    # Files

    def _opened(self, file: int) -> OpenFile:
        with self._lock:
            opened = self._open.get(file)
            if opened is not None:
                return opened
        parts = self._plan.parts(file)
        folder = self._walk(parts[:-1])
        try:
            partial, descriptor = open_partial(folder, parts[-1], self._limit)
        except BaseException:
            os.close(folder)
            raise
        mine = OpenFile(folder, partial, descriptor)
        with self._lock:
            opened = self._open.setdefault(file, mine)
        if opened is not mine:  # another thread opened it first
            os.unlink(partial, dir_fd=folder)
            mine.close()
        return opened

    def _name_file(self, folder: int, partial: str, wanted: str) -> str:
        """Give a partial file its final name.

        Returns:
            The name it got.
        """
        if self._overwrite:
            os.replace(partial, wanted, src_dir_fd=folder, dst_dir_fd=folder)
            return wanted
        for name in islice(numbered(wanted, limit=self._limit), ATTEMPTS):
            if take_name(folder, partial, name):
                return name
        raise FileExistsError(errno.EEXIST, "File exists")

    def _name_link(self, folder: int, wanted: str, target: str) -> str:
        for name in islice(numbered(wanted, limit=self._limit), ATTEMPTS):
            try:
                os.symlink(target, name, dir_fd=folder)
            except FileExistsError:
                if not self._overwrite:
                    continue
                partial = partial_link(folder, wanted, target, self._limit)
                os.replace(partial, name, src_dir_fd=folder, dst_dir_fd=folder)
            return name
        raise FileExistsError(errno.EEXIST, "File exists")

    # Modes and times

    def _set_mode_and_time(self, descriptor: int, entry: Entry) -> None:
        """Set the mode within the umask (never set-user-id or similar bits), and the time."""
        mode = 0o666 if entry.mode is None else entry.mode
        set_mode_and_time(descriptor, mode & 0o777 & self._allowed, entry.mtime)

    def _set_folder(self, descriptor: int, made: _Folder) -> None:
        mode = 0o777 if made.mode is None else made.mode
        set_mode_and_time(descriptor, mode & 0o777 & self._allowed, made.mtime)


def _open_root(folder: Path) -> int:
    """Make and open the destination, the one path that is trusted."""
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
