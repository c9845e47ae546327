"""Full speed for a long time: does memory stay flat, does the rate?

    python -m bench.soak [--minutes 60] [--size 65536]

Two processes on loopback; every so often a line with what arrived since the last one and the
resident memory of both. Ends with the growth over the second half, where nothing warms up any
more.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import time
from pathlib import Path

from .channel import Engine, WorkerProcess, on_loopback

LINES = 60


def resident(pid: int) -> float:
    """Resident memory of a process, MB."""
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


async def soak(minutes: float, size: int) -> None:
    """Send for so long; print as it goes."""
    ours = Engine("peerline")
    a, b = await asyncio.gather(
        WorkerProcess.start(ours, "a", 1, on_loopback),
        WorkerProcess.start(ours, "b", 1, on_loopback),
    )
    complaints: tuple[str, str] = ("", "")
    try:
        await a.ask("accept", await b.ask("answer", await a.ask("offer")))
        await asyncio.gather(a.ask("opened"), b.ask("opened"))
        seconds = minutes * 60
        timeout = seconds * 2 + 60
        receiving = asyncio.create_task(b.ask("receive", timeout=timeout))
        sending = asyncio.create_task(a.ask("send", size, seconds, 1 << 62, timeout=timeout))
        memory: list[tuple[float, float]] = []
        start = last = time.monotonic()
        before = 0
        while not sending.done():
            await asyncio.wait({sending}, timeout=seconds / LINES)
            now, count = time.monotonic(), await b.ask("progress")
            memory.append((resident(a.pid), resident(b.pid)))
            print(
                f"{now - start:7.0f} s  {(count - before) / (now - last) / 1e6:6.0f} MB/s  "
                f"sender {memory[-1][0]:.1f} MB  receiver {memory[-1][1]:.1f} MB",
                flush=True,
            )
            last, before = now, count
        received = await receiving
        for index, name in enumerate(("sender", "receiver")):
            half = [pair[index] for pair in memory[len(memory) // 2 :]]
            third = max(len(half) // 3, 1)
            growth = statistics.median(half[-third:]) - statistics.median(half[:third])
            print(f"{name}: {growth:+.1f} MB over the second half, at most {max(half):.1f} MB")
        print(f"{received['received'] / 1e9:.1f} GB in {received['seconds']:.0f} s")
    finally:
        complaints = await asyncio.gather(a.stop(), b.stop())
    print("".join(complaints), end="")


def main() -> None:
    """Read the options and run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--size", type=int, default=65536, help="bytes of a message")
    options = parser.parse_args()
    asyncio.run(soak(options.minutes, options.size))


if __name__ == "__main__":
    main()
