"""Content of a file that has arrived and is not written yet (floor 1)."""

from __future__ import annotations

from .digest import FileDigest
from .machine import Violation

__all__ = ["OpenFile", "Segment"]


class Segment:
    """A segment that is arriving, or waits to be written."""

    __slots__ = ("digest", "length", "parts", "received", "retries", "start", "writing")

    def __init__(self, start: int, length: int) -> None:
        self.start = start
        """Offset in the file, bytes."""
        self.length = length
        self.digest: bytes | None = None
        self.parts: dict[int, memoryview] = {}
        """By offset in the file."""
        self.received = 0
        """Bytes in `parts`."""
        self.retries = 0
        self.writing = False

    def clear(self) -> None:
        """Drop everything that has arrived."""
        self.digest = None
        self.parts = {}
        self.received = 0
        self.writing = False

    def in_order(self) -> tuple[memoryview, ...]:
        """All parts.

        Raises:
            Violation: The parts overlap; only then they leave a gap.
        """
        expected = self.start
        parts = []
        for offset in sorted(self.parts):
            if offset != expected:
                raise Violation("blocks overlap")
            parts.append(self.parts[offset])
            expected += len(parts[-1])
        return tuple(parts)


class OpenFile:
    """State of a file that is being received."""

    __slots__ = ("digest", "missing", "open")

    def __init__(self, missing: int) -> None:
        self.missing = missing
        """Segments that are not written."""
        self.digest = FileDigest()
        self.open = False
        """Blocks of it have arrived, and more are to come."""
