"""
Messages out of DATA chunks: runs of consecutive TSNs between B and E (RFC 9260, 6.9).

A run is found by its first and by its last TSN. A fragment extends the run that ends just
before it, the one that starts just after it, or joins the two; the shorter is copied into the
longer, so no order of arrival costs more than a logarithm.

A message ends before the next one begins, and its TSNs have no gap. So two runs that touch are of
one message or meet at its border, and at or below the cumulative TSN there is one run at most,
the one that ends with it: a fragment whose predecessor has passed and is not here is of a message
that was given up, and never completes another.

The run that ends at the cumulative TSN is the one that in-order data continues. The fast path
(``inbound.py``) takes it out with :meth:`DataAssembler.open_run` and puts it back with
:meth:`DataAssembler.close_run`.
"""

from __future__ import annotations

from collections import deque

from peer.sctp.errors import RemoteProtocolError
from peer.sctp.wire.chunks.data import BEGIN, DATA_HEADER, END, UNORDERED, DataChunk
from peer.sctp.wire.chunks.forward import Skipped
from peer.sctp.wire.params import Cause, cause
from peer.sctp.wire.serial import Tsn

__all__ = ["DataAssembler", "Run"]


class Run:
    """Consecutive fragments of one message."""

    __slots__ = ("begin", "end", "first", "last", "number", "parts", "ppid", "size", "stream_id",
                 "unordered")  # fmt: skip

    def __init__(self, chunk: DataChunk, tsn: Tsn) -> None:
        self.first = tsn
        self.last = tsn
        self.begin = bool(chunk.flags & BEGIN)
        self.end = bool(chunk.flags & END)
        self.stream_id = chunk.stream_id
        self.unordered = chunk.flags & UNORDERED
        self.number = chunk.message
        self.ppid = chunk.ppid
        self.parts: list[bytes] | deque[bytes] = [chunk.payload]
        """A list while it has grown at its end only: a deque costs three quarters of a KiB."""
        self.size = DATA_HEADER.size + len(chunk.payload)
        """Bytes of its chunks, headers included."""

    def continues(self, other: Run) -> bool:
        """
        Tell whether this run is the sequel of ``other``, which ends just before it.

        Raises:
            RemoteProtocolError: It is neither that nor the begin of another message (6.9).
        """
        if other.end and self.begin:
            return False
        if (
            other.end
            or self.begin
            or other.stream_id != self.stream_id
            or other.unordered != self.unordered
            or (other.number != self.number and not self.unordered)
        ):
            raise RemoteProtocolError(
                f"the fragments with TSN {other.last} and the next do not go together",
                cause(Cause.PROTOCOL_VIOLATION),
            )
        return True


class DataAssembler:
    """Assembles messages from DATA chunks."""

    def __init__(self) -> None:
        self.buffered = 0
        """Bytes of the chunks of unfinished messages, headers included."""
        self._by_first: dict[Tsn, Run] = {}
        self.unfinished = self._by_first
        self._by_last: dict[Tsn, Run] = {}

    def add(
        self, chunk: DataChunk, tsn: Tsn, *, in_order: bool = False
    ) -> tuple[int, bytes] | None:
        """
        Take in a fragment; return identifier and data when its message is complete.

        Raises:
            RemoteProtocolError: It contradicts one that is here.
        """
        if not self._by_first and chunk.flags & (BEGIN | END) == BEGIN | END:
            return chunk.ppid, chunk.payload
        run = Run(chunk, tsn)
        before = self._by_last.get(tsn - 1)
        after = self._by_first.get(tsn + 1)
        if in_order and before is None and not run.begin:
            if after is not None and not after.begin:
                self._forget([after])
            return None
        self.buffered += run.size
        if before is not None and run.continues(before):
            self._remove(before)
            run = _join(before, run)
        if after is not None and after.continues(run):
            self._remove(after)
            run = _join(run, after)
        if run.begin and run.end:
            self.buffered -= run.size
            return run.ppid, b"".join(run.parts)
        self._by_first[run.first] = run
        self._by_last[run.last] = run
        return None

    def open_run(self, last: Tsn) -> Run | None:
        """Take out the run that ends with ``last`` and lacks its end, if there is one."""
        run = self._by_last.get(last)
        if run is None or run.end:
            return None
        self._remove(run)
        return run

    def close_run(self, run: Run) -> None:
        """Put back a run that was taken out and grew."""
        self._by_first[run.first] = run
        self._by_last[run.last] = run

    def _remove(self, run: Run) -> None:
        del self._by_first[run.first]
        del self._by_last[run.last]

    def skip(self, left: Tsn, forwarded: Tsn, reached: Tsn, skipped: tuple[Skipped, ...]) -> None:
        """
        Forget what the peer has given up (RFC 3758, 3.6).

        Up to ``reached`` everything is here or will never be, so every run there is dead but one
        that ends with it and has its begin. That one is, too, when it is around ``forwarded``, an
        abandoned TSN.
        """
        passed = [self._by_last[left]] if left in self._by_last else []
        if reached - left > len(self._by_first):
            passed += [run for first, run in self._by_first.items() if left < first <= reached]
        else:
            steps = range(left + 1, reached + 1)
            passed += [self._by_first[tsn] for tsn in steps if tsn in self._by_first]
        self._forget(
            [run for run in passed if not run.begin or run.last < reached or run.first <= forwarded]
        )

    def reset_streams(self, stream_ids: frozenset[int] | None, reached: Tsn) -> None:
        """
        Forget the unfinished messages of these streams; ``None`` for all.

        No run at or below ``reached`` is left but the one that ends with it, and what is above was
        sent after the reset.
        """
        run = self._by_last.get(reached)
        if run is not None and (stream_ids is None or run.stream_id in stream_ids):
            self._forget([run])

    def _forget(self, runs: list[Run]) -> None:
        for run in runs:
            self._remove(run)
            self.buffered -= run.size


def _join(left: Run, right: Run) -> Run:
    """Return the run of both; one of them is used up."""
    if len(left.parts) >= len(right.parts):
        left.parts.extend(right.parts)
    else:
        if isinstance(right.parts, list):
            right.parts = deque(right.parts)
        right.parts.extendleft(reversed(left.parts))
        left.parts = right.parts
    left.last = right.last
    left.end = right.end
    left.size += right.size
    return left
