"""Messages for channels that our side has not opened yet, and what is refused."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lab.association_pair import AssociationPair, drop_first
from peer.sctp import (
    DataChannelClosed,
    DataChannelMessage,
    DataChannelOpened,
    LocalProtocolError,
    Ppid,
    SctpConfig,
)
from peer.sctp.receive.reassembly import BOOKKEEPING
from peer.sctp.wire.chunks import ChunkType
from peer.sctp.wire.dcep import DataChannelOpen

ID = 20
KEPT = 100_000


def make_pair(**settings: int) -> AssociationPair:
    pair = AssociationPair(SctpConfig(keep_early=KEPT, **settings))  # type: ignore[arg-type]
    pair.connect()
    return pair


def send(pair: AssociationPair, *messages: str, stream_id: int = ID) -> None:
    for message in messages:
        pair.a.association.send_message(stream_id, message, pair.now)


def opened_by_a(pair: AssociationPair, stream_id: int = ID) -> None:
    pair.a.association.open_channel("agreed", stream_id=stream_id, negotiated=True)


def texts(pair: AssociationPair) -> list[bytes]:
    return [event.data for event in pair.z.of(DataChannelMessage)]


def overtaken(content: bytes) -> Callable[[bytes], bool]:
    """Return a ``Link.drop`` that drops the first datagram with this content."""
    left = [1]

    def drop(datagram: bytes) -> bool:
        dropped = bool(left[0]) and content in datagram
        left[0] -= dropped
        return dropped

    return drop


def test_messages_wait_for_their_channel_and_come_after_its_opening() -> None:
    pair = make_pair()
    opened_by_a(pair)
    send(pair, "1", "2")
    pair.drive(seconds=5)
    assert not texts(pair)
    assert pair.z.association.stats().unread == 2 * (1 + BOOKKEEPING)
    opened_by_a_at = len(pair.z.events)
    pair.z.association.open_channel("agreed", stream_id=ID, negotiated=True)
    send(pair, "3")
    pair.drive(seconds=5)
    assert [type(event) for event in pair.z.events[opened_by_a_at:]] == [
        DataChannelOpened,
        *[DataChannelMessage] * 3,
    ]
    assert texts(pair) == [b"1", b"2", b"3"]
    assert pair.z.association.stats().unread == 0


def test_a_message_that_overtakes_the_open_waits_for_it() -> None:
    """RFC 8832, 6 forbids it to be unordered; some send it so."""
    pair = make_pair()
    pair.a_to_z.drop = overtaken(b"label")
    unordered = DataChannelOpen("label", "", False, None, None, 256)
    pair.a.association.send(ID, Ppid.DCEP, unordered.serialize(), now=pair.now)
    pair.flush(pair.a)
    pair.a.association.send(ID, Ppid.STRING, b"x", ordered=False, now=pair.now)
    pair.drive(until=lambda: bool(texts(pair)))
    kinds = [
        type(e) for e in pair.z.events if isinstance(e, DataChannelOpened | DataChannelMessage)
    ]
    assert kinds == [DataChannelOpened, DataChannelMessage]


def test_too_many_messages_are_refused_with_their_stream_and_given_back() -> None:
    pair = make_pair()
    opened_by_a(pair)
    opened_by_a(pair, 30)
    send(pair, "kept", stream_id=30)
    send(pair, *["x"] * (KEPT // BOOKKEEPING))
    pair.drive(until=lambda: bool(pair.z.association._channels._refused))
    with pytest.raises(LocalProtocolError, match="before it was opened"):
        pair.z.association.open_channel("agreed", stream_id=ID, negotiated=True)
    pair.drive(until=lambda: bool(pair.a.of(DataChannelClosed)))
    assert [event.stream_id for event in pair.a.of(DataChannelClosed)] == [ID]
    pair.drive(seconds=5)
    assert pair.z.association.stats().unread == 4 + BOOKKEEPING
    pair.z.association.open_channel("small", stream_id=30, negotiated=True)
    pair.drive(seconds=5)
    assert texts(pair) == [b"kept"]


def test_what_follows_a_refused_open_is_dropped_until_the_peer_has_reset_it() -> None:
    pair = make_pair(max_channels=1)
    for association in (pair.a.association, pair.z.association):
        association.open_channel("agreed", stream_id=ID, negotiated=True)
    told = DataChannelOpen("told", "", True, None, None, 256).serialize()
    pair.a.association.send(1, Ppid.DCEP, told, now=pair.now)
    for _ in range(3):
        pair.a.association.send(1, Ppid.STRING, b"x", now=pair.now)
    pair.drive(seconds=5)
    assert not texts(pair)
    assert pair.z.association.stats().unread == 0
    assert 1 in pair.z.association._channels._refused
    pair.a.association.reset_stream(1)
    pair.drive(seconds=5)
    assert not pair.z.association._channels._refused


def test_what_is_sent_on_a_number_used_again_belongs_to_the_next_channel() -> None:
    """The answer to our reset of the one before it is lost: we believe that it still closes."""
    pair = make_pair()
    opened_by_a(pair)
    pair.z.association.open_channel("agreed", stream_id=ID, negotiated=True)
    pair.drive(seconds=1)
    answers = drop_first(1, ChunkType.RE_CONFIG)
    asked = len(pair.a.sent)

    def drop(datagram: bytes) -> bool:
        """Not our request to reset, but the answer to the one of the other side."""
        return len(pair.a.sent) > asked + 1 and answers(datagram)

    pair.a_to_z.drop = drop
    pair.a.association.close_channel(ID)
    pair.drive(until=lambda: bool(pair.a.of(DataChannelClosed)))
    opened_by_a(pair)
    send(pair, "next")
    pair.drive(until=lambda: bool(pair.z.association._channels._early.size))
    assert not pair.z.of(DataChannelClosed)
    pair.drive(until=lambda: bool(pair.z.of(DataChannelClosed)))
    pair.z.association.open_channel("agreed", stream_id=ID, negotiated=True)
    pair.drive(seconds=5)
    assert texts(pair) == [b"next"]


def test_a_flood_for_channels_that_do_not_exist_is_bounded() -> None:
    pair = make_pair()
    pair.z.reads = False
    for stream_id in range(1, 10_001, 2):
        pair.a.association.send(stream_id, Ppid.STRING, b"x", now=pair.now)
    pair.drive(seconds=30)
    channels = pair.z.association._channels
    assert channels._early.size <= KEPT
    assert len(channels._refused) <= 4096
    assert len(channels._early._streams) <= KEPT // BOOKKEEPING
