"""SACKs that arrive together with a later one are not worth handling."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from peer.sctp.wire.chunks.data import DataChunk
from peer.sctp.wire.chunks.sack import Sack, drop_outdated
from peer.sctp.wire.packet import PacketWriter

_WRITER = PacketWriter(5000, 5000)
_WRITER.set_peer(77, zero_checksum=True)


def _sack(cumulative: int, gaps: tuple[int, ...] = (), duplicates: tuple[int, ...] = ()) -> bytes:
    return _WRITER.wrap(Sack(cumulative % (1 << 32), 1000, gaps, duplicates).serialize())


_DATA = _WRITER.wrap(DataChunk(1, 0, 0, 0, 53, 3, b"data", interleaved=True).serialize())


def test_the_last_of_a_row_is_kept() -> None:
    assert drop_outdated([_sack(1), _sack(3), _sack(5, (2, 3))]) == [_sack(5, (2, 3))]


def test_one_that_was_overtaken_is_the_outdated_one() -> None:
    assert drop_outdated([_sack(5), _sack(3)]) == [_sack(5)]
    around = (1 << 32) - 1
    assert drop_outdated([_sack(around), _sack(around + 2)]) == [_sack(around + 2)]


def test_one_that_reports_duplicates_is_kept() -> None:
    reporting = _sack(3, duplicates=(2,))
    assert drop_outdated([_sack(1), reporting, _sack(5)]) == [_sack(1), reporting, _sack(5)]


def test_other_packets_stay_where_they_are() -> None:
    both = _WRITER.wrap(Sack(4, 1000).serialize() + Sack(5, 1000).serialize())
    batch = [_sack(1), _sack(2), _DATA, both, _sack(6), b"", b"short", _sack(7), _sack(8)]
    assert drop_outdated(batch) == [_sack(2), _DATA, both, _sack(6), b"", b"short", _sack(8)]
    assert drop_outdated([_DATA, _DATA]) == [_DATA, _DATA]


@given(st.lists(st.one_of(st.binary(max_size=40), st.integers(0, 50).map(_sack)), min_size=1))
def test_whatever_comes_nothing_else_is_dropped(batch: list[bytes]) -> None:
    kept = drop_outdated(batch)
    sacks = [packet for packet in batch if len(packet) == 28 and packet[12:13] == b"\x03"]
    assert [p for p in kept if p not in sacks] == [p for p in batch if p not in sacks]
    assert set(kept) <= set(batch)
