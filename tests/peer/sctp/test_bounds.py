"""Bounds of the state that a peer can make an association keep, pending answers included.

The association under attack is given packets and never asked what it has to send, as when the
socket below is full; it is the worst that can happen to its answers.
"""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable

import pytest

from lab.association_pair import AssociationPair
from peer.sctp import Association, DataChannelMessage, Ppid, SctpConfig
from peer.sctp.wire.chunks import ChunkType, serialize_chunk
from peer.sctp.wire.chunks.data import BEGIN, END, UNORDERED, DataChunk
from peer.sctp.wire.chunks.forward import ForwardTsn, Skipped
from peer.sctp.wire.chunks.reconfig import IncomingReset, OutgoingReset, reconfig
from peer.sctp.wire.chunks.sack import Sack
from peer.sctp.wire.dcep import ACK, DataChannelOpen
from peer.sctp.wire.init_parameters import InitParameters
from peer.sctp.wire.packet import PacketWriter, split_chunks
from peer.sctp.wire.params import Param, ParamType, serialize_params

C = ChunkType
PACKETS = 1500
MAX_BYTES = 300_000
"""Memory for the answers to a flood: 64 KiB, and Python's own needs."""


class Attack:
    """An association, and what its peer needs to know to speak to it."""

    def __init__(self, **settings: int) -> None:
        self.pair = AssociationPair(SctpConfig(**settings))  # type: ignore[arg-type]
        cookies: list[bytes] = []

        def listen(datagram: bytes) -> bool:
            cookies.extend(c.value for c in split_chunks(datagram) if c.kind == C.COOKIE_ECHO)
            return False

        self.pair.z_to_a.drop = listen
        self.pair.z.association.connect(self.pair.now)
        self.pair.drive(until=lambda: self.pair.established)
        (self.cookie,) = set(cookies)
        self.victim: Association = self.pair.a.association
        self.tcb = self.pair.a.tcb
        self.tag = int.from_bytes(self.pair.z.sent[-1][4:8], "big")
        self.first_tsn = self.tcb.receiver.cumulative + 1
        self.writer = PacketWriter(5000, 5000)

    def say(self, *chunks: bytes, tag: int | None = None) -> None:
        packet = self.writer.wrap_checked(b"".join(chunks), tag=self.tag if tag is None else tag)
        self.victim.receive_datagram(packet, self.pair.now)

    def data(self, n: int, stream_id: int, payload: bytes, ppid: int = Ppid.BINARY) -> bytes:
        """The n-th data chunk: a whole unordered message."""
        return DataChunk(
            self.first_tsn + n & 0xFFFFFFFF, stream_id, n, 0, ppid, BEGIN | END | UNORDERED,
            payload, interleaved=self.tcb.features.interleaving,
        ).serialize()  # fmt: skip

    @property
    def answers(self) -> int:
        """Bytes of control chunks and packets that wait to be sent."""
        context = self.victim._context
        return sum(map(len, context.control)) + sum(map(len, context.packets))

    def grown(self, flood: Callable[[], None]) -> int:
        """Bytes of memory that are taken after a flood and were not before it."""
        flood()  # once outside: caches fill
        tracemalloc.start()
        try:
            before, _ = tracemalloc.get_traced_memory()
            flood()
            after, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        return after - before


def heartbeats(attack: Attack, n: int) -> None:
    attack.say(serialize_chunk(C.HEARTBEAT, 0, serialize_params([(1, bytes(1000))])))


def unknown_chunks(attack: Attack, n: int) -> None:
    attack.say(*[serialize_chunk(0xFD, 0, bytes(100))] * 10)


def old_resets(attack: Attack, n: int) -> None:
    attack.say(reconfig(OutgoingReset(5, 0, 0, (1,)).param()))


def new_resets(attack: Attack, n: int) -> None:
    attack.say(
        reconfig(OutgoingReset(attack.pair.a.stream_reset._expected, 0, 0, (n % 60_000,)).param())
    )


def incoming_resets(attack: Attack, n: int) -> None:
    streams = tuple(range(20 * n % 60_000, 20 * n % 60_000 + 20))
    attack.say(reconfig(IncomingReset(attack.pair.a.stream_reset._expected, streams).param()))


def added_streams(attack: Attack, n: int) -> None:
    value = attack.pair.a.stream_reset._expected.to_bytes(4, "big") + bytes(4)
    attack.say(reconfig(Param(ParamType.ADD_OUTGOING_STREAMS, value)))


def inits(attack: Attack, n: int) -> None:
    side = InitParameters.new(SctpConfig(), lambda size: bytes([n % 255 + 1]) * size)
    odd = [Param(0xC0F0 + i, bytes(40)) for i in range(20)]
    attack.say(side.serialize(C.INIT, odd), tag=0)


def cookies(attack: Attack, n: int) -> None:
    attack.say(serialize_chunk(C.COOKIE_ECHO, 0, attack.cookie))


def out_of_the_blue(attack: Attack, n: int) -> None:
    attack.victim.abort()
    attack.say(serialize_chunk(C.HEARTBEAT, 0, bytes(100)))


def sacks(attack: Attack, n: int) -> None:
    cumulative = attack.tcb.outstanding.base - 1 & 0xFFFFFFFF
    attack.say(Sack(cumulative, 0, (), ()).serialize())


def duplicates(attack: Attack, n: int) -> None:
    attack.say(attack.data(0, 3, b"x"))


def wrong_streams(attack: Attack, n: int) -> None:
    attack.say(attack.data(n, 65_535, b"x"))


def channel_acks(attack: Attack, n: int) -> None:
    attack.say(attack.data(n, n % 60_000, ACK, Ppid.DCEP))


@pytest.mark.parametrize(
    "flood",
    [heartbeats, unknown_chunks, old_resets, new_resets, incoming_resets, added_streams, inits,
     cookies, out_of_the_blue, sacks, duplicates, wrong_streams, channel_acks],
)  # fmt: skip
def test_a_flood_of_questions_leaves_few_answers_waiting(
    flood: Callable[[Attack, int], None],
) -> None:
    attack = Attack(keep_early=1 << 16)
    attack.say(Sack(attack.tcb.outstanding.base - 1 & 0xFFFFFFFF, 0, (), ()).serialize())
    count = iter(range(1 << 20))

    def all_of_it() -> None:
        for _ in range(PACKETS):
            flood(attack, next(count))

    assert attack.grown(all_of_it) < MAX_BYTES
    assert attack.answers < 1 << 17
    assert len(attack.victim._context.control) + len(attack.victim._context.packets) <= 257


def test_acknowledgements_for_others_do_not_pile_up() -> None:
    """Toward others a SACK leaves for every second packet, also in the middle of a batch."""
    attack = Attack(recognise_implementation=False, receive_window=1 << 16)
    packets = [
        attack.writer.wrap_checked(attack.data(n // 2, 3, b"x"), tag=attack.tag)
        for n in range(PACKETS)
    ]
    attack.victim.receive_datagrams(packets, attack.pair.now)
    assert len(attack.victim._context.packets) <= 256
    sent = attack.victim.datagrams_to_send(attack.pair.now)
    last = [c for p in sent for c in split_chunks(p) if c.kind == C.SACK][-1]
    # The last SACK repeats the content of the first ones.
    cumulative = Sack.parse(last.flags, last.value).cumulative_tsn
    assert cumulative == attack.tcb.receiver.cumulative_wire


def test_channels_opened_and_closed_under_a_closed_window_leave_a_bounded_number() -> None:
    """Their ACKs cannot leave; nor can those of the channels that use their numbers next."""
    attack = Attack(max_channels=50, keep_early=1 << 16)
    attack.say(Sack(attack.tcb.outstanding.base - 1 & 0xFFFFFFFF, 0, (), ()).serialize())
    opened = DataChannelOpen("label", "", True, None, None, 256).serialize()
    resets = attack.pair.a.stream_reset
    count = iter(range(1 << 20))

    def all_of_it() -> None:
        for _ in range(20):
            for _ in range(100):
                n = next(count)
                attack.say(attack.data(n, n % 100, opened, Ppid.DCEP))
            last = attack.tcb.receiver.cumulative_wire
            request = OutgoingReset(resets._expected, 0, last, tuple(range(100)))
            attack.say(reconfig(request.param()))
            while attack.victim.next_event() is not None:
                pass
            attack.victim.datagrams_to_send(attack.pair.now)

    assert attack.grown(all_of_it) < MAX_BYTES
    queue = attack.victim._queue
    assert sum(len(stream.messages) for stream in queue.streams.values()) <= 50
    assert len(queue.streams) <= 100
    assert len(attack.victim._channels) <= 50


def test_every_stream_may_be_used_and_costs_little() -> None:
    attack = Attack(recognise_implementation=False)
    size = 0

    def use_all() -> None:
        nonlocal size
        for start in range(0, 65_000, 100):
            skipped = tuple(Skipped(s, False, 0) for s in range(start, start + 100))
            kind = C.I_FORWARD_TSN if attack.tcb.features.interleaving else C.FORWARD_TSN
            tsn = attack.tcb.receiver.cumulative + 1 & 0xFFFFFFFF
            attack.say(ForwardTsn(tsn, skipped).serialize(kind))

    tracemalloc.start()
    try:
        use_all()
        size, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert size < 10_000_000


def test_messages_that_nobody_reads_are_bounded_by_the_window() -> None:
    attack = Attack(receive_window=1 << 16)
    for n in range(PACKETS):
        attack.say(attack.data(n, 3, b"x"))
    events = [e for e in attack.victim._context.events if isinstance(e, DataChannelMessage)]
    assert sum(event.size for event in events) <= (1 << 16) + 300
