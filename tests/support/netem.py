"""A network in virtual time: seeded, deterministic, as fast as the machine can count.

A `Pipe` is one direction of a link: rate, drop-tail queue, delay, jitter, random or bursty loss,
reordering, duplication, corruption. A `Simulation` moves datagrams of any number of sans-I/O
endpoints through pipes they may share, and calls each endpoint's timers when they are due.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import Protocol

__all__ = ["Conditions", "Endpoint", "Livelock", "Pipe", "Simulation"]


class Endpoint(Protocol):
    """The verbs of a sans-I/O protocol over datagrams."""

    def receive_datagrams(self, datagrams: Sequence[bytes], now: float) -> None: ...

    def datagrams_to_send(self, now: float) -> list[bytes]: ...

    def get_timer(self) -> float | None: ...

    def handle_timer(self, now: float) -> None: ...


@dataclass(frozen=True, slots=True)
class Conditions:
    """What one direction of a link does to packets."""

    delay: float = 0.0
    """Propagation, seconds."""
    rate: float = 0.0
    """Bytes per second; 0 is unlimited."""
    queue: int = 1000
    """Packets that may wait for their turn or be on it; more are dropped."""
    loss: float = 0.0
    """Long-run probability that a packet is lost."""
    burst: float = 1.0
    """Mean length of a loss burst, packets (Gilbert-Elliott); 1 is independent loss."""
    jitter: float = 0.0
    """Uniform extra delay, seconds; more than the packets' distance reorders them."""
    reorder: float = 0.0
    """Probability of being held back by `reorder_delay`."""
    reorder_delay: float = 0.004
    duplicate: float = 0.0
    """Probability of arriving twice."""
    corrupt: float = 0.0
    """Probability that one bit is flipped."""
    overhead: int = 65
    """Bytes that a datagram adds on the wire: DTLS, UDP and IP headers."""


class Pipe:
    """One direction of a link; several flows may share it."""

    def __init__(self, conditions: Conditions, seed: int) -> None:
        self.conditions = conditions
        """May be replaced while packets are on the way: the path changed."""
        self._random = random.Random(seed)
        self._busy_until = 0.0
        self._departures: deque[float] = deque()
        self._in_burst = False
        self.sent = self.delivered = self.dropped = self.lost = 0
        """Packets offered, forwarded, dropped by the full queue, lost on the way."""
        self.waited = 0.0
        """Sum of the packets' times in the queue, seconds."""

    def queue_length(self, now: float) -> int:
        """Packets waiting or being sent."""
        departures = self._departures
        while departures and departures[0] <= now:
            departures.popleft()
        return len(departures)

    def queue_delay(self, now: float) -> float:
        """Seconds that a packet offered now would wait for its turn."""
        return max(0.0, self._busy_until - now)

    def _is_lost(self) -> bool:
        c, dice = self.conditions, self._random.random
        if c.loss <= 0:
            return False
        if c.burst <= 1:
            return dice() < c.loss
        leave = 1 / c.burst
        enter = leave * c.loss / (1 - c.loss)
        self._in_burst = dice() >= leave if self._in_burst else dice() < enter
        return self._in_burst

    def send(self, data: bytes, now: float) -> list[tuple[float, bytes]]:
        """Put a packet in; return when what arrives of it arrives: 0, 1 or 2 copies."""
        c, dice = self.conditions, self._random.random
        self.sent += 1
        arrival = now
        if c.rate:
            if self.queue_length(now) >= c.queue:
                self.dropped += 1
                return []
            start = max(now, self._busy_until)
            self.waited += start - now
            arrival = self._busy_until = start + (len(data) + c.overhead) / c.rate
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


@dataclass(slots=True, eq=False)
class _Node:
    endpoint: Endpoint
    out: Pipe
    peer: int
    drain: Callable[[float], None]
    timer: float | None = None


class Livelock(AssertionError):
    """Endpoints keep working without time passing."""


class Simulation:
    """Endpoints, pipes, and the only clock there is."""

    def __init__(self, *, start: float = 1000.0, tick: float = 0.0) -> None:
        """
        Args:
            start: What the clock shows at first, seconds.
            tick: Endpoints wake up together at multiples of this, as an event loop does that
                rounds its timers and finds several datagrams waiting; 0 wakes them for each.
        """
        self.now = start
        self._tick = tick
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
        """Join two endpoints; `drain_*` is called after each touch, to take events and to send."""
        first = len(self._nodes)
        self._nodes.append(_Node(a, there, first + 1, drain_a))
        self._nodes.append(_Node(b, back, first, drain_b))
        self.touch()

    def touch(self) -> None:
        """Let every endpoint send what it has, after something was done to it from outside."""
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
        """Go to the next thing that happens; False when nothing ever will."""
        at = min((n.timer for n in self._nodes if n.timer is not None), default=float("inf"))
        if self._arrivals:
            at = min(at, self._arrivals[0][0])
        if at == float("inf"):
            return False
        if self._tick and at > self.now:
            at = (at // self._tick + 1) * self._tick
        now = self.now = max(self.now, at)
        batches: dict[int, list[bytes]] = {}
        while self._arrivals and self._arrivals[0][0] <= now:
            _, _, index, data = heappop(self._arrivals)
            batches.setdefault(index, []).append(data)
        for index, node in enumerate(self._nodes):
            batch = batches.get(index)
            if batch is not None:
                node.endpoint.receive_datagrams(batch, now)
            if node.timer is not None and node.timer <= now:
                node.endpoint.handle_timer(now)
            elif batch is None:
                continue
            self._transmit(node)
        return True

    def run(
        self,
        *,
        until: float | None = None,
        done: Callable[[], bool] = lambda: False,
        limit: int = 10_000_000,
    ) -> None:
        """Run until `done`, until the clock shows `until`, or until nothing is left to happen.

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
