"""Closing channels always ends, on both sides, whatever is lost and whoever closes when.

Heartbeats are off here: they would wake up an association that had forgotten to set a timer.
"""

from __future__ import annotations

import contextlib
import random
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lab.association_pair import AssociationPair, drop_first, has
from lab.link import Link
from lab.virtual_network import Pipe, Simulation
from peer.sctp import (
    Association,
    AssociationEnded,
    DataChannelClosed,
    DataChannelMessage,
    DataChannelOpened,
    LocalProtocolError,
    SctpConfig,
    State,
)
from peer.sctp.wire.chunks import ChunkType

QUIET = SctpConfig(heartbeat_interval=1e9, max_retransmissions=40)
CONFIGS = [QUIET, replace(QUIET, recognise_implementation=False, interleaving=False)]
MODES: list[dict[str, float]] = [
    {},
    {"ordered": False},
    {"max_retransmits": 0},
    {"ordered": False, "max_lifetime": 0.02},
]
PATIENCE = 600.0
"""Virtual seconds."""


@dataclass(eq=False)
class Application:
    """Opens, sends and closes on one association, and remembers which channels it has."""

    association: Association
    live: list[int] = field(default_factory=list)
    closing: set[int] = field(default_factory=set)
    heard: list[tuple[int, bytes]] = field(default_factory=list)
    ended: bool = False

    def drain(self, now: float) -> None:
        while (event := self.association.next_event()) is not None:
            match event:
                case DataChannelOpened(stream_id) if stream_id not in self.live:
                    self.live.append(stream_id)
                case DataChannelClosed(stream_id):
                    self.live.remove(stream_id)
                    self.closing.discard(stream_id)
                case DataChannelMessage():
                    self.association.consume(event.stream_id, event.size)
                    self.heard.append((event.stream_id, event.data))
                case AssociationEnded():
                    self.ended = True

    def open(self, mode: int) -> None:
        self.live.append(self.association.open_channel("", **MODES[mode]))  # type: ignore[arg-type]

    def send(self, which: int, size: int, now: float) -> None:
        usable = [stream_id for stream_id in self.live if stream_id not in self.closing]
        if usable:
            # It may be closing already, because the other side wants it so.
            with contextlib.suppress(LocalProtocolError):
                self.association.send_message(usable[which % len(usable)], bytes(size), now)

    def close(self, which: int) -> None:
        usable = [stream_id for stream_id in self.live if stream_id not in self.closing]
        if usable:
            stream_id = usable[which % len(usable)]
            self.closing.add(stream_id)
            self.association.close_channel(stream_id)


class World:
    """Two applications on a network in virtual time."""

    def __init__(self, config: SctpConfig, link: Link, seed: int, tick: float = 0.0) -> None:
        source = random.Random(seed)
        self.sides = [
            Application(Association(replace(config, client=client), random=source.randbytes))
            for client in (True, False)
        ]
        self.simulation = Simulation(tick=tick)
        a, z = self.sides
        for side in self.sides:
            side.association.connect(self.simulation.now)
        self.simulation.connect(
            a.association,
            z.association,
            Pipe(link, seed + 1),
            Pipe(link, seed + 2),
            drain_a=a.drain,
            drain_b=z.drain,
        )
        self.simulation.run(done=lambda: self.established, until=self.simulation.now + PATIENCE)
        assert self.established

    @property
    def established(self) -> bool:
        return all(side.association.state is State.ESTABLISHED for side in self.sides)

    def wait(self, seconds: float) -> None:
        simulation = self.simulation
        until = simulation.now + seconds
        simulation.run(until=until)
        simulation.now = max(simulation.now, until)  # nothing may have been left to happen
        for side in self.sides:
            side.drain(simulation.now)  # sending has its events, too

    def all_end(self) -> None:
        """Run until no side has a channel."""
        self.simulation.touch()
        self.simulation.run(
            done=lambda: not any(side.live for side in self.sides),
            until=self.simulation.now + PATIENCE,
        )
        assert [side.live for side in self.sides] == [[], []]
        assert not any(side.ended for side in self.sides)


moves = st.lists(
    st.tuples(
        st.sampled_from([0.0, 0.0, 0.001, 0.01, 0.05, 0.3]),  # seconds before it
        st.integers(0, 1),  # whose
        st.one_of(
            st.tuples(st.just("open"), st.integers(0, 3), st.just(0)),
            st.tuples(st.just("send"), st.integers(0, 9), st.sampled_from([1, 1200, 30_000])),
            st.tuples(st.just("close"), st.integers(0, 9), st.just(0)),
        ),
    ),
    min_size=1,
    max_size=25,
)
networks = st.builds(
    Link,
    delay=st.sampled_from([0.0, 0.001, 0.03]),
    rate=st.sampled_from([0.0, 1_600_000.0]),
    loss=st.sampled_from([0.0, 0.05, 0.15]),
    reorder=st.sampled_from([0.0, 0.1]),
    reorder_delay=st.sampled_from([0.004, 0.05]),
    duplicate=st.sampled_from([0.0, 0.1]),
)
ticks = st.sampled_from([0.0, 0.0, 0.02, 0.4])
"""Seconds between two moments at which busy machines look after anything."""


@pytest.mark.parametrize("config", CONFIGS, ids=["same", "others"])
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    network=networks,
    tick=ticks,
    story=moves,
    closer=st.lists(st.integers(0, 2), min_size=1, max_size=5),
    seed=st.integers(0, 1 << 30),
)
def test_every_channel_that_a_side_closes_ends_on_both(
    config: SctpConfig,
    network: Link,
    tick: float,
    story: list[tuple[float, int, tuple[str, int, int]]],
    closer: list[int],
    seed: int,
) -> None:
    world = World(config, network, seed, tick)
    for number in range(4):
        world.sides[number % 2].open(number)
    for delay, who, (what, which, size) in story:
        if delay:
            world.wait(delay)
        side = world.sides[who]
        if what == "open":
            side.open(which)
        elif what == "send":
            side.send(which, size, world.simulation.now)
        else:
            side.close(which)
        world.simulation.touch()
    # Open channels are closed by either side, or both at once. A channel that was opened
    # a moment ago is not known to the other side yet.
    world.wait(PATIENCE)
    for place, stream_id in enumerate(sorted({i for side in world.sides for i in side.live})):
        who = closer[place % len(closer)]
        for side in world.sides if who == 2 else [world.sides[who]]:
            assert stream_id in side.live
            if stream_id not in side.closing:
                side.closing.add(stream_id)
                side.association.close_channel(stream_id)
    world.all_end()
    # The streams can be used again, from zero, in both directions.
    for side in world.sides:
        side.heard.clear()
        for stream_id in range(6):
            side.association.open_channel("", stream_id=stream_id, negotiated=True)
            side.association.send_message(stream_id, b"again", world.simulation.now)
    world.simulation.touch()
    world.simulation.run(
        done=lambda: all(len(side.heard) == 6 for side in world.sides),
        until=world.simulation.now + PATIENCE,
    )
    for side in world.sides:
        assert sorted(side.heard) == [(stream_id, b"again") for stream_id in range(6)]


def test_a_channel_whose_messages_all_expired_closes_without_a_packet_to_wait_for() -> None:
    world = World(QUIET, Link(delay=0.01), 1)
    side = world.sides[0]
    stream_id = side.association.open_channel("", max_lifetime=0.05)
    side.live.append(stream_id)
    world.simulation.touch()
    world.wait(PATIENCE)  # all is said, and acknowledged
    side.association.send_message(stream_id, b"late", world.simulation.now)
    side.association.close_channel(stream_id)
    world.simulation.now += 1.0  # the socket was full, or the machine busy
    began_at = world.simulation.now
    world.all_end()
    assert world.simulation.now < began_at + PATIENCE
    assert world.sides[1].heard == []


def test_a_granted_reset_that_was_in_progress_does_not_confuse_the_next_one() -> None:
    pair = AssociationPair(replace(QUIET, interleaving=False))
    pair.connect()
    a, z = pair.a.association, pair.z.association
    first, second, busy = (a.open_channel(name) for name in "abc")
    pair.drive(seconds=5)
    # The request names data of another channel that is lost at first: "in progress".
    a.send_message(first, b"last", pair.now)
    a.close_channel(first)
    for _ in range(2):
        pair.flush(pair.a)
    pair.a_to_z.drop = drop_first(1, ChunkType.DATA)
    a.send_message(busy, b"x", pair.now)
    pair.drive(until=lambda: DataChannelClosed(first) in pair.a.events)
    pair.drive(seconds=5)
    # Now the next request is lost, and has to be asked again under its own number.
    pair.a_to_z.drop = drop_first(1, ChunkType.RE_CONFIG)
    a.close_channel(second)
    pair.drive(
        until=lambda: all(DataChannelClosed(second) in end.events for end in (pair.a, pair.z)),
        seconds=60,
    )
    assert z.state is a.state is State.ESTABLISHED


def test_a_reset_is_asked_for_only_when_the_peer_has_everything() -> None:
    pair = AssociationPair(replace(QUIET, recognise_implementation=False, interleaving=False))
    pair.connect()
    a = pair.a.association
    stream_id = a.open_channel("")
    pair.drive(seconds=5)
    asks = has(ChunkType.RE_CONFIG)
    dropping = [True]
    pair.a_to_z.drop = lambda datagram: dropping[0] and not asks(datagram)
    pair.a.sent.clear()
    a.send_message(stream_id, b"the last word", pair.now)
    a.close_channel(stream_id)
    pair.drive(seconds=0.3)
    assert pair.a.sent and not any(map(asks, pair.a.sent))
    dropping[0] = False
    pair.drive(until=lambda: DataChannelClosed(stream_id) in pair.z.events)
    assert [m.data for m in pair.z.of(DataChannelMessage)] == [b"the last word"]


def test_a_silent_peer_is_asked_less_and_less_often() -> None:
    pair = AssociationPair(QUIET)
    pair.connect()
    stream_id = pair.a.association.open_channel("")
    pair.drive(seconds=5)
    pair.z_to_a.drop = lambda datagram: True
    pair.a.sent.clear()
    pair.a.association.close_channel(stream_id)
    pair.drive(seconds=10)
    asked = len([d for d in pair.a.sent if has(ChunkType.RE_CONFIG)(d)])
    assert 3 <= asked <= 7
