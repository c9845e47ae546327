"""The receive window, from both sides (RFC 9260, 6.1 and 6.2)."""

from __future__ import annotations

import pytest

from lab.association_pair import AssociationPair
from lab.link import Link
from peer.sctp import AssociationEnded, DataChannelMessage, Ending, SctpConfig, State

KIB = 1024


@pytest.fixture(params=[True, False], ids=["same", "other"])
def pair(request: pytest.FixtureRequest) -> AssociationPair:
    config = SctpConfig(
        receive_window=64 * KIB, recognise_implementation=request.param, interleaving=request.param
    )
    pair = AssociationPair(config)
    pair.connect()
    return pair


def test_a_slow_reader_stops_the_sender(pair: AssociationPair) -> None:
    """6.1 A: messages that were not consumed count."""
    pair.z.reads = False
    for _ in range(100):
        pair.a.association.send(1, 53, bytes(10 * KIB), now=pair.now)
    pair.drive(seconds=5)
    assert pair.z.association.stats().unread <= (64 + 11) * KIB
    assert pair.a.association.stats().buffered > 900 * KIB
    assert pair.a.association.stats().peer_window < 2 * KIB


def test_reading_on_lets_the_sender_go_on(pair: AssociationPair) -> None:
    """6.2: a window that opens is announced."""
    pair.z.reads = False
    for _ in range(40):
        pair.a.association.send(1, 53, bytes(10 * KIB), now=pair.now)
    pair.drive(seconds=30)
    consumed = 0
    while consumed < 40:
        for message in pair.z.of(DataChannelMessage)[consumed:]:
            pair.z.association.consume(message.stream_id, message.size)
            consumed += 1
        pair.drive(seconds=2)  # time enough only if the window is announced, not if it is probed
        assert consumed == 40 or len(pair.z.of(DataChannelMessage)) > consumed


def test_a_closed_window_is_probed_without_end(pair: AssociationPair) -> None:
    """6.1 A: a peer that answers with a closed window is alive, however long it takes."""
    pair.z.reads = False
    pair.a.association.send(1, 53, bytes(80 * KIB), now=pair.now)
    pair.a.association.send(1, 53, bytes(80 * KIB), now=pair.now)
    pair.drive(seconds=900)
    assert pair.a.association.state is State.ESTABLISHED
    for message in pair.z.of(DataChannelMessage):
        pair.z.association.consume(message.stream_id, message.size)
    pair.z.reads = True
    pair.drive(until=lambda: len(pair.z.of(DataChannelMessage)) == 2, seconds=60)


def test_a_lost_window_update_does_not_stall(pair: AssociationPair) -> None:
    pair.z.reads = False
    for _ in range(20):
        pair.a.association.send(1, 53, bytes(10 * KIB), now=pair.now)
    pair.drive(seconds=10)
    pair.z_to_a.change(loss=1.0)
    for message in pair.z.of(DataChannelMessage):
        pair.z.association.consume(message.stream_id, message.size)
    pair.z.reads = True
    pair.drive(seconds=0.5)
    pair.z_to_a.change(loss=0.0)
    pair.drive(until=lambda: len(pair.z.of(DataChannelMessage)) == 20, seconds=60)


def test_a_message_larger_than_the_window_still_arrives(pair: AssociationPair) -> None:
    pair.a.association.send(1, 53, bytes(1000 * KIB), now=pair.now)
    pair.drive(until=lambda: bool(pair.z.of(DataChannelMessage)))


@pytest.mark.parametrize("interleaving", [True, False])
def test_a_message_larger_than_we_accept_ends_the_association(interleaving: bool) -> None:
    """The memory for unfinished messages is bounded: out of resource (3.3.10.4)."""
    pair = AssociationPair(
        SctpConfig(max_message_size=100 * KIB, receive_window=64 * KIB, interleaving=interleaving)
    )
    pair.connect()
    pair.a.association.send(1, 53, bytes(1000 * KIB), now=pair.now)
    pair.drive(until=lambda: bool(pair.z.of(AssociationEnded)))
    assert pair.z.of(AssociationEnded)[0].ending is Ending.PROTOCOL_ERROR
    assert pair.z.association.stats().reassembling == 0


def test_out_of_order_data_counts_in_the_window() -> None:
    pair = AssociationPair(
        SctpConfig(receive_window=64 * KIB), link=Link(delay=0.01, loss=0.1), seed=4
    )
    pair.connect()
    pair.a.association.send(1, 53, bytes(500 * KIB), now=pair.now)
    pair.drive(until=lambda: bool(pair.z.of(DataChannelMessage)))
    assert pair.z.of(DataChannelMessage)[0].data == bytes(500 * KIB)


def test_a_flood_of_tiny_messages_to_a_slow_reader_arrives(pair: AssociationPair) -> None:
    """6.2: what it costs to keep them closes the window long before their bytes would."""
    pair.z.reads = False
    count = 3000
    for _ in range(count):
        pair.a.association.send(1, 53, b"tiny", now=pair.now)
    read = 0
    while read < count:
        pair.drive(until=lambda n=read: len(pair.z.of(DataChannelMessage)) > n, seconds=10)  # type: ignore[misc]
        # What fills holes is taken also when what is above them has filled the window.
        assert pair.z.association.stats().unread < 2 * 64 * KIB
        for message in pair.z.of(DataChannelMessage)[read:]:
            pair.z.association.consume(message.stream_id, message.size)
            read += 1
    assert pair.a.association.stats().chunks_sent < 3 * count
