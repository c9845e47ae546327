"""One of our flows beside one TCP flow on the same link: who gets how much."""

from __future__ import annotations

import asyncio
import json
import subprocess
from dataclasses import dataclass

from lab.link import Link
from lab.wan import ADDRESS_B, EmulatedLink

from .channel import Engine, WorkerProcess

SHARED = tuple(
    Link(name=f"25 ms 100 Mbit queue {queue}", delay=0.025, rate=1e8, queue=queue)
    for queue in (200, 420, 1000)
)
"""Queues of half, one and more than two bandwidth-delay products."""
CONTROLS = ("cubic", "bbr")
SETTLE = 5.0
"""Seconds before counting: both have left slow start. CUBIC may have lost its own to us, and then
takes half a minute to come back: short runs tell about that."""


@dataclass(frozen=True, slots=True)
class Shares:
    """Payload rates of two flows over the same seconds, bytes per second."""

    situation: str
    control: str
    """TCP's congestion control."""
    ours: float
    theirs: float

    @property
    def share(self) -> float:
        """Ours, of what both moved."""
        return self.ours / (self.ours + self.theirs)


async def share(link: Link, control: str, seconds: float) -> Shares:
    """Send beside `iperf3` for so long after both have settled.

    Raises:
        RuntimeError: iperf3 failed, or this kernel has no such congestion control.
        FileNotFoundError: There is no iperf3.
    """
    ours = Engine("peerline")
    with EmulatedLink(link) as emulated:
        a, b = await asyncio.gather(
            WorkerProcess.start(ours, "a", 1, emulated.command),
            WorkerProcess.start(ours, "b", 1, emulated.command),
        )
        server = await asyncio.create_subprocess_exec(
            *emulated.command("b", ["iperf3", "-s", "-1"]), stdout=subprocess.DEVNULL
        )
        try:
            await a.ask("accept", await b.ask("answer", await a.ask("offer")))
            await asyncio.gather(a.ask("opened"), b.ask("opened"))
            total = SETTLE + seconds
            client = await asyncio.create_subprocess_exec(
                *emulated.command(
                    "a",
                    ["iperf3", "-c", ADDRESS_B, "-C", control, "-J",
                     "-O", f"{SETTLE:.0f}", "-t", f"{seconds:.0f}"],
                ),
                stdout=subprocess.PIPE,
            )  # fmt: skip
            sending = asyncio.create_task(a.ask("send", 65536, total, 1 << 62, timeout=total + 60))
            await asyncio.sleep(SETTLE)
            before = await b.ask("progress")
            await asyncio.sleep(seconds - 0.5)
            moved = await b.ask("progress") - before
            report = json.loads((await client.communicate())[0])
            if client.returncode:
                raise RuntimeError(f"iperf3: {report.get('error', 'failed')}")
            await sending
        finally:
            await asyncio.gather(a.stop(), b.stop())
            if server.returncode is None:
                server.terminate()
            await server.wait()
    theirs = report["end"]["sum_received"]["bits_per_second"] / 8
    return Shares(link.name, control, moved / (seconds - 0.5), theirs)
