"""Writing to open files: content, write-out, modes and times (floor 2)."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import Final

__all__ = ["OpenFile", "set_mode_and_time", "write"]

_WRITE_SIZE: Final = 1 << 14
"""Bytes of one write. Linux allocates memory for the page cache in blocks as large as the write,
and large free blocks have seldom been used before: where a hypervisor backs memory at its first
use, one write of 1 MiB took three to five times as long as 64 of these."""
_WRITE_OUT: Final = 16 << 20
"""Bytes of a file after which write-out starts. Otherwise it starts at the end, and takes a second
for each gigabyte and more."""


class OpenFile:
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
        """Note a write; after `_WRITE_OUT` bytes, start write-out without waiting."""
        self._dirty += length
        self._start = min(self._start, offset)
        self._end = max(self._end, offset + length)
        if self._dirty < _WRITE_OUT:
            return
        if sys.platform == "linux":  # elsewhere the call has no such effect, or is missing
            # New bytes only: those that are on the disk already would be dropped from memory.
            start, length = self._start, self._end - self._start
            with suppress(OSError):  # not supported by the file system, or by a sandbox
                os.posix_fadvise(self.descriptor, start, length, os.POSIX_FADV_DONTNEED)
        self._dirty = 0
        self._start, self._end = sys.maxsize, 0

    def close(self) -> None:
        """Close the file and its folder."""
        os.close(self.descriptor)
        os.close(self.folder)


def set_mode_and_time(descriptor: int, mode: int, mtime: int | None) -> None:
    """Set permission bits, and the time of modification in Unix milliseconds, if known."""
    with suppress(PermissionError):  # file systems without modes
        os.fchmod(descriptor, mode)
    if mtime is not None:
        time = mtime * 1_000_000
        with suppress(OSError, OverflowError):  # the disk cannot hold this time
            os.utime(descriptor, ns=(time, time))


def write(descriptor: int, data: bytes | memoryview, offset: int) -> None:
    """Write all data at an offset in bytes."""
    view = memoryview(data)
    while view:
        written = os.pwrite(descriptor, view[:_WRITE_SIZE], offset)
        view = view[written:]
        offset += written
