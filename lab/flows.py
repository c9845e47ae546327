"""Bulk transfers between associations through one shared bottleneck, in virtual time."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from lab.link import Link
from lab.virtual_network import Pipe, Simulation, Stalls
from peer.sctp import Association, DataChannelMessage, SctpConfig, State
from peer.sctp.congestion import ControllerFactory

__all__ = ["Bottleneck", "Flow", "Sample"]

_MESSAGE = bytes(14 * 1156)  # cut into full packets
_BUFFER = 1 << 18
_STREAM = 0


@dataclass(frozen=True, slots=True)
class Sample:
    """A flow at one moment. Seconds, bytes, bytes per second."""

    at: float
    """Since the simulation began."""
    delivered: int
    """Wire bytes acknowledged so far."""
    cwnd: int
    rate: float
    """Pacing rate."""
    srtt: float
    queue_delay: float
    """Of the shared bottleneck."""
    phase: str


@dataclass(eq=False)
class Flow:
    """One association that sends as much as it may, and its peer."""

    sender: Association
    receiver: Association
    name: str
    started_at: float
    received: int = 0
    """Payload bytes that the receiving application has read."""
    budget: float = float("inf")
    """Payload bytes to send in all."""
    queued: int = 0
    samples: list[Sample] = field(default_factory=list)

    def feed(self, now: float) -> None:
        """Keep the send queue filled."""
        while self.sender.next_event() is not None:
            pass
        while (
            self.queued < self.budget
            and self.sender.state is State.ESTABLISHED
            and self.sender.buffered_amount(_STREAM) < _BUFFER
        ):
            self.sender.send(_STREAM, 53, _MESSAGE, now=now)
            self.queued += len(_MESSAGE)

    def read(self, now: float) -> None:
        """Take messages as they arrive."""
        while (event := self.receiver.next_event()) is not None:
            if isinstance(event, DataChannelMessage):
                self.received += len(event.data)
                self.receiver.consume(event.stream_id, event.size)

    def goodput(self, since: float = 0.0, until: float = float("inf")) -> float:
        """Return payload bytes per second acknowledged between two moments of the simulation."""
        samples = [s for s in self.samples if since <= s.at <= until]
        first, last = samples[0], samples[-1]
        config = SctpConfig()
        share = (config.datagram_size - 32) / (config.datagram_size + config.overhead)
        return (last.delivered - first.delivered) * share / (last.at - first.at)

    def mean_rtt(self, since: float = 0.0) -> float:
        """Return the smoothed round trip averaged over time."""
        samples = [s.srtt for s in self.samples if s.at >= since and s.srtt > 0]
        return sum(samples) / len(samples)

    @property
    def retransmitted(self) -> float:
        """Retransmitted share of the chunks sent."""
        stats = self.sender.stats()
        return stats.chunks_retransmitted / max(stats.chunks_sent, 1)


class Bottleneck:
    """Two pipes that any number of flows share, one for data and one for SACKs."""

    def __init__(
        self,
        there: Link,
        back: Link | None = None,
        *,
        seed: int = 1,
        tick: float = 0.0,
        stalls: Stalls | None = None,
    ) -> None:
        self.there = Pipe(there, seed)
        self.back = Pipe(back or there, seed + 1)
        self.simulation = Simulation(tick=tick, stalls=stalls, seed=seed)
        self.began_at = self.simulation.now
        self.flows: list[Flow] = []
        self._random = random.Random(seed + 2)

    @property
    def now(self) -> float:
        """Seconds since the simulation began."""
        return self.simulation.now - self.began_at

    def add(
        self,
        controller: ControllerFactory,
        *,
        name: str = "",
        same_implementation: bool = True,
        config: SctpConfig | None = None,
    ) -> Flow:
        """Start a flow now."""
        base = config or SctpConfig(
            congestion=controller, recognise_implementation=same_implementation
        )
        ends = [
            Association(
                SctpConfig(
                    client=client,
                    congestion=controller,
                    recognise_implementation=same_implementation,
                    receive_window=base.receive_window,
                    sack_delay=base.sack_delay,
                    stretch_sack_delay=base.stretch_sack_delay,
                ),
                random=random.Random(self._random.random()).randbytes,
            )
            for client in (True, False)
        ]
        flow = Flow(ends[0], ends[1], name, self.now)
        for end in ends:
            end.connect(self.simulation.now)
        self.flows.append(flow)
        self.simulation.connect(
            flow.sender, flow.receiver, self.there, self.back,
            drain_a=flow.feed, drain_b=flow.read,
        )  # fmt: skip
        return flow

    def run(self, seconds: float, *, every: float = 0.01) -> None:
        """Let time pass, and sample every flow at intervals of `every` seconds."""
        end = self.simulation.now + seconds
        while self.simulation.now < end:
            self.simulation.run(until=self.simulation.now + every)
            delay = self.there.queue_delay(self.simulation.now)
            for flow in self.flows:
                stats = flow.sender.stats()
                flow.samples.append(
                    Sample(
                        self.now, stats.bytes_delivered, stats.cwnd, stats.pacing_rate,
                        stats.srtt, delay, str(flow.sender.trace().get("phase", "")),
                    )
                )  # fmt: skip

    def max_queue_delay(self, since: float = 0.0) -> float:
        """Return the longest queueing delay seen, seconds."""
        return max(s.queue_delay for s in self.flows[0].samples if s.at >= since)

    def mean_queue_delay(self, since: float = 0.0) -> float:
        """Return the queueing delay averaged over time, seconds."""
        delays = [s.queue_delay for s in self.flows[0].samples if s.at >= since]
        return sum(delays) / len(delays)

    @property
    def drop_rate(self) -> float:
        """Share of the packets that the full queue dropped."""
        return self.there.dropped / max(self.there.sent, 1)


def jain(rates: Sequence[float]) -> float:
    """Return Jain's index of fairness: 1 for equal rates, 1/n when one flow has everything."""
    return sum(rates) ** 2 / (len(rates) * sum(r * r for r in rates))
