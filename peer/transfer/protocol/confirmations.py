"""Acknowledgements of a receiver, many in one message (floor 1)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator

from .messages import RANGES_PER_MESSAGE, Ack, FilesDone, serialize_message

__all__ = ["Confirmations"]


class Confirmations:
    """Collects written segments and finished files until the messages are taken.

    Args:
        transfer: Id of the transfer on its link.
    """

    def __init__(self, transfer: int) -> None:
        self._transfer = transfer
        self._written: dict[int, list[int]] = {}
        """Segments that are not acknowledged yet, by file."""
        self._finished: list[tuple[int, bytes]] = []
        """Finished files that are not confirmed yet, with their digests."""

    def written(self, file: int, segment: int) -> None:
        """Acknowledge a segment that is verified and written."""
        self._written.setdefault(file, []).append(segment)

    def finished(self, file: int, digest: bytes) -> None:
        """Confirm a file that has its final name (version 2)."""
        self._finished.append((file, digest))

    def messages(self) -> Iterator[str]:
        """Take the pending messages, acknowledgements first."""
        written, self._written = self._written, {}
        for file, segments in written.items():
            ranges = _ranges(segments)
            for start in range(0, len(ranges), RANGES_PER_MESSAGE):
                part = ranges[start : start + RANGES_PER_MESSAGE]
                yield serialize_message(Ack(transfer=self._transfer, file=file, segments=part))
        finished, self._finished = dict(self._finished), []
        ranges = _ranges(finished)
        for start in range(0, len(ranges), RANGES_PER_MESSAGE):
            part = ranges[start : start + RANGES_PER_MESSAGE]
            digest = hashlib.sha256()
            for first, last in part:
                for file in range(first, last + 1):
                    digest.update(finished[file])
            yield serialize_message(
                FilesDone(transfer=self._transfer, files=part, digest=digest.hexdigest())
            )


def _ranges(numbers: Iterable[int]) -> list[tuple[int, int]]:
    """Merge neighbours into ranges (first, last), ascending and disjoint."""
    ranges: list[tuple[int, int]] = []
    for number in sorted(numbers):
        if ranges and ranges[-1][1] == number - 1:
            ranges[-1] = (ranges[-1][0], number)
        else:
            ranges.append((number, number))
    return ranges
