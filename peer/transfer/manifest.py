"""What a transfer consists of: its entries and their cut into segments (floor 0)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated, Self

from msgspec import Meta, Struct

from .config import MAX_BYTES, MAX_ENTRIES, MAX_PATH, SEGMENT_SIZE

__all__ = ["DIRECTORY", "FILE", "KINDS", "LINK", "Entry", "Manifest", "segment_count"]

FILE = "file"
DIRECTORY = "dir"
LINK = "link"
KINDS = frozenset({FILE, DIRECTORY, LINK})
"""Kinds of entry in version 1; an offer with another kind is declined as `unsupported`."""

_Milliseconds = Annotated[int, Meta(ge=-MAX_BYTES, le=MAX_BYTES)]


class Entry(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One file, folder or symbolic link of a transfer. Its index is its position in the offer."""

    path: Annotated[str, Meta(min_length=1, max_length=MAX_PATH)]
    """Relative, parts joined by `/`; hostile until `names.safe_manifest` has seen it."""

    kind: Annotated[str, Meta(max_length=16)]
    """`file`, `dir` or `link`."""

    size: Annotated[int, Meta(ge=0, le=MAX_BYTES)] | None = None
    """Bytes of a file; None for everything else."""

    mtime: _Milliseconds | None = None
    """Time of last modification, unix time in milliseconds."""

    mode: Annotated[int, Meta(ge=0, le=0o177777)] | None = None
    """Unix permission bits. Receivers use the three `x` bits and nothing else."""

    target: Annotated[str, Meta(min_length=1, max_length=MAX_PATH)] | None = None
    """Where a link points, relative to its own folder; None for everything else."""


def segment_count(size: int) -> int:
    """Segments of a file of `size` bytes; an empty file has none."""
    return -(-size // SEGMENT_SIZE)


class Manifest:
    """Entries of one transfer, in order, with their totals.

    Grows by `extend` while the pages of an offer arrive, and is read-only to everybody else.
    """

    __slots__ = ("_bytes", "_entries", "_files")

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self._entries: list[Entry] = []
        self._files = 0
        self._bytes = 0
        self.extend(entries)

    @classmethod
    def of(cls, *entries: Entry) -> Self:
        """The manifest of these entries."""
        return cls(entries)

    def extend(self, entries: Iterable[Entry]) -> None:
        """Append entries.

        Raises:
            ValueError: too many entries, a file without a size, a size on something else, or
                sizes that sum up to more than 2^53 - 1. The manifest is unusable afterwards.
        """
        for entry in entries:
            if len(self._entries) >= MAX_ENTRIES:
                raise ValueError(f"more than {MAX_ENTRIES} entries")
            if (entry.size is not None) != (entry.kind == FILE):
                raise ValueError(f"entry {len(self._entries)}: a size belongs to files only")
            if (entry.target is not None) != (entry.kind == LINK):
                raise ValueError(f"entry {len(self._entries)}: a target belongs to links only")
            if entry.size is not None:
                self._files += 1
                self._bytes += entry.size
                if self._bytes > MAX_BYTES:
                    raise ValueError("the sizes sum up to more than 2^53 - 1 bytes")
            self._entries.append(entry)

    @property
    def files(self) -> int:
        """Entries of kind `file`."""
        return self._files

    @property
    def bytes(self) -> int:
        """Bytes of all files together."""
        return self._bytes

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries)

    def __getitem__(self, index: int) -> Entry:
        return self._entries[index]

    def __repr__(self) -> str:
        return f"<Manifest {len(self)} entries, {self._files} files, {self._bytes} bytes>"

    def size(self, file: int) -> int:
        """Bytes of the file at index `file`; 0 for what is not a file."""
        return self._entries[file].size or 0

    def segments(self, file: int) -> int:
        """Segments of the file at index `file`."""
        return segment_count(self.size(file))

    def segment_length(self, file: int, segment: int) -> int:
        """Bytes of one segment: 1 MiB, or what is left for the last."""
        return min(SEGMENT_SIZE, self.size(file) - segment * SEGMENT_SIZE)

    def roots(self) -> list[str]:
        """First part of every path, without repeats, in order: what a person was sent."""
        return list(dict.fromkeys(entry.path.partition("/")[0] for entry in self._entries))
