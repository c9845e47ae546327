"""Digests of segments and files (floor 1).

A file's digest is the SHA-256 of its segments' digests, one after the other. A browser, which
hashes 1 MiB natively but cannot hash incrementally, can compute it, and so can a receiver that
resumes and knows only the digests of its earlier segments.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from .config import DIGEST_SIZE

__all__ = ["FileDigest", "file_digest", "segment_digest"]


def segment_digest(parts: Iterable[bytes | memoryview]) -> bytes:
    """SHA-256 over the parts of one segment, in order: 32 bytes."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.digest()


def file_digest(*segments: bytes) -> bytes:
    """SHA-256 over the digests of a file's segments, in order: 32 bytes."""
    return hashlib.sha256(b"".join(segments)).digest()


class FileDigest:
    """Digest of one file, fed with segment digests in any order.

    Segments that come early wait; with a credit window there are few of them.
    """

    __slots__ = ("_digest", "_early", "_known", "_next")

    def __init__(self) -> None:
        self._digest = hashlib.sha256()
        self._next = 0
        self._early: dict[int, bytes | None] = {}
        self._known = True

    def __contains__(self, segment: int) -> bool:
        """Return whether the digest of a segment was added or skipped."""
        return segment < self._next or segment in self._early

    def __len__(self) -> int:
        """Segments added or skipped."""
        return self._next + len(self._early)

    def add(self, segment: int, digest: bytes | None) -> None:
        """Add a segment once; None if its digest is not known here.

        A single unknown segment makes the digest of the file unknown.
        """
        if segment in self:
            raise AssertionError(f"segment {segment} was added before")
        self._early[segment] = digest
        while self._next in self._early:
            known = self._early.pop(self._next)
            if known is None:
                self._known = False
            else:
                self._digest.update(known)
            self._next += 1

    def add_run(self, first: int, digests: bytes) -> None:
        """Add neighbouring segments, from `first` on; `digests` are 32 bytes each."""
        count = len(digests) // DIGEST_SIZE
        if first == self._next and not self._early:
            self._digest.update(digests)  # a terabyte's worth of a journal in one call
            self._next += count
            return
        for position in range(count):
            start = position * DIGEST_SIZE
            self.add(first + position, digests[start : start + DIGEST_SIZE])

    def digest(self) -> bytes | None:
        """Digest of the segments that are added without a gap, 32 bytes; None if unknown."""
        return self._digest.digest() if self._known else None
