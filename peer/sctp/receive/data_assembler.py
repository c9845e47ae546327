"""Assembly of messages from DATA chunks: runs of consecutive TSNs between B and E (RFC 9260, 6.9).

A run is found by its first and by its last TSN. A fragment extends the run that ends just
before it, the one that starts just after it, or joins the two; the shorter is copied into the
longer, so no order of arrival costs more than a logarithm.

A message ends before the next one begins, and its TSNs have no gap. So two adjacent runs belong to
one message or to two successive ones, and at or below the cumulative TSN there is at most one run,
which ends with it: a fragment whose predecessor was skipped belongs to an abandoned message, and
never completes another.

In-order data continues the run that ends at the cumulative TSN. The loop for plain data packets
(``data_packets.py``) takes it out with :meth:`DataAssembler.open_run` and puts it back with
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
        """A list until it grows at its start: a deque costs three quarters of a KiB."""
        self.size = DATA_HEADER.size + len(chunk.payload)
        """Bytes of its chunks, headers included."""

    def continues(self, other: Run) -> bool:
        """Return whether this run continues ``other``, which ends just before it.

        Raises:
            RemoteProtocolError: It neither continues it nor begins another message (6.9).
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
        """Bytes of the chunks of incomplete messages, headers included."""
        self._by_first: dict[Tsn, Run] = {}
        self.unfinished = self._by_first
        self._by_last: dict[Tsn, Run] = {}

    def add(
        self, chunk: DataChunk, tsn: Tsn, *, in_order: bool = False
    ) -> tuple[int, bytes] | None:
        """Add a fragment; return payload protocol identifier and data of a complete message.

        Raises:
            RemoteProtocolError: It contradicts an earlier fragment.
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
        """Forget abandoned messages (RFC 3758, 3.6).

        No more data up to ``reached`` will arrive. So every run there is dropped, except one that
        ends with ``reached`` and has its begin, unless ``forwarded``, an abandoned TSN, is in it.
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
        """Forget the incomplete messages of these streams; ``None`` for all.

        At or below ``reached`` there is only the run that ends with it; data above was sent after
        the reset.
        """
        run = self._by_last.get(reached)
        if run is not None and (stream_ids is None or run.stream_id in stream_ids):
            self._forget([run])

    def _forget(self, runs: list[Run]) -> None:
        for run in runs:
            self._remove(run)
            self.buffered -= run.size


def _join(left: Run, right: Run) -> Run:
    """Join two adjacent runs; one of them is consumed."""
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
