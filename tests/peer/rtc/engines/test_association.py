"""Our association under a real connection: batches, the window, mixed engines, odd platforms."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator

import pytest
import uvloop

from lab.namespaces import Network, own_network, set_loopback_mtu
from peer.config import ChannelParameters, EngineName
from peer.errors import ChannelClosed, ChannelError
from peer.rtc import Connection
from peer.rtc import shared_socket as shared_socket_module
from peer.rtc.dtls.packet_transport import BatchedPacketTransport, SinglePacketTransport
from peer.rtc.dtls.records import NativeRecords, PlainRecords
from peer.rtc.engines.association import AssociationTransport
from peer.rtc.engines.base import chosen_engine
from peer.sctp import SctpConfig
from tests.support.links.connections import CONTROL, RecordingHandler, connect
from tests.support.processes.leftovers import nothing_left_behind

BLOCK = 65_536


@contextlib.asynccontextmanager
async def pair_of(
    ours: EngineName, theirs: EngineName
) -> AsyncIterator[tuple[RecordingHandler, RecordingHandler]]:
    """One channel between two connections of these engines; ours offers."""
    offerer, answerer = Connection(engine=ours), Connection(engine=theirs)
    try:
        a = RecordingHandler(offerer.create_channel(CONTROL), low_water=BLOCK)
        b = RecordingHandler(answerer.create_channel(CONTROL), low_water=BLOCK)
        await connect(offerer, answerer)
        yield a, b
    finally:
        await asyncio.gather(offerer.close(), answerer.close())


def transport_of(handler: RecordingHandler) -> AssociationTransport:
    transport = handler.channel._driver  # type: ignore[attr-defined]
    assert isinstance(transport, AssociationTransport)
    return transport


async def stream(sender: RecordingHandler, receiver: RecordingHandler, blocks: int) -> None:
    """Send blocks with backpressure; compare the digests of what went and what came."""
    sent, received = hashlib.sha256(), hashlib.sha256()

    async def receive() -> None:
        for _ in range(blocks):
            message = await receiver.messages.get()
            assert isinstance(message, bytes)
            received.update(message)
            receiver.channel.consume()

    async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
        tasks.create_task(receive())
        for n in range(blocks):
            block = n.to_bytes(4, "big") * (BLOCK // 4)
            sent.update(block)
            while sender.channel.buffered > 16 * BLOCK:
                sender.drained.clear()
                await sender.drained.wait()
            sender.channel.send(block)
    assert sent.digest() == received.digest()


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [("peerline", "peerline"), ("peerline", "aiortc"), ("aiortc", "peerline")],
)
async def test_a_stream_arrives_whole_between_engines(ours: EngineName, theirs: EngineName) -> None:
    async with nothing_left_behind(), pair_of(ours, theirs) as (a, b):
        await stream(a, b, 40)
        await stream(b, a, 40)


def test_a_stream_arrives_whole_on_uvloop() -> None:
    async def story() -> None:
        async with pair_of("peerline", "peerline") as (a, b):
            await stream(a, b, 100)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(story())


async def test_packets_go_in_batches_on_a_plain_socket_and_grow_with_the_path() -> None:
    async with pair_of("peerline", "peerline") as (a, b):
        await stream(a, b, 200)
        packets = transport_of(a)._packet_transport
        assert isinstance(packets, BatchedPacketTransport)
        assert isinstance(packets._records, NativeRecords)
        association = transport_of(a).association
        assert association is not None
        assert association.stats().datagram_size > 1188


def test_a_stream_survives_that_the_path_shrinks_under_it() -> None:
    """Packets cut for the larger path MTU leave in IP fragments, later ones do not."""

    async def story() -> None:
        async with pair_of("peerline", "peerline") as (a, b):
            await stream(a, b, 200)
            association = transport_of(a).association
            assert association is not None
            assert association.datagram_size > 1300
            set_loopback_mtu(1300)
            await stream(a, b, 100)
            assert association.datagram_size == 1188
            await stream(b, a, 100)

    with own_network(Network.LOOPBACK_ONLY), asyncio.Runner() as runner:
        runner.run(story())


async def test_fragments_are_allowed_for_as_long_after_the_last_shrinking_as_after_the_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with pair_of("peerline", "peerline") as (a, b):
        await stream(a, b, 4)
        transport = transport_of(a)
        assert isinstance(transport._packet_transport, BatchedPacketTransport)
        allowed: list[bool] = []
        monkeypatch.setattr(transport._packet_transport, "allow_fragments", allowed.append)
        transport._datagram_size = 1432
        transport._watch_path_mtu(1188)
        first = transport._fragmenting
        transport._watch_path_mtu(1432)
        transport._watch_path_mtu(1188)
        assert first is not None
        assert first.cancelled()
        assert allowed == [True, True]


async def test_an_event_loop_that_watches_no_descriptors_gets_single_packets(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*arguments: object, **named: object) -> None:
        raise NotImplementedError

    monkeypatch.setattr(shared_socket_module, "UdpEndpoint", refuse)
    async with nothing_left_behind(), pair_of("peerline", "peerline") as (a, b):
        await stream(a, b, 60)
        packets = transport_of(a)._packet_transport
        assert isinstance(packets, SinglePacketTransport | BatchedPacketTransport)
        if isinstance(packets, BatchedPacketTransport):
            assert packets._socket is None


async def test_plain_records_serve_where_the_binding_has_moved(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from peer.rtc.dtls import packet_transport

    monkeypatch.setattr(packet_transport, "record_layer", PlainRecords)
    async with pair_of("peerline", "peerline") as (a, b):
        await stream(a, b, 60)


async def test_a_reader_that_does_not_consume_slows_the_sender_and_nothing_is_lost() -> None:
    async with pair_of("peerline", "peerline") as (a, b):
        blocks = 400  # 26 MB, three times the window
        for _ in range(blocks):
            a.channel.send(bytes(BLOCK))
        for n in range(20):
            assert await asyncio.wait_for(b.messages.get(), 10) == bytes(BLOCK), n
        # The window is 8 MiB: far less than everything can have left.
        assert a.channel.buffered > (blocks - 200) * BLOCK
        received = 20
        for _ in range(20):
            b.channel.consume()
        async with asyncio.timeout(60):
            while received < blocks:
                await b.messages.get()
                b.channel.consume()
                received += 1
        assert a.channel.buffered == 0


@pytest.mark.parametrize(
    "mode",
    [
        ChannelParameters(id=10, ordered=False),
        ChannelParameters(id=10, max_retransmits=3),
        ChannelParameters(id=10, ordered=False, max_lifetime=30.0),
    ],
)
async def test_a_message_far_beyond_a_packet_arrives_in_every_mode(mode: ChannelParameters) -> None:
    message = bytes(range(256)) * 20_000  # 5 MB
    offerer, answerer = Connection(engine="peerline"), Connection(engine="peerline")
    try:
        ours = RecordingHandler(offerer.create_channel(mode))
        theirs = RecordingHandler(answerer.create_channel(mode))
        await connect(offerer, answerer)
        ours.channel.send(message)
        assert await asyncio.wait_for(theirs.messages.get(), 30) == message
    finally:
        await asyncio.gather(offerer.close(), answerer.close())


def test_the_environment_chooses_the_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PEERLINE_ENGINE", raising=False)
    assert chosen_engine() == "peerline"
    monkeypatch.setenv("PEERLINE_ENGINE", "aiortc")
    assert chosen_engine() == "aiortc"
    monkeypatch.setenv("PEERLINE_ENGINE", "usrsctp")
    with pytest.raises(ValueError, match="PEERLINE_ENGINE must be one of"):
        chosen_engine()


async def test_the_two_sides_may_use_different_pairs() -> None:
    """ICE may leave each side with a pair of its own: records then cross two sockets."""
    async with pair_of("peerline", "peerline") as (a, b):
        ice = transport_of(b).transport.transport._connection
        pairs = [p for p in ice._check_list if p is not ice._nominated[1]]
        others = [
            pair
            for pair in pairs
            if pair.state.name == "SUCCEEDED" or pair.local_candidate.type == "host"
        ]
        if others:  # a machine with one address has no other pair
            ice._nominated[1] = others[0]
        await stream(a, b, 40)
        await stream(b, a, 40)


async def test_a_large_packet_through_aiortc_is_read_whole() -> None:
    """aiortc reads 1500 bytes of a record; the rest must not be taken for the next packet."""
    async with pair_of("peerline", "peerline") as (a, b):
        await stream(a, b, 4)
        sender, receiver = transport_of(a).transport, transport_of(b).transport
        assert sender._ssl is not None
        heard: asyncio.Queue[bytes] = asyncio.Queue()

        def hear(packets: list[bytes]) -> None:
            for packet in packets:
                if len(set(packet)) == 1:  # the others are SCTP's own
                    heard.put_nowait(packet)

        transport_of(b)._receive = hear  # type: ignore[method-assign]
        sizes = [9000, 1188, 16000, 100]
        for size in sizes:
            sender._ssl.send(bytes([size % 251]) * size)
            receiver.transport._connection._queue.put_nowait((sender._ssl.bio_read(20_000), 1))
        async with asyncio.timeout(10):
            assert [len(await heard.get()) for _ in sizes] == sizes


async def test_a_timer_that_a_busy_machine_let_pass_is_handled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with pair_of("peerline", "peerline") as (a, _):
        transport = transport_of(a)
        association = transport.association
        assert association is not None
        handled = asyncio.Event()
        monkeypatch.setattr(association, "handle_timer", lambda now: handled.set())
        if transport._timer is not None:
            transport._timer.cancel()
            transport._timer = None
        now = asyncio.get_running_loop().time()
        transport._set_timer(now - 0.1, now)
        async with asyncio.timeout(5):
            await handled.wait()


async def test_a_channel_that_the_other_side_has_reset_says_that_it_is_closed() -> None:
    async with pair_of("peerline", "peerline") as (a, b):
        raised: list[Exception] = []

        def speak() -> None:
            """Send at once: the channel learns of a reset only at the end of the turn."""
            if not a.closed.is_set() and not raised:
                try:
                    a.channel.send("one more")
                except (ChannelClosed, ValueError) as error:
                    raised.append(error)

        transport_of(a).on_heard = speak
        b.channel.close()
        async with asyncio.timeout(10):
            await asyncio.gather(a.closed.wait(), b.closed.wait())
        assert [type(error) for error in raised] == [ChannelClosed]


async def test_a_message_larger_than_the_other_side_accepts_is_refused() -> None:
    async with pair_of("peerline", "peerline") as (a, b):
        with pytest.raises(ValueError, match="the peer accepts 16777216"):
            a.channel.send("☃" * (6 << 20))
        a.channel.send("still open")
        assert await asyncio.wait_for(b.messages.get(), 10) == "still open"


async def test_one_channel_too_many_is_refused_and_the_others_stay() -> None:
    offerer, answerer = Connection(engine="peerline"), Connection(engine="peerline")
    try:
        a = RecordingHandler(offerer.create_channel(CONTROL))
        b = RecordingHandler(answerer.create_channel(CONTROL))
        early = [
            RecordingHandler(offerer.create_channel(ChannelParameters(label="x")))
            for _ in range(SctpConfig().max_channels)
        ]
        await connect(offerer, answerer)
        async with asyncio.timeout(10):
            await early[-1].closed.wait()  # the last of them did not fit beside the first
        assert not any(handler.closed.is_set() for handler in early[:-1])
        with pytest.raises(ChannelError, match="4096 channels already"):
            offerer.create_channel(ChannelParameters(label="x"))
        a.channel.send("still open")
        assert await asyncio.wait_for(b.messages.get(), 10) == "still open"
    finally:
        await asyncio.gather(offerer.close(), answerer.close())


async def test_a_channel_that_takes_any_id_leaves_those_that_were_agreed_on() -> None:
    """RFC 8832, 6: ids are given out once DTLS has said who is the client."""
    offerer, answerer = Connection(engine="peerline"), Connection(engine="peerline")
    try:
        for connection in (offerer, answerer):
            connection.create_channel(ChannelParameters(label="any id"))
        agreed = [
            RecordingHandler(connection.create_channel(ChannelParameters(label="agreed", id=id)))
            for connection in (offerer, answerer)
            for id in (0, 1)
        ]
        await connect(offerer, answerer)
        async with asyncio.timeout(10):
            await asyncio.gather(*(handler.opened.wait() for handler in agreed))
    finally:
        await asyncio.gather(offerer.close(), answerer.close())
