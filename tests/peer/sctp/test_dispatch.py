"""RFC 9260, 3.2, 6.2, 6.5 and 8.5: what becomes of chunks that are unknown, odd or not ours."""

from __future__ import annotations

import pytest

from lab.association_pair import AssociationPair, End, drop_first, has, kinds
from peer.sctp import AssociationEnded, DataChannelMessage, Ending, SctpConfig, State
from peer.sctp.wire.chunks import ChunkType, serialize_chunk
from peer.sctp.wire.chunks.data import BEGIN, END, IMMEDIATE, DataChunk
from peer.sctp.wire.chunks.sack import Sack
from peer.sctp.wire.packet import PacketWriter, split_chunks
from peer.sctp.wire.params import Cause, parse_params

C = ChunkType
_HEARTBEAT = serialize_chunk(C.HEARTBEAT, 0, b"\0\1\0\x08info")


@pytest.fixture(params=[True, False], ids=["I-DATA", "DATA"])
def pair(request: pytest.FixtureRequest) -> AssociationPair:
    pair = AssociationPair(SctpConfig(interleaving=request.param, streams=10))
    pair.connect()
    return pair


def _tag_of(end: End) -> int:
    """Return the tag that the packets of an end carry."""
    return int.from_bytes(end.sent[-1][4:8], "big")


def _say(pair: AssociationPair, *chunks: bytes, tag: int | None = None) -> list[bytes]:
    """Put a packet of the peer's into ``a``; return what it has to say to that."""
    tag = _tag_of(pair.z) if tag is None else tag
    packet = PacketWriter(5000, 5000).wrap_checked(b"".join(chunks), tag=tag)
    pair.a.association.receive_datagram(packet, pair.now)
    return pair.a.association.datagrams_to_send(pair.now)


def _half_a_second_later(pair: AssociationPair) -> list[bytes]:
    """Return what ``a`` has to say when nothing more came: a SACK is delayed by less."""
    pair.now += 0.5
    pair.a.association.handle_timer(pair.now)
    return pair.a.association.datagrams_to_send(pair.now)


def _data(pair: AssociationPair, payload: bytes, *, stream_id: int = 0, flags: int = 0) -> bytes:
    """Return the next data chunk of the peer: a whole message."""
    tcb = pair.a.tcb
    return DataChunk(
        tcb.receiver.tsns.cumulative + 1 & 0xFFFFFFFF, stream_id, 0, 0, 53, BEGIN | END | flags,
        payload, interleaved=tcb.features.interleaving,
    ).serialize()  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "goes_on", "reports"),
    [(0x3D, False, False), (0x7D, False, True), (0xBD, True, False), (0xFD, True, True)],
    ids=["stop", "stop and report", "skip", "skip and report"],
)
def test_the_upper_bits_of_an_unknown_chunk_say_what_to_do(
    pair: AssociationPair, kind: int, goes_on: bool, reports: bool
) -> None:
    """3.2; 3.3.10.6: the report carries the chunk."""
    unknown = serialize_chunk(kind, 3, b"what is it?!")
    answers = [c for p in _say(pair, unknown, _HEARTBEAT) for c in split_chunks(p)]
    assert (C.HEARTBEAT_ACK in [c.kind for c in answers]) is goes_on
    errors = [parse_params(c.value) for c in answers if c.kind == C.ERROR]
    assert errors == ([[(Cause.UNRECOGNIZED_CHUNK, unknown)]] if reports else [])
    assert pair.established


def test_a_message_on_a_stream_that_does_not_exist_is_acknowledged_and_reported(
    pair: AssociationPair,
) -> None:
    """6.5; 3.3.10.1."""
    packets = _say(pair, _data(pair, b"lost", stream_id=10)) + _half_a_second_later(pair)
    chunks = [c for p in packets for c in split_chunks(p)]
    (error,) = [parse_params(c.value) for c in chunks if c.kind == C.ERROR]
    assert error == [(Cause.INVALID_STREAM, b"\0\x0a\0\0")]
    assert C.SACK in [c.kind for c in chunks]
    assert not pair.a.of(DataChannelMessage)
    assert pair.established


@pytest.mark.parametrize("bundled", [False, True])
def test_a_chunk_without_user_data_is_answered_with_abort(
    pair: AssociationPair, bundled: bool
) -> None:
    """6.2; 3.3.10.9: the ABORT names the TSN."""
    empty = _data(pair, b"")
    (answer,) = _say(pair, _HEARTBEAT, empty) if bundled else _say(pair, empty)
    (abort,) = [c for c in split_chunks(answer) if c.kind == C.ABORT]
    assert parse_params(abort.value) == [(Cause.NO_USER_DATA, empty[4:8])]
    assert pair.a.association.state is State.ENDED


def test_the_i_bit_asks_for_a_sack_without_delay(pair: AssociationPair) -> None:
    """6.2; 3.3.1, I bit."""
    assert _say(pair, _data(pair, b"no hurry")) == []
    assert [kinds(p) for p in _half_a_second_later(pair)] == [[C.SACK]]
    pair.now += 0.001  # the longest interval between SACKs of the same implementation
    (answer,) = _say(pair, _data(pair, b"hurry", flags=IMMEDIATE))
    assert kinds(answer) == [C.SACK]


@pytest.mark.parametrize("kind", [C.ABORT, C.SHUTDOWN_COMPLETE])
@pytest.mark.parametrize("reflected", [False, True], ids=["no T bit", "T bit"])
@pytest.mark.parametrize("ours", [False, True], ids=["tag of the peer", "our tag"])
def test_the_t_bit_says_whose_tag_it_is(
    pair: AssociationPair, kind: ChunkType, reflected: bool, ours: bool
) -> None:
    """8.5.1 B and C."""
    pair.a_to_z.drop = pair.z_to_a.drop = has(C.SHUTDOWN_COMPLETE)
    pair.z.association.shutdown(pair.now)
    pair.drive(until=lambda: pair.a.association.state is State.SHUTDOWN_ACK_SENT)
    tag = _tag_of(pair.z if ours else pair.a)
    _say(pair, serialize_chunk(kind, int(reflected)), tag=tag)
    accepted = ours is not reflected
    assert (pair.a.association.state is State.ENDED) is accepted
    if accepted:
        pair.flush(pair.a)
        (ended,) = pair.a.of(AssociationEnded)
        assert ended.ending is (Ending.ABORTED_BY_PEER if kind is C.ABORT else Ending.SHUTDOWN)


def test_a_shutdown_complete_in_another_state_is_discarded(pair: AssociationPair) -> None:
    """8.5.1 C."""
    assert _say(pair, serialize_chunk(C.SHUTDOWN_COMPLETE)) == []
    assert pair.established


def test_data_that_comes_after_shutdown_was_sent_is_taken_and_answered_with_another(
    pair: AssociationPair,
) -> None:
    """9.2: in SHUTDOWN SENT; the peer may not know yet."""
    pair.a_to_z.drop = drop_first(1, C.SHUTDOWN)
    pair.a.association.shutdown(pair.now)
    pair.drive(until=lambda: pair.a.association.state is State.SHUTDOWN_SENT)
    data = _data(pair, b"not yet")
    answers = [c for p in _say(pair, data) for c in split_chunks(p)]
    (again,) = [c for c in answers if c.kind == C.SHUTDOWN]
    assert again.value == data[4:8]
    event = pair.a.association.next_event()
    assert isinstance(event, DataChannelMessage)
    assert event.data == b"not yet"


def test_a_sack_for_what_was_never_sent_is_discarded(pair: AssociationPair) -> None:
    """6.2.1."""
    sack = Sack(pair.a.tcb.queue.next_tsn + 100 & 0xFFFFFFFF, 1 << 20, (), ()).serialize()
    assert _say(pair, sack) == []
    assert pair.established
