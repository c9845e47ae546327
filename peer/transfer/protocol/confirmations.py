"""What a receiver has to tell of segments and files, many in one message (floor 1)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator

from .messages import RANGES_PER_MESSAGE, Ack, FilesDone, serialize_message

__all__ = ["Confirmations"]


class Confirmations:
    """Collects what was written and finished until somebody takes the messages.

    Args:
        transfer: Id of the transfer on its link.
    """

    def __init__(self, transfer: int) -> None:
        self._transfer = transfer
        self._written: dict[int, list[int]] = {}
        """By file: segments that the sender has not heard of."""
        self._finished: list[tuple[int, bytes]] = []
        """Files and their digests that the sender has not heard of."""

    def written(self, file: int, segment: int) -> None:
        """Tell that a segment is verified and written."""
        self._written.setdefault(file, []).append(segment)

    def finished(self, file: int, digest: bytes) -> None:
        """Tell that a file stands under its final name (version 2)."""
        self._finished.append((file, digest))

    def messages(self) -> Iterator[str]:
        """Take what there is to tell: acknowledgements first."""
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
    """Put neighbours together: (first, last), ascending and apart."""
    ranges: list[tuple[int, int]] = []
    for number in sorted(numbers):
        if ranges and ranges[-1][1] == number - 1:
            ranges[-1] = (ranges[-1][0], number)
        else:
            ranges.append((number, number))
    return ranges
