"""The loop for plain data packets and the general code agree on all packets in all batches."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from peer.sctp.config import SctpConfig
from peer.sctp.congestion.base import SendSnapshot
from peer.sctp.receive.data_packets import DataPacketReader
from peer.sctp.receive.reassembly import BOOKKEEPING
from peer.sctp.receive.receiver import Receiver
from peer.sctp.send.outgoing_chunks import Message
from peer.sctp.send.send_queue import SendQueue
from peer.sctp.timers import Timers
from peer.sctp.wire.chunks.data import DataChunk
from peer.sctp.wire.crc32c import crc32c
from peer.sctp.wire.packet import PacketWriter

SNAPSHOT = SendSnapshot(0.0, 0, 0.0, 0.0, 0, 0, False)
INFINITY = float("inf")


@dataclass
class Side:
    receiver: Receiver
    messages: list[tuple[int, int, bytes]]


def _side(interleaving: bool) -> Side:
    messages: list[tuple[int, int, bytes]] = []
    receiver = Receiver(
        SctpConfig(), Timers(), initial_tsn=1, interleaving=interleaving, same_implementation=True,
        deliver=lambda *message: messages.append(message),
    )  # fmt: skip
    return Side(receiver, messages)


@settings(max_examples=300, deadline=None)
@given(
    interleaving=st.booleans(),
    zero=st.booleans(),
    sizes=st.lists(
        st.tuples(st.integers(0, 3), st.booleans(), st.sampled_from([1, 30, 52, 200, 1000])),
        min_size=1,
        max_size=12,
    ),
    swaps=st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), max_size=8),
    lost=st.sets(st.integers(0, 60), max_size=4),
    repeats=st.lists(st.integers(0, 60), max_size=4),
    cuts=st.lists(st.integers(1, 20), min_size=1, max_size=30),
)
def test_fast_and_slow_path_agree(
    interleaving: bool,
    zero: bool,
    sizes: list[tuple[int, bool, int]],
    swaps: list[tuple[int, int]],
    lost: set[int],
    repeats: list[int],
    cuts: list[int],
) -> None:
    queue = SendQueue(datagram_size=84, overhead=65)
    queue.begin(interleaving=interleaving, initial_tsn=1)
    for index, (stream, unordered, size) in enumerate(sizes):
        data = bytes([index]) * size
        queue.push(Message(stream, 53, data, 4 * unordered, False, INFINITY, INFINITY))
    chunks = queue.cut(budget=INFINITY, max_chunks=1000, sequence=0, snapshot=SNAPSHOT, now=0.0)
    bodies = [chunk.body for chunk in chunks]
    for a, b in swaps:
        if a < len(bodies) and b < len(bodies):
            bodies[a], bodies[b] = bodies[b], bodies[a]
    late = [body for index, body in enumerate(bodies) if index in lost]
    bodies = [body for index, body in enumerate(bodies) if index not in lost] + late
    bodies += [bodies[i] for i in repeats if i < len(bodies)]

    fast, slow = _side(interleaving), _side(interleaving)
    writer = PacketWriter(5000, 5000)
    writer.set_peer(77, zero_checksum=zero)
    path = DataPacketReader(fast.receiver, writer.header, crc32c(writer.header), zero=zero)
    packets = [writer.wrap(body) for body in bodies]
    position = 0
    while position < len(packets):
        for cut in cuts:
            batch = packets[position : position + cut]
            assert path.take(batch, 0) == len(batch)
            position += cut
    for body in bodies:
        length = int.from_bytes(body[2:4], "big")
        slow.receiver.on_data(DataChunk.parse(body[0], body[1], body[4:length]))
    assert fast.messages == slow.messages
    assert fast.receiver.tsns.cumulative == slow.receiver.tsns.cumulative
    assert fast.receiver.tsns.blocks == slow.receiver.tsns.blocks
    assert fast.receiver.reassembly.buffered == slow.receiver.reassembly.buffered == 0
    assert fast.receiver.unread == slow.receiver.unread


def test_fragments_above_a_hole_need_no_chunk_objects(monkeypatch: pytest.MonkeyPatch) -> None:
    queue = SendQueue(datagram_size=84, overhead=65)
    queue.begin(interleaving=True, initial_tsn=1)
    for size in (30, 1000):
        queue.push(Message(0, 53, bytes(size), 0, False, INFINITY, INFINITY))
    chunks = queue.cut(budget=INFINITY, max_chunks=1000, sequence=0, snapshot=SNAPSHOT, now=0.0)
    side = _side(interleaving=True)
    writer = PacketWriter(5000, 5000)
    writer.set_peer(77, zero_checksum=True)
    path = DataPacketReader(side.receiver, writer.header, crc32c(writer.header), zero=True)
    slow: list[int] = []
    take = side.receiver.on_data

    def on_data(chunk: DataChunk) -> None:
        slow.append(chunk.tsn)
        take(chunk)

    monkeypatch.setattr(side.receiver, "on_data", on_data)
    path.take([writer.wrap(chunk.body) for chunk in chunks[1:]], 0)
    assert slow == [2]  # the begin of the message, that makes the hole
    assert side.receiver.tsns.blocks == [[2, 21, 1000]]
    assert side.receiver.window == SctpConfig().receive_window - 1000 - BOOKKEEPING
    assert side.receiver.immediate  # RFC 9260, 6.2: a SACK at once


def test_messages_of_several_fragments_need_no_chunk_objects(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    queue = SendQueue(datagram_size=84, overhead=65)
    queue.begin(interleaving=True, initial_tsn=1)
    for number in range(3):
        queue.push(Message(0, 53, bytes([number]) * 100, 0, False, INFINITY, INFINITY))
    chunks = queue.cut(budget=INFINITY, max_chunks=1000, sequence=0, snapshot=SNAPSHOT, now=0.0)
    side = _side(interleaving=True)
    writer = PacketWriter(5000, 5000)
    writer.set_peer(77, zero_checksum=True)
    path = DataPacketReader(side.receiver, writer.header, crc32c(writer.header), zero=True)

    def on_data(chunk: DataChunk) -> None:
        raise AssertionError(f"{chunk} took the long way")

    monkeypatch.setattr(side.receiver, "on_data", on_data)
    datagrams = [writer.wrap(chunk.body) for chunk in chunks]
    assert path.take(datagrams, 0) == len(datagrams) == 6
    assert [data for _, _, data in side.messages] == [bytes([number]) * 100 for number in range(3)]
    assert side.receiver.reassembly.buffered == 0


def test_what_is_not_plain_data_is_left_to_others() -> None:
    side = _side(interleaving=True)
    writer = PacketWriter(5000, 5000)
    writer.set_peer(77, zero_checksum=True)
    path = DataPacketReader(side.receiver, writer.header, crc32c(writer.header), zero=True)
    plain = DataChunk(1, 0, 0, 0, 53, 3, b"data", interleaved=True).serialize()
    for other in (
        b"",
        writer.header,
        writer.header + plain + plain,  # two chunks
        writer.header + b"\x03" + plain[1:],  # not data
        b"\xff" + writer.wrap(plain)[1:],  # another port
        writer.wrap(plain)[:-8],  # cut off
    ):
        assert path.take([other], 0) == 0
    assert path.take([writer.wrap(plain)], 0) == 1
