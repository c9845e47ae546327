"""Batched datagrams over real sockets, and over a socket that refuses and fills up."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import sys
from collections.abc import Callable, Iterator
from typing import cast

import pytest
import uvloop

from lab.namespaces import Network, own_network, set_loopback_mtu
from peer.udp import Address, BatchSocket, UdpEndpoint, open_batch_socket
from peer.udp.batched_socket import PlainSocket, SegmentationRefused
from peer.udp.endpoint import MAX_WAITING
from peer.udp.linux import SOL_UDP, UDP_GRO, UDP_SEGMENT

LOOPS = [asyncio.new_event_loop, uvloop.new_event_loop]


class Sink:
    """An endpoint that keeps what it hears, cut into datagrams."""

    def __init__(self, sock: BatchSocket, loop: asyncio.AbstractEventLoop) -> None:
        self.datagrams: list[bytes] = []
        self.arrival = asyncio.Event()
        self.senders: set[Address] = set()
        self.turns = 0
        self.errors: list[OSError] = []
        self.writable = asyncio.Event()
        self.endpoint = UdpEndpoint(
            sock,
            loop,
            on_batch=self._on_batch,
            on_batches_end=self._on_batches_end,
            on_writable=self.writable.set,
            on_error=self.errors.append,
        )

    def _on_batch(self, data: memoryview, segment: int, address: Address) -> None:
        self.senders.add(address)
        for start in range(0, len(data), segment):
            self.datagrams.append(bytes(data[start : start + segment]))
        self.arrival.set()

    def _on_batches_end(self) -> None:
        self.turns += 1

    async def received(self, count: int) -> list[bytes]:
        async with asyncio.timeout(10):
            while len(self.datagrams) < count:
                self.arrival.clear()
                await self.arrival.wait()
        return self.datagrams


def bound(family: socket.AddressFamily = socket.AF_INET) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_DGRAM)
    sock.bind(("::1" if family == socket.AF_INET6 else "127.0.0.1", 0))
    return sock


@pytest.fixture(params=LOOPS, ids=["asyncio", "uvloop"])
def loop(request: pytest.FixtureRequest) -> Iterator[asyncio.AbstractEventLoop]:
    made = cast(Callable[[], asyncio.AbstractEventLoop], request.param)()
    yield made
    made.run_until_complete(made.shutdown_default_executor())
    made.close()


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6], ids=["ipv4", "ipv6"])
@pytest.mark.parametrize("plain", [False, True], ids=["batched", "plain"])
def test_a_batch_arrives_as_the_datagrams_it_was(
    loop: asyncio.AbstractEventLoop, family: socket.AddressFamily, plain: bool
) -> None:
    async def story() -> None:
        kind = PlainSocket if plain else open_batch_socket
        count = 50 if plain else 150  # the default receive buffer holds some 90 packets
        raw_a, raw_b = bound(family), bound(family)
        raw_a.setblocking(False)
        raw_b.setblocking(False)
        a, b = Sink(kind(raw_a), loop), Sink(kind(raw_b), loop)
        payload = b"".join(bytes([n]) * 1200 for n in range(count)) + b"short"
        a.endpoint.send(payload, 1200, b.endpoint.getsockname())
        datagrams = await b.received(count + 1)
        assert datagrams == [bytes([n]) * 1200 for n in range(count)] + [b"short"]
        assert {s[:2] for s in b.senders} == {a.endpoint.getsockname()[:2]}
        assert b.turns >= 1
        assert not a.errors
        a.endpoint.close()
        b.endpoint.close()
        b.endpoint.close()

    loop.run_until_complete(story())


@pytest.mark.skipif(sys.platform != "linux", reason="batches are Linux's")
async def test_linux_moves_many_datagrams_a_call() -> None:
    sock = open_batch_socket(bound())
    other = open_batch_socket(bound())
    assert sock.max_segments == 64
    sock.send(b"x" * 64_000, 1000, other.getsockname())
    length, segment, _ = other.receive(memoryview(bytearray(65536)))
    assert (length, segment) == (64_000, 1000)
    sock.close()
    other.close()


@pytest.mark.skipif(sys.platform != "linux", reason="only there it can be chosen")
def test_what_may_be_fragmented_arrives_although_no_packet_carries_it() -> None:
    async def story() -> None:
        loop = asyncio.get_running_loop()
        a, b = Sink(open_batch_socket(bound()), loop), Sink(open_batch_socket(bound()), loop)
        set_loopback_mtu(1300)
        payload = b"".join(bytes([n]) * 1400 for n in range(5))
        a.endpoint.send(b"too large" * 150, 1350, b.endpoint.getsockname())
        a.endpoint.allow_fragments(True)
        a.endpoint.send(payload, 1400, b.endpoint.getsockname())
        assert await b.received(5) == [bytes([n]) * 1400 for n in range(5)]
        a.endpoint.allow_fragments(False)
        assert a.endpoint.max_segments > 1
        a.endpoint.close()
        b.endpoint.close()

    with own_network(Network.LOOPBACK_ONLY), asyncio.Runner() as runner:
        runner.run(story())


class Refusing(socket.socket):
    """A socket of a kernel that takes no batches, and says so with this error."""

    error = 0

    def sendmsg(self, *arguments: object) -> int:
        raise OSError(self.error, os.strerror(self.error))


@pytest.mark.skipif(sys.platform != "linux", reason="batches are Linux's")
@pytest.mark.parametrize("code", [errno.EIO, errno.EOPNOTSUPP, errno.ENOPROTOOPT])
async def test_a_refusal_of_batches_is_taken_for_good(code: int) -> None:
    loop = asyncio.get_running_loop()
    raw = Refusing(socket.AF_INET, socket.SOCK_DGRAM)
    raw.error = code
    raw.bind(("127.0.0.1", 0))
    a, b = Sink(open_batch_socket(raw), loop), Sink(open_batch_socket(bound()), loop)
    payload = b"".join(bytes([n]) * 100 for n in range(30))
    a.endpoint.send(payload, 100, b.endpoint.getsockname())
    assert b"".join(await b.received(30)) == payload
    assert a.endpoint.max_segments == 1
    assert a.errors == []
    a.endpoint.close()
    b.endpoint.close()


@pytest.mark.skipif(sys.platform != "linux", reason="batches are Linux's")
async def test_a_batch_that_the_kernel_refuses_goes_one_by_one_and_the_next_is_a_batch() -> None:
    """Real: without checksums the kernel cannot segment, and says EINVAL."""
    so_no_check = 11
    loop = asyncio.get_running_loop()
    raw = bound()
    a, b = Sink(open_batch_socket(raw), loop), Sink(open_batch_socket(bound()), loop)
    payload = b"".join(bytes([n]) * 100 for n in range(30))
    for refused in (True, False):
        raw.setsockopt(socket.SOL_SOCKET, so_no_check, refused)
        a.endpoint.send(payload, 100, b.endpoint.getsockname())
        assert b"".join(await b.received(30)) == payload
        b.datagrams.clear()
        assert a.endpoint.max_segments == 64
    assert a.errors == []
    a.endpoint.close()
    b.endpoint.close()


@pytest.mark.skipif(sys.platform != "linux", reason="batches are Linux's")
@pytest.mark.parametrize("missing", [UDP_SEGMENT, UDP_GRO])
def test_a_kernel_without_batches_gets_the_plain_socket(missing: int) -> None:
    class Old(socket.socket):
        def setsockopt(self, level: int, option: int, *value: object) -> None:
            self._check(level, option)
            super().setsockopt(level, option, *value)  # type: ignore[call-overload]

        def getsockopt(self, level: int, option: int, *size: int) -> object:  # type: ignore[override]
            self._check(level, option)
            return super().getsockopt(level, option, *size)

        def _check(self, level: int, option: int) -> None:
            if (level, option) == (SOL_UDP, missing):
                raise OSError(errno.ENOPROTOOPT, "Protocol not available")

    opened = open_batch_socket(Old(socket.AF_INET, socket.SOCK_DGRAM))
    assert isinstance(opened, PlainSocket)
    assert opened.max_segments == 1
    opened.close()


class Scripted:
    """A socket that refuses batches and fills up, as told."""

    def __init__(self, real: BatchSocket, *, refuse: bool, room: int) -> None:
        self.real = real
        self.refuse = refuse
        self.room = room
        self.max_segments = 64

    def send(self, data: bytes | memoryview, segment: int, address: Address) -> None:
        if len(data) > segment and self.refuse:
            self.max_segments = 1
            raise SegmentationRefused(errno.EIO, "no")
        if self.room <= 0:
            raise BlockingIOError
        self.room -= 1
        for start in range(0, len(data), segment):
            self.real.send(data[start : start + segment], segment, address)

    def receive(self, buffer: memoryview) -> tuple[int, int, Address]:
        return self.real.receive(buffer)

    def allow_fragments(self, allow: bool) -> None:
        self.real.allow_fragments(allow)

    def fileno(self) -> int:
        return self.real.fileno()

    def getsockname(self) -> Address:
        return self.real.getsockname()

    def close(self) -> None:
        self.real.close()


async def test_a_kernel_that_refuses_batches_gets_single_datagrams() -> None:
    loop = asyncio.get_running_loop()
    refusing = Scripted(open_batch_socket(bound()), refuse=True, room=10**9)
    a, b = Sink(refusing, loop), Sink(open_batch_socket(bound()), loop)
    payload = b"".join(bytes([n]) * 100 for n in range(30))
    a.endpoint.send(payload, 100, b.endpoint.getsockname())
    assert a.endpoint.max_segments == 1
    assert not a.endpoint.blocked
    assert b"".join(await b.received(30)) == payload
    a.endpoint.close()
    b.endpoint.close()


@pytest.mark.parametrize("refuse", [False, True])
async def test_nothing_is_lost_or_doubled_when_the_socket_is_full(refuse: bool) -> None:
    loop = asyncio.get_running_loop()
    full = Scripted(open_batch_socket(bound()), refuse=refuse, room=3)
    a, b = Sink(full, loop), Sink(open_batch_socket(bound()), loop)
    address = b.endpoint.getsockname()
    sent = [bytes([n]) * 50 for n in range(200)]
    for start in range(0, 200, 10):
        a.endpoint.send(b"".join(sent[start : start + 10]), 50, address)
    assert a.endpoint.blocked is True
    while not a.writable.is_set():
        full.room += 7
        await asyncio.sleep(0)
    assert len(await b.received(200)) == 200
    assert (b.datagrams, a.endpoint.blocked) == (sent, False)
    a.endpoint.close()
    b.endpoint.close()


async def test_a_full_socket_holds_a_bounded_number_of_batches_back() -> None:
    full = Scripted(open_batch_socket(bound()), refuse=False, room=0)
    sink = Sink(full, asyncio.get_running_loop())
    for _ in range(2 * MAX_WAITING):
        sink.endpoint.send(b"answer", 6, ("127.0.0.1", 9))
    assert len(sink.endpoint._waiting) == MAX_WAITING
    sink.endpoint.close()


async def test_an_oversized_datagram_is_dropped_and_an_error_is_told() -> None:
    loop = asyncio.get_running_loop()
    a, b = Sink(open_batch_socket(bound()), loop), Sink(open_batch_socket(bound()), loop)
    a.endpoint.send(b"x" * 70_000, 70_000, b.endpoint.getsockname())
    assert a.errors == []
    gone = bound()
    nobody = gone.getsockname()
    gone.close()
    a.endpoint.send(b"anyone?", 7, nobody)
    a.endpoint.send(b"still works", 11, b.endpoint.getsockname())
    assert await b.received(1) == [b"still works"]
    a.endpoint.close()
    a.endpoint.send(b"after close", 11, b.endpoint.getsockname())
    b.endpoint.close()


@pytest.mark.skipif(sys.platform != "linux", reason="only there it is told")
@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6], ids=["ipv4", "ipv6"])
def test_a_closed_port_is_told_and_costs_nothing_else(family: socket.AddressFamily) -> None:
    async def story() -> None:
        loop = asyncio.get_running_loop()
        refused: asyncio.Queue[Address] = asyncio.Queue()
        with bound(family) as gone:
            closed = gone.getsockname()
        heard: asyncio.Queue[bytes] = asyncio.Queue()
        turns = 0

        def end_turn() -> None:
            nonlocal turns
            turns += 1

        endpoint = UdpEndpoint(
            open_batch_socket(bound(family)),
            loop,
            on_batch=lambda data, segment, address: heard.put_nowait(bytes(data)),
            on_batches_end=end_turn,
            on_writable=lambda: None,
            on_error=lambda error: None,
            on_refused=refused.put_nowait,
        )
        other = Sink(open_batch_socket(bound(family)), loop)
        async with asyncio.timeout(10):
            for _ in range(5):
                endpoint.send(b"anybody?", 8, closed)
                # An error of the socket must not cost what goes elsewhere, in batches or alone.
                endpoint.send(b"x" * 3000, 1000, other.endpoint.getsockname())
                assert (await refused.get())[:2] == closed[:2]
            await other.received(15)
            other.endpoint.send(b"hello", 5, endpoint.getsockname())
            assert await heard.get() == b"hello"
        before = turns
        for _ in range(20):
            await asyncio.sleep(0)
        assert turns == before, "errors that were told keep the loop busy"
        endpoint.close()
        other.endpoint.close()

    with asyncio.Runner() as runner:  # asyncio's own loop, whatever the suite runs under
        runner.run(story())


@pytest.mark.skipif(sys.platform != "linux", reason="batches are Linux's")
def test_the_short_end_of_a_batch_arrives_though_the_rest_is_too_large() -> None:
    """It may be the question whether the path has shrunk."""

    async def story() -> None:
        loop = asyncio.get_running_loop()
        a, b = Sink(open_batch_socket(bound()), loop), Sink(open_batch_socket(bound()), loop)
        set_loopback_mtu(1300)
        a.endpoint.send(b"too large" * 500 + b"short", 1350, b.endpoint.getsockname())
        a.endpoint.send(b"x" * 3000, 1000, b.endpoint.getsockname())
        assert await b.received(4) == [(b"too large" * 500 + b"short")[4050:], *[b"x" * 1000] * 3]
        a.endpoint.close()
        b.endpoint.close()

    with own_network(Network.LOOPBACK_ONLY), asyncio.Runner() as runner:
        runner.run(story())
