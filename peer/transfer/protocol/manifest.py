"""Entries of a transfer, and how files are cut into segments (floor 0)."""

from __future__ import annotations

import builtins
import threading
import zlib
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from typing import Annotated, Final, Self

import msgspec
from msgspec import Meta, Struct

from .config import (
    MAX_BYTES,
    MAX_CONTROL_MESSAGE,
    MAX_INDEX,
    MAX_MANIFEST_TEXT,
    MAX_PATH,
    SEGMENT_SIZE,
)

__all__ = ["DIRECTORY", "FILE", "KINDS", "LINK", "Entry", "Manifest", "segment_count"]

FILE = "file"
DIRECTORY = "dir"
LINK = "link"
KINDS = frozenset({FILE, DIRECTORY, LINK})
"""Kinds of entry in version 1; an offer with another kind is declined as `unsupported`."""

_Milliseconds = Annotated[int, Meta(ge=-MAX_BYTES, le=MAX_BYTES)]


class Entry(Struct, frozen=True, omit_defaults=True, kw_only=True, gc=False):
    """One file, folder or symbolic link of a transfer. Its index is its position in the offer."""

    path: Annotated[str, Meta(min_length=1, max_length=MAX_PATH)]
    """Relative, parts joined by `/`; hostile until `plan.NamePlan` has made safe names from it."""

    kind: Annotated[str, Meta(max_length=16)]
    """`file`, `dir` or `link`."""

    size: Annotated[int, Meta(ge=0, le=MAX_BYTES)] | None = None
    """Bytes of a file; None for folders and links."""

    mtime: _Milliseconds | None = None
    """Time of last modification, Unix time in milliseconds."""

    mode: Annotated[int, Meta(ge=0, le=0o177777)] | None = None
    """Unix permission bits. Receivers never grant more, and never set-user-id or similar bits."""

    target: Annotated[str, Meta(min_length=1, max_length=MAX_PATH)] | None = None
    """Target of a link, relative to its own folder; None for files and folders."""

    escaped: bool = False
    """In `path` and `target`, `%E7` is a byte that is not UTF-8, and `%25` is `%`."""


def segment_count(size: int) -> int:
    """Segments of a file of `size` bytes; an empty file has none."""
    return -(-size // SEGMENT_SIZE)


_ENCODER: Final = msgspec.json.Encoder()
_DECODER: Final = msgspec.json.Decoder(list[Entry])
_NO_FILE: Final = {DIRECTORY: -1, LINK: -2}
PAGE_TEXT: Final = MAX_CONTROL_MESSAGE - 1024
"""Bytes of the entries of one page; the other fields of an `offer` fit in the rest."""
PAGE_ENTRIES: Final = 4096
_PAGE_COST: Final = 200
"""Memory of one page beside its content, in bytes."""
_UNPACKED: Final = 4
"""Pages that are kept unpacked: iteration asks for neighbours."""


class Manifest:
    """Entries of one transfer, in order, with their totals.

    It grows by `extend` while the pages of an offer arrive, and is read-only otherwise. Entries are
    packed page by page and unpacked on demand: half a million of them take some megabytes. Reading
    is safe from several threads.
    """

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self._pages: list[builtins.bytes] = []
        self._starts = array("q")
        """Index of the first entry of each page."""
        self._open: list[builtins.bytes] = []
        """Encoded entries of the page that is not full yet."""
        self._open_text = 0
        self._sizes = array("q")
        """Size of each entry, or `_NO_FILE`."""
        self._length = 0
        self._text = 0
        self._packed = 0
        self._files = 0
        self._bytes = 0
        self._lock = threading.Lock()
        self._unpacked: dict[int, list[Entry]] = {}
        self.extend(entries)

    @classmethod
    def of(cls, *entries: Entry) -> Self:
        """Make a manifest of entries."""
        return cls(entries)

    def extend(self, entries: Iterable[Entry]) -> None:
        """Append entries.

        Raises:
            ValueError: Too many or too long entries, a file without a size, a size on something
                else, or sizes that sum up to more than 2^53 - 1. The manifest is unusable
                afterwards.
        """
        for entry in entries:
            if (entry.size is not None) != (entry.kind == FILE):
                raise ValueError(f"entry {self._length}: a size belongs to files only")
            if (entry.target is not None) != (entry.kind == LINK):
                raise ValueError(f"entry {self._length}: a target belongs to links only")
            if entry.size is not None:
                self._files += 1
                self._bytes += entry.size
                if self._bytes > MAX_BYTES:
                    raise ValueError("the sizes sum up to more than 2^53 - 1 bytes")
                self._sizes.append(entry.size)
            else:
                self._sizes.append(_NO_FILE.get(entry.kind, -3))
            data = _ENCODER.encode(entry)
            self._text += len(data) + 1
            if self._text > MAX_MANIFEST_TEXT or self._length >= MAX_INDEX:
                raise ValueError("more files and folders than one transfer takes")
            if self._open_text + len(data) >= PAGE_TEXT or len(self._open) >= PAGE_ENTRIES:
                self._close_page()
            self._open.append(data)
            self._open_text += len(data) + 1
            self._length += 1

    def _close_page(self) -> None:
        if not self._open:
            return
        page = zlib.compress(b"[" + b",".join(self._open) + b"]", 1)
        self._starts.append(self._length - len(self._open))
        self._pages.append(page)
        self._packed += len(page) + _PAGE_COST
        self._open.clear()
        self._open_text = 0
        with self._lock:
            self._unpacked.clear()

    @property
    def files(self) -> int:
        """Entries of kind `file`."""
        return self._files

    @property
    def bytes(self) -> int:
        """Bytes of all files together."""
        return self._bytes

    @property
    def links(self) -> int:
        """Entries of kind `link`."""
        return self._sizes.count(_NO_FILE[LINK])

    @property
    def kept(self) -> int:
        """Approximate memory of the manifest, in bytes."""
        return self._packed + self._open_text + 64 * len(self._open) + 8 * len(self._sizes)

    def release(self) -> None:
        """Drop all entries after the first page; totals and length stay."""
        self._close_page()
        with self._lock:
            self._unpacked.clear()
            # A new list, because another thread may be iterating over the old one.
            self._pages, self._starts = self._pages[:1], self._starts[:1]
            self._sizes = array("q", self._sizes[: len(self._entries(0))] if self._pages else ())
            self._packed = sum(map(len, self._pages))

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[Entry]:
        for page in self._pages:
            yield from _unpack(page)
        if self._open:
            yield from _DECODER.decode(b"[" + b",".join(self._open) + b"]")

    def __getitem__(self, index: int) -> Entry:
        if index < 0:
            index += self._length
        page = bisect_right(self._starts, index) - 1
        closed = self._length - len(self._open)
        if not 0 <= index < self._length or (page < 0 and index < closed):
            raise IndexError(f"entry {index} of {self._length}")
        if index >= closed:
            return msgspec.json.decode(self._open[index - closed], type=Entry)
        with self._lock:
            return self._entries(page)[index - self._starts[page]]

    def __repr__(self) -> str:
        return f"<Manifest {len(self)} entries, {self._files} files, {self._bytes} bytes>"

    def pages(self) -> Iterator[builtins.bytes]:
        """The entries as JSON arrays, each short enough for a control message."""
        for page in self._pages:
            yield zlib.decompress(page)
        if self._open or not self._pages:
            yield b"[" + b",".join(self._open) + b"]"

    def _entries(self, page: int) -> list[Entry]:
        """Unpack the entries of a page. Needs the lock."""
        entries = self._unpacked.get(page)
        if entries is None:
            while len(self._unpacked) >= _UNPACKED:
                del self._unpacked[next(iter(self._unpacked))]
            entries = self._unpacked[page] = _unpack(self._pages[page])
        return entries

    def kind(self, index: int) -> str:
        """Kind of the entry at an index."""
        size = self._sizes[index]
        return FILE if size >= 0 else DIRECTORY if size == -1 else LINK

    def size(self, file: int) -> int:
        """Bytes of the file at index `file`; 0 for folders and links."""
        return max(0, self._sizes[file])

    def segments(self, file: int) -> int:
        """Segments of the file at index `file`."""
        return segment_count(self.size(file))

    def segment_length(self, file: int, segment: int) -> int:
        """Bytes of one segment: 1 MiB, or the rest for the last."""
        return min(SEGMENT_SIZE, self.size(file) - segment * SEGMENT_SIZE)

    def roots(self) -> list[str]:
        """Names at the top: the first part of every path, without repeats, in order."""
        return list(dict.fromkeys(entry.path.partition("/")[0] for entry in self))


def _unpack(page: bytes) -> list[Entry]:
    return _DECODER.decode(zlib.decompress(page))
