"""RFC 7053: a SACK without delay where one is waited for; RFC 9260, 6.1: along with data."""

from __future__ import annotations

import pytest

from lab.association_pair import AssociationPair, End, drop_first
from peer.sctp import DataChannelClosed, DataChannelMessage, DataChannelOpened, SctpConfig, State
from peer.sctp.wire.chunks import ChunkType
from peer.sctp.wire.chunks.base import RawChunk
from peer.sctp.wire.chunks.data import END, IMMEDIATE
from peer.sctp.wire.packet import split_chunks

C = ChunkType


@pytest.fixture(params=[True, False], ids=["I-DATA", "DATA"])
def pair(request: pytest.FixtureRequest) -> AssociationPair:
    """Toward another implementation: the same one acknowledges a batch at once in any case."""
    pair = AssociationPair(SctpConfig(interleaving=request.param, recognise_implementation=False))
    pair.connect()
    opened(pair)
    return pair


def opened(pair: AssociationPair) -> None:
    for n in range(2):
        assert pair.a.association.open_channel(str(n)) == 2 * n
    pair.drive(until=lambda: len(pair.a.of(DataChannelOpened)) == 2)
    pair.drive(seconds=1)


def leave(pair: AssociationPair, end: End) -> list[RawChunk]:
    """Return the chunks that an end sends now."""
    before = len(end.sent)
    pair.flush(end)
    return [chunk for packet in end.sent[before:] for chunk in split_chunks(packet)]


def asked(chunks: list[RawChunk]) -> list[bool]:
    """Whether each data chunk asks for a SACK."""
    return [bool(c.flags & IMMEDIATE) for c in chunks if c.kind in (C.DATA, C.I_DATA)]


def test_one_message_asks_for_nothing(pair: AssociationPair) -> None:
    """Its answer may carry the SACK."""
    pair.a.association.send_message(0, "question", pair.now)
    assert asked(leave(pair, pair.a)) == [False]


def test_the_last_of_many_packets_asks(pair: AssociationPair) -> None:
    pair.a.association.send_message(0, bytes(3000), pair.now)
    assert asked(leave(pair, pair.a)) == [False, False, True]


def test_the_last_packet_that_the_congestion_window_takes_asks(pair: AssociationPair) -> None:
    tcb = pair.a.tcb
    pair.a.association.send_message(0, bytes(1_000_000), pair.now)
    chunks: list[RawChunk] = []
    while tcb.outstanding.in_flight < tcb.controller.cwnd:
        chunks += leave(pair, pair.a)
        pair.now += 0.001
    assert not chunks[-1].flags & END
    assert asked(chunks) == [False] * (len(chunks) - 1) + [True]


def test_the_last_packet_that_the_peers_window_takes_asks() -> None:
    pair = AssociationPair(SctpConfig(receive_window=8000, recognise_implementation=False))
    pair.connect()
    opened(pair)
    pair.a.association.send_message(0, bytes(100_000), pair.now)
    assert asked(leave(pair, pair.a)) == [False, False, False, False, False, True]


def test_the_last_message_before_a_channel_is_closed_asks(pair: AssociationPair) -> None:
    association = pair.a.association
    for message in ("one", "two"):
        association.send_message(0, message, pair.now)
    association.close_channel(0)
    association.send_message(2, "another channel", pair.now)
    chunks = [c for c in leave(pair, pair.a) if c.kind in (C.DATA, C.I_DATA)]
    by_message = dict(zip((c.value[-3:] for c in chunks), asked(chunks), strict=True))
    assert (by_message[b"one"], by_message[b"two"]) == (False, True)


def test_the_last_message_before_a_shutdown_asks(pair: AssociationPair) -> None:
    pair.a.association.send_message(0, "the end", pair.now)
    pair.a.association.shutdown(pair.now)
    assert asked(leave(pair, pair.a)) == [True]


def test_closing_after_a_message_takes_two_round_trips_and_no_delay(pair: AssociationPair) -> None:
    start = pair.now
    pair.a.association.send_message(0, "the end", pair.now)
    pair.a.association.close_channel(0)
    pair.drive(until=lambda: bool(pair.a.of(DataChannelClosed)))
    assert pair.now - start < 4 * 0.01 + 0.001
    assert [event.data for event in pair.z.of(DataChannelMessage)] == [b"the end"]


def test_a_shutdown_after_a_message_takes_two_round_trips_and_no_delay(
    pair: AssociationPair,
) -> None:
    start = pair.now
    pair.a.association.send_message(0, "the end", pair.now)
    pair.a.association.shutdown(pair.now)
    pair.drive(until=lambda: pair.a.association.state is State.ENDED)
    assert pair.now - start < 4 * 0.01 + 0.001


def test_an_answer_carries_the_sack(pair: AssociationPair) -> None:
    pair.a.association.send_message(0, "question", pair.now)
    pair.drive(until=lambda: bool(pair.z.of(DataChannelMessage)))
    pair.z.association.send_message(0, "answer", pair.now)
    before = len(pair.z.sent)
    assert next(c.kind for c in leave(pair, pair.z)) == C.SACK
    assert len(pair.z.sent) == before + 1
    pair.drive(until=lambda: pair.a.association.all_acknowledged)


def test_a_large_answer_is_not_cut_short_for_a_sack(pair: AssociationPair) -> None:
    pair.a.association.send_message(0, "question", pair.now)
    pair.drive(until=lambda: bool(pair.z.of(DataChannelMessage)))
    pair.z.association.send_message(0, bytes(1150), pair.now)
    assert C.SACK not in [c.kind for c in leave(pair, pair.z)]


@pytest.mark.parametrize("lost", [0, 1])
def test_equals_close_in_one_round_trip_however_late_the_data_comes(lost: int) -> None:
    pair = AssociationPair()
    pair.connect()
    opened(pair)
    association = pair.a.association
    association.send_message(0, "the end", pair.now)
    pair.a_to_z.drop = drop_first(lost, C.I_DATA)
    start = pair.now
    pair.flush(pair.a)  # it has left before anybody thinks of closing, and asks for nothing
    association.close_channel(0)
    pair.drive(until=lambda: bool(pair.a.of(DataChannelClosed)))
    if not lost:
        assert pair.now - start < 3 * 0.01 + 0.001
    pair.drive(seconds=5)
    assert [event.data for event in pair.z.of(DataChannelMessage)] == [b"the end"]
    assert len(pair.z.of(DataChannelClosed)) == 1
