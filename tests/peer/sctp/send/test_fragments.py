"""RFC 9260, 6.9: the fragments of a message have consecutive TSNs."""

from __future__ import annotations

import pytest

from lab.association_pair import AssociationPair, has
from peer.sctp import AssociationEnded, DataChannelMessage, Ending, SctpConfig, State
from peer.sctp.wire.chunks import BEGIN, END, UNORDERED, ChunkType, DataChunk

WHOLE = BEGIN | END


@pytest.fixture
def pair() -> AssociationPair:
    pair = AssociationPair(SctpConfig(interleaving=False, recognise_implementation=False))
    pair.connect()
    return pair


def _send(pair: AssociationPair, chunks: list[tuple[int, int, int, int]]) -> None:
    """Give ``z`` packets of one chunk each: TSN (the next is 1), stream, number, flags."""
    base = pair.z.tcb.receiver.tsns.cumulative
    header = pair.a.sent[-1][:8] + bytes(4)
    packets = [
        header
        + DataChunk((base + tsn) & 0xFFFFFFFF, stream, number, 0, 53, flags, b"x").serialize()
        for tsn, stream, number, flags in chunks
    ]
    pair.z.association.receive_datagrams(packets, pair.now)
    pair.flush(pair.z)


@pytest.mark.parametrize(
    "chunks",
    [
        [(1, 1, 0, BEGIN), (2, 1, 0, BEGIN)],
        [(2, 1, 0, BEGIN), (1, 1, 0, BEGIN)],
        [(1, 1, 0, BEGIN), (2, 1, 1, WHOLE)],
        [(3, 1, 0, END), (2, 1, 1, WHOLE)],
        [(1, 1, 0, BEGIN), (2, 2, 0, END)],
        [(2, 2, 0, END), (1, 1, 0, BEGIN)],
        [(1, 1, 0, BEGIN), (2, 1, 1, END)],
        [(1, 1, 0, BEGIN), (2, 1, 0, END | UNORDERED)],
    ],
)
def test_a_message_that_begins_inside_another_ends_the_association(
    pair: AssociationPair, chunks: list[tuple[int, int, int, int]]
) -> None:
    _send(pair, chunks)
    (ended,) = pair.z.of(AssociationEnded)
    assert ended.ending is Ending.PROTOCOL_ERROR
    assert has(ChunkType.ABORT)(pair.z.sent[-1])


def test_messages_that_meet_at_their_borders_are_none_of_its_business(
    pair: AssociationPair,
) -> None:
    _send(pair, [(2, 1, 0, END), (3, 2, 0, BEGIN), (1, 1, 0, BEGIN), (5, 1, 1, WHOLE)])
    _send(pair, [(1, 2, 0, END)])
    assert pair.z.association.state is State.ESTABLISHED
    assert [len(m.data) for m in pair.z.of(DataChannelMessage)] == [2, 1, 2]


def test_the_end_of_a_message_without_its_begin_is_not_kept(pair: AssociationPair) -> None:
    _send(pair, [(1, 1, 0, END), (2, 1, 1, 0), (4, 1, 1, 0), (3, 1, 1, 0), (5, 1, 1, END)])
    assert pair.z.association.stats().reassembling == 0


@pytest.mark.parametrize("interleaving", [True, False], ids=["DATA", "I-DATA"])
def test_the_kind_of_data_chunk_that_was_not_agreed_on_ends_the_association(
    interleaving: bool,
) -> None:
    """RFC 8260, 2.2.1: never both in one association."""
    pair = AssociationPair(SctpConfig(interleaving=interleaving))
    pair.connect()
    tsn = (pair.z.tcb.receiver.tsns.cumulative + 1) & 0xFFFFFFFF
    header = pair.a.sent[-1][:8] + bytes(4)
    wrong = DataChunk(tsn, 1, 0, 0, 53, WHOLE, b"x", interleaved=not interleaving).serialize()
    pair.z.association.receive_datagram(header + wrong, pair.now)
    pair.flush(pair.z)
    assert pair.z.of(AssociationEnded)[0].ending is Ending.PROTOCOL_ERROR
    assert has(ChunkType.ABORT)(pair.z.sent[-1])
