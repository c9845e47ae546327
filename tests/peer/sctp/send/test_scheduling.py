"""Fairness between streams: RFC 8831, 6.4; RFC 8260, 3.5."""

from __future__ import annotations

import pytest

from lab.association_pair import AssociationPair
from peer.sctp import DataChannelMessage, SctpConfig
from peer.sctp.congestion.base import SendSnapshot
from peer.sctp.send.outgoing_chunks import Message
from peer.sctp.send.send_queue import SendQueue
from peer.sctp.wire.chunks import ChunkType, DataChunk
from peer.sctp.wire.packet import split_chunks

SNAPSHOT = SendSnapshot(0.0, 0, 0.0, 0.0, 0, 0, False)
INFINITY = float("inf")


def _queue(*, interleaving: bool) -> SendQueue:
    queue = SendQueue(datagram_size=1188, overhead=65)
    queue.begin(interleaving=interleaving, initial_tsn=1)
    return queue


def _push(queue: SendQueue, stream: int, size: int) -> None:
    queue.push(Message(stream, 53, bytes(size), 0, False, INFINITY, INFINITY))


def _cut(queue: SendQueue, count: int) -> list[int]:
    """Return the streams of the next chunks."""
    chunks = queue.cut(budget=INFINITY, max_chunks=count, sequence=0, snapshot=SNAPSHOT, now=0.0)
    return [int.from_bytes(chunk.body[8:10], "big") for chunk in chunks]


def test_a_small_message_leaves_next_although_a_big_one_has_begun() -> None:
    """RFC 8260, 1: no head of line blocking at the sender."""
    queue = _queue(interleaving=True)
    _push(queue, 1, 1_000_000)
    assert _cut(queue, 20) == [1] * 20
    _push(queue, 2, 10)
    assert _cut(queue, 3) == [2, 1, 1]


def test_without_interleaving_a_message_that_began_ends_first() -> None:
    """RFC 9260, 6.9: the fragments of a message have consecutive TSNs."""
    queue = _queue(interleaving=False)
    _push(queue, 1, 11_600)
    assert _cut(queue, 4) == [1] * 4
    _push(queue, 2, 10)
    _push(queue, 1, 10)
    assert _cut(queue, 8) == [1] * 6 + [2, 1]


@pytest.mark.parametrize("interleaving", [True, False])
def test_streams_share_by_weight(interleaving: bool) -> None:
    queue = _queue(interleaving=interleaving)
    queue.stream(1).weight = 512
    queue.stream(2).weight = 256
    for _ in range(400):
        _push(queue, 1, 2000)
        _push(queue, 2, 2000)
    streams = _cut(queue, 300)
    assert 1.8 < streams.count(1) / streams.count(2) < 2.2


def test_many_streams_get_equal_shares() -> None:
    queue = _queue(interleaving=True)
    for stream in range(10):
        _push(queue, stream, 1_000_000)
    streams = _cut(queue, 800)
    assert all(72 <= streams.count(stream) <= 88 for stream in range(10))


def test_a_silent_stream_saves_up_no_credit() -> None:
    queue = _queue(interleaving=True)
    _push(queue, 1, 10_000_000)
    _cut(queue, 1000)
    _push(queue, 2, 10_000_000)
    streams = _cut(queue, 400)
    assert 150 <= streams.count(2) <= 250


def test_a_paused_stream_keeps_its_messages_until_it_is_reset() -> None:
    """RFC 6525, 5.1.2."""
    queue = _queue(interleaving=True)
    queue.stream(1).paused = True
    _push(queue, 1, 10)
    assert _cut(queue, 5) == []
    queue.reset_stream(1)
    assert _cut(queue, 5) == [1]


def test_the_weight_of_a_stream_survives_its_reset_while_messages_wait() -> None:
    queue = _queue(interleaving=True)
    queue.stream(1).weight = 1024
    queue.stream(1).paused = True
    _push(queue, 1, 10)
    queue.reset_stream(1)
    assert queue.stream(1).weight == 1024


def test_small_messages_share_a_packet() -> None:
    """RFC 9260, 6.10."""
    pair = AssociationPair(SctpConfig())
    pair.connect()
    for i in range(20):
        pair.a.association.send(1, 53, b"message %d" % i, now=pair.now)
    (packet,) = pair.a.association.datagrams_to_send(pair.now)
    assert [c.kind for c in split_chunks(packet)] == [ChunkType.I_DATA] * 20
    pair.z.association.receive_datagram(packet, pair.now)
    pair.flush(pair.z)
    assert [m.data for m in pair.z.of(DataChannelMessage)] == [b"message %d" % i for i in range(20)]


@pytest.mark.parametrize("interleaving", [True, False])
def test_fragments_carry_what_the_receiver_needs(interleaving: bool) -> None:
    queue = _queue(interleaving=interleaving)
    _push(queue, 3, 3000)
    chunks = queue.cut(budget=INFINITY, max_chunks=9, sequence=0, snapshot=SNAPSHOT, now=0.0)
    parsed = [DataChunk.parse(c.body[0], c.body[1], c.body[4:]) for c in chunks]
    assert [c.flags for c in parsed] == [2, 0, 1]
    assert [c.tsn for c in parsed] == [1, 2, 3]
    assert [c.fragment for c in parsed] == ([0, 1, 2] if interleaving else [0, 0, 0])
    assert all(c.message == 0 and c.stream_id == 3 for c in parsed)
