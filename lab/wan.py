"""Two network namespaces joined by an emulated wide-area link, or by plain loopback.

The link is `wanlink.c`: two TUN devices and a user-space emulator between them, because not
every kernel has `netem`. Needs root, `ip` and a C compiler.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from types import TracebackType
from typing import Self

HERE = Path(__file__).resolve().parent
OUT = HERE / "out"

ADDRESS_A = "10.91.0.1"
ADDRESS_B = "10.91.0.2"


@dataclass(frozen=True, slots=True)
class LinkShape:
    """What the emulated link does to packets, the same in both directions."""

    name: str
    """Shown in tables."""
    delay_ms: float = 0.0
    """One-way delay."""
    rate_mbit: float = 0.0
    """Rate in Mbit/s of IP packets; 0 is unlimited."""
    queue: int = 1000
    """Drop-tail queue, packets."""
    loss: float = 0.0
    """Long-run probability that a packet is lost."""
    burst: float = 1.0
    """Mean length of a loss burst, packets; 1 is independent loss."""
    jitter_ms: float = 0.0
    """Uniform extra delay."""
    reorder: float = 0.0
    """Probability that a packet is held back."""
    reorder_ms: float = 0.0
    """How long it is held back."""
    one_way_loss: float = 0.0
    """Loss from A to B only, on top of nothing the other way."""

    def arguments(self) -> list[str]:
        """The command line of the emulator."""
        plain = [
            f"{field.name}={getattr(self, field.name)}"
            for field in fields(self)
            if field.name not in {"name", "one_way_loss"}
        ]
        return [*plain, *([f"a.loss={self.one_way_loss}"] if self.one_way_loss else [])]

    def goodput_limit(self, payload: int = 1160, packet: int = 1260) -> float:
        """Best possible payload rate in bytes/s with such packets (IP bytes); inf if unlimited."""
        if not self.rate_mbit:
            return float("inf")
        kept = 1 - (self.one_way_loss or self.loss)
        return self.rate_mbit * 1e6 / 8 * payload / packet * kept


LINKS: tuple[LinkShape, ...] = (
    LinkShape("0.1 ms 1 Gbit", delay_ms=0.1, rate_mbit=1000),
    LinkShape("10 ms 1 Gbit 0.1 %", delay_ms=10, rate_mbit=1000, loss=0.001, queue=1700),
    LinkShape("25 ms 100 Mbit", delay_ms=25, rate_mbit=100),
    LinkShape("25 ms 100 Mbit 1 %", delay_ms=25, rate_mbit=100, loss=0.01),
    LinkShape("50 ms 50 Mbit 2 %", delay_ms=50, rate_mbit=50, loss=0.02),
    LinkShape("25 ms 100 Mbit queue 50", delay_ms=25, rate_mbit=100, queue=50),
    LinkShape("25 ms 100 Mbit bursts 1 %", delay_ms=25, rate_mbit=100, loss=0.01, burst=8),
    LinkShape("25 ms 100 Mbit reorder", delay_ms=25, rate_mbit=100, reorder=0.02, reorder_ms=4),
    LinkShape("25 ms 100 Mbit 1 % one way", delay_ms=25, rate_mbit=100, one_way_loss=0.01),
)
"""The matrix of emulated links, in the order of the tables."""


def sh(*command: str) -> None:
    """Run a command; its complaint is the error."""
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")


def emulator() -> Path:
    """Compile the emulator if its source is newer, and return the program."""
    OUT.mkdir(exist_ok=True)
    source, program = HERE / "wanlink.c", OUT / "wanlink"
    if not program.exists() or program.stat().st_mtime < source.stat().st_mtime:
        sh("cc", "-O2", "-o", str(program), str(source))
    return program


class EmulatedLink:
    """Context manager: namespaces A and B with one emulated link between them.

    Addresses are `ADDRESS_A` and `ADDRESS_B`. Everything is removed on exit, also after an
    error. `counters` holds the emulator's own counts after exit: forwarded, queue_drops, losses
    per direction.
    """

    def __init__(self, shape: LinkShape, *, seed: int = 1, mtu: int = 1500) -> None:
        self.shape = shape
        self.seed = seed
        self.mtu = mtu
        self.name_a = f"pla{os.getpid()}"
        self.name_b = f"plb{os.getpid()}"
        self.counters: dict[str, dict[str, int]] = {}
        self._emulator: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self._emulator = subprocess.Popen(
            [str(emulator()), self.name_a, self.name_b, *self.shape.arguments(),
             f"seed={self.seed}"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        try:
            assert self._emulator.stdout is not None
            if self._emulator.stdout.readline().strip() != "ready":
                raise RuntimeError("the link emulator did not start (root and /dev/net/tun?)")
            for name, own in ((self.name_a, ADDRESS_A), (self.name_b, ADDRESS_B)):
                sh("ip", "netns", "add", name)
                sh("ip", "link", "set", name, "netns", name)
                inside = ("ip", "-n", name)
                sh(*inside, "addr", "add", f"{own}/24", "dev", name)
                sh(*inside, "link", "set", name, "mtu", str(self.mtu), "txqueuelen", "10000", "up")
                sh(*inside, "link", "set", "lo", "up")
                self._coalesce(name)
                sh(*inside, "route", "add", "default", "dev", name)
        except BaseException:
            self._remove()
            raise
        return self

    def _coalesce(self, name: str) -> None:
        """Receive as network cards do: packets of 50 us together, so that GRO sees them."""
        for setting, value in (("gro_flush_timeout", 50_000), ("napi_defer_hard_irqs", 1)):
            sh("ip", "netns", "exec", name, "sh", "-c",
               f"echo {value} > /sys/class/net/{name}/{setting}")  # fmt: skip

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._remove()

    def _remove(self) -> None:
        if self._emulator is not None:
            output, _ = self._emulator.communicate(timeout=10)
            if output.strip():
                self.counters = json.loads(output)
        for name in (self.name_a, self.name_b):
            subprocess.run(["ip", "netns", "del", name], capture_output=True)

    def command(self, side: str, command: Sequence[str]) -> list[str]:
        """`command` wrapped to run in namespace ``"a"`` or ``"b"``."""
        name = self.name_a if side == "a" else self.name_b
        return ["ip", "netns", "exec", name, *command]
