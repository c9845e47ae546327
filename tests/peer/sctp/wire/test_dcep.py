"""RFC 8832: what opens a channel, and what does not."""

from __future__ import annotations

import pytest

from lab.association_pair import AssociationPair, has
from peer.sctp import DataChannelClosed, DataChannelOpened, LocalProtocolError, SctpConfig
from peer.sctp.wire.chunks import ChunkType
from peer.sctp.wire.dcep import DataChannelOpen
from peer.sctp.wire.params import ParamType
from peer.sctp.wire.ppid import Ppid

OPEN = DataChannelOpen("label", "", True, None, None, 256).serialize()


@pytest.fixture(params=[True, False], ids=["same", "other"])
def pair(request: pytest.FixtureRequest) -> AssociationPair:
    pair = AssociationPair(
        SctpConfig(recognise_implementation=request.param, interleaving=request.param)
    )
    pair.connect()
    return pair


def _send(pair: AssociationPair, stream_id: int, data: bytes) -> None:
    """Send a message of the protocol from ``a`` to ``z``, past the channels of ``a``."""
    pair.z.sent.clear()
    pair.a.association.send(stream_id, Ppid.DCEP, data, now=pair.now)
    pair.drive(seconds=2)


def _resets(pair: AssociationPair) -> bool:
    return any(map(has(ChunkType.RE_CONFIG), pair.z.sent))


@pytest.mark.parametrize(
    "message",
    [
        OPEN[:-1],
        OPEN + b"x",
        OPEN[:1] + b"\x03" + OPEN[2:],
        OPEN[:1] + b"\x7f" + OPEN[2:],
        OPEN[:-5] + b"\xff\xfe\xfd\xfc\xfb",
        OPEN[:5],
    ],
    ids=["cut", "long", "channel type 3", "channel type 0x7f", "not UTF-8", "header cut"],
)
def test_an_open_that_is_not_well_formed_is_answered_by_a_reset(
    pair: AssociationPair, message: bytes
) -> None:
    """RFC 8832, 6."""
    _send(pair, 0, message)
    assert _resets(pair)
    assert not pair.z.of(DataChannelOpened)
    _send(pair, 0, OPEN)  # the stream can be used again
    assert len(pair.z.of(DataChannelOpened)) == 1


@pytest.mark.parametrize("kind", [0, 1, 4, 0xFF])
def test_a_message_type_that_is_not_known_changes_nothing(pair: AssociationPair, kind: int) -> None:
    """RFC 8832, 8.2.1: types 0 and 1 are reserved, the others not given out."""
    _send(pair, 0, bytes([kind]) + OPEN[1:])
    assert not _resets(pair)
    _send(pair, 0, OPEN)
    _send(pair, 0, bytes([kind]))
    assert not _resets(pair)
    assert len(pair.z.of(DataChannelOpened)) == 1


@pytest.mark.parametrize("negotiated", [True, False])
def test_an_open_on_a_stream_in_use_closes_its_channel(
    pair: AssociationPair, negotiated: bool
) -> None:
    """RFC 8832, 6: the channel is closed, and the OPEN not acknowledged."""
    z = pair.z.association
    if negotiated:
        z.open_channel("used", stream_id=4, negotiated=True)
    else:
        _send(pair, 4, OPEN)
    pair.drive(seconds=2)
    _send(pair, 4, OPEN)
    assert _resets(pair)
    with pytest.raises(LocalProtocolError):
        z.send_message(4, "closing", pair.now)
    assert len(pair.z.of(DataChannelOpened)) == 1


def test_a_channel_that_both_sides_open_in_band_closes_on_both(pair: AssociationPair) -> None:
    """RFC 8832, 6: with one id, neither knows which of the two it is."""
    for end in (pair.a, pair.z):
        end.association.open_channel("mine", stream_id=4)
    pair.drive(
        until=lambda: all(
            end.of(DataChannelClosed) == [DataChannelClosed(4)] for end in (pair.a, pair.z)
        )
    )
    assert not pair.a.of(DataChannelOpened) + pair.z.of(DataChannelOpened)


def test_an_id_of_the_other_parity_is_accepted(pair: AssociationPair) -> None:
    """Otherwise than in RFC 8832, 6: werift chooses by its ICE role, and libwebrtc takes any."""
    pair.z.association.open_channel("even, from the server", stream_id=6)
    pair.drive(until=lambda: bool(pair.z.of(DataChannelOpened) and pair.a.of(DataChannelOpened)))


def test_an_open_that_overtakes_the_answer_to_our_reset_is_not_lost(pair: AssociationPair) -> None:
    """RFC 6525, 5.2.2: the peer may use the stream again when it has reset both directions."""
    a = pair.a.association
    a.open_channel("first", stream_id=0)
    pair.drive(until=lambda: bool(pair.a.of(DataChannelOpened)))
    a.close_channel(0)
    lost: list[bytes] = []

    def drop(datagram: bytes) -> bool:
        answers = (
            datagram[12] == ChunkType.RE_CONFIG and datagram[17] == ParamType.RECONFIG_RESPONSE
        )
        lost.extend([datagram] * answers)
        return answers and len(lost) == 1

    pair.a_to_z.drop = drop
    pair.drive(until=lambda: bool(pair.a.of(DataChannelClosed)))
    a.open_channel("second", stream_id=0)
    pair.drive(seconds=0.015)
    assert len(lost) == 1
    assert not pair.z.of(DataChannelClosed)
    pair.drive(until=lambda: len(pair.a.of(DataChannelOpened)) == 2)
    assert [event.label for event in pair.z.of(DataChannelOpened)] == ["first", "second"]
    assert pair.z.of(DataChannelClosed) == [DataChannelClosed(0)]


def test_when_every_id_is_taken_the_caller_is_told() -> None:
    """RFC 8832, 6: the server has the odd ones."""
    pair = AssociationPair(SctpConfig(streams=6))
    pair.connect()
    z = pair.z.association
    assert [z.open_channel("x") for _ in range(3)] == [1, 3, 5]
    with pytest.raises(LocalProtocolError, match="every stream"):
        z.open_channel("x")


def test_there_are_no_more_channels_than_allowed() -> None:
    pair = AssociationPair(SctpConfig(max_channels=2))
    pair.connect()
    a = pair.a.association
    for _ in range(2):
        a.open_channel("x")
    with pytest.raises(LocalProtocolError, match="2 channels already"):
        a.open_channel("x")


def test_labels_take_no_more_memory_than_data_may() -> None:
    """RFC 8832, 5.1: a label has up to 65535 bytes, and there may be thousands of channels."""
    pair = AssociationPair(SctpConfig(receive_window=200_000))
    pair.connect()
    a = pair.a.association
    channels = [a.open_channel("x" * 60_000) for _ in range(5)]
    pair.drive(until=lambda: len(pair.a.of(DataChannelClosed)) == 2)
    assert len(pair.z.of(DataChannelOpened)) == 3
    a.close_channel(channels[0])
    pair.drive(until=lambda: len(pair.z.of(DataChannelClosed)) == 1)
    a.open_channel("x" * 60_000)
    pair.drive(until=lambda: len(pair.z.of(DataChannelOpened)) == 4)
