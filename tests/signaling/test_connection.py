"""Clients that break the protocol, or do not read: they hurt themselves and nobody else."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import struct
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from aiohttp import web

from signaling import HeartbeatConfig, LimitsConfig, ServerConfig, connection, service
from signaling.errors import CloseCode
from signaling.messages import (
    MAX_MESSAGE_BYTES,
    Error,
    Hello,
    Ice,
    IceUpdate,
    PeerEvent,
    Signal,
    SignalFrom,
    SignalKind,
    Welcome,
    parse_server,
    serialize,
)
from signaling.rate_limit import Budget
from signaling.server import SignalingServer
from tests.support.processes.leftovers import nothing_left_behind
from tests.support.servers.clients import Client, open_client
from tests.support.servers.raw_websocket import RawClient, open_raw, request
from tests.support.servers.websocket_frames import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    frame,
)

LIMITS = LimitsConfig(close_timeout=0.3)

JOIN = frame(serialize(Hello(room="demo")).encode())


@pytest.fixture
async def server(caplog: pytest.LogCaptureFixture) -> AsyncIterator[SignalingServer]:
    caplog.set_level(logging.INFO)
    async with nothing_left_behind(), SignalingServer(ServerConfig(limits=LIMITS)) as server:
        yield server
    # asyncio's debug mode complains about slow callbacks on a busy machine; that is not ours.
    wrong = [r for r in caplog.records if r.levelno >= logging.WARNING and r.name != "asyncio"]
    assert not wrong, [record.getMessage() for record in wrong]
    assert not [record for record in caplog.records if record.exc_info]


@contextlib.asynccontextmanager
async def undisturbed_pair(server: SignalingServer) -> AsyncIterator[None]:
    """Two well-behaved peers in the same room; whatever happens, they can still talk after it."""
    url = server.urls[0]
    async with open_client(url) as alice, open_client(url) as bob:
        await alice.join(room="demo")
        await bob.join(room="demo")
        yield
        for sender, receiver in ((alice, bob), (bob, alice)):
            await talk(sender, receiver)


async def talk(sender: Client, receiver: Client) -> None:
    await sender.send(signal(receiver.peer, "still here"))
    while True:
        message = await receiver.receive()
        if isinstance(message, SignalFrom):
            assert message.data == "still here"
            return
        assert isinstance(message, PeerEvent), message


def signal(to: str, data: str) -> Signal:
    return Signal(to=to, link="l", gen=0, kind=SignalKind.OFFER, data=data)


# Bytes after a hello, and the close code that answers them. None: the server sees no way to
# answer (the client has gone) or owes no close frame.
BROKEN: dict[str, tuple[bytes, int | None]] = {
    "binary frame": (frame(b"\x00\x01", BINARY), CloseCode.BAD_PROTOCOL),
    "invalid UTF-8": (frame(b'{"t":"\xff\xfe"}'), 1007),
    "UTF-8 cut short": (frame("é".encode()[:1]), 1007),
    "encoded surrogate": (frame(b"\xed\xa0\x80"), 1007),
    "reserved bit 1": (frame(b"{}", rsv=4), 1002),
    "reserved bit 3": (frame(b"{}", rsv=1), 1002),
    "unknown data opcode": (frame(b"{}", 3), 1002),
    "unknown control opcode": (frame(b"", 11), 1002),
    "continuation of nothing": (frame(b"{}", CONTINUATION), 1002),
    "text inside a fragmented text": (frame(b"{", fin=False) + frame(b"}"), 1002),
    "fragmented ping": (frame(b"x", PING, fin=False), 1002),
    "long ping": (frame(b"x" * 126, PING), 1002),
    "one byte more than may be": (frame(b" " * (MAX_MESSAGE_BYTES + 1)), 1009),
    "a length of 2^63": (b"\x81\xff" + struct.pack("!Q", 2**63) + b"abcd", None),
    "a length of 2^62": (b"\x81\xff" + struct.pack("!Q", 2**62) + b"abcd", 1009),
    "many fragments": (
        frame(b" " * 40_000, fin=False) + frame(b" " * 40_000, CONTINUATION, fin=False),
        1009,
    ),
    "close without code": (frame(b"", CLOSE), 1000),
    "close with a code": (frame(struct.pack("!H", 4999), CLOSE), None),
    "close with half a code": (frame(b"\x03", CLOSE), 1002),
    "close with code 0": (frame(b"\x00\x00", CLOSE), 1002),
    "close with an invalid reason": (frame(struct.pack("!H", 1000) + b"\xff", CLOSE), None),
    "ten bad messages": (frame(b"nonsense") * 10, CloseCode.TOO_MANY_ERRORS),
    "two hundred pongs": (frame(b'{"t":"pong"}') * 250, CloseCode.RATE_LIMITED),
    "a flood of pings": (frame(b"", PING) * 250, CloseCode.RATE_LIMITED),
    "HTTP again": (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 1002),
}


@pytest.mark.parametrize(("sent", "code"), BROKEN.values(), ids=BROKEN.keys())
async def test_a_broken_frame_is_closed_as_documented_and_disturbs_nobody(
    server: SignalingServer, sent: bytes, code: int | None
) -> None:
    async with undisturbed_pair(server):
        async with open_raw(server.port) as raw:
            await raw.send(JOIN + sent)
            said = await raw.close_code()
            if code is not None:
                assert said == code
        assert server.rooms == 1


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"\x81",
        b"\x81\xfe",
        frame(b"{}")[:-1],
        frame(b"{", fin=False),
        frame(b"{}", mask=False),
        b"\x00" * 50,
        bytes(range(256)),
    ],
    ids=["nothing", "head", "length", "cut", "fragment", "unmasked", "zeros", "all bytes"],
)
@pytest.mark.parametrize("way", ["end", "reset"])
async def test_a_client_that_goes_in_the_middle_disturbs_nobody(
    server: SignalingServer, sent: bytes, way: str
) -> None:
    async with undisturbed_pair(server):
        async with open_raw(server.port) as raw:
            await raw.send(JOIN + sent)
            assert await raw.receive() is not None
            if way == "reset":
                raw.reset()
        assert server.rooms == 1


@pytest.mark.parametrize(
    "sent",
    [
        b"\r\n\r\n",
        b"nonsense\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"POST /v1/ws HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
        (
            b"GET /v1/ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Version: 8\r\nSec-WebSocket-Key: x\r\n\r\n"
        ),
        b"GET / HTTP/1.1\r\nHost: x\r\n" + b"a: b\r\n" * 5000 + b"\r\n",
        b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
)
async def test_what_is_no_request_gets_an_answer_and_no_traceback(
    server: SignalingServer, sent: bytes
) -> None:
    async with undisturbed_pair(server):
        # Some of it leaves the connection open for another request.
        closing = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        answer = await request(server.port, sent + closing)
        assert answer == b"" or answer.startswith(b"HTTP/1.")
        assert b"Traceback" not in answer


async def test_a_ping_frame_is_answered_with_its_payload(server: SignalingServer) -> None:
    async with open_raw(server.port) as raw:
        await raw.send(frame(b"are you there?", PING))
        assert await raw.receive() == (PONG, b"are you there?")


async def test_fragments_make_one_message(server: SignalingServer) -> None:
    text = serialize(Hello(room="demo", name="é")).encode()
    pieces = [frame(text[n : n + 1], CONTINUATION, fin=False) for n in range(1, len(text))]
    async with open_raw(server.port) as raw:
        ping = frame(b"between", PING)
        await raw.send(frame(text[:1], TEXT, fin=False) + ping + b"".join(pieces))
        await raw.send(frame(b"", CONTINUATION))
        assert await raw.receive() == (PONG, b"between")
        opcode, payload = await raw.receive() or (None, b"")
        assert opcode == TEXT
        assert isinstance(parse_server(payload), Welcome)


async def test_a_message_of_just_the_limit_is_read(server: SignalingServer) -> None:
    text = serialize(Hello(room="demo")).encode()
    async with open_raw(server.port) as raw:
        await raw.send(frame(text + b" " * (MAX_MESSAGE_BYTES - len(text))))
        _, payload = await raw.receive() or (None, b"")
        assert isinstance(parse_server(payload), Welcome)


# --- clients that do not read ---


FAST = LimitsConfig(messages_per_second=1e6, burst=1_000_000)
FEW = 8 * 1024
"""Bytes a stalled reader's kernel takes; the server's own takes more."""
PIECE = "x" * 40_000


@dataclass
class Stall:
    """A server; alice, who sends; and a victim in her room that reads nothing any more."""

    server: SignalingServer
    alice: Client
    raw: RawClient
    victim: str

    def read_again(self) -> None:
        reading(self.raw).resume_reading()

    async def flood_until_it_leaves(self) -> None:
        while True:
            await self.alice.send(signal(self.victim, PIECE))
            # The answers are read as they come: alice herself is no stalled reader.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.001):
                    event = await self.alice.receive()
                assert isinstance(event, PeerEvent), event
                assert (event.event, event.peer) == ("left", self.victim)
                await self.settle()
                return

    async def settle(self) -> None:
        """Return when the server has dealt with all that alice sent, and its answers are read."""
        await self.alice.send(Ice(id=77))
        while not isinstance(message := await self.alice.receive(), IceUpdate):
            assert isinstance(message, Error), message
            assert message.code == "peer_not_found"


def reading(raw: RawClient) -> asyncio.ReadTransport:
    assert isinstance(raw.writer.transport, asyncio.ReadTransport)
    return raw.writer.transport


@contextlib.asynccontextmanager
async def stall(limits: LimitsConfig, **config: Any) -> AsyncIterator[Stall]:
    async with (
        nothing_left_behind(),
        SignalingServer(ServerConfig(limits=limits, **config)) as server,
        open_client(server.urls[0]) as alice,
        open_raw(server.port, receive_buffer=FEW) as raw,
    ):
        await alice.join(room="demo")
        await raw.send(JOIN)
        _, payload = await raw.receive() or (None, b"")
        welcome = parse_server(payload)
        assert isinstance(welcome, Welcome)
        await alice.expect(PeerEvent)
        reading(raw).pause_reading()
        yield Stall(server, alice, raw, welcome.peer)


async def test_a_stalled_reader_is_closed_with_4102_while_others_go_on() -> None:
    limits = replace(FAST, queue_bytes=256 * 1024, close_timeout=20.0)
    async with stall(limits) as it, open_client(it.server.urls[0]) as bob:
        await it.flood_until_it_leaves()
        await bob.join(room="demo")
        await it.alice.expect(PeerEvent)
        await talk(it.alice, bob)
        await talk(bob, it.alice)
        # Should it read again at once, it learns the reason.
        it.read_again()
        assert await it.raw.close_code() == CloseCode.SLOW_CONSUMER


async def test_others_cannot_have_a_client_closed_that_reads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """However little time it had to do so."""
    monkeypatch.setattr(connection, "_STALLED", 1e6)
    limits = replace(FAST, queue_bytes=256 * 1024, write_timeout=1e6)
    async with stall(limits) as it:
        for _ in range(400):
            await it.alice.send(signal(it.victim, PIECE))
        await it.settle()
        it.read_again()
        await it.raw.send(frame(serialize(Ice(id=9)).encode()))
        received = 0
        while True:
            _, payload = await it.raw.receive() or (None, b"")
            message = parse_server(payload)
            if isinstance(message, IceUpdate):
                break
            assert isinstance(message, SignalFrom)
            received += 1
        assert 0 < received < 400


async def test_what_waits_for_all_together_is_bounded_and_counted_to_the_end() -> None:
    limits = replace(FAST, queue_bytes=1 << 30, queue_bytes_in_all=256 * 1024, close_timeout=20.0)
    async with stall(limits) as it, open_client(it.server.urls[0]) as bob:
        queues = it.server._service._queues
        await it.flood_until_it_leaves()
        assert queues.used < 256 * 1024
        await bob.join(room="demo")
        await it.alice.expect(PeerEvent)
        await talk(it.alice, bob)
        it.read_again()
        assert await it.raw.close_code() == CloseCode.SLOW_CONSUMER
    assert queues.used == 0


def test_small_queues_are_kept_when_there_is_no_room_for_large_ones() -> None:
    budget = Budget(1000)
    assert budget.has_room(1 << 20)
    budget.used = 1000
    assert budget.has_room(64 * 1024)
    assert not budget.has_room(64 * 1024 + 1)


async def test_a_stalled_reader_is_cut_when_it_never_reads_again() -> None:
    limits = replace(FAST, queue_bytes=256 * 1024, close_timeout=0.1)
    async with stall(limits) as it:
        await it.flood_until_it_leaves()
        await it.server.close()
        it.read_again()
        # Unread bytes are gone with the connection, the close frame too.
        assert await it.raw.close_code() is None


async def test_a_message_that_does_not_leave_in_time_is_a_slow_consumer_too() -> None:
    # The queue is large enough for everything; only the deadline can notice.
    limits = replace(FAST, queue_bytes=1 << 30, write_timeout=0.2, close_timeout=20.0)
    async with stall(limits) as it:
        await it.flood_until_it_leaves()
        it.read_again()
        assert await it.raw.close_code() == CloseCode.SLOW_CONSUMER


async def test_closing_the_server_does_not_wait_for_a_stalled_reader() -> None:
    limits = replace(FAST, queue_bytes=1 << 30, write_timeout=60.0, close_timeout=0.2)
    async with stall(limits) as it:
        for _ in range(300):
            await it.alice.send(signal(it.victim, PIECE))
        await it.settle()
        await it.server.close()


async def test_a_stalled_reader_misses_its_pong_while_others_answer_theirs() -> None:
    limits = replace(FAST, queue_bytes=1 << 30, close_timeout=0.1)
    heartbeat = HeartbeatConfig(interval=0.1, timeout=1.0)
    async with stall(limits, heartbeat=heartbeat) as it:
        # `expect` answers the pings that arrive meanwhile.
        left = await it.alice.expect(PeerEvent)
        assert (left.event, left.peer, left.reason) == ("left", it.victim, "timeout")


async def test_a_client_that_went_away_before_its_handshake_was_read_is_no_fault(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    handshake = service._handshake

    def cut(request: web.Request) -> web.Request:
        assert request.transport is not None
        request.transport.abort()
        return handshake(request)

    monkeypatch.setattr(service, "_handshake", cut)
    # Over TLS there is no protocol by then whose place could be taken.
    monkeypatch.setattr(service, "enter_frames", None)
    async with SignalingServer(ServerConfig()) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(
            b"GET /v1/ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        with contextlib.suppress(ConnectionError):
            assert await reader.read() == b""
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
        assert server.connections == 0
    assert [r.message for r in caplog.records if r.name == "signaling" and r.levelno > 20] == []
