"""RFC 9260, 9: ending in order, and at once; 8: noticing that the peer is gone."""

from __future__ import annotations

import random

import pytest

from lab.association_pair import AssociationPair, End, drop_first, has, kinds
from peer.sctp import (
    Association,
    AssociationEnded,
    DataChannelMessage,
    Ending,
    LocalProtocolError,
    Restarted,
    SctpConfig,
    State,
)
from peer.sctp.wire.chunks import ChunkType

C = ChunkType


def _ended(end: End) -> bool:
    return bool(end.of(AssociationEnded))


def _both_ended(pair: AssociationPair) -> bool:
    return _ended(pair.a) and _ended(pair.z)


def test_shutdown_delivers_everything_first_on_both_sides() -> None:
    """9.2."""
    pair = AssociationPair()
    pair.connect()
    pair.a.association.send(1, 53, bytes(200_000), now=pair.now)
    pair.z.association.send(1, 53, bytes(100_000), now=pair.now)
    pair.a.association.shutdown(pair.now)
    pair.drive(until=lambda: _both_ended(pair))
    assert [len(m.data) for m in pair.z.of(DataChannelMessage)] == [200_000]
    assert [len(m.data) for m in pair.a.of(DataChannelMessage)] == [100_000]
    for end in (pair.a, pair.z):
        assert [e.ending for e in end.of(AssociationEnded)] == [Ending.SHUTDOWN]
        assert end.association.get_timer() is None


def test_both_sides_may_shut_down_at_once() -> None:
    """9.2: SHUTDOWN in SHUTDOWN SENT."""
    pair = AssociationPair()
    pair.connect()
    pair.a.association.shutdown(pair.now)
    pair.z.association.shutdown(pair.now)
    pair.drive(until=lambda: _both_ended(pair))
    assert pair.a.of(AssociationEnded)[0].ending is Ending.SHUTDOWN


@pytest.mark.parametrize("kind", [C.SHUTDOWN, C.SHUTDOWN_ACK, C.SHUTDOWN_COMPLETE])
def test_a_lost_packet_of_the_shutdown_is_sent_again(kind: ChunkType) -> None:
    """9.2, T2-shutdown; 8.4, 5 when the COMPLETE was lost."""
    pair = AssociationPair()
    pair.connect()
    pair.a_to_z.drop = drop_first(2, kind)
    pair.z_to_a.drop = drop_first(2, kind)
    pair.a.association.shutdown(pair.now)
    pair.drive(until=lambda: _both_ended(pair))
    assert {end.of(AssociationEnded)[0].ending for end in (pair.a, pair.z)} == {Ending.SHUTDOWN}


def test_nothing_may_be_sent_after_shutdown() -> None:
    """9.2."""
    pair = AssociationPair()
    pair.connect()
    pair.a.association.shutdown(pair.now)
    with pytest.raises(LocalProtocolError):
        pair.a.association.send(1, 53, b"too late", now=pair.now)


def test_shutdown_before_the_handshake_is_over_waits_for_it() -> None:
    pair = AssociationPair()
    pair.a.association.connect(pair.now)
    pair.a.association.shutdown(pair.now)
    pair.drive(until=lambda: _both_ended(pair))
    assert pair.a.of(AssociationEnded)[0].ending is Ending.SHUTDOWN


def test_a_restart_by_the_peer_does_not_undo_a_shutdown() -> None:
    """5.2.4, action A, in SHUTDOWN PENDING."""
    pair = AssociationPair()
    pair.connect()
    pair.a.association.send(1, 53, bytes(200_000), now=pair.now)
    pair.a.association.shutdown(pair.now)
    assert pair.a.association.state is State.SHUTDOWN_PENDING
    pair.z.association = Association(SctpConfig(client=False), random=random.Random(9).randbytes)
    pair.z.association.connect(pair.now)
    pair.drive(until=lambda: _both_ended(pair))
    assert pair.a.of(Restarted)
    assert {end.of(AssociationEnded)[0].ending for end in (pair.a, pair.z)} == {Ending.SHUTDOWN}


def test_a_shutdown_that_never_ends_is_broken_off() -> None:
    """9.2: T5-shutdown-guard, against a peer that goes on and on with its data."""
    pair = AssociationPair(SctpConfig(rto_max=2.0))
    pair.connect()
    pair.a_to_z.drop = has(C.SHUTDOWN)
    pair.a.association.shutdown(pair.now)
    pair.drive(until=lambda: pair.a.association.state is State.SHUTDOWN_SENT)
    began = pair.now
    while pair.a.association.state is not State.ENDED:
        pair.z.association.send(1, 53, b"on and on", now=pair.now)
        pair.drive(until=lambda: pair.z.association.all_acknowledged or _ended(pair.a))
        assert pair.now < began + 11
    assert pair.now - began == pytest.approx(10, abs=0.1)
    assert pair.a.of(AssociationEnded)[0].ending is Ending.UNREACHABLE


def test_a_shutdown_waits_for_as_long_as_what_is_queued_takes() -> None:
    """9.2: the guard runs from SHUTDOWN on, not while data is delivered."""
    pair = AssociationPair(SctpConfig(rto_max=1.0, receive_window=20_000, interleaving=False))
    pair.connect()
    pair.z.reads = False
    for _ in range(100):
        pair.a.association.send(1, 53, bytes(1000), now=pair.now)
    pair.a.association.shutdown(pair.now)
    for _ in range(200):
        pair.drive(seconds=0.1)
        if pair.z.association.stats().unread:
            pair.z.association.consume(1, 1000)
    pair.drive(until=lambda: _both_ended(pair))
    assert len(pair.z.of(DataChannelMessage)) == 100
    assert pair.a.of(AssociationEnded)[0].ending is Ending.SHUTDOWN


def test_abort_ends_both_at_once_with_its_reason() -> None:
    """9.1."""
    pair = AssociationPair()
    pair.connect()
    pair.a.association.send(1, 53, bytes(1_000_000), now=pair.now)
    pair.a.association.abort("enough")
    pair.drive(until=lambda: _both_ended(pair))
    assert pair.a.of(AssociationEnded)[0].ending is Ending.ABORTED_BY_US
    ended = pair.z.of(AssociationEnded)[0]
    assert ended.ending is Ending.ABORTED_BY_PEER
    assert "enough" in ended.message
    assert not has(C.ABORT)(pair.z.sent[-1])


def test_an_idle_path_is_asked_whether_it_is_alive() -> None:
    """8.3."""
    pair = AssociationPair()
    pair.connect()
    pair.drive(seconds=100)
    assert any(has(C.HEARTBEAT)(p) for p in pair.a.sent)
    assert any(has(C.HEARTBEAT_ACK)(p) for p in pair.a.sent)
    assert pair.established


def test_unanswered_heartbeats_end_the_association() -> None:
    """8.1 and 8.3."""
    pair = AssociationPair(SctpConfig(heartbeat_interval=5, max_retransmissions=4))
    pair.connect()
    pair.a_to_z.change(loss=1.0)
    pair.z_to_a.change(loss=1.0)
    pair.drive(until=lambda: bool(pair.a.of(AssociationEnded)), seconds=100)
    assert pair.a.of(AssociationEnded)[0].ending is Ending.UNREACHABLE


def test_an_answered_probe_sets_the_error_count_to_zero() -> None:
    """8.1: a path that stutters is not a broken one."""
    pair = AssociationPair(SctpConfig(max_retransmissions=4))
    pair.connect()
    for _ in range(10):
        pair.a.association.send(1, 53, bytes(5000), now=pair.now)
        pair.a_to_z.change(loss=1.0)
        pair.drive(seconds=0.7)
        pair.a_to_z.change(loss=0.0)
        pair.drive(until=lambda: pair.a.association.stats().unacked_chunks == 0)
    assert pair.established


def test_an_ended_association_stays_quiet_but_for_a_repeated_shutdown_ack() -> None:
    """8.4, 5."""
    pair = AssociationPair()
    pair.connect()
    pair.a.association.shutdown(pair.now)
    pair.drive(until=lambda: pair.a.association.state is State.ENDED)
    ack = next(p for p in pair.z.sent if has(C.SHUTDOWN_ACK)(p))
    pair.a.association.receive_datagram(ack, pair.now)
    (answer,) = pair.a.association.datagrams_to_send(pair.now)
    assert kinds(answer) == [C.SHUTDOWN_COMPLETE]
