"""One side of a data channel measurement: a process that is told what to do line by line.

The parent (`bench.channel`) starts two of these, carries their descriptions across and reads
their figures. Commands come as JSON lines on standard input, answers go to standard output.
Engines: ``peerline`` (our association), ``aiortc`` (as shipped), ``wrtc`` (libwebrtc).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from peer.rtc import DataChannel

HIGH_WATER = 4 << 20
LOW_WATER = 1 << 20
PINGS = 60
PING_INTERVAL = 0.03


class Side(Protocol):
    """What the measurements need of an engine. Channels are numbered from 0."""

    async def offer(self) -> str: ...
    async def answer(self, sdp: str) -> str: ...
    async def accept(self, sdp: str) -> None: ...
    async def opened(self) -> None: ...
    async def send(self, channel: int, message: bytes) -> None: ...
    async def close(self) -> None: ...


OnMessage = Callable[[int, bytes], None]


class AiortcSide:
    """aiortc, or wrtc through its aiortc-like face."""

    def __init__(self, module: Any, channels: int, on_message: OnMessage) -> None:
        self._sdp_type = module.RTCSessionDescription
        self._pc = module.RTCPeerConnection()
        self._channels: list[Any] = []
        self._open = [asyncio.Event() for _ in range(channels)]
        self._low = [asyncio.Event() for _ in range(channels)]
        for index in range(channels):
            channel = self._pc.createDataChannel(f"c{index}", negotiated=True, id=index)
            channel.bufferedAmountLowThreshold = LOW_WATER
            channel.on("open", self._open[index].set)
            channel.on("bufferedamountlow", self._low[index].set)
            channel.on("message", lambda data, index=index: on_message(index, data))
            self._channels.append(channel)

    async def offer(self) -> str:
        await self._pc.setLocalDescription(await self._pc.createOffer())
        return await self._complete()

    async def answer(self, sdp: str) -> str:
        await self._pc.setRemoteDescription(self._sdp_type(sdp=sdp, type="offer"))
        await self._pc.setLocalDescription(await self._pc.createAnswer())
        return await self._complete()

    async def _complete(self) -> str:
        async with asyncio.timeout(10):
            while self._pc.iceGatheringState != "complete":  # noqa: ASYNC110  (wrtc has no event)
                await asyncio.sleep(0.001)
        return str(self._pc.localDescription.sdp)

    async def accept(self, sdp: str) -> None:
        await self._pc.setRemoteDescription(self._sdp_type(sdp=sdp, type="answer"))

    async def opened(self) -> None:
        for channel, event in zip(self._channels, self._open, strict=True):
            if channel.readyState != "open":
                await event.wait()

    async def send(self, channel: int, message: bytes) -> None:
        raw = self._channels[channel]
        if raw.bufferedAmount > HIGH_WATER:
            self._low[channel].clear()
            if raw.bufferedAmount > LOW_WATER:
                await self._low[channel].wait()
        raw.send(message)

    async def close(self) -> None:
        await self._pc.close()


class PeerlineSide:
    """Our own connection."""

    def __init__(self, channels: int, on_message: OnMessage) -> None:
        from peer.config import ChannelParameters
        from peer.rtc import Connection

        self._connection = Connection()
        self._channels = []
        self._low = [asyncio.Event() for _ in range(channels)]
        for index in range(channels):
            channel = self._connection.create_channel(
                ChannelParameters(label=f"c{index}", id=index)
            )
            handler = _Handler(channel, index, on_message, self._low[index])
            channel.attach(handler, low_water=LOW_WATER)
            self._channels.append(channel)

    async def offer(self) -> str:
        return await self._connection.offer()

    async def answer(self, sdp: str) -> str:
        return await self._connection.answer(sdp)

    async def accept(self, sdp: str) -> None:
        await self._connection.accept_answer(sdp)

    async def opened(self) -> None:
        await self._connection.connected()

    async def send(self, channel: int, message: bytes) -> None:
        raw = self._channels[channel]
        if raw.buffered > HIGH_WATER:
            self._low[channel].clear()
            if raw.buffered > LOW_WATER:
                await self._low[channel].wait()
        raw.send(message)

    async def close(self) -> None:
        await self._connection.close()


class _Handler:
    def __init__(
        self, channel: DataChannel, index: int, on_message: OnMessage, low: asyncio.Event
    ) -> None:
        self._channel = channel
        self._index = index
        self._on_message = on_message
        self._low = low

    def channel_opened(self) -> None: ...

    def channel_received(self, message: str | bytes) -> None:
        self._on_message(self._index, message)  # type: ignore[arg-type]  # we send bytes only
        self._channel.consume()

    def channel_drained(self) -> None:
        self._low.set()

    def channel_closed(self, clean: bool) -> None: ...


def cpu() -> float:
    """User and system seconds of this process."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


class Worker:
    """Carries out the parent's commands."""

    def __init__(self, engine: str, channels: int) -> None:
        self._received = 0
        self._first_at = 0.0
        self._end_at = 0.0
        self._cpu = 0.0
        self._ended = asyncio.Event()
        self._echo: dict[int, asyncio.Future[None]] = {}
        self._pings: set[asyncio.Task[None]] = set()
        self._data_channels = channels
        self.side: Side
        # One more channel than asked for: pings and the end marks.
        if engine == "peerline":
            self.side = PeerlineSide(channels + 1, self._on_message)
        else:
            import importlib

            module = importlib.import_module("webrtc.aiortc" if engine == "wrtc" else "aiortc")
            self.side = AiortcSide(module, channels + 1, self._on_message)

    def _on_message(self, channel: int, data: bytes) -> None:
        if channel < self._data_channels:
            if not self._received:
                self._first_at = time.monotonic()
                self._cpu = cpu()
            self._received += len(data)
            if data[:3] == b"END":
                self._end_at = time.monotonic()
                self._ended.set()
        elif data[:4] == b"ping":
            self._soon(self.side.send(channel, b"pong" + data[4:]))
        else:
            waiting = self._echo.pop(int(data[4:]), None)
            if waiting is not None:
                waiting.set_result(None)

    def _soon(self, sending: Awaitable[None]) -> None:
        task = asyncio.ensure_future(sending)
        self._pings.add(task)
        task.add_done_callback(self._pings.discard)

    async def send(self, size: int, seconds: float, limit: int) -> dict[str, float]:
        """Send messages of `size` bytes for `seconds` or `limit` bytes; say what it took."""
        message = bytes(size)
        start, cpu_before, sent, n = time.monotonic(), cpu(), 0, 0
        while sent < limit and (n % 16 or time.monotonic() - start < seconds):
            await self.side.send(n % self._data_channels, message)
            sent += size
            n += 1
            if not n % 64:
                await asyncio.sleep(0)
        for channel in range(1, self._data_channels):
            await self.side.send(channel, bytes(size))
        await self.side.send(0, b"END")
        return {"sent": sent, "cpu": cpu() - cpu_before}

    async def receive(self) -> dict[str, float]:
        """Wait for the end mark; bytes, seconds and CPU seconds since the first message."""
        await self._ended.wait()
        self._ended.clear()
        received, self._received = self._received, 0
        return {
            "received": received,
            "seconds": self._end_at - self._first_at,
            "cpu": cpu() - self._cpu,
            "rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        }

    async def progress(self) -> int:
        """Bytes received so far."""
        return self._received

    async def ping(self) -> dict[str, float]:
        """Round trips of small messages on a channel of their own, in seconds."""
        times = []
        for n in range(PINGS):
            start = time.monotonic()
            self._echo[n] = asyncio.get_running_loop().create_future()
            await self.side.send(self._data_channels, b"ping%d" % n)
            await asyncio.wait_for(self._echo[n], 20)
            times.append(time.monotonic() - start)
            await asyncio.sleep(PING_INTERVAL)
        times.sort()
        return {"median": statistics.median(times), "p95": times[int(len(times) * 0.95)]}


async def serve(engine: str, channels: int) -> None:
    """Read commands until the input ends."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=1 << 20)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    worker = Worker(engine, channels)
    side = worker.side

    async def answer(number: int, work: Awaitable[Any]) -> None:
        print(json.dumps({"id": number, "result": await work}), flush=True)

    tasks = []
    while line := await reader.readline():
        command = json.loads(line)
        arguments = command.get("arguments", [])
        verbs: dict[str, Callable[..., Awaitable[Any]]] = {
            "offer": side.offer,
            "answer": side.answer,
            "accept": side.accept,
            "opened": side.opened,
            "send": worker.send,
            "receive": worker.receive,
            "ping": worker.ping,
            "progress": worker.progress,
        }
        work = verbs[command["do"]](*arguments)
        tasks.append(asyncio.create_task(answer(command["id"], work)))
        tasks = [task for task in tasks if not task.done() or task.result()]
    await side.close()


def main() -> None:
    """Run one side."""
    parser = argparse.ArgumentParser()
    parser.add_argument("engine", choices=["peerline", "aiortc", "wrtc"])
    parser.add_argument("--channels", type=int, default=1)
    parser.add_argument("--uvloop", action="store_true")
    parser.add_argument("--datagram", type=int, default=0, help="largest SCTP packet, bytes")
    options = parser.parse_args()
    if options.datagram:
        from peer.rtc import association

        association.MAX_DATAGRAM = options.datagram
    factory = None
    if options.uvloop:
        import uvloop

        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(serve(options.engine, options.channels))


if __name__ == "__main__":
    main()
