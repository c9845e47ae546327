"""Reading once a millisecond while datagrams come one by one, on a loop turned by hand."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import cast

import pytest

from peer.udp import Address, UdpEndpoint
from peer.udp.coalescing import FIRST_TURNS, INTERVAL, MOST_TURNS
from peer.udp.endpoint import RECEIVE_CALLS_PER_TURN

POISON = b"poison"


class _Socket:
    """Has what the test puts in."""

    max_segments = 1

    def __init__(self) -> None:
        self.arrived: deque[bytes] = deque()
        self.closed = False

    def send(self, data: bytes | memoryview, segment: int, address: Address) -> None:
        raise AssertionError("nothing is sent here")

    def receive(self, buffer: memoryview) -> tuple[int, int, Address]:
        if not self.arrived:
            raise BlockingIOError
        data = self.arrived.popleft()
        buffer[: len(data)] = data
        return len(data), len(data), ("127.0.0.1", 9)

    def allow_fragments(self, allow: bool) -> None: ...

    def fileno(self) -> int:
        return 99

    def getsockname(self) -> Address:
        return ("127.0.0.1", 8)

    def close(self) -> None:
        self.closed = True


class _Timer:
    def __init__(self, at: float, callback: Callable[[], None]) -> None:
        self.at = at
        self.callback = callback
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class _Loop:
    """A clock, at most one reader and one timer: what the endpoint asks of a loop."""

    def __init__(self) -> None:
        self.now = 100.0
        self.reader: Callable[[], None] | None = None
        self.timer: _Timer | None = None

    def time(self) -> float:
        return self.now

    def add_reader(self, fd: int, callback: Callable[[], None]) -> None:
        self.reader = callback

    def remove_reader(self, fd: int) -> None:
        self.reader = None

    def remove_writer(self, fd: int) -> None: ...

    def call_later(self, delay: float, callback: Callable[[], None]) -> _Timer:
        self.timer = _Timer(self.now + delay, callback)
        return self.timer


class _Link:
    """An endpoint on both of these, and a network that delivers when told."""

    def __init__(self) -> None:
        self.loop, self.socket = _Loop(), _Socket()
        self.got: list[bytes] = []
        self.turns = 0
        self.errors: list[ValueError] = []
        self.endpoint = UdpEndpoint(
            self.socket,
            cast(asyncio.AbstractEventLoop, self.loop),
            on_batch=self._take,
            on_batches_end=self._end,
            on_writable=lambda: None,
            on_error=lambda error: None,
        )

    def _take(self, data: memoryview, segment: int, address: Address) -> None:
        if data == POISON:
            raise ValueError("the receiver does not foresee this")
        self.got.append(bytes(data))

    def _end(self) -> None:
        self.turns += 1

    def _turn(self, callback: Callable[[], None]) -> None:
        """As a loop does: an error of a callback is noted, and the loop goes on."""
        try:
            callback()
        except ValueError as error:
            self.errors.append(error)

    def deliver(self, *data: bytes, after: float) -> None:
        """`data` comes in `after` so many seconds; the loop turns as a loop would."""
        end = self.loop.now + after
        self._run_timers(end)
        self.loop.now = end
        self.socket.arrived.extend(data)
        self._run_reader()

    def _run_timers(self, end: float) -> None:
        while (timer := self.loop.timer) is not None and timer.at <= end and not timer.cancelled:
            self.loop.timer = None
            self.loop.now = timer.at
            self._turn(timer.callback)

    def rest(self, seconds: float) -> None:
        """Nothing comes for so long."""
        end = self.loop.now + seconds
        self._run_timers(end)
        self.loop.now = end
        self._run_reader()

    def _run_reader(self) -> None:
        while self.loop.reader is not None and self.socket.arrived:
            self._turn(self.loop.reader)


def test_a_fast_stream_of_single_datagrams_is_read_once_a_millisecond() -> None:
    link = _Link()
    sent = [b"%d" % n + bytes(1000) for n in range(1000)]
    for data in sent:
        link.deliver(data, after=0.0001)
    link.rest(0.01)
    assert link.got == sent
    assert link.turns < 130


def test_a_fast_stream_of_small_datagrams_is_read_once_a_millisecond() -> None:
    link = _Link()
    for n in range(2000):
        link.deliver(b"%d" % n, after=0.00004)
    link.rest(0.01)
    assert len(link.got) == 2000
    assert link.turns < 130


@pytest.mark.parametrize("size", [50, 1200, 5000])
@pytest.mark.parametrize("seconds", [0.0001, 0.0003, 0.0009])
def test_questions_and_answers_wait_for_nothing(size: int, seconds: float) -> None:
    """Each comes so long after the one before it was read, however often."""
    link = _Link()
    delays = []
    for n in range(5000):
        link.deliver(bytes(size), after=seconds)
        asked = link.loop.now
        while len(link.got) == n:
            link.rest(0.0001)
        delays.append(link.loop.now - asked)
    assert len([delay for delay in delays if delay]) < 10


def test_a_stream_after_many_questions_is_soon_read_once_a_millisecond() -> None:
    link = _Link()
    for n in range(5000):
        link.deliver(b"%d" % n, after=0.0003)
        link.rest(2 * INTERVAL)
    turns = link.turns
    for _ in range(1000):
        link.deliver(bytes(1000), after=0.0001)
    assert link.turns - turns < 130


def test_how_long_it_takes_until_it_is_tried_again_is_bounded() -> None:
    link = _Link()
    for _ in range(4 * MOST_TURNS):
        link.deliver(b"question", after=0.0003)
    for _ in range(3 * MOST_TURNS):
        link.deliver(bytes(1000), after=0.0001)
    turns = link.turns
    for _ in range(1000):
        link.deliver(bytes(1000), after=0.0001)
    assert link.turns - turns < 130


def test_slow_datagrams_are_read_as_they_come() -> None:
    link = _Link()
    for n in range(50):
        link.deliver(b"%d" % n, after=0.002)
        assert len(link.got) == n + 1


def test_after_the_stream_a_datagram_is_read_at_once_again() -> None:
    link = _Link()
    for n in range(100):
        link.deliver(b"%d" % n + bytes(1000), after=0.0001)
    link.rest(3 * INTERVAL)
    link.deliver(b"late", after=0.0)
    assert link.got[-1] == b"late"


def test_large_batches_are_read_as_they_come() -> None:
    link = _Link()
    for n in range(3 * FIRST_TURNS):
        link.deliver(bytes(60_000), after=0.0001)
        assert len(link.got) == n + 1


def test_more_than_a_turn_takes_does_not_wait_for_the_next_millisecond() -> None:
    link = _Link()
    for n in range(100):
        link.deliver(b"%d" % n + bytes(1000), after=0.0001)
    many = [b"%d" % n for n in range(10 * RECEIVE_CALLS_PER_TURN)]
    link.deliver(*many, after=0.0001)
    link.rest(INTERVAL)
    assert link.got[-len(many) :] == many


def test_closing_ends_the_waiting() -> None:
    link = _Link()
    for n in range(100):
        link.deliver(b"%d" % n + bytes(1000), after=0.0001)
    assert link.loop.timer is not None
    link.endpoint.close()
    assert link.loop.timer.cancelled
    assert link.socket.closed


def test_an_error_of_the_receiver_costs_one_datagram_while_reads_are_coalesced() -> None:
    link = _Link()
    sent = [b"%d" % n for n in range(100)]
    for data in sent:
        link.deliver(POISON, data, after=0.0001)
    link.rest(0.1)
    assert link.got == sent
    assert len(link.errors) == 100
    link.deliver(b"late", after=1.0)
    assert link.got[-1] == b"late"


def test_what_came_before_the_error_of_a_receiver_is_answered() -> None:
    link = _Link()
    link.deliver(b"first", POISON, after=1.0)
    assert (link.got, link.turns) == ([b"first"], 1)
