"""RFC 6525: requests that a channel's end never makes, and how they are answered."""

from __future__ import annotations

from struct import pack

import pytest

from lab.association_pair import AssociationPair
from peer.sctp import DataChannelClosed, DataChannelMessage, DataChannelOpened, SctpConfig, State
from peer.sctp.wire.chunks import ChunkType, IncomingReset, OutgoingReset, Response, Result
from peer.sctp.wire.chunks.reconfig import reconfig
from peer.sctp.wire.packet import split_chunks
from peer.sctp.wire.params import ParamType, parse_params


@pytest.fixture(params=[True, False], ids=["same", "other"])
def pair(request: pytest.FixtureRequest) -> AssociationPair:
    pair = AssociationPair(
        SctpConfig(recognise_implementation=request.param, interleaving=request.param)
    )
    pair.connect()
    return pair


def _ask(pair: AssociationPair, *params: tuple[int, bytes]) -> list[Response]:
    """Give ``z`` a RE-CONFIG of ``a``; return its answers."""
    header = pair.a.sent[-1][:8] + bytes(4)
    pair.z.association.receive_datagram(header + reconfig(*params), pair.now)
    packets = pair.z.association.datagrams_to_send(pair.now)
    return [
        Response.parse(value)
        for packet in packets
        for chunk in split_chunks(packet)
        if chunk.kind == ChunkType.RE_CONFIG
        for kind, value in parse_params(chunk.value)
        if kind == ParamType.RECONFIG_RESPONSE
    ]


def _expected(pair: AssociationPair) -> int:
    return pair.z.stream_reset._expected


def _last_tsn(pair: AssociationPair) -> int:
    return pair.z.tcb.receiver.cumulative_wire


def _open(pair: AssociationPair) -> int:
    stream_id = pair.a.association.open_channel("x")
    pair.drive(until=lambda: bool(pair.a.of(DataChannelOpened)))
    return stream_id


@pytest.mark.parametrize("ahead", [1, 5, 1 << 31, -2, -1000])
def test_a_request_out_of_turn_is_answered_and_not_performed(
    pair: AssociationPair, ahead: int
) -> None:
    """RFC 6525, 5.2.1: "bad sequence number"."""
    stream_id = _open(pair)
    number = (_expected(pair) + ahead) & 0xFFFFFFFF
    request = OutgoingReset(number, 0, _last_tsn(pair), (stream_id,))
    assert _ask(pair, request.param()) == [Response(number, Result.BAD_SEQUENCE_NUMBER)]
    pair.a.association.send_message(stream_id, "still open", pair.now)
    pair.drive(until=lambda: bool(pair.z.of(DataChannelMessage)))
    assert not pair.z.of(DataChannelClosed)


def test_a_repeated_request_gets_the_same_answer_and_is_performed_once(
    pair: AssociationPair,
) -> None:
    """RFC 6525, 5.2.1."""
    request = OutgoingReset(_expected(pair), 0, _last_tsn(pair), (2,))
    for _ in range(3):
        assert _ask(pair, request.param()) == [Response(request.request, Result.PERFORMED)]
    assert _expected(pair) == (request.request + 1) & 0xFFFFFFFF


@pytest.mark.parametrize("named", [True, False], ids=["one stream", "all streams"])
def test_the_peer_may_ask_that_we_reset_streams_of_ours(pair: AssociationPair, named: bool) -> None:
    """RFC 6525, 5.2.3: Incoming SSN Reset Request."""
    stream_id = _open(pair)
    pair.z.association.send_message(stream_id, "before", pair.now)
    request = IncomingReset(_expected(pair), (stream_id,) if named else ())
    pair.a.stream_reset._next_request += 1  # the number is spent
    assert _ask(pair, request.param()) == [Response(request.request, Result.PERFORMED)]
    pair.drive(until=lambda: bool(pair.a.of(DataChannelClosed) and pair.z.of(DataChannelClosed)))
    assert [m.data for m in pair.a.of(DataChannelMessage)] == [b"before"]


@pytest.mark.parametrize(
    ("kind", "rest"),
    [
        (ParamType.SSN_TSN_RESET, b""),
        (ParamType.ADD_OUTGOING_STREAMS, b"\0\1\0\0"),
        (ParamType.ADD_INCOMING_STREAMS, b"\0\1\0\0"),
    ],
)
def test_what_we_do_not_do_is_denied(pair: AssociationPair, kind: ParamType, rest: bytes) -> None:
    """RFC 6525, 5.1.4, 5.1.5 and 5.1.6: result 2, and the next request has the next number."""
    number = _expected(pair)
    param = (kind, pack("!L", number) + rest)
    assert _ask(pair, param) == [Response(number, Result.DENIED)]
    assert _ask(pair, param) == [Response(number, Result.DENIED)]
    request = OutgoingReset((number + 1) & 0xFFFFFFFF, 0, _last_tsn(pair), (2,))
    assert _ask(pair, request.param()) == [Response(request.request, Result.PERFORMED)]
    assert pair.z.association.state is State.ESTABLISHED
