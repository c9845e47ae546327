"""One side of a data channel measurement: a process that is told what to do line by line.

The parent (`bench.channel`) starts two of these, carries their descriptions across and reads
their figures. Commands come as JSON lines on standard input, answers go to standard output.
Engines: see `bench.engines`.
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
from typing import Any

from .engines import ENGINES, Side, open_side

PINGS = 60
PING_INTERVAL = 0.03


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
        # One more channel than asked for: pings and the end marks.
        self.side: Side = open_side(engine, channels + 1, self._on_message)

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
    parser.add_argument("engine", choices=ENGINES)
    parser.add_argument("--channels", type=int, default=1)
    parser.add_argument("--uvloop", action="store_true")
    parser.add_argument("--datagram", type=int, default=0, help="largest SCTP packet, bytes")
    options = parser.parse_args()
    if options.datagram:
        from peer.rtc.engines import association

        association.MAX_DATAGRAM = options.datagram
    factory = None
    if options.uvloop:
        import uvloop

        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(serve(options.engine, options.channels))


if __name__ == "__main__":
    main()
