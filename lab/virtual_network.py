"""A network in virtual time, seeded and deterministic.

A `Pipe` is one direction of a link: rate, drop-tail queue, delay, jitter, random or bursty loss,
reordering, duplication, corruption. A `Simulation` moves datagrams of any number of sans-I/O
endpoints through pipes they may share, and calls each endpoint's timers when they are due.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import Protocol

from lab.link import Link

__all__ = ["Endpoint", "Livelock", "Pipe", "Simulation", "Stalls"]


class Endpoint(Protocol):
    """The verbs of a sans-I/O protocol over datagrams."""

    def receive_datagrams(self, datagrams: Sequence[bytes], now: float) -> None:
        """Process datagrams that arrived together."""

    def datagrams_to_send(self, now: float) -> list[bytes]:
        """Return the datagrams that are due."""

    def get_timer(self) -> float | None:
        """Return when to call `handle_timer`; None for never."""

    def handle_timer(self, now: float) -> None:
        """Handle the timers that are due."""


_SUPPORTED = frozenset(
    {"delay", "rate", "queue", "loss", "burst", "jitter", "reorder", "reorder_delay", "duplicate",
     "corrupt"}
)  # fmt: skip
HEADERS = 65
"""Bytes that DTLS, UDP and IP add to a datagram on the wire."""


class Pipe:
    """One direction of a link; several flows may share it."""

    def __init__(self, link: Link, seed: int) -> None:
        self.link = link
        self._random = random.Random(seed)
        self._busy_until = 0.0
        self._departures: deque[float] = deque()
        self._in_burst = False
        self.sent = self.delivered = self.dropped = self.lost = 0
        """Packets offered, forwarded, dropped by the full queue, lost on the way."""
        self.waited = 0.0
        """Sum of the packets' times in the queue, seconds."""

    @property
    def link(self) -> Link:
        """The link; it may be replaced while packets are on their way, as when a path changes."""
        return self._link

    @link.setter
    def link(self, link: Link) -> None:
        link.require("Pipe", _SUPPORTED)
        self._link = link
        self._bytes_per_second = link.rate / 8

    def queue_length(self, now: float) -> int:
        """Return the number of packets waiting or being sent."""
        departures = self._departures
        while departures and departures[0] <= now:
            departures.popleft()
        return len(departures)

    def queue_delay(self, now: float) -> float:
        """Return the seconds that a packet sent now waits for its turn."""
        return max(0.0, self._busy_until - now)

    def _is_lost(self) -> bool:
        c, dice = self._link, self._random.random
        if c.loss <= 0:
            return False
        if c.burst <= 1:
            return dice() < c.loss
        leave = 1 / c.burst
        enter = leave * c.loss / (1 - c.loss)
        self._in_burst = dice() >= leave if self._in_burst else dice() < enter
        return self._in_burst

    def send(self, data: bytes, now: float) -> list[tuple[float, bytes]]:
        """Send a packet; return arrival time and bytes of its 0, 1 or 2 copies."""
        c, dice = self._link, self._random.random
        self.sent += 1
        arrival = now
        if c.rate:
            if self.queue_length(now) >= c.queue:
                self.dropped += 1
                return []
            start = max(now, self._busy_until)
            self.waited += start - now
            arrival = self._busy_until = start + (len(data) + HEADERS) / self._bytes_per_second
            self._departures.append(arrival)
        if self._is_lost():
            self.lost += 1
            return []
        self.delivered += 1
        arrival += c.delay
        if c.jitter:
            arrival += c.jitter * dice()
        if c.reorder and dice() < c.reorder:
            arrival += c.reorder_delay
        if c.corrupt and dice() < c.corrupt:
            bit = self._random.randrange(len(data) * 8)
            flipped = bytearray(data)
            flipped[bit // 8] ^= 1 << bit % 8
            data = bytes(flipped)
        copies = 2 if c.duplicate and dice() < c.duplicate else 1
        return [(arrival, data)] * copies


@dataclass(frozen=True, slots=True)
class Stalls:
    """Stalls of an endpoint, as on a busy or shared host."""

    every: float
    """Mean time between stalls, seconds; exponential."""
    length: float
    """Mean length of a stall, seconds; exponential."""


class _Processor:
    """The moments at which an endpoint runs."""

    def __init__(self, stalls: Stalls | None, seed: int, now: float) -> None:
        self._stalls = stalls
        self._random = random.Random(seed)
        self._ahead = deque([(now, now)])
        """Begin and end of the coming stalls, in order."""

    def runs_at(self, at: float, now: float) -> float:
        """Return the first moment from `at` on outside a stall; `now` never decreases."""
        stalls = self._stalls
        if stalls is None:
            return at
        ahead = self._ahead
        while ahead[-1][1] <= at:
            begin = ahead[-1][1] + self._random.expovariate(1 / stalls.every)
            ahead.append((begin, begin + self._random.expovariate(1 / stalls.length)))
        while ahead[0][1] <= now:
            ahead.popleft()
        return next((end for begin, end in ahead if begin <= at < end), at)


@dataclass(slots=True, eq=False)
class _Node:
    endpoint: Endpoint
    out: Pipe
    peer: int
    drain: Callable[[float], None]
    processor: _Processor
    timer: float | None = None
    waiting: list[bytes] = field(default_factory=list)
    """Arrived during a stall."""

    def due(self, now: float) -> float:
        """Return the time of its next work."""
        if self.waiting:
            return self.processor.runs_at(now, now)
        if self.timer is None:
            return float("inf")
        return self.processor.runs_at(max(now, self.timer), now)


class Livelock(AssertionError):
    """Endpoints keep working while no time passes."""


class Simulation:
    """Endpoints, pipes, and their common clock."""

    def __init__(
        self,
        *,
        start: float = 1000.0,
        tick: float = 0.0,
        stalls: Stalls | None = None,
        seed: int = 1,
    ) -> None:
        """Create a network without links.

        Args:
            start: Initial time of the clock, seconds.
            tick: Endpoints wake up together at multiples of this, as event loops do that round
                their timers and find several datagrams waiting; 0 wakes them for each. Seconds.
            stalls: Stalls of every endpoint, each at its own times.
            seed: Of the stalls.
        """
        self.now = start
        self._tick = tick
        self._stalls = stalls
        self._seed = seed
        self._nodes: list[_Node] = []
        self._arrivals: list[tuple[float, int, int, bytes]] = []
        self._order = 0

    def connect(
        self,
        a: Endpoint,
        b: Endpoint,
        there: Pipe,
        back: Pipe,
        *,
        drain_a: Callable[[float], None] = lambda now: None,
        drain_b: Callable[[float], None] = lambda now: None,
    ) -> None:
        """Join two endpoints; `drain_*` is called after each step, to take events and to send."""
        first = len(self._nodes)
        for node in ((a, there, first + 1, drain_a), (b, back, first, drain_b)):
            processor = _Processor(self._stalls, self._seed + 7919 * len(self._nodes), self.now)
            self._nodes.append(_Node(*node, processor))
        self.touch()

    def touch(self) -> None:
        """Let every endpoint send, after calls from outside."""
        for node in self._nodes:
            self._transmit(node)

    def _transmit(self, node: _Node) -> None:
        now = self.now
        node.drain(now)
        for data in node.endpoint.datagrams_to_send(now):
            for at, copy in node.out.send(data, now):
                self._order += 1
                heappush(self._arrivals, (at, self._order, node.peer, copy))
        node.timer = node.endpoint.get_timer()

    def step(self) -> bool:
        """Advance to the next event; return False without one."""
        at = min((node.due(self.now) for node in self._nodes), default=float("inf"))
        if self._arrivals:
            at = min(at, self._arrivals[0][0])
        if at == float("inf"):
            return False
        if self._tick and at > self.now:
            at = (at // self._tick + 1) * self._tick
        now = self.now = max(self.now, at)
        while self._arrivals and self._arrivals[0][0] <= now:
            _, _, index, data = heappop(self._arrivals)
            self._nodes[index].waiting.append(data)
        for node in self._nodes:
            if node.due(now) > now:
                continue
            if node.waiting:
                batch, node.waiting = node.waiting, []
                node.endpoint.receive_datagrams(batch, now)
            if node.timer is not None and node.timer <= now:
                node.endpoint.handle_timer(now)
            self._transmit(node)
        return True

    def run(
        self,
        *,
        until: float | None = None,
        done: Callable[[], bool] = lambda: False,
        limit: int = 10_000_000,
    ) -> None:
        """Run until `done`, until the time `until`, or until there is no further event.

        Raises:
            Livelock: The clock stood still for 100 000 steps, or `limit` steps were not enough.
        """
        stood_still, before = 0, self.now
        for _ in range(limit):
            if done() or (until is not None and self.now >= until) or not self.step():
                return
            stood_still = stood_still + 1 if self.now == before else 0
            before = self.now
            if stood_still > 100_000:
                raise Livelock(f"no time passes at {self.now}")
        raise Livelock(f"not done after {limit} steps, at {self.now}")
