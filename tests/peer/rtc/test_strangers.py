"""Strangers' datagrams at the sockets of a connection cost themselves and nothing else.

Few run with the suite; ``PEERLINE_FUZZ=1000000`` sends so many in all.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, cast

import pytest
import uvloop
from aioice import stun

from peer.config import ENGINES, EngineName
from peer.rtc import Connection
from peer.rtc.ice.agent import MAX_FORGED, MAX_PAIRS, MAX_QUEUED, MAX_REFLEXIVE, IceProtocol
from peer.rtc.shared_socket import SharedSocket
from signaling.ice_servers import IceServer
from tests.support.links.connections import CONTROL, RecordingHandler, connect
from tests.support.links.strangers import datagrams, record
from tests.support.processes.leftovers import nothing_left_behind
from tests.support.servers.coturn import running_coturn

STAGES = 8
COUNT = int(os.environ.get("PEERLINE_FUZZ", "12000")) // STAGES
BURST = 20


@contextlib.contextmanager
def no_complaints(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Nothing is told to the loop's handler, and nothing is logged that a person would see."""
    loop = asyncio.get_running_loop()
    complaints: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: complaints.append(context))
    caplog.set_level(logging.WARNING)
    loop.slow_callback_duration = 60.0  # a busy machine is none of it
    caplog.clear()
    yield
    assert complaints == []
    assert [r for r in caplog.records if r.levelno >= logging.WARNING] == []


def sockets(connection: Connection) -> list[socket.socket]:
    """The UDP sockets of a connection's own addresses."""
    found = [
        protocol.transport.get_extra_info("socket")
        for protocol in connection._ice._protocols
        if protocol.local_candidate.type == "host"
    ]
    return [sock for sock in found if sock is not None]


def username(connection: Connection) -> str:
    ice = connection._ice
    return f"{ice.local_username}:{ice.remote_username}"


async def flood(
    targets: list[tuple[Any, ...]],
    count: int,
    name: str,
    *,
    senders: Sequence[Callable[[bytes, tuple[Any, ...]], object]] = (),
) -> None:
    """Send datagrams to each of `targets` in turn, from a socket of its own and from `senders`."""
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as four,
        socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as six,
    ):
        for n, data in enumerate(islice(datagrams(count, name), count)):
            target = targets[n % len(targets)]
            own = (six if ":" in target[0] else four).sendto
            send = senders[n % len(senders)] if senders and n % 2 else own
            with contextlib.suppress(OSError):  # too large, or of the other family
                send(data, target)
            if n % BURST == 0:
                await asyncio.sleep(0)


@contextlib.asynccontextmanager
async def pair(
    engine: EngineName, servers: list[IceServer], policy: str = "all"
) -> AsyncIterator[tuple[Connection, Connection, RecordingHandler, RecordingHandler]]:
    """Two connections that are not connected yet, and their channels."""
    one = Connection(servers, engine=engine, policy=cast(Any, policy))
    other = Connection(servers, engine=engine, policy=cast(Any, policy))
    try:
        yield (
            one,
            other,
            RecordingHandler(one.create_channel(CONTROL)),
            RecordingHandler(other.create_channel(CONTROL)),
        )
    finally:
        await asyncio.gather(one.close(), other.close())


async def greet(ours: RecordingHandler, theirs: RecordingHandler) -> None:
    for one, other in ((ours, theirs), (theirs, ours)):
        one.channel.send("still here")
        async with asyncio.timeout(20):
            while await other.messages.get() != "still here":
                pass


def assert_bounded(connection: Connection) -> None:
    ice = connection._ice
    assert len(ice._check_list) <= MAX_PAIRS
    assert len(ice._remote_candidates) <= MAX_REFLEXIVE + 64
    assert ice._queue.qsize() <= MAX_QUEUED


@pytest.mark.parametrize("busy", [False, True], ids=["idle", "busy"])
@pytest.mark.parametrize("engine", ENGINES)
async def test_a_link_outlives_them(
    caplog: pytest.LogCaptureFixture, engine: EngineName, busy: bool
) -> None:
    async with nothing_left_behind(), pair(engine, []) as (one, other, ours, theirs):
        await connect(one, other)
        with no_complaints(caplog):
            talking = asyncio.create_task(chatter(ours, theirs)) if busy else None
            targets = [sock.getsockname() for c in (one, other) for sock in sockets(c)]
            # From the other side's own socket: a source address that is a lie.
            forged = [p.transport.sendto for c in (other, one) for p in c._ice._protocols]
            await flood(targets, COUNT, username(one), senders=forged)
            if talking is not None:
                talking.cancel()
                await asyncio.wait({talking})
                with pytest.raises(asyncio.CancelledError):
                    talking.result()
            await greet(ours, theirs)
            assert_bounded(one)
            assert_bounded(other)


async def chatter(ours: RecordingHandler, theirs: RecordingHandler) -> None:
    """Small messages without end: reads are coalesced then."""
    while True:
        ours.channel.send(b"x" * 200)
        await asyncio.sleep(0.0002)
        while not theirs.messages.empty():
            theirs.messages.get_nowait()
            theirs.channel.consume()


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
@pytest.mark.parametrize("engine", ENGINES)
def test_sockets_that_wait_for_the_other_side_outlive_them(
    caplog: pytest.LogCaptureFixture,
    engine: EngineName,
    new_loop: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    """uvloop closes the socket of a protocol that raises."""

    async def story() -> None:
        async with pair(engine, []) as (one, other, ours, theirs):
            with no_complaints(caplog):
                answer = await other.answer(await one.offer())
                targets = [sock.getsockname() for c in (one, other) for sock in sockets(c)]
                await flood(targets, COUNT // 2, username(other))
                assert_bounded(one)
                assert_bounded(other)
                await one.accept_answer(answer)
                async with asyncio.timeout(20):
                    await asyncio.gather(one.connected(), other.connected())
                await greet(ours, theirs)

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(story())


@pytest.mark.turn
@pytest.mark.parametrize("transport", ["udp", "tcp"])
@pytest.mark.parametrize("engine", ENGINES)
async def test_a_relayed_link_outlives_them(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, engine: EngineName, transport: str
) -> None:
    """On one machine all have one address, so the server lets strangers through."""
    async with (
        running_coturn(tmp_path) as server,
        pair(engine, [server.entry(transport)], "relay") as (one, other, ours, theirs),
    ):
        await connect(one, other)
        with no_complaints(caplog):
            relayed = [cast(Any, c._ice._nominated[1].protocol) for c in (one, other)]
            targets = [protocol.transport.get_extra_info("sockname") for protocol in relayed]
            await flood(targets, COUNT // 2, username(one))
            for protocol in relayed:  # as the server itself would send them
                client = protocol.transport.carrier.get_protocol()
                for n, data in enumerate(islice(datagrams(COUNT, username(one)), COUNT // 4)):
                    client.datagram_received(data, client.server)
                    if n % BURST == 0:
                        await asyncio.sleep(0)
            await greet(ours, theirs)
            assert_bounded(one)
            assert_bounded(other)


@pytest.mark.parametrize("engine", ENGINES)
async def test_alerts_in_the_clear_end_no_handshake(engine: EngineName) -> None:
    """Sent with every datagram of it, from the other side's address."""
    async with pair(engine, []) as (one, other, ours, theirs):
        answer = await other.answer(await one.offer())
        for connection in (one, other):
            for protocol in connection._ice._protocols:
                _alarm(protocol)
        await one.accept_answer(answer)
        async with asyncio.timeout(20):
            await asyncio.gather(one.connected(), other.connected())
        await greet(ours, theirs)


class Tapped:
    """A transport of any loop that sends by other means."""

    def __init__(self, transport: Any, sendto: Callable[..., None]) -> None:
        self._transport = transport
        self.sendto = sendto

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


def _alarm(protocol: Any) -> None:
    send = protocol.transport.sendto

    def sendto(data: bytes, address: Any = None) -> None:
        for alert in (b"\x01\x00", b"\x02\x28"):
            send(record(21, 0, alert), address)
        send(data, address)

    protocol.transport = Tapped(protocol.transport, sendto)


async def test_records_from_unknown_addresses_reach_no_handshake() -> None:
    """Of the right shape, and while OpenSSL would believe them: a ServerHello, say."""
    async with pair("peerline", []) as (one, other, ours, theirs):
        answer = await other.answer(await one.offer())
        for connection in (one, other):
            for protocol in connection._ice._protocols:
                _mislead(protocol)
        await one.accept_answer(answer)
        async with asyncio.timeout(20):
            await asyncio.gather(one.connected(), other.connected())
        await greet(ours, theirs)


def _mislead(protocol: Any) -> None:
    """With every datagram, one that ends the handshake, from elsewhere."""
    take = protocol.datagram_received
    nonsense = record(22, 0, b"\x02\0\0\x04\0\0\0\0\0\0\0\x04nope")

    def datagram_received(data: bytes, address: tuple[Any, ...]) -> None:
        take(nonsense, ("192.0.2.1", 5))
        take(data, address)

    protocol.datagram_received = datagram_received


def _tapped(protocol: Any, sendto: Callable[..., None]) -> Any:
    return Tapped(protocol.transport, sendto)


async def test_unknown_senders_get_no_answer() -> None:
    async with pair("peerline", []) as (one, _, _, _):
        await one.offer()
        message = stun.Message(message_method=stun.Method.BINDING, message_class=stun.Class.REQUEST)
        message.attributes["USERNAME"] = f"{one._ice.local_username}:abcd"
        message.attributes["PRIORITY"] = 1
        message.add_message_integrity(b"a wrong password")
        sent: list[bytes] = []
        for protocol in one._ice._protocols:
            protocol.transport = _tapped(protocol, lambda data, addr=None: sent.append(data))
            protocol.datagram_received(bytes(message), ("192.0.2.1", 5))
        assert sent == []


async def test_checks_repeated_from_everywhere_fill_no_list() -> None:
    """Anyone who has seen one check can replay it from any address."""
    async with pair("peerline", []) as (one, other, ours, theirs):
        await connect(one, other)
        ice = one._ice
        used = ice._nominated[1]
        message = stun.Message(message_method=stun.Method.BINDING, message_class=stun.Class.REQUEST)
        message.attributes["USERNAME"] = username(one)
        message.attributes["PRIORITY"] = 1
        message.attributes["ICE-CONTROLLED"] = 0
        message.add_message_integrity(ice.local_password.encode())
        protocol = cast(Any, used.protocol)
        real = protocol.transport.sendto
        protocol.transport.sendto = lambda data, addr=None: (
            None if addr[0] == "192.0.2.1" else real(data, addr)
        )
        for port in range(1, 2000):
            protocol.datagram_received(bytes(message), ("192.0.2.1", port))
        assert_bounded(one)
        checks = {p.task for p in ice._check_list if p.task is not None}
        assert len(checks) <= MAX_PAIRS
        assert ice.knows(("192.0.2.1", 1999))
        assert not ice.knows(("192.0.2.1", 1))
        assert ice.knows(used.remote_addr)
        await greet(ours, theirs)


async def test_a_check_without_a_priority_is_nothing() -> None:
    async with pair("peerline", []) as (one, _, _, _):
        await one.offer()
        message = stun.Message(message_method=stun.Method.BINDING, message_class=stun.Class.REQUEST)
        message.attributes["USERNAME"] = f"{one._ice.local_username}:abcd"
        message.add_message_integrity(one._ice.local_password.encode())
        for protocol in one._ice._protocols:
            protocol.transport = _tapped(protocol, lambda data, addr=None: None)
            protocol.datagram_received(bytes(message), ("192.0.2.1", 5))
        one._ice.check_incoming(message, ("192.0.2.1", 5), one._ice._protocols[0])
        assert one._ice._remote_candidates == []


async def test_an_unforeseen_error_of_aioice_costs_one_datagram(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(data: bytes) -> stun.Message:
        raise ArithmeticError("nobody has thought of this")

    async with pair("peerline", []) as (one, other, ours, theirs):
        await connect(one, other)
        with no_complaints(caplog), monkeypatch.context() as patched:
            patched.setattr(stun, "parse_message", fail)
            await flood([s.getsockname() for s in sockets(one)], 200, username(one))
            await greet(ours, theirs)


@pytest.mark.parametrize(
    "candidate",
    [
        "candidate:1 1 udp 1 127.0.0.1 70000 typ host",
        "candidate:1 1 udp 1 127.0.0.1 0 typ host",
        "candidate:1 1 udp 1 127.0.0.1 -1 typ host",
        "candidate:1 2 udp 1 127.0.0.1 9 typ host",
        "candidate:1 1 udp 1 224.0.0.1 9 typ host",
        "candidate:1 1 udp 1 ff02::1 9 typ host",
        "candidate:1 1 udp 1 255.255.255.255 9 typ host",
        "candidate:1 1 udp 1 0.0.0.0 9 typ host",
        "candidate:1 1 udp 1 localhost 9 typ host",
    ],
)
async def test_a_candidate_that_leads_nowhere_is_left_out(candidate: str) -> None:
    async with pair("peerline", []) as (one, other, ours, theirs):
        answer = await other.answer(await one.offer())
        one.add_candidate(candidate)
        await one.accept_answer(answer)
        async with asyncio.timeout(20):
            await asyncio.gather(one.connected(), other.connected())
        await greet(ours, theirs)
        hosts = {(c.host, c.port) for c in one._ice._remote_candidates}
        bits = candidate.split()
        assert (bits[4], int(bits[5])) not in hosts


class Receiver:
    """The parts of a connection that a shared socket needs."""

    def __init__(self) -> None:
        self.receiver = self
        self.records: list[tuple[bytes, int]] = []
        self.others: list[bytes] = []

    def knows(self, address: tuple[Any, ...]) -> bool:
        return bool(address[0] == "192.0.2.1")

    def datagram_received(self, data: bytes, address: tuple[Any, ...]) -> None:
        self.others.append(data)

    def take(self, data: memoryview, segment: int) -> None:
        self.records.append((bytes(data), segment))


@pytest.mark.parametrize("known", [True, False], ids=["the other side", "a stranger"])
def test_of_a_batch_of_all_sorts_only_the_right_ones_are_read(known: bool) -> None:
    """The kernel puts together what is equally long and has one source, be it a lie."""
    right, last = record(23, 1, bytes(19)), record(23, 1, b"end")
    stun_like = b"\0\x01" + bytes(30)
    batch = [
        right,
        stun_like,
        b"\x80" + bytes(31),
        right,
        record(21, 0, bytes(19)),
        bytes(32),
        last,
    ]
    receiver = Receiver()
    shared = object.__new__(SharedSocket)
    shared._protocol = cast(Any, receiver)
    shared._on_records = receiver.take
    address = ("192.0.2.1" if known else "192.0.2.2", 5)
    shared._on_batch(memoryview(b"".join(batch)), 32, address)
    assert receiver.records == ([(right, 32), (right, 32), (last, len(last))] if known else [])
    assert receiver.others == [stun_like, bytes(32)]
    receiver.records.clear()
    shared._on_batch(memoryview(right * 3 + last), 32, address)
    assert receiver.records == ([(right * 3 + last, 32)] if known else [])


async def test_a_flood_of_messages_that_do_not_concern_us_is_not_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read = 0
    parse = stun.parse_message

    def counting(data: bytes) -> stun.Message:
        nonlocal read
        read += 1
        return parse(data)

    def check(user: str) -> bytes:
        message = stun.Message(message_method=stun.Method.BINDING, message_class=stun.Class.REQUEST)
        message.attributes["USERNAME"] = user
        message.attributes["PRIORITY"] = 1
        message.add_message_integrity(b"a wrong password")
        return bytes(message)

    async with pair("peerline", []) as (one, other, ours, theirs):
        await connect(one, other)
        protocol = cast(IceProtocol, one._ice._nominated[1].protocol)
        monkeypatch.setattr(stun, "parse_message", counting)
        monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: 1e6)
        for _ in range(1000):
            protocol.datagram_received(check("abcd:efgh"), ("192.0.2.1", 5))
            for kind in (stun.Class.INDICATION, stun.Class.RESPONSE, stun.Class.ERROR):
                message = stun.Message(message_method=stun.Method.BINDING, message_class=kind)
                protocol.datagram_received(bytes(message), ("192.0.2.1", 5))
        assert read == 0
        for _ in range(1000):
            protocol.datagram_received(check(username(one)), ("192.0.2.1", 5))
        assert read == MAX_FORGED
        # A check of the other side is read all the same.
        protocol.datagram_received(check(username(one)), one._ice._nominated[1].remote_addr)
        assert read == MAX_FORGED + 1
        monkeypatch.undo()
        await greet(ours, theirs)
