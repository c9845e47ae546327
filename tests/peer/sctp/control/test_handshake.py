"""RFC 9260, 5: setting up, with every collision, loss and forgery of 5.2."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from lab.association_pair import AssociationPair, drop_first, has, kinds
from lab.link import Link
from peer.sctp import (
    Association,
    AssociationEnded,
    DataChannelClosed,
    DataChannelMessage,
    Ending,
    Established,
    LocalProtocolError,
    Restarted,
    SctpConfig,
    State,
)
from peer.sctp.wire.chunks import ChunkType, Init, serialize_chunk
from peer.sctp.wire.crc32c import has_valid_checksum
from peer.sctp.wire.packet import PacketWriter, split_chunks
from peer.sctp.wire.params import Cause, Param, ParamType, parse_params

C = ChunkType


def _sent(pair: AssociationPair) -> tuple[list[ChunkType | int], list[ChunkType | int]]:
    return (
        [k for p in pair.a.sent for k in kinds(p)],
        [k for p in pair.z.sent for k in kinds(p)],
    )


def test_one_side_initiates_and_four_packets_establish_both() -> None:
    """5.1."""
    pair = AssociationPair()
    pair.a.association.connect(pair.now)
    pair.drive(until=lambda: pair.established)
    assert _sent(pair) == ([C.INIT, C.COOKIE_ECHO], [C.INIT_ACK, C.COOKIE_ACK])
    assert pair.a.of(Established) and pair.z.of(Established)


def test_both_sides_initiate_and_one_association_comes_of_it() -> None:
    """5.2.1, 5.2.4 B and D."""
    pair = AssociationPair()
    pair.connect()
    assert len(pair.a.of(Established)) == len(pair.z.of(Established)) == 1
    pair.a.association.send(1, 53, b"one way", now=pair.now)
    pair.z.association.send(1, 53, b"the other", now=pair.now)
    pair.drive(until=lambda: bool(pair.a.of(DataChannelMessage) and pair.z.of(DataChannelMessage)))


def test_an_init_that_comes_after_the_cookie_was_echoed_is_answered_with_the_same_tag() -> None:
    """5.2.1: a collision in COOKIE ECHOED."""
    pair = AssociationPair()
    pair.a.association.connect(pair.now)
    pair.step()
    pair.step()
    assert pair.z.sent
    pair.z.association.connect(pair.now)
    pair.drive(until=lambda: pair.established)
    pair.z.association.send(1, 53, b"works", now=pair.now)
    pair.drive(until=lambda: bool(pair.a.of(DataChannelMessage)))


@pytest.mark.parametrize("kind", [C.INIT, C.INIT_ACK, C.COOKIE_ECHO, C.COOKIE_ACK])
@pytest.mark.parametrize("both", [False, True])
def test_a_lost_handshake_packet_is_sent_again(kind: ChunkType, both: bool) -> None:
    """5.1, T1-init and T1-cookie; 5.2.4 D for a lost COOKIE ACK."""
    pair = AssociationPair()
    pair.a_to_z.drop = drop_first(2, kind)
    pair.z_to_a.drop = drop_first(2, kind)
    pair.a.association.connect(pair.now)
    if both:
        pair.z.association.connect(pair.now)
    pair.drive(until=lambda: pair.established)


def test_t1_doubles_and_gives_up_after_max_init_retransmits() -> None:
    """5.1 and 16."""
    pair = AssociationPair(SctpConfig(max_init_retransmissions=3, rto_initial=1.0))
    pair.a_to_z.change(loss=1.0)
    start = pair.now
    pair.a.association.connect(pair.now)
    pair.drive(until=lambda: bool(pair.a.of(AssociationEnded)))
    assert pair.now - start == pytest.approx(1 + 2 + 4 + 8)
    assert len(pair.a.sent) == 4
    assert pair.a.of(AssociationEnded)[0].ending is Ending.UNREACHABLE


_OLD = {ParamType.FORWARD_TSN_SUPPORTED, ParamType.SUPPORTED_EXTENSIONS}
_NEW = {ParamType.ZERO_CHECKSUM, ParamType.SAME_IMPLEMENTATION}


def _params_of(datagrams: list[bytes], kind: ChunkType) -> list[set[int]]:
    """The types of the parameters in each chunk of this type, but for the cookie."""
    chunks = [c for d in datagrams for c in split_chunks(d) if c.kind == kind]
    return [
        {p.kind for p in Init.parse(0, c.value).params} - {ParamType.STATE_COOKIE} for c in chunks
    ]


def test_a_repeated_init_says_only_what_everybody_understands() -> None:
    """pion/sctp up to 1.8.8 drops an INIT with a parameter that it does not know."""
    pair = AssociationPair()
    pair.a_to_z.drop = drop_first(2, C.INIT)
    pair.a.association.connect(pair.now)
    pair.drive(until=lambda: pair.established)
    assert _params_of(pair.a.sent, C.INIT) == [_OLD | _NEW, _OLD, _OLD]
    # Both sides have understood the same, and data flows.
    assert pair.a.of(Established) == pair.z.of(Established) == [Established(False, True, False)]
    pair.a.association.send(0, 53, bytes(100_000), now=pair.now)
    pair.drive(until=lambda: bool(pair.z.of(DataChannelMessage)))


@pytest.mark.parametrize("first", range(4))
def test_whatever_is_lost_both_sides_agree_on_how_data_looks(first: int) -> None:
    """An INIT of one side may be repeated while that of the other had arrived in full."""
    pair = AssociationPair(seed=first)
    pair.a_to_z.drop = drop_first(first % 2 + 1, C.INIT)
    pair.z_to_a.drop = drop_first(first // 2 + 1, C.INIT_ACK)
    pair.connect()
    for end in (pair.a, pair.z):
        end.association.send(0, 53, bytes(100_000), now=pair.now)
    pair.drive(until=lambda: all(end.of(DataChannelMessage) for end in (pair.a, pair.z)))
    assert pair.established


@pytest.mark.parametrize(
    ("offered", "answered"),
    [
        (SctpConfig(), _OLD | _NEW),
        (SctpConfig(recognise_implementation=False, zero_checksum=False), _OLD),
    ],
    ids=["to the same implementation", "to one that knows neither"],
)
def test_an_init_ack_has_no_parameter_that_the_init_had_not(
    offered: SctpConfig, answered: set[int]
) -> None:
    pair = AssociationPair(offered, z_config=SctpConfig())
    pair.a.association.connect(pair.now)
    pair.drive(until=lambda: pair.established)
    assert _params_of(pair.z.sent, C.INIT_ACK) == [answered]


def test_init_and_cookie_echo_carry_a_checksum_and_the_init_a_zero_tag() -> None:
    """8.5.1 A; RFC 9653, 5.2."""
    pair = AssociationPair()
    pair.connect()
    for packet in pair.a.sent:
        if has(C.INIT)(packet) or has(C.COOKIE_ECHO)(packet):
            assert has_valid_checksum(packet)
            assert packet[8:12] != bytes(4)
        if has(C.INIT)(packet):
            assert packet[4:8] == bytes(4)


@pytest.mark.parametrize(
    ("ours", "theirs", "same_implementation", "interleaving", "zero"),
    [
        (SctpConfig(), SctpConfig(), True, True, True),
        (SctpConfig(), SctpConfig(interleaving=False), True, False, True),
        (SctpConfig(), SctpConfig(zero_checksum=False), True, True, False),
        (SctpConfig(), SctpConfig(recognise_implementation=False), False, True, True),
    ],
)
def test_an_extension_is_used_only_when_offered(
    ours: SctpConfig, theirs: SctpConfig, same_implementation: bool, interleaving: bool, zero: bool
) -> None:
    """RFC 8260, 2.2.1; RFC 9653, 5.1."""
    pair = AssociationPair(ours, z_config=theirs)
    pair.connect()
    assert pair.a.of(Established) == [Established(same_implementation, interleaving, zero)]


def test_an_unknown_parameter_is_reported_or_skipped_as_its_upper_bits_say() -> None:
    """3.2.1."""
    association = Association(SctpConfig(client=False), random=random.Random(1).randbytes)
    params = (
        Param(0x8ABC, b"skip"),
        Param(0xCABC, b"skip and report"),
        Param(0x4ABC, b"stop and report"),
        Param(ParamType.FORWARD_TSN_SUPPORTED, b""),
    )
    init = Init(1234, 100_000, 10, 10, 77, params).serialize(C.INIT)
    association.receive_datagram(PacketWriter(5000, 5000).wrap_checked(init, tag=0), 0.0)
    (answer,) = association.datagrams_to_send(0.0)
    ack = Init.parse(0, split_chunks(answer)[0].value)
    reported = [p.value for p in ack.params if p.kind == ParamType.UNRECOGNIZED]
    assert [value[4:] for value in reported] == [b"skip and report", b"stop and report"]


@pytest.mark.parametrize(
    "init",
    [
        Init(5, 100_000, 0, 10, 1),
        Init(5, 100_000, 10, 0, 1),
        Init(5, 1499, 10, 10, 1),
    ],
    ids=["no outbound streams", "no inbound streams", "tiny window"],
)
def test_an_init_with_a_forbidden_field_is_answered_with_abort(init: Init) -> None:
    """3.3.2."""
    association = Association(SctpConfig(client=False), random=random.Random(1).randbytes)
    packet = PacketWriter(5000, 5000).wrap_checked(init.serialize(C.INIT), tag=0)
    association.receive_datagram(packet, 0.0)
    assert [kinds(p) for p in association.datagrams_to_send(0.0)] == [[C.ABORT]]


def test_an_init_without_a_tag_is_discarded_in_silence() -> None:
    """3.3.2 (RFC 4960 wanted an ABORT)."""
    association = Association(SctpConfig(client=False), random=random.Random(1).randbytes)
    init = Init(0, 100_000, 10, 10, 1).serialize(C.INIT)
    association.receive_datagram(PacketWriter(5000, 5000).wrap_checked(init, tag=0), 0.0)
    assert association.datagrams_to_send(0.0) == []
    assert association.state is State.CLOSED


_COOKIE = (Param(ParamType.STATE_COOKIE, b"cookie"),)


@pytest.mark.parametrize(
    ("ack", "cause"),
    [
        (Init(5, 100_000, 0, 10, 1, _COOKIE), Cause.INVALID_PARAMETER),
        (Init(5, 100_000, 10, 0, 1, _COOKIE), Cause.INVALID_PARAMETER),
        (Init(5, 1499, 10, 10, 1, _COOKIE), Cause.INVALID_PARAMETER),
        (Init(5, 100_000, 10, 10, 1), Cause.MISSING_PARAMETER),
    ],
    ids=["no outbound streams", "no inbound streams", "tiny window", "no cookie"],
)
def test_an_init_ack_with_a_forbidden_field_ends_the_attempt_with_abort(
    ack: Init, cause: Cause
) -> None:
    """3.3.3, 3.3.10.2; the ABORT carries the tag of the INIT ACK."""
    association = Association(SctpConfig(), random=random.Random(1).randbytes)
    association.connect(0.0)
    (init,) = association.datagrams_to_send(0.0)
    tag = int.from_bytes(split_chunks(init)[0].value[:4], "big")
    packet = PacketWriter(5000, 5000).wrap_checked(ack.serialize(C.INIT_ACK), tag=tag)
    association.receive_datagram(packet, 0.0)
    (answer,) = association.datagrams_to_send(0.0)
    assert kinds(answer) == [C.ABORT]
    assert answer[4:8] == (5).to_bytes(4, "big")
    assert [p.kind for p in parse_params(split_chunks(answer)[0].value)] == [cause]
    assert association.state is State.ENDED


def test_an_init_ack_without_a_tag_ends_the_attempt() -> None:
    """3.3.3: the ABORT reflects our own tag."""
    association = Association(SctpConfig(), random=random.Random(1).randbytes)
    association.connect(0.0)
    (init,) = association.datagrams_to_send(0.0)
    tag = int.from_bytes(split_chunks(init)[0].value[:4], "big")
    ack = Init(0, 100_000, 10, 10, 1, _COOKIE).serialize(C.INIT_ACK)
    association.receive_datagram(PacketWriter(5000, 5000).wrap_checked(ack, tag=tag), 0.0)
    (answer,) = association.datagrams_to_send(0.0)
    assert kinds(answer) == [C.ABORT]
    assert answer[4:8] == tag.to_bytes(4, "big")
    assert split_chunks(answer)[0].flags == 1
    ended = association.next_event()
    assert isinstance(ended, AssociationEnded)
    assert ended.ending is Ending.PROTOCOL_ERROR


def test_an_init_keeps_nothing_until_its_cookie_comes_back() -> None:
    """5.1.3: no state, so no flood of INITs can fill memory."""
    association = Association(SctpConfig(client=False), random=random.Random(1).randbytes)
    init = Init(9, 100_000, 10, 10, 1).serialize(C.INIT)
    association.receive_datagram(PacketWriter(5000, 5000).wrap_checked(init, tag=0), 0.0)
    assert association.state is State.CLOSED
    assert association.get_timer() is None


def test_a_forged_cookie_is_ignored() -> None:
    """5.1.5."""
    pair = AssociationPair()
    pair.a.association.connect(pair.now)

    def spoil(datagram: bytes) -> bool:
        if not has(C.COOKIE_ECHO)(datagram):
            return False
        cookie = bytearray(split_chunks(datagram)[0].value)
        cookie[10] ^= 1
        tag = int.from_bytes(datagram[4:8], "big")
        chunk = serialize_chunk(C.COOKIE_ECHO, 0, bytes(cookie))
        forged = PacketWriter(5000, 5000).wrap_checked(chunk, tag=tag)
        pair.z.association.receive_datagram(forged, pair.now)
        return True

    pair.a_to_z.drop = spoil
    pair.drive(seconds=3)
    assert pair.z.association.state is State.CLOSED


def test_a_stale_cookie_is_refused_and_the_handshake_begins_again() -> None:
    """5.1.5, 3 and 5.2.6."""
    pair = AssociationPair(SctpConfig(cookie_lifetime=0.5, rto_initial=1.0))
    pair.a_to_z.drop = drop_first(1, C.COOKIE_ECHO)
    pair.a.association.connect(pair.now)
    pair.drive(until=lambda: pair.established)
    a, z = _sent(pair)
    assert C.ERROR in z
    assert a.count(C.INIT) == 2


def test_a_peer_whose_cookies_are_always_stale_is_given_up() -> None:
    """5.2.6: beginning again counts as sending INIT again."""
    pair = AssociationPair(SctpConfig(cookie_lifetime=-1.0, max_init_retransmissions=3))
    pair.a.association.connect(pair.now)
    pair.drive(until=lambda: bool(pair.a.of(AssociationEnded)))
    assert pair.a.of(AssociationEnded)[0].ending is Ending.UNREACHABLE
    assert _sent(pair)[0] == [C.INIT, C.COOKIE_ECHO] * 4


def test_a_peer_that_lost_its_memory_restarts_the_association() -> None:
    """5.2.4 A: the tie-tags match, both tags are new."""
    pair = AssociationPair()
    pair.connect()
    pair.z.association.open_channel("before")
    pair.drive(seconds=1)
    pair.a.association = Association(SctpConfig(), random=random.Random(99).randbytes)
    pair.a.association.connect(pair.now)
    pair.drive(until=lambda: bool(pair.z.of(Restarted)) and pair.established)
    assert pair.z.of(DataChannelClosed)
    pair.a.association.send(1, 53, b"after", now=pair.now)
    pair.drive(until=lambda: [m.data for m in pair.z.of(DataChannelMessage)] == [b"after"])


def test_a_cookie_that_comes_late_changes_nothing() -> None:
    """5.2.4, action C: the peer's tag is known, ours is another by now, and no tie-tags."""
    pair = AssociationPair()
    pair.z.association.connect(pair.now)
    late: list[bytes] = []

    def hold_back(datagram: bytes) -> bool:
        """Let z's INIT reach a while it is closed, and keep the cookie that comes of it."""
        if has(C.COOKIE_ECHO)(datagram):
            late.append(datagram)
            pair.z_to_a.drop = None
        return has(C.COOKIE_ECHO)(datagram)

    pair.z_to_a.drop = hold_back
    pair.drive(until=lambda: bool(late))
    pair.a.association.connect(pair.now)
    pair.drive(until=lambda: pair.a.association.state is State.ESTABLISHED)
    told = len(pair.a.events)
    tag = pair.a.association._context.local
    pair.a.association.receive_datagram(late[0], pair.now)
    assert pair.a.association.datagrams_to_send(pair.now) == []
    assert pair.a.association.next_event() is None
    assert len(pair.a.events) == told
    assert pair.a.association._context.local is tag
    pair.z.association.send(1, 53, b"still the same", now=pair.now)
    pair.drive(until=lambda: bool(pair.a.of(DataChannelMessage)))


def test_a_cookie_of_a_restarted_peer_does_not_stop_a_shutdown() -> None:
    """5.2.4, action A, in SHUTDOWN ACK SENT; 3.3.10.10."""
    pair = AssociationPair()
    pair.connect()
    # A new peer has its cookie from before the shutdown.
    reborn = Association(SctpConfig(client=False), random=random.Random(9).randbytes)
    reborn.connect(pair.now)
    pair.a.association.receive_datagrams(reborn.datagrams_to_send(pair.now), pair.now)
    reborn.receive_datagrams(pair.a.association.datagrams_to_send(pair.now), pair.now)
    (echo,) = reborn.datagrams_to_send(pair.now)
    assert kinds(echo) == [C.COOKIE_ECHO]
    pair.a_to_z.drop = has(C.SHUTDOWN_ACK)
    pair.z.association.shutdown(pair.now)
    pair.drive(until=lambda: pair.a.association.state is State.SHUTDOWN_ACK_SENT)
    pair.a.association.datagrams_to_send(pair.now)
    pair.a.association.receive_datagram(echo, pair.now)
    (answer,) = pair.a.association.datagrams_to_send(pair.now)
    shutdown_ack, error = split_chunks(answer)
    assert (shutdown_ack.kind, error.kind) == (C.SHUTDOWN_ACK, C.ERROR)
    assert parse_params(error.value) == [(Cause.COOKIE_WHILE_SHUTTING_DOWN, b"")]
    assert pair.a.association.state is State.SHUTDOWN_ACK_SENT


def test_a_packet_with_a_wrong_tag_is_discarded_in_silence() -> None:
    """8.5."""
    pair = AssociationPair()
    pair.connect()
    abort = PacketWriter(5000, 5000).wrap_checked(serialize_chunk(C.ABORT), tag=12345)
    pair.a.association.receive_datagram(abort, pair.now)
    assert pair.a.association.datagrams_to_send(pair.now) == []
    assert pair.a.association.state is State.ESTABLISHED


@pytest.mark.parametrize("state", [State.COOKIE_WAIT, State.COOKIE_ECHOED])
def test_a_shutdown_ack_while_setting_up_is_of_an_older_association(state: State) -> None:
    """8.5.1 E, 8.4, 5: it is answered whatever its tag, and nothing else of its packet counts."""
    pair = AssociationPair()
    pair.a.association.connect(pair.now)
    pair.drive(until=lambda: pair.a.association.state is state)
    pair.a.association.datagrams_to_send(pair.now)
    ack = serialize_chunk(C.SHUTDOWN_ACK)
    packet = PacketWriter(5000, 5000).wrap_checked(ack, tag=0xDEADBEEF)
    pair.a.association.receive_datagram(packet, pair.now)
    (answer,) = pair.a.association.datagrams_to_send(pair.now)
    assert kinds(answer) == [C.SHUTDOWN_COMPLETE]
    assert split_chunks(answer)[0].flags == 1
    assert answer[4:8] == bytes.fromhex("deadbeef")
    for chunk in (C.ABORT, C.HEARTBEAT):
        body = ack + serialize_chunk(chunk)
        packet = PacketWriter(5000, 5000).wrap_checked(body, tag=0xDEADBEEF)
        pair.a.association.receive_datagram(packet, pair.now)
    assert pair.a.association.state is state


def test_a_packet_out_of_the_blue_is_answered_with_an_abort_that_reflects_its_tag() -> None:
    """8.4, 8."""
    association = Association(SctpConfig(), random=random.Random(1).randbytes)
    stray = PacketWriter(5000, 5000).wrap_checked(serialize_chunk(C.SHUTDOWN, 0, bytes(4)), tag=42)
    association.receive_datagram(stray, 0.0)
    (answer,) = association.datagrams_to_send(0.0)
    assert kinds(answer) == [C.ABORT]
    assert answer[4:8] == (42).to_bytes(4, "big")
    assert split_chunks(answer)[0].flags == 1


def test_a_bad_checksum_is_discarded_when_checksums_were_agreed() -> None:
    """6.8."""
    pair = AssociationPair(SctpConfig(zero_checksum=False))
    pair.connect()
    pair.a.association.send(1, 53, b"message", now=pair.now)
    (packet,) = pair.a.association.datagrams_to_send(pair.now)
    pair.z.association.receive_datagram(packet[:-1] + b"!", pair.now)
    assert pair.z.association.next_event() is None
    pair.z.association.receive_datagram(packet, pair.now)
    assert isinstance(pair.z.association.next_event(), DataChannelMessage)


def test_connecting_twice_is_the_callers_mistake() -> None:
    pair = AssociationPair()
    pair.a.association.connect(pair.now)
    with pytest.raises(LocalProtocolError):
        pair.a.association.connect(pair.now)


def test_messages_queued_before_the_handshake_leave_after_it() -> None:
    pair = AssociationPair(link=Link(delay=0.01, loss=0.2), seed=5)
    pair.a.association.send(1, 53, b"early", now=pair.now)
    pair.connect()
    pair.drive(until=lambda: [m.data for m in pair.z.of(DataChannelMessage)] == [b"early"])


def test_both_ends_may_differ_in_every_setting() -> None:
    pair = AssociationPair(
        SctpConfig(datagram_size=600, max_datagram_size=600, receive_window=50_000),
        z_config=replace(SctpConfig(), interleaving=False, zero_checksum=False),
    )
    pair.connect()
    pair.z.association.send(1, 53, bytes(300_000), now=pair.now)
    pair.a.association.send(1, 53, bytes(300_000), now=pair.now)
    pair.drive(until=lambda: bool(pair.a.of(DataChannelMessage) and pair.z.of(DataChannelMessage)))
