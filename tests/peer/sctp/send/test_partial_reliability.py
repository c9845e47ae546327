"""RFC 3758 and RFC 8260, 2.3: giving up, on both sides."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from lab.association_pair import AssociationPair, has, kinds
from peer.sctp import DataChannelMessage, SctpConfig
from peer.sctp.wire.chunks import BEGIN, END, ChunkType, DataChunk, ForwardTsn, Skipped
from peer.sctp.wire.features import Features
from peer.sctp.wire.packet import split_chunks

C = ChunkType


@pytest.fixture(params=[True, False], ids=["i-data", "data"])
def pair(request: pytest.FixtureRequest) -> AssociationPair:
    pair = AssociationPair(SctpConfig(interleaving=request.param))
    pair.connect()
    return pair


def _received(pair: AssociationPair) -> list[bytes]:
    return [m.data for m in pair.z.of(DataChannelMessage)]


def _data_packets(count: list[int]) -> Callable[[bytes], bool]:
    """Return a drop that drops all data packets while ``count[0]`` is positive."""

    def drop(datagram: bytes) -> bool:
        if count[0] > 0 and {C.DATA, C.I_DATA} & set(kinds(datagram)):
            count[0] -= 1
            return True
        return False

    return drop


def test_a_message_without_retransmits_is_sent_once_and_skipped(pair: AssociationPair) -> None:
    """RFC 3758, 3.5: FORWARD-TSN; the stream goes on."""
    pair.a_to_z.drop = _data_packets([1])
    pair.a.association.send(1, 53, b"lost", now=pair.now, max_retransmits=0)
    pair.step()
    pair.a.association.send(1, 53, b"next", now=pair.now)
    pair.drive(until=lambda: _received(pair) == [b"next"])
    pair.drive(until=lambda: pair.a.association.stats().unacked_chunks == 0)
    assert any({C.FORWARD_TSN, C.I_FORWARD_TSN} & set(kinds(p)) for p in pair.a.sent)
    assert pair.a.association.stats().messages_abandoned == 1


def test_a_message_with_two_retransmits_survives_the_loss_of_two(pair: AssociationPair) -> None:
    pair.a_to_z.drop = _data_packets([2])
    pair.a.association.send(1, 53, b"third time lucky", now=pair.now, max_retransmits=2)
    pair.drive(until=lambda: _received(pair) == [b"third time lucky"])


def test_a_message_whose_time_is_up_before_it_leaves_takes_no_tsn(pair: AssociationPair) -> None:
    pair.a.association.send(1, 53, b"stale", now=pair.now, max_lifetime=0.0)
    pair.a.association.send(1, 53, b"fresh", now=pair.now)
    pair.drive(until=lambda: _received(pair) == [b"fresh"])
    pair.drive(until=lambda: pair.a.association.stats().unacked_chunks == 0)
    assert not any({C.FORWARD_TSN, C.I_FORWARD_TSN} & set(kinds(p)) for p in pair.a.sent)


def test_a_big_message_half_sent_is_given_up_as_a_whole(pair: AssociationPair) -> None:
    """The fragments that arrived are forgotten by the receiver, too."""
    pair.a.association.send(1, 53, bytes(3_000_000), now=pair.now, max_lifetime=0.05)
    pair.drive(seconds=0.04)
    assert pair.z.association.stats().reassembling > 0
    pair.drive(seconds=0.1)
    pair.a.association.send(1, 53, b"after", now=pair.now)
    pair.drive(until=lambda: _received(pair) == [b"after"])
    pair.drive(until=lambda: pair.a.association.stats().unacked_chunks == 0)
    assert pair.z.association.stats().reassembling == 0
    assert pair.a.association.stats().buffered == 0


def test_a_lost_forward_tsn_is_repeated(pair: AssociationPair) -> None:
    """RFC 3758, 3.5, C5."""
    dropped: list[str] = []

    def drop(datagram: bytes) -> bool:
        found = kinds(datagram)
        if {C.DATA, C.I_DATA} & set(found) and not dropped:
            dropped.append("data")
            return True
        if {C.FORWARD_TSN, C.I_FORWARD_TSN} & set(found) and len(dropped) < 3:
            dropped.append("forward")
            return True
        return False

    pair.a_to_z.drop = drop
    pair.a.association.send(1, 53, b"lost", now=pair.now, max_retransmits=0)
    pair.drive(until=lambda: len(dropped) == 3)
    pair.drive(until=lambda: pair.a.association.stats().unacked_chunks == 0)


def test_what_arrived_between_two_given_up_messages_is_not_skipped(pair: AssociationPair) -> None:
    """dcsctp drops what it holds of a stream up to the number that is named, whole messages too."""
    seen = iter(range(100))

    def drop(datagram: bytes) -> bool:
        return bool({C.DATA, C.I_DATA} & set(kinds(datagram))) and next(seen) in {2, 5}

    pair.a_to_z.drop = drop
    for number in range(10):
        pair.a.association.send(1, 53, bytes([number]) * 1000, now=pair.now, max_retransmits=0)
    pair.drive(until=lambda: pair.a.association.stats().unacked_chunks == 0)
    assert [message[0] for message in _received(pair)] == [0, 1, 3, 4, 6, 7, 8, 9]
    named = [
        skipped.message
        for packet in pair.a.sent
        for chunk in split_chunks(packet)
        if chunk.kind in (C.FORWARD_TSN, C.I_FORWARD_TSN)
        for skipped in ForwardTsn.parse(chunk.kind, chunk.value).skipped
    ]
    assert named == [2, 5]


def _inject(pair: AssociationPair, *chunks: bytes) -> None:
    header = pair.a.sent[-1][:8] + bytes(4)
    pair.z.association.receive_datagram(header + b"".join(chunks), pair.now)
    pair.flush(pair.z)


def _first_tsn(pair: AssociationPair) -> int:
    pair.a.association.send(0, 53, b"probe", now=pair.now)
    pair.drive(until=lambda: _received(pair) == [b"probe"])
    pair.z.events.clear()
    packet = next(p for p in reversed(pair.a.sent) if {C.DATA, C.I_DATA} & set(kinds(p)))
    (chunk,) = [c for c in split_chunks(packet) if c.kind in (C.DATA, C.I_DATA)]
    return DataChunk.parse(*chunk).tsn + 1 & 0xFFFFFFFF


def _complete(pair: AssociationPair, tsn: int, number: int, data: bytes) -> bytes:
    interleaved = any(has(C.I_DATA)(p) for p in pair.a.sent)
    return DataChunk(tsn & 0xFFFFFFFF, 0, number, 0, 53, BEGIN | END, data, interleaved).serialize()


def _forward(pair: AssociationPair, tsn: int, *skipped: Skipped) -> bytes:
    interleaved = any(has(C.I_DATA)(p) for p in pair.a.sent)
    kind = C.I_FORWARD_TSN if interleaved else C.FORWARD_TSN
    return ForwardTsn(tsn & 0xFFFFFFFF, skipped).serialize(kind)


def test_what_waited_for_a_skipped_message_is_handed_up(pair: AssociationPair) -> None:
    """RFC 3758, 3.6."""
    tsn = _first_tsn(pair)
    _inject(pair, _complete(pair, tsn + 1, 2, b"two"), _complete(pair, tsn + 3, 4, b"four"))
    assert _received(pair) == []
    _inject(pair, _forward(pair, tsn, Skipped(0, False, 1)))
    assert _received(pair) == [b"two"]
    _inject(pair, _forward(pair, tsn + 2, Skipped(0, False, 3)))
    assert _received(pair) == [b"two", b"four"]


def test_a_skip_past_complete_messages_hands_them_up_first(pair: AssociationPair) -> None:
    """RFC 3758, 3.6: in order, up to the skipped one."""
    tsn = _first_tsn(pair)
    _inject(pair, _complete(pair, tsn + 1, 2, b"two"), _complete(pair, tsn + 2, 3, b"three"))
    _inject(pair, _forward(pair, tsn + 3, Skipped(0, False, 4)))
    assert _received(pair) == [b"two", b"three"]
    _inject(pair, _complete(pair, tsn + 4, 5, b"five"))
    assert _received(pair) == [b"two", b"three", b"five"]


def test_an_old_forward_tsn_changes_nothing_and_is_answered(pair: AssociationPair) -> None:
    """RFC 3758, 3.6: out of date, so a SACK tells where we are."""
    tsn = _first_tsn(pair)
    sent = len(pair.z.sent)
    _inject(pair, _forward(pair, tsn - 3, Skipped(0, False, 9)))
    pair.drive(seconds=0.1)
    assert any(has(C.SACK)(p) for p in pair.z.sent[sent:])
    _inject(pair, _complete(pair, tsn, 1, b"one"))
    assert _received(pair) == [b"one"]


def test_a_message_given_up_half_cut_does_not_split_the_next_one() -> None:
    """RFC 9260, 6.9: TSNs of a DATA message are consecutive; found by the hostile network."""
    pair = AssociationPair(SctpConfig(interleaving=False))
    pair.connect()
    pair.a.association.send(1, 53, bytes(3_000_000), now=pair.now, max_lifetime=0.05)
    pair.a.association.send(2, 53, bytes(100_000), now=pair.now, ordered=False)
    pair.drive(until=lambda: [len(d) for d in _received(pair)] == [100_000])


def test_the_latest_skipped_message_of_a_stream_is_named(pair: AssociationPair) -> None:
    """RFC 3758, 3.2: also when the TSN that stands for an earlier one comes later."""
    for data in (bytes(3_000_000), b"short"):
        pair.a.association.send(1, 53, data, now=pair.now, max_lifetime=0.05)
    pair.a_to_z.drop = lambda datagram: pair.now < 101 and len(datagram) > 0
    pair.drive(seconds=2)
    pair.a.association.send(1, 53, b"after", now=pair.now)
    pair.drive(until=lambda: _received(pair) == [b"after"])


def test_a_limited_chunk_does_not_hang_on_a_closed_window() -> None:
    """It may not probe, and there is no T3-rtx: it is given up."""
    pair = AssociationPair(SctpConfig(receive_window=20_000))
    pair.connect()
    pair.z.reads = False
    pair.a.association.send(1, 53, bytes(30_000), now=pair.now)
    pair.drive(seconds=1)
    pair.a.association.send(1, 53, bytes(5000), now=pair.now, max_retransmits=0)
    pair.drive(seconds=20)
    for message in pair.z.of(DataChannelMessage):
        pair.z.association.consume(message.stream_id, message.size)
    pair.z.reads = True
    pair.drive(until=lambda: pair.a.association.stats().unacked_chunks == 0, seconds=120)


def test_the_rest_of_a_message_that_was_skipped_half_way_is_dropped() -> None:
    """RFC 3758, 3.6: stock aiortc goes on sending it after the FORWARD-TSN."""
    pair = AssociationPair(SctpConfig(interleaving=False, recognise_implementation=False))
    pair.connect()
    tsn = _first_tsn(pair)

    def fragment(place: int, flags: int, number: int) -> bytes:
        return DataChunk(tsn + place & 0xFFFFFFFF, 0, number, 0, 53, flags, b"half").serialize()

    _inject(pair, fragment(0, BEGIN, 1))
    _inject(pair, _forward(pair, tsn + 1, Skipped(0, False, 1)))
    _inject(pair, fragment(3, 0, 1))
    _inject(pair, fragment(2, 0, 1), fragment(4, END, 1))
    assert pair.z.association.stats().reassembling == 0
    _inject(pair, fragment(5, BEGIN, 2), fragment(6, END, 2))
    assert _received(pair) == [b"halfhalf"]


@pytest.mark.parametrize("interleaving", [True, False], ids=["i-data", "data"])
def test_nothing_with_a_tsn_is_given_up_with_a_peer_that_cannot_skip(
    monkeypatch: pytest.MonkeyPatch, interleaving: bool
) -> None:
    """RFC 3758, 3.3: no FORWARD-TSN for who did not offer it, so all is sent until it is there."""
    offered = Features.ours

    def without_skipping(config: SctpConfig) -> Features:
        return replace(offered(config), partial_reliability=config.client)

    monkeypatch.setattr(Features, "ours", without_skipping)
    pair = AssociationPair(SctpConfig(interleaving=interleaving))
    pair.connect()
    pair.a_to_z.drop = _data_packets([3])
    a = pair.a.association
    a.send(1, 53, b"sent once", now=pair.now, max_retransmits=0)
    a.send(1, 53, bytes(300_000), now=pair.now, max_lifetime=0.01)
    pair.step()
    a.send(1, 53, b"too late to begin", now=pair.now, max_lifetime=0.0)
    a.send(1, 53, b"the end", now=pair.now)
    pair.drive(until=lambda: len(_received(pair)) == 3, seconds=30)
    assert _received(pair) == [b"sent once", bytes(300_000), b"the end"]
    assert not any({C.FORWARD_TSN, C.I_FORWARD_TSN} & set(kinds(p)) for p in pair.a.sent)
