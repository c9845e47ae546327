"""Questions and answers, and closing: what one waits for when nothing else is under way."""

from __future__ import annotations

import asyncio
import statistics
import time
from dataclasses import dataclass, field

import peer
from signaling.config import Listener, ServerConfig
from signaling.server import SignalingServer

__all__ = ["Delays", "measure_delays"]

QUESTIONS = 1000
CLOSINGS = 50
SIZES = (40, 4096)


@dataclass(slots=True)
class Delays:
    """Of one engine on both sides; seconds, all runs together."""

    engine: peer.EngineName
    round_trips: dict[int, list[float]] = field(default_factory=lambda: {s: [] for s in SIZES})
    """By bytes of the message, which comes back as it was sent."""
    closings: list[float] = field(default_factory=list)
    """From `close` to its return, right after a message that the other side has taken."""

    def percentile(self, values: list[float], share: float) -> float:
        """The value that this share of all is not above."""
        return sorted(values)[int(len(values) * share)]

    def median(self, values: list[float]) -> float:
        """The value in the middle."""
        return statistics.median(values)


async def measure_delays(delays: Delays) -> None:
    """One run: two peers of one process on loopback, as programs use the library."""
    config = peer.LinkConfig(engine=delays.engine)
    listening = ServerConfig(listeners=(Listener("127.0.0.1", 0),))
    async with SignalingServer(listening) as server:
        url = server.urls[0]
        async with (
            peer.host(url, name="a", config=config) as first,
            peer.join(url, code=str(first.code), name="b", config=config) as second,
        ):
            a, b = await asyncio.gather(first.link(20), second.link(20))
            incoming = aiter(b.channels())
            asking = await a.open_channel("questions")
            answering = asyncio.create_task(_answer(await anext(incoming)))
            for size, times in delays.round_trips.items():
                question = bytes(size)
                for _ in range(QUESTIONS):
                    start = time.perf_counter()
                    await asking.send(question)
                    await asking.receive()
                    times.append(time.perf_counter() - start)
            await asking.close()
            await answering
            for _ in range(CLOSINGS):
                channel = await a.open_channel("short")
                await channel.send("the end")
                await (await anext(incoming)).receive()
                start = time.perf_counter()
                await channel.close()
                delays.closings.append(time.perf_counter() - start)


async def _answer(channel: peer.Channel) -> None:
    async for message in channel:
        await channel.send(message)
