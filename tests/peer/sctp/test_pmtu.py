"""RFC 8899: the path MTU, found with padded HEARTBEATs."""

from __future__ import annotations

import pytest

from peer.sctp import MessageReceived, SctpConfig
from peer.sctp.chunks import ChunkType
from tests.support.pair import AssociationPair, Link, kinds


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
    pair = AssociationPair(SctpConfig(max_datagram_size=maximum), link=Link(mtu=mtu))
    pair.connect()
    pair.drive(seconds=20)
    assert pair.a.association.stats().datagram_size == found
    # A message is cut into packets of one size: this one into thirty that are full.
    full = found - 12 - 20
    pair.a.association.send(1, 53, bytes(30 * (full - full % 4)), now=pair.now)
    pair.drive(until=lambda: bool(pair.z.of(MessageReceived)))
    assert max(len(p) for p in pair.a.sent if ChunkType.I_DATA in kinds(p)) == found


def test_nothing_is_probed_when_the_size_is_fixed() -> None:
    pair = AssociationPair(SctpConfig())
    pair.connect()
    pair.drive(seconds=20)
    assert not any(ChunkType.PAD in kinds(p) for p in pair.a.sent)


def test_a_lossy_path_is_not_mistaken_for_a_small_one() -> None:
    """5.1.2: three probes are lost before a size counts as too large."""
    pair = AssociationPair(SctpConfig(max_datagram_size=4092), link=Link(loss=0.1), seed=8)
    pair.connect()
    pair.drive(seconds=20)
    assert pair.a.association.stats().datagram_size == 4092


def test_a_black_hole_is_noticed_and_data_goes_on_in_smaller_packets() -> None:
    """4.3: what is already cut cannot shrink, and must be let through by other means."""
    pair = AssociationPair(SctpConfig(max_datagram_size=4092))
    pair.connect()
    pair.drive(seconds=5)
    pair.a_to_z.mtu = 1300
    pair.a.association.send(1, 53, bytes(500_000), now=pair.now)
    pair.drive(until=lambda: pair.a.association.stats().datagram_size == 1188)
    pair.a_to_z.mtu = 1 << 16  # the lower layer lets the old packets be fragmented
    pair.drive(until=lambda: bool(pair.z.of(MessageReceived)))
    new = len(pair.a.sent)
    pair.a.association.send(1, 53, bytes(50_000), now=pair.now)
    pair.drive(until=lambda: len(pair.z.of(MessageReceived)) == 2)
    assert max(len(p) for p in pair.a.sent[new:] if ChunkType.I_DATA in kinds(p)) < 4092


def test_a_path_that_grew_is_found_out_after_ten_minutes() -> None:
    """5.1.1: PMTU_RAISE_TIMER."""
    pair = AssociationPair(SctpConfig(max_datagram_size=1432), link=Link(mtu=1300))
    pair.connect()
    pair.drive(seconds=20)
    assert pair.a.association.stats().datagram_size == 1252
    pair.a_to_z.mtu = 1 << 16
    pair.drive(seconds=650)
    assert pair.a.association.stats().datagram_size == 1432
