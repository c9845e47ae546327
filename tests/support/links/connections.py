"""Two connections in one process, and handlers that remember what they were told."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Literal

from peer.config import ChannelParameters, EngineName
from peer.rtc import ChannelState, Connection, DataChannel, GatheringTimes
from peer.rtc.ice.servers import ServerEntry

__all__ = ["RecordingHandler", "connect", "connected_pair", "recorded", "unconnected_pair"]

CONTROL = ChannelParameters(label="control", id=0)


class RecordingHandler:
    """Keeps what a data channel tells, for tests to await."""

    def __init__(self, channel: DataChannel, low_water: int = 0) -> None:
        self.channel = channel
        self.messages: asyncio.Queue[str | bytes] = asyncio.Queue()
        self.opened = asyncio.Event()
        self.drained = asyncio.Event()
        self.closed = asyncio.Event()
        self.clean: bool | None = None
        channel.attach(self, low_water=low_water)
        if channel.state is ChannelState.OPEN:
            self.opened.set()

    def channel_opened(self) -> None:
        self.opened.set()

    def channel_received(self, message: str | bytes) -> None:
        self.messages.put_nowait(message)

    def channel_drained(self) -> None:
        self.drained.set()

    def channel_closed(self, clean: bool) -> None:
        self.clean = clean
        self.closed.set()


def recorded(connection: Connection) -> asyncio.Queue[RecordingHandler]:
    """Collect the channels that the other side opens."""
    incoming: asyncio.Queue[RecordingHandler] = asyncio.Queue()
    connection.on_channel = lambda channel: incoming.put_nowait(RecordingHandler(channel))
    return incoming


async def connect(offerer: Connection, answerer: Connection) -> None:
    """Carry descriptions and late candidates across until both are connected."""
    offerer.on_candidate = lambda line: None if line is None else answerer.add_candidate(line)
    answerer.on_candidate = lambda line: None if line is None else offerer.add_candidate(line)
    await offerer.accept_answer(await answerer.answer(await offerer.offer()))
    async with asyncio.timeout(20):
        await asyncio.gather(offerer.connected(), answerer.connected())


@contextlib.asynccontextmanager
async def connected_pair(
    servers: Sequence[ServerEntry] = (),
    policy: Literal["all", "relay"] = "all",
    times: GatheringTimes | None = None,
) -> AsyncIterator[tuple[RecordingHandler, RecordingHandler, Connection, Connection]]:
    """Two connected connections with one channel, closed at the end."""
    offerer = Connection(servers, policy=policy, times=times)
    answerer = Connection(servers, policy=policy, times=times)
    try:
        ours = RecordingHandler(offerer.create_channel(CONTROL))
        theirs = RecordingHandler(answerer.create_channel(CONTROL))
        await connect(offerer, answerer)
        yield ours, theirs, offerer, answerer
    finally:
        await asyncio.gather(offerer.close(), answerer.close())


@contextlib.asynccontextmanager
async def unconnected_pair(
    answering: EngineName = "peerline",
) -> AsyncIterator[tuple[Connection, Connection, Callable[[str], Awaitable[None]]]]:
    """Two connections with one channel, closed at the end.

    Third comes what has the offerer take an answer, and both say hello.
    """
    offerer, answerer = Connection(engine="peerline"), Connection(engine=answering)
    ours = RecordingHandler(offerer.create_channel(CONTROL))
    theirs = RecordingHandler(answerer.create_channel(CONTROL))

    async def greet(answer: str) -> None:
        await offerer.accept_answer(answer)
        async with asyncio.timeout(20):
            await asyncio.gather(offerer.connected(), answerer.connected())
            for one, other in ((ours, theirs), (theirs, ours)):
                one.channel.send("hello")
                assert await other.messages.get() == "hello"

    try:
        yield offerer, answerer, greet
    finally:
        await asyncio.gather(offerer.close(), answerer.close())
