"""draft-hancke-tsvwg-snap: INIT chunks that went with the descriptions, in place of a handshake."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.association_pair import AssociationPair, kinds
from lab.link import Link
from peer.sctp import (
    DataChannelMessage,
    Established,
    LocalProtocolError,
    SctpConfig,
    State,
    make_sctp_init,
    parse_sctp_init,
)
from peer.sctp.wire.chunks import ChunkType, Init, serialize_chunk

SETTING_UP = {
    ChunkType.INIT,
    ChunkType.INIT_ACK,
    ChunkType.COOKIE_ECHO,
    ChunkType.COOKIE_ACK,
}
AN_INIT = make_sctp_init(SctpConfig(), random.Random(3).randbytes)


def _signaled(a: SctpConfig, z: SctpConfig) -> AssociationPair:
    pair = AssociationPair(a, z_config=z, link=Link(delay=0.025))
    ours, theirs = (make_sctp_init(config, random.Random(7).randbytes) for config in (a, z))
    pair.a.association.connect(pair.now, sctp_inits=(ours, theirs))
    pair.z.association.connect(pair.now, sctp_inits=(theirs, ours))
    return pair


def test_data_flows_at_once_and_no_handshake_does() -> None:
    pair = _signaled(SctpConfig(), SctpConfig())
    begun = pair.now
    assert pair.established
    pair.a.association.send(1, 51, b"ping", now=pair.now)
    pair.drive(until=lambda: bool(pair.z.of(DataChannelMessage)))
    assert pair.now - begun == pytest.approx(0.025)
    pair.z.association.send(1, 51, b"pong", now=pair.now)
    pair.drive(until=lambda: bool(pair.a.of(DataChannelMessage)))
    pair.drive(seconds=5)
    sent = {kind for packet in (*pair.a.sent, *pair.z.sent) for kind in kinds(packet)}
    assert not sent & SETTING_UP


def test_extensions_are_agreed_on_as_in_a_handshake() -> None:
    plain = SctpConfig(interleaving=False, zero_checksum=False, recognise_implementation=False)
    for a, z in ((SctpConfig(), SctpConfig()), (SctpConfig(), plain), (plain, SctpConfig())):
        pair = _signaled(a, z)
        shaken = AssociationPair(a, z_config=z)
        shaken.connect()
        for end in (pair.a, pair.z, shaken.a, shaken.z):
            pair.flush(end) if end in (pair.a, pair.z) else shaken.flush(end)
        assert pair.a.of(Established) == shaken.a.of(Established)
        assert pair.z.of(Established) == shaken.z.of(Established)


def test_the_windows_and_streams_of_the_proposals_hold() -> None:
    pair = _signaled(SctpConfig(), SctpConfig(receive_window=50_000, streams=4))
    pair.z.reads = False
    for _ in range(20):
        pair.a.association.send(3, 53, bytes(10_000), now=pair.now)
    with pytest.raises(LocalProtocolError):
        pair.a.association.send(4, 53, b"no such stream", now=pair.now)
    pair.drive(seconds=5)
    assert 0 < len(pair.z.of(DataChannelMessage)) <= 6  # what 50 000 bytes and a probe hold


def test_it_can_be_shut_down() -> None:
    pair = _signaled(SctpConfig(), SctpConfig())
    pair.a.association.shutdown(pair.now)
    pair.drive(until=lambda: pair.z.association.state is State.ENDED)


@pytest.mark.parametrize(
    "init",
    [
        b"",
        b"\x01",
        AN_INIT[:19],
        AN_INIT[:-4],
        serialize_chunk(ChunkType.INIT_ACK, 0, AN_INIT[4:]),
        Init(0, 100_000, 1, 1, 1).serialize(ChunkType.INIT),
        Init(1, 1499, 1, 1, 1).serialize(ChunkType.INIT),
        Init(1, 100_000, 0, 1, 1).serialize(ChunkType.INIT),
        Init(1, 100_000, 1, 0, 1).serialize(ChunkType.INIT),
    ],
    ids=["empty", "a byte", "cut", "a parameter cut", "INIT ACK", "zero tag", "no window",
         "no streams out", "no streams in"],
)  # fmt: skip
def test_an_init_that_cannot_be_used_is_refused(init: bytes) -> None:
    with pytest.raises(LocalProtocolError):
        parse_sctp_init(init)


@given(st.one_of(st.binary(max_size=80), st.integers(0, len(AN_INIT) * 8 - 1)))
def test_any_bytes_are_a_proposal_or_refused(what: bytes | int) -> None:
    if isinstance(what, int):
        flipped = bytearray(AN_INIT)
        flipped[what // 8] ^= 1 << what % 8
        what = bytes(flipped)
    try:
        side = parse_sctp_init(what)
    except LocalProtocolError:
        return
    assert side.tag and side.outbound_streams and side.inbound_streams and side.window >= 1500


def test_what_came_with_a_description_may_differ_in_every_number() -> None:
    side = parse_sctp_init(AN_INIT)
    other = replace(side, tag=1, initial_tsn=0xFFFFFFFF, window=1500, outbound_streams=1)
    assert parse_sctp_init(other.serialize(ChunkType.INIT)) == other
