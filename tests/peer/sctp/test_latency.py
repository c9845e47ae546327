"""A small message beside full streams: RFC 8831, 6.4; RFC 8260, 1 and 3.5."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from lab.link import Link
from lab.virtual_network import Pipe, Simulation
from peer.sctp import Association, DataChannelMessage, SctpConfig

KIB = 1024
PATH = Link(delay=0.025, rate=100e6)  # 100 Mbit/s
BUFFERED = 1024 * KIB
SMALL, BULK, OTHER_BULK = 1, 2, 3
OURS = SctpConfig()
OTHERS = SctpConfig(recognise_implementation=False, interleaving=False)


class Talk:
    """Bulk channels that are never empty, and a small message every now and then on another."""

    def __init__(self, config: SctpConfig, *, block: int, priorities: dict[int, int]) -> None:
        self.waits: list[float] = []
        """Seconds that each small message took, in the order of their arrival."""
        self.received: Counter[int] = Counter()
        """Bytes by channel."""
        self.simulation = Simulation()
        self._block = bytes(block)
        self._bulk = [channel for channel in priorities if channel != SMALL]
        self._a = Association(config, random=random.Random(1).randbytes)
        self._z = Association(config, random=random.Random(2).randbytes)
        for end in (self._a, self._z):
            for channel, priority in priorities.items():
                end.open_channel("", priority=priority, stream_id=channel, negotiated=True)
        self._a.connect(self.simulation.now)
        self.simulation.connect(
            self._a, self._z, Pipe(PATH, 1), Pipe(PATH, 2),
            drain_a=self._feed, drain_b=self._read,
        )  # fmt: skip

    def _feed(self, now: float) -> None:
        while self._a.next_event() is not None:
            pass
        for channel in self._bulk:
            while self._a.buffered_amount(channel) < BUFFERED:
                self._a.send_message(channel, self._block, now)

    def _read(self, now: float) -> None:
        while (event := self._z.next_event()) is not None:
            if isinstance(event, DataChannelMessage):
                self._z.consume(event.stream_id, event.size)
                self.received[event.stream_id] += event.size
                if event.stream_id == SMALL:
                    self.waits.append(now - float(event.data))

    def run(self, seconds: float, *, every: float) -> None:
        """Let time pass, and send a small message every so often."""
        end = self.simulation.now + seconds
        while self.simulation.now < end:
            now = self.simulation.now
            self._a.send_message(SMALL, repr(now), now)
            self.simulation.touch()
            self.simulation.run(until=now + every)


@pytest.mark.parametrize("block", [16 * KIB, 256 * KIB])
@pytest.mark.parametrize("config", [OURS, OTHERS], ids=["I-DATA", "DATA"])
def test_a_small_message_passes_a_full_stream(config: SctpConfig, block: int) -> None:
    """RFC 8260, 1. With DATA a message that began ends first (RFC 9260, 6.9): 256 KiB are 21 ms."""
    talk = Talk(config, block=block, priorities={SMALL: 512, BULK: 128})
    talk.run(1.0, every=1.0)  # the handshake, and start-up with its queue of 65 ms
    talk.waits.clear()
    talk.run(5.0, every=0.05)
    assert len(talk.waits) > 90
    assert max(talk.waits) < PATH.delay + 0.05
    assert talk.received[BULK] > 0.8 * PATH.rate / 8 * 6.0


@pytest.mark.parametrize("config", [OURS, OTHERS], ids=["I-DATA", "DATA"])
def test_channels_share_the_path_by_their_priorities(config: SctpConfig) -> None:
    """RFC 8831, 6.4: extra high has eight shares where below normal has one."""
    talk = Talk(config, block=16 * KIB, priorities={SMALL: 256, BULK: 1024, OTHER_BULK: 128})
    talk.run(3.0, every=0.5)
    assert 7 < talk.received[BULK] / talk.received[OTHER_BULK] < 9
