"""RFC 8831 and 8832: channels; RFC 6525: the resets that close them."""

from __future__ import annotations

import pytest

from lab.association_pair import AssociationPair, drop_first, has
from lab.link import Link
from peer.sctp import (
    BufferedAmountLow,
    DataChannelClosed,
    DataChannelMessage,
    DataChannelOpened,
    LocalProtocolError,
    SctpConfig,
    decode_payload,
)
from peer.sctp.errors import Malformed
from peer.sctp.wire.chunks import UNORDERED, ChunkType
from peer.sctp.wire.chunks.reconfig import IncomingReset, reconfig
from peer.sctp.wire.dcep import DataChannelOpen
from peer.sctp.wire.packet import PacketWriter, split_chunks
from peer.sctp.wire.ppid import Ppid

C = ChunkType


@pytest.fixture(params=[True, False], ids=["same", "other"])
def pair(request: pytest.FixtureRequest) -> AssociationPair:
    pair = AssociationPair(
        SctpConfig(recognise_implementation=request.param, interleaving=request.param)
    )
    pair.connect()
    return pair


def _open(pair: AssociationPair, label: str = "x") -> int:
    stream_id = pair.a.association.open_channel(label)
    pair.drive(until=lambda: any(e.stream_id == stream_id for e in pair.a.of(DataChannelOpened)))
    return stream_id


def test_a_channel_opens_with_its_parameters_on_the_other_side(pair: AssociationPair) -> None:
    """RFC 8832, 5.1."""
    pair.a.association.open_channel(
        "größe", protocol="p", ordered=False, max_lifetime=1.5, priority=512
    )
    pair.drive(until=lambda: bool(pair.a.of(DataChannelOpened)))
    (opened,) = pair.z.of(DataChannelOpened)
    assert opened == DataChannelOpened(0, "größe", "p", False, None, 1.5, 512, True)


def test_a_channel_opened_without_a_priority_has_the_normal_one(pair: AssociationPair) -> None:
    """RFC 8831, 6.4. aiortc and Firefox write 0; the answers on it must not starve."""
    none_given = DataChannelOpen("x", "", True, None, None, 0).serialize()
    pair.a.association.send(0, Ppid.DCEP, none_given, now=pair.now)
    pair.drive(until=lambda: bool(pair.z.of(DataChannelOpened)))
    (opened,) = pair.z.of(DataChannelOpened)
    assert opened.priority == 256
    assert pair.z.association._queue.stream(0).weight == 256


def test_the_client_takes_even_streams_and_the_server_odd_ones(pair: AssociationPair) -> None:
    """RFC 8832, 6."""
    assert [pair.a.association.open_channel("a") for _ in range(3)] == [0, 2, 4]
    assert [pair.z.association.open_channel("z") for _ in range(3)] == [1, 3, 5]


@pytest.mark.parametrize("message", ["", b"", "text ✓", b"\x00binary", "x" * 70_000])
def test_a_message_arrives_as_the_type_it_was_sent_as(
    pair: AssociationPair, message: str | bytes
) -> None:
    """RFC 8831, 6.6 and 8."""
    stream_id = _open(pair)
    pair.a.association.send_message(stream_id, message, pair.now)
    pair.drive(until=lambda: bool(pair.z.of(DataChannelMessage)))
    (received,) = pair.z.of(DataChannelMessage)
    assert decode_payload(received.ppid, received.data) == message


def test_messages_before_the_ack_are_ordered_even_on_an_unordered_channel() -> None:
    """RFC 8832, 6: or they might overtake the OPEN."""
    pair = AssociationPair(SctpConfig(interleaving=False))
    pair.connect()
    stream_id = pair.a.association.open_channel("fast", ordered=False)
    pair.a.association.send_message(stream_id, "early", pair.now)
    first = pair.a.association.datagrams_to_send(pair.now)
    flags = [c.flags & UNORDERED for p in first for c in split_chunks(p) if c.kind == C.DATA]
    assert flags == [0, 0]
    pair.z.association.receive_datagrams(first, pair.now)
    pair.drive(until=lambda: bool(pair.a.of(DataChannelOpened)))
    pair.a.association.send_message(stream_id, "late", pair.now)
    later = pair.a.association.datagrams_to_send(pair.now)
    flags = [c.flags & UNORDERED for p in later for c in split_chunks(p) if c.kind == C.DATA]
    assert flags == [UNORDERED]


def test_a_negotiated_channel_opens_without_a_packet(pair: AssociationPair) -> None:
    """RFC 8831, 6.4: external negotiation."""
    sent = len(pair.a.sent)
    for end in (pair.a, pair.z):
        end.association.open_channel("chat", stream_id=1, negotiated=True)
        pair.flush(end)
        assert [e.stream_id for e in end.of(DataChannelOpened)] == [1]
    assert len(pair.a.sent) == sent
    pair.z.association.send_message(1, "hi", pair.now)
    pair.drive(until=lambda: [m.data for m in pair.a.of(DataChannelMessage)] == [b"hi"])


def test_closing_delivers_what_is_queued_and_closes_both_sides(pair: AssociationPair) -> None:
    """RFC 8831, 6.7."""
    stream_id = _open(pair)
    pair.a.association.send_message(stream_id, bytes(300_000), pair.now)
    pair.a.association.close_channel(stream_id)
    with pytest.raises(LocalProtocolError):
        pair.a.association.send_message(stream_id, "too late", pair.now)
    pair.drive(until=lambda: bool(pair.a.of(DataChannelClosed) and pair.z.of(DataChannelClosed)))
    assert [len(m.data) for m in pair.z.of(DataChannelMessage)] == [300_000]


@pytest.mark.parametrize("loss", [0.0, 0.3])
def test_a_stream_id_is_used_again_with_numbers_from_zero(loss: float) -> None:
    """RFC 6525, 5.2.2."""
    pair = AssociationPair(link=Link(delay=0.01, loss=loss, jitter=0.01), seed=3)
    pair.connect()
    for round_ in range(4):
        stream_id = pair.a.association.open_channel(f"round {round_}", stream_id=0)
        pair.drive(until=lambda n=round_ + 1: len(pair.a.of(DataChannelOpened)) == n)  # type: ignore[misc]
        for i in range(3):
            pair.a.association.send_message(stream_id, f"{round_}.{i}", pair.now)
        closer = pair.a if round_ % 2 else pair.z
        pair.drive(until=lambda n=3 * round_ + 3: len(pair.z.of(DataChannelMessage)) == n)  # type: ignore[misc]
        closer.association.close_channel(stream_id)
        pair.drive(
            until=lambda n=round_ + 1: (
                len(pair.a.of(DataChannelClosed)) == n  # type: ignore[misc]
                and len(pair.z.of(DataChannelClosed)) == n
            )
        )
    want = [f"{r}.{i}".encode() for r in range(4) for i in range(3)]
    assert [m.data for m in pair.z.of(DataChannelMessage)] == want


def test_ids_are_taken_in_turn_and_again_when_all_were_used() -> None:
    pair = AssociationPair(SctpConfig(streams=6))
    pair.connect()
    first = _open(pair)
    pair.a.association.close_channel(first)
    pair.drive(until=lambda: bool(pair.a.of(DataChannelClosed)))
    assert [pair.a.association.open_channel("x") for _ in range(3)] == [2, 4, 0]


def test_no_channel_is_opened_on_a_stream_that_the_peer_does_not_take() -> None:
    """RFC 9260, 5.1.1: the peer takes 6 streams, so there are three of our parity."""
    pair = AssociationPair(SctpConfig(), z_config=SctpConfig(streams=6))
    pair.connect()
    a = pair.a.association
    assert [a.open_channel("x") for _ in range(3)] == [0, 2, 4]
    with pytest.raises(LocalProtocolError):
        a.open_channel("x")
    with pytest.raises(LocalProtocolError):
        a.open_channel("x", stream_id=6, negotiated=True)
    pair.drive(until=lambda: len(pair.a.of(DataChannelOpened)) == 3)


def test_channels_from_before_the_peer_told_its_streams_close_when_it_does() -> None:
    """RFC 9260, 5.1.1."""
    pair = AssociationPair(SctpConfig(), z_config=SctpConfig(streams=6))
    a = pair.a.association
    early = [a.open_channel("x") for _ in range(4)]
    for stream_id in early:
        a.send_message(stream_id, f"early {stream_id}", pair.now)
    a.send(9, 53, b"without a channel", now=pair.now)
    pair.connect()
    pair.drive(until=lambda: len(pair.z.of(DataChannelMessage)) == 3)
    assert [event.stream_id for event in pair.a.of(DataChannelClosed)] == [6]
    assert a.stats().buffered == 0
    pair.drive(until=lambda: a.all_acknowledged)
    with pytest.raises(LocalProtocolError):
        a.send_message(6, "late", pair.now)


def test_both_sides_may_close_at_once(pair: AssociationPair) -> None:
    stream_id = _open(pair)
    pair.a.association.close_channel(stream_id)
    pair.z.association.close_channel(stream_id)
    pair.drive(until=lambda: bool(pair.a.of(DataChannelClosed) and pair.z.of(DataChannelClosed)))
    assert len(pair.a.of(DataChannelClosed)) == len(pair.z.of(DataChannelClosed)) == 1


def test_a_lost_reset_request_or_answer_is_repeated(pair: AssociationPair) -> None:
    """RFC 6525, 5.1.1 and 5.2.1."""
    stream_id = _open(pair)
    pair.a_to_z.drop = drop_first(2, C.RE_CONFIG)
    pair.z_to_a.drop = drop_first(1, C.RE_CONFIG)
    pair.a.association.close_channel(stream_id)
    pair.drive(until=lambda: bool(pair.a.of(DataChannelClosed) and pair.z.of(DataChannelClosed)))


def test_a_reset_waits_until_everything_before_it_has_arrived(pair: AssociationPair) -> None:
    """RFC 6525, 5.2.2 and 4.4: result "in progress"."""
    stream_id = _open(pair)
    pair.a_to_z.drop = drop_first(1, C.I_DATA if pair.a.sent[-1][12] == 64 else C.DATA)
    pair.a.association.send_message(stream_id, "lost at first", pair.now)
    pair.a.association.close_channel(stream_id)
    pair.drive(until=lambda: bool(pair.a.of(DataChannelClosed) and pair.z.of(DataChannelClosed)))
    assert [m.data for m in pair.z.of(DataChannelMessage)] == [b"lost at first"]


def test_a_message_queued_while_a_reset_is_under_way_is_refused(pair: AssociationPair) -> None:
    stream_id = _open(pair)
    pair.a.association.close_channel(stream_id)
    with pytest.raises(LocalProtocolError):
        pair.a.association.send(stream_id, 53, b"x", now=pair.now)


def test_channels_beyond_the_limit_are_reset() -> None:
    pair = AssociationPair(SctpConfig(), z_config=SctpConfig(max_channels=2))
    pair.connect()
    for i in range(4):
        pair.a.association.open_channel(str(i))
    pair.drive(until=lambda: len(pair.a.of(DataChannelClosed)) == 2)
    assert len(pair.z.of(DataChannelOpened)) == 2


def test_the_queue_reports_when_it_falls_to_the_threshold(pair: AssociationPair) -> None:
    stream_id = _open(pair)
    pair.a.events.clear()
    pair.a.association.set_buffered_amount_low_threshold(stream_id, 100_000)
    pair.a.association.send_message(stream_id, bytes(400_000), pair.now)
    assert pair.a.association.buffered_amount(stream_id) == 400_000
    pair.drive(until=lambda: bool(pair.a.of(BufferedAmountLow)))
    assert pair.a.association.buffered_amount(stream_id) <= 100_000
    pair.drive(until=lambda: pair.a.association.buffered_amount(stream_id) == 0)
    assert len(pair.a.of(BufferedAmountLow)) == 1


@pytest.mark.parametrize(
    "mistake",
    [
        lambda a: a.open_channel("x", max_retransmits=1, max_lifetime=1.0),
        lambda a: a.open_channel("x", negotiated=True),
        lambda a: a.open_channel("x", stream_id=70_000),
        lambda a: a.open_channel("x", priority=0),
        lambda a: a.open_channel("x", max_retransmits=-1),
        lambda a: a.open_channel("x" * 70_000),
        lambda a: a.send(1, 53, b"", now=0.0),
        lambda a: a.send(65_535, 53, b"x", now=0.0),
        lambda a: a.send_message(9, "x", 0.0),
        lambda a: a.close_channel(9),
        lambda a: a.consume(0, 1),
    ],
)
def test_a_callers_mistake_is_told_to_the_caller(mistake: object) -> None:
    pair = AssociationPair()
    pair.connect()
    assert callable(mistake)
    with pytest.raises(LocalProtocolError):
        mistake(pair.a.association)


def test_a_message_larger_than_the_peer_accepts_is_refused() -> None:
    pair = AssociationPair(SctpConfig(peer_max_message_size=65_536))
    with pytest.raises(LocalProtocolError):
        pair.a.association.send(1, 53, bytes(65_537), now=pair.now)


@pytest.mark.parametrize("size", [0, 3, 11, 13])
def test_a_malformed_open_is_refused(size: int) -> None:
    whole = DataChannelOpen("label", "", True, None, None, 256).serialize()
    with pytest.raises(Malformed):
        DataChannelOpen.parse(whole[:size])


def test_many_channels_open_in_one_round_trip() -> None:
    pair = AssociationPair(link=Link(delay=0.05))
    pair.connect()
    start = pair.now
    for i in range(200):
        pair.a.association.open_channel(f"channel {i}")
    pair.drive(until=lambda: len(pair.a.of(DataChannelOpened)) == 200)
    assert pair.now - start < 0.5
    assert not any(has(C.ABORT)(p) for p in pair.z.sent)


def test_a_peer_that_wants_our_stream_reset_closes_its_channel(pair: AssociationPair) -> None:
    """RFC 6525, 5.2.3; RFC 8831, 6.7: the channel takes no more, and ends on both sides."""
    stream_id = _open(pair)
    theirs = pair.z.stream_reset  # which asks for no such thing by itself
    request = reconfig(IncomingReset(theirs._next_request, (stream_id,)).param())
    theirs._next_request += 1
    tag = int.from_bytes(pair.z.sent[-1][4:8], "big")
    packet = PacketWriter(5000, 5000).wrap_checked(request, tag=tag)
    pair.a.association.receive_datagram(packet, pair.now)
    with pytest.raises(LocalProtocolError, match="not open"):
        pair.a.association.send_message(stream_id, "too late", pair.now)
    pair.drive(until=lambda: bool(pair.a.of(DataChannelClosed) and pair.z.of(DataChannelClosed)))
    assert (
        pair.z.of(DataChannelClosed)
        == pair.a.of(DataChannelClosed)
        == [DataChannelClosed(stream_id)]
    )
