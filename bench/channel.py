"""Runs two `bench.worker` processes against each other and collects their figures."""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

Wrap = Callable[[str, Sequence[str]], list[str]]
"""Puts a command into the namespace of side "a" or "b"; the identity on loopback."""


def on_loopback(side: str, command: Sequence[str]) -> list[str]:
    """Run where we are."""
    return list(command)


@dataclass(frozen=True, slots=True)
class Engine:
    """The engine at one end."""

    name: str
    """One of `bench.engines.ENGINES`."""
    uvloop: bool = False
    datagram: int = 0
    """Bytes of the largest SCTP packet of ours; 0 for what path MTU discovery finds."""


@dataclass(slots=True)
class Figures:
    """Figures of one pairing in one situation, medians over the runs."""

    engine: str
    situation: str
    rates: list[float] = field(default_factory=list)
    """Bytes per second at the receiver, a run each."""
    cpu_per_gb: list[float] = field(default_factory=list)
    """CPU seconds of both processes per 10^9 bytes."""
    setups: list[float] = field(default_factory=list)
    """Seconds from the offer's making to open channels on both sides, both processes running."""
    idle_rtt: list[float] = field(default_factory=list)
    loaded_rtt: list[float] = field(default_factory=list)
    loaded_p95: list[float] = field(default_factory=list)
    error: str = ""

    def median(self, name: str) -> float | None:
        """The median of one list; None when it is empty."""
        values = getattr(self, name)
        return statistics.median(values) if values else None


class WorkerProcess:
    """A child process running `bench.worker`."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.pid = process.pid
        self._count = 0
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._reading = asyncio.create_task(self._read())

    @classmethod
    async def start(cls, engine: Engine, side: str, channels: int, wrap: Wrap) -> WorkerProcess:
        """Start a side; it is ready when it answers its first command."""
        command = [sys.executable, "-m", "bench.worker", engine.name, f"--channels={channels}"]
        if engine.uvloop:
            command.append("--uvloop")
        if engine.datagram:
            command.append(f"--datagram={engine.datagram}")
        process = await asyncio.create_subprocess_exec(
            *wrap(side, command),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            limit=1 << 20,
        )
        return cls(process)

    async def _read(self) -> None:
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            answer = json.loads(line)
            self._waiting.pop(answer["id"]).set_result(answer["result"])
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(RuntimeError("the worker ended"))

    async def ask(self, what: str, *arguments: Any, timeout: float = 120) -> Any:
        """Give a command and wait for its result."""
        assert self._process.stdin is not None
        self._count += 1
        self._waiting[self._count] = asyncio.get_running_loop().create_future()
        command = {"id": self._count, "do": what, "arguments": arguments}
        self._process.stdin.write(json.dumps(command).encode() + b"\n")
        return await asyncio.wait_for(self._waiting[self._count], timeout)

    async def stop(self) -> str:
        """End the process; return what it complained about."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        assert self._process.stderr is not None
        complaints = asyncio.create_task(self._process.stderr.read())
        try:
            await asyncio.wait_for(self._process.wait(), 5)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
        await self._reading
        return (await complaints).decode(errors="replace")


async def measure(
    figures: Figures,
    engines: tuple[Engine, Engine],
    *,
    wrap: Wrap = on_loopback,
    size: int = 65536,
    channels: int = 1,
    seconds: float = 5.0,
    limit: int = 1 << 62,
    pings: bool = False,
) -> None:
    """One run: set up, optionally ping, send from A to B, optionally ping meanwhile."""
    a, b = await asyncio.gather(
        WorkerProcess.start(engines[0], "a", channels, wrap),
        WorkerProcess.start(engines[1], "b", channels, wrap),
    )
    try:
        # Both are up before the clock starts: the first command waits for the imports.
        offer, _ = await asyncio.gather(a.ask("offer"), asyncio.sleep(0))
        start = time.monotonic()
        answer = await b.ask("answer", offer)
        await a.ask("accept", answer)
        await asyncio.gather(a.ask("opened"), b.ask("opened"))
        figures.setups.append(time.monotonic() - start)
        if pings:
            figures.idle_rtt.append((await a.ask("ping"))["median"])
        receiving = asyncio.create_task(b.ask("receive", timeout=seconds * 6 + 60))
        sending = asyncio.create_task(a.ask("send", size, seconds, limit, timeout=seconds * 6 + 60))
        if pings:
            await asyncio.sleep(seconds / 4)
            loaded = await a.ask("ping")
            figures.loaded_rtt.append(loaded["median"])
            figures.loaded_p95.append(loaded["p95"])
        sent, received = await sending, await receiving
        figures.rates.append(received["received"] / max(received["seconds"], 1e-9))
        if "chromium" not in {engine.name for engine in engines}:  # its processes are not ours
            used = sent["cpu"] + received["cpu"]
            figures.cpu_per_gb.append(used * 1e9 / received["received"])
    except (TimeoutError, RuntimeError) as error:
        figures.error = type(error).__name__
    finally:
        complaints = await asyncio.gather(a.stop(), b.stop())
        if figures.error:
            figures.error += ": " + " ".join(" ".join(complaints).split())[-200:]
