"""The cost of a packet does not grow with waiting data, counted in steps of the interpreter."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Iterable
from types import FrameType
from typing import Any

import pytest

from lab.association_pair import AssociationPair
from peer.sctp import SctpConfig
from peer.sctp.congestion.base import SendSnapshot
from peer.sctp.send.outgoing_chunks import Message
from peer.sctp.send.send_queue import SendQueue
from peer.sctp.wire.chunks import (
    BEGIN,
    END,
    ChunkType,
    DataChunk,
    ForwardTsn,
    OutgoingReset,
    Skipped,
)
from peer.sctp.wire.chunks.reconfig import reconfig

FEW, MANY = 30, 3000
INFINITY = float("inf")


def _steps(call: Callable[[], object]) -> int:
    """Return how many instructions of Python a call executes."""
    count = 0

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal count
        frame.f_trace_opcodes = True
        count += event == "opcode"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        call()
    finally:
        sys.settrace(before)
    return count


class Target:
    """An association that gets chunks of somebody who means no good."""

    def __init__(self, *, interleaving: bool) -> None:
        self.interleaving = interleaving
        self.pair = AssociationPair(
            SctpConfig(interleaving=interleaving, recognise_implementation=False)
        )
        self.pair.connect()
        self.header = self.pair.a.sent[-1][:8] + bytes(4)
        receiver = self.pair.z.tcb.receiver
        self.reassembly = receiver.reassembly
        self.tsn = receiver.tsns.cumulative + 1
        self.request = self.pair.z.stream_reset._expected

    def give(self, chunks: Iterable[bytes]) -> None:
        self.pair.z.association.receive_datagram(self.header + b"".join(chunks), self.pair.now)
        self.pair.z.association.datagrams_to_send(self.pair.now)

    def data(self, tsn: int, message: int, flags: int) -> bytes:
        wire = (self.tsn + tsn) & 0xFFFFFFFF
        return DataChunk(wire, 1, message, 0, 53, flags, b"x", self.interleaving).serialize()

    def forward(self, tsn: int, *skipped: Skipped) -> bytes:
        kind = ChunkType.I_FORWARD_TSN if self.interleaving else ChunkType.FORWARD_TSN
        return ForwardTsn((self.tsn + tsn) & 0xFFFFFFFF, skipped).serialize(kind)


def _skips_below_runs(count: int) -> int:
    """RFC 3758, 3.6: unfinished messages far ahead, and the peer skips a TSN at a time."""
    target = Target(interleaving=False)
    target.give(target.data(1000 + 2 * i, 0, BEGIN) for i in range(count))
    assert len(target.reassembly.assembler.unfinished) == count
    return _steps(lambda: target.give(target.forward(i) for i in range(100)))


def _skips_below_waiting_messages(count: int) -> int:
    target = Target(interleaving=False)
    target.give(target.data(i, 900 + i, BEGIN | END) for i in range(count))
    skips = [Skipped(1, False, number) for number in range(200)]
    return _steps(lambda: target.give([target.forward(count, *skips)]))


def _skips_below_unfinished_messages(count: int) -> int:
    """RFC 8260, 2.3.1."""
    target = Target(interleaving=True)
    target.give(target.data(i, 900 + i, BEGIN) for i in range(count))
    assert len(target.reassembly.assembler.unfinished) == count
    return _steps(
        lambda: target.give(target.forward(count + i, Skipped(1, False, i)) for i in range(50))
    )


def _resets(count: int, *, interleaving: bool) -> int:
    """RFC 6525, 5.2.2: of a stream on which nothing is unfinished."""
    target = Target(interleaving=interleaving)
    target.give(target.data(1 + 2 * i, i, BEGIN) for i in range(count))
    assert len(target.reassembly.assembler.unfinished) == count
    requests = [
        OutgoingReset((target.request + i) & 0xFFFFFFFF, 0, target.tsn - 1, (2,)) for i in range(50)
    ]
    return _steps(lambda: target.give(reconfig(request.param()) for request in requests))


@pytest.mark.parametrize(
    "work",
    [
        _skips_below_runs,
        _skips_below_waiting_messages,
        _skips_below_unfinished_messages,
        lambda count: _resets(count, interleaving=False),
        lambda count: _resets(count, interleaving=True),
    ],
    ids=["skip runs", "skip waiting", "skip I-DATA", "reset DATA", "reset I-DATA"],
)
def test_work_does_not_grow_with_what_waits(work: Callable[[int], int]) -> None:
    assert work(MANY) < 1.5 * work(FEW)


class _Unsearchable(deque[Message]):
    def __contains__(self, message: object) -> bool:
        raise AssertionError("the queue is searched")


def test_giving_up_what_was_cut_does_not_search_what_is_queued() -> None:
    """RFC 3758, 3.5."""
    queue = SendQueue(datagram_size=1188, overhead=65)
    queue.stream(1).messages = _Unsearchable()
    lost, queued = (Message(1, 53, b"x", 0, True, 0, INFINITY) for _ in range(2))
    for message in (lost, queued):
        queue.push(message)
    snapshot = SendSnapshot(0.0, 0, 0.0, 0.0, 0, 0, False)
    queue.begin(interleaving=False, initial_tsn=1)
    queue.cut(budget=1, max_chunks=1, sequence=0, snapshot=snapshot, now=0.0)
    queue.discard(lost)
    assert list(queue.stream(1).messages) == [queued]
    queue.discard(queued)
    assert queue.buffered == 0
