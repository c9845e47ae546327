"""RFC 8899: the path MTU, found with padded HEARTBEATs."""

from __future__ import annotations

import pytest

from lab.association_pair import AssociationPair, drop_first, kinds
from lab.link import Link
from peer.sctp import AssociationEnded, DataChannelMessage, Ending, SctpConfig, State
from peer.sctp.wire.chunks import ChunkType


@pytest.mark.parametrize(
    ("mtu", "maximum", "found"),
    [
        (16_384, 16_384, 16_384),
        (1432, 16_384, 1432),
        (1500, 16_384, 1440),
        (1188, 16_384, 1188),
        (9000, 16_384, 8928),
        (9000, 1432, 1432),
    ],
)
def test_the_largest_size_that_gets_through_is_found(mtu: int, maximum: int, found: int) -> None:
    pair = AssociationPair(SctpConfig(max_datagram_size=maximum), link=Link(delay=0.01, mtu=mtu))
    pair.connect()
    pair.drive(seconds=20)
    assert pair.a.association.stats().datagram_size == found
    # A message is cut into packets of one size: this one into thirty that are full.
    full = found - 12 - 20
    pair.a.association.send(1, 53, bytes(30 * (full - full % 4)), now=pair.now)
    pair.drive(until=lambda: bool(pair.z.of(DataChannelMessage)))
    assert max(len(p) for p in pair.a.sent if ChunkType.I_DATA in kinds(p)) == found


@pytest.mark.parametrize(
    ("mtu", "found"),
    [(16_384, 16_384), (1432, 1432), (1420, 1404), (1355, 1332)],
    ids=["loopback", "Ethernet", "PPPoE", "a tunnel"],
)
def test_one_round_trip_finds_the_size_of_common_paths(mtu: int, found: int) -> None:
    """5.3: several sizes are probed at once, so that a transfer starts with the right one."""
    pair = AssociationPair(SctpConfig(max_datagram_size=16_384), link=Link(mtu=mtu, delay=0.025))
    pair.connect()
    established = pair.now
    pair.drive(until=lambda: pair.a.association.datagram_size == found)
    assert pair.now - established < 0.051


def test_a_lost_probe_is_repeated() -> None:
    """5.1.2: and what was lost once need not be lost again."""
    pair = AssociationPair(SctpConfig(max_datagram_size=1432), link=Link(delay=0.025))
    pair.connect()
    pair.a_to_z.change(mtu=1200)
    pair.drive(seconds=0.2)
    pair.a_to_z.change(mtu=1500)
    pair.drive(seconds=0.5)
    assert pair.a.association.datagram_size == 1432


def test_the_answer_to_a_probe_is_the_first_round_trip_known() -> None:
    """RFC 9260, 6.3.1, C2: a side that has sent no data yet need not wait for RTO.Initial."""
    pair = AssociationPair(SctpConfig(max_datagram_size=1432), link=Link(delay=0.025))
    pair.connect()
    assert pair.a.association.stats().srtt == 0.0
    pair.drive(until=lambda: pair.a.association.datagram_size == 1432)
    assert pair.a.association.stats().srtt == pytest.approx(0.05)


def test_what_was_lost_before_a_round_trip_was_known_need_not_wait_for_rto_initial() -> None:
    pair = AssociationPair(
        SctpConfig(max_datagram_size=1432, rto_initial=1.0), link=Link(delay=0.025)
    )
    pair.connect()
    pair.a_to_z.drop = drop_first(1, ChunkType.I_DATA)
    sent_at = pair.now
    pair.a.association.send(1, 51, b"hello", now=pair.now)
    pair.drive(until=lambda: bool(pair.z.of(DataChannelMessage)))
    assert pair.now - sent_at < 0.3


def test_nothing_is_probed_when_the_size_is_fixed() -> None:
    pair = AssociationPair(SctpConfig())
    pair.connect()
    pair.drive(seconds=20)
    assert not any(ChunkType.PAD in kinds(p) for p in pair.a.sent)


def test_a_lossy_path_is_not_mistaken_for_a_small_one() -> None:
    """5.1.2: three probes are lost before a size counts as too large."""
    pair = AssociationPair(
        SctpConfig(max_datagram_size=4092), link=Link(delay=0.01, loss=0.1), seed=8
    )
    pair.connect()
    pair.drive(seconds=20)
    assert pair.a.association.stats().datagram_size == 4092


def test_a_black_hole_is_noticed_and_data_goes_on_in_smaller_packets() -> None:
    """4.3: what is already cut cannot shrink, and must be let through by other means."""
    pair = AssociationPair(SctpConfig(max_datagram_size=4092))
    pair.connect()
    pair.drive(seconds=5)
    pair.a_to_z.change(mtu=1300)
    pair.a.association.send(1, 53, bytes(500_000), now=pair.now)
    pair.drive(until=lambda: pair.a.association.stats().datagram_size == 1188)
    pair.a_to_z.change(mtu=1 << 16)  # the lower layer lets the old packets be fragmented
    pair.drive(until=lambda: bool(pair.z.of(DataChannelMessage)))
    new = len(pair.a.sent)
    pair.a.association.send(1, 53, bytes(50_000), now=pair.now)
    pair.drive(until=lambda: len(pair.z.of(DataChannelMessage)) == 2)
    assert max(len(p) for p in pair.a.sent[new:] if ChunkType.I_DATA in kinds(p)) < 4092


def _wide() -> AssociationPair:
    """A pair that has found packets of the largest size to get through."""
    pair = AssociationPair(SctpConfig(max_datagram_size=1432), link=Link(delay=0.025))
    pair.connect()
    pair.drive(seconds=5)
    pair.a.association.send(1, 53, bytes(500_000), now=pair.now)
    pair.drive(seconds=5)
    assert pair.a.association.datagram_size == 1432
    return pair


def _shrunk(pair: AssociationPair) -> bool:
    return pair.a.association.datagram_size == 1188


def test_a_black_hole_is_noticed_while_small_packets_get_through() -> None:
    """4.3: their acknowledgements keep T3-rtx from ever expiring."""
    pair = _wide()
    pair.a_to_z.change(mtu=1300)
    pair.a.association.send(1, 53, bytes(20_000), now=pair.now)
    for _ in range(5):
        pair.a.association.send(2, 51, b"hi", now=pair.now)
        pair.drive(seconds=0.1)
    assert _shrunk(pair)
    assert len([m for m in pair.z.of(DataChannelMessage) if m.stream_id == 2]) == 5


def test_small_packets_are_not_lost_with_large_ones_again_and_again() -> None:
    """4.3: what was lost is retransmitted in a packet that every path carries."""
    pair = _wide()
    pair.a_to_z.change(mtu=1200)
    # Less than a full packet, so that there is room behind it for something small.
    pair.a.association.send(1, 53, bytes(1300), now=pair.now)
    pair.a.association.send(2, 51, b"hi", now=pair.now)
    assert len(pair.a.association.datagrams_to_send(pair.now)) == 1
    pair.drive(until=lambda: bool([m for m in pair.z.of(DataChannelMessage) if m.stream_id == 2]))
    assert not _shrunk(pair)


def test_a_black_hole_that_swallows_packets_of_small_chunks_is_noticed() -> None:
    """4.3: no chunk is too large for the path here, only what they share is."""
    pair = _wide()
    pair.a_to_z.change(mtu=1300)
    for _ in range(20):
        for _ in range(4):
            pair.a.association.send(1, 53, bytes(320), now=pair.now)
        pair.drive(until=lambda: pair.a.association.all_acknowledged)
    assert _shrunk(pair)


def test_large_packets_that_fit_do_not_hide_the_loss_of_larger_ones() -> None:
    """4.3."""
    pair = _wide()
    pair.a_to_z.change(mtu=1300)
    pair.a.association.send(1, 53, bytes(1400), now=pair.now)
    for _ in range(5):
        pair.a.association.send(2, 53, bytes(1240), now=pair.now)
        pair.drive(seconds=0.1)
    assert _shrunk(pair)


def test_a_lossy_path_is_not_mistaken_for_a_black_hole() -> None:
    """4.3: some large packets arrive."""
    pair = _wide()
    pair.a_to_z.change(loss=0.05)
    pair.z_to_a.change(loss=0.05)
    for _ in range(30):
        pair.a.association.send(1, 53, bytes(50_000), now=pair.now)
        pair.drive(until=lambda: pair.a.association.all_acknowledged)
    assert not _shrunk(pair)


@pytest.mark.parametrize("seconds", [1.0, 3.0, 8.0, 20.0])
def test_silence_is_not_mistaken_for_a_black_hole(seconds: float) -> None:
    """A path that carries nothing for a while is as wide as before when it is back."""
    pair = _wide()
    pair.a_to_z.change(loss=1.0)
    pair.z_to_a.change(loss=1.0)
    pair.a.association.send(1, 53, bytes(300_000), now=pair.now)
    pair.drive(seconds=seconds)
    pair.a_to_z.change(loss=0.0)
    pair.z_to_a.change(loss=0.0)
    pair.drive(until=lambda: pair.a.association.all_acknowledged)
    assert not _shrunk(pair)


@pytest.mark.parametrize("direction", ["there", "back"])
def test_silence_of_one_direction_in_the_middle_of_a_transfer_is_none_either(
    direction: str,
) -> None:
    pair = _wide()
    pair.a.association.send(1, 53, bytes(300_000), now=pair.now)
    pair.drive(seconds=0.06)
    link = pair.a_to_z if direction == "there" else pair.z_to_a
    link.change(loss=1.0)
    pair.a.association.send(2, 51, b"hi", now=pair.now)
    pair.drive(seconds=8.0)
    link.change(loss=0.0)
    pair.drive(until=lambda: pair.a.association.all_acknowledged)
    assert not _shrunk(pair)


@pytest.mark.parametrize("chat", [True, False], ids=["beside small messages", "alone"])
def test_what_can_never_get_through_ends_the_association(chat: bool) -> None:
    """RFC 8899, 4.3: cut before, and the network drops fragments too."""
    pair = _wide()
    pair.a_to_z.change(mtu=1250)
    pair.a.association.send(1, 53, bytes(300_000), now=pair.now)

    def ended() -> bool:
        association = pair.a.association
        if chat and association.state is State.ESTABLISHED and association.all_acknowledged:
            raise AssertionError("it got through")
        if chat and association.state is State.ESTABLISHED and not association.buffered_amount(2):
            association.send(2, 51, b"hi", now=pair.now)
        return bool(pair.a.of(AssociationEnded))

    pair.drive(until=ended, seconds=300)
    assert pair.a.of(AssociationEnded)[0].ending is Ending.UNREACHABLE
    pair.drive(until=lambda: bool(pair.z.of(AssociationEnded)))


def test_what_the_network_fragments_gets_through() -> None:
    pair = _wide()
    pair.a_to_z.change(mtu=1300)
    pair.a.association.send(1, 53, bytes(20_000), now=pair.now)
    pair.drive(until=lambda: _shrunk(pair))
    pair.a_to_z.change(mtu=1 << 16)
    pair.a_to_z.change(loss=0.1)
    pair.drive(until=lambda: len(pair.z.of(DataChannelMessage)) == 2)


def test_after_a_black_hole_the_search_waits_until_nothing_is_fragmented_any_more() -> None:
    """6.2: a probe that arrives in fragments proves nothing."""
    pair = _wide()
    pair.a_to_z.change(mtu=1300)
    pair.a.association.send(1, 53, bytes(20_000), now=pair.now)
    pair.drive(until=lambda: _shrunk(pair))
    pair.a_to_z.change(mtu=1 << 16)
    pair.drive(seconds=28)
    assert _shrunk(pair)
    pair.a_to_z.change(mtu=1300)
    pair.drive(seconds=60)
    assert pair.a.association.datagram_size == 1252


def test_a_path_that_grew_is_found_out_after_ten_minutes() -> None:
    """5.1.1: PMTU_RAISE_TIMER."""
    pair = AssociationPair(SctpConfig(max_datagram_size=1432), link=Link(delay=0.01, mtu=1300))
    pair.connect()
    pair.drive(seconds=20)
    assert pair.a.association.stats().datagram_size == 1252
    pair.a_to_z.change(mtu=1 << 16)
    pair.drive(seconds=650)
    assert pair.a.association.stats().datagram_size == 1432
