"""Two network namespaces joined by an emulated wide-area link, or by plain loopback.

The link is `wanlink.c`: two TUN devices and a user-space emulator between them, because not
every kernel can emulate one. Needs root, `ip` and a C compiler.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from lab.link import Link

_HERE = Path(__file__).resolve().parent
_OUT = _HERE / "out"

ADDRESS_A = "10.91.0.1"
ADDRESS_B = "10.91.0.2"


_SUPPORTED = frozenset(
    {"delay", "rate", "queue", "loss", "burst", "jitter", "reorder", "reorder_delay", "mtu", "back"}
)
_MTU = 1500


def _arguments(link: Link, prefix: str = "") -> list[str]:
    """Return the options of the emulator; `prefix` is `a.` or `b.` for one direction."""
    options = {
        "delay_ms": 1e3 * link.delay,
        "rate_mbit": link.rate / 1e6,
        "queue": link.queue,
        "loss": link.loss,
        "burst": link.burst,
        "jitter_ms": 1e3 * link.jitter,
        "reorder": link.reorder,
        "reorder_ms": 1e3 * link.reorder_delay,
    }
    return [f"{prefix}{name}={value}" for name, value in options.items()]


_MBIT = 1e6

LINKS: tuple[Link, ...] = (
    Link(name="0.1 ms 1 Gbit", delay=0.0001, rate=1000 * _MBIT),
    Link(name="10 ms 1 Gbit 0.1 %", delay=0.01, rate=1000 * _MBIT, loss=0.001, queue=1700),
    Link(name="25 ms 100 Mbit", delay=0.025, rate=100 * _MBIT),
    Link(name="25 ms 100 Mbit 1 %", delay=0.025, rate=100 * _MBIT, loss=0.01),
    Link(name="50 ms 50 Mbit 2 %", delay=0.05, rate=50 * _MBIT, loss=0.02),
    Link(name="25 ms 100 Mbit queue 50", delay=0.025, rate=100 * _MBIT, queue=50),
    Link(name="25 ms 100 Mbit bursts 1 %", delay=0.025, rate=100 * _MBIT, loss=0.01, burst=8),
    Link(name="25 ms 100 Mbit reorder", delay=0.025, rate=100 * _MBIT, reorder=0.02),
    Link(
        name="25 ms 100 Mbit 1 % one way",
        delay=0.025,
        rate=100 * _MBIT,
        loss=0.01,
        back=Link(delay=0.025, rate=100 * _MBIT),
    ),
)
"""The matrix of emulated links, in the order of the tables."""


def sh(*command: str) -> None:
    """Run a command.

    Raises:
        RuntimeError: It failed, with its error output.
    """
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")


def emulator() -> Path:
    """Compile the emulator if its source is newer, and return the program."""
    _OUT.mkdir(exist_ok=True)
    source, program = _HERE / "wanlink.c", _OUT / "wanlink"
    if not program.exists() or program.stat().st_mtime < source.stat().st_mtime:
        sh("cc", "-O2", "-o", str(program), str(source))
    return program


class EmulatedLink:
    """Context manager: namespaces A and B with one emulated link between them.

    Addresses are `ADDRESS_A` and `ADDRESS_B`. Everything is removed on exit, also after an error.
    After exit `counters` holds the emulator's counts: forwarded, queue_drops, losses per direction.
    """

    def __init__(self, link: Link, *, seed: int = 1) -> None:
        """Prepare the link; nothing is made before the context is entered.

        Args:
            link: From A to B; `mtu` counts IP bytes, and is 1500 by default.
            seed: Of the emulator's random numbers.

        Raises:
            ValueError: The emulator does not support a field of the link.
        """
        link.require("EmulatedLink", _SUPPORTED)
        self.link = link
        self.seed = seed
        self.mtu = _MTU if link.mtu is None else link.mtu
        self.name_a = f"pla{os.getpid()}"
        self.name_b = f"plb{os.getpid()}"
        self.counters: dict[str, dict[str, int]] = {}
        self._emulator: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self._emulator = subprocess.Popen(
            [str(emulator()), self.name_a, self.name_b, *self._arguments(), f"seed={self.seed}"],
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

    def _arguments(self) -> list[str]:
        if self.link.back is None:
            return _arguments(self.link)
        return [*_arguments(self.link, "a."), *_arguments(self.link.back, "b.")]

    def _coalesce(self, name: str) -> None:
        """Coalesce packets of 50 us as network cards do, so that GRO applies."""
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
        """Return `command`, wrapped to run in namespace ``"a"`` or ``"b"``."""
        name = self.name_a if side == "a" else self.name_b
        return ["ip", "netns", "exec", name, *command]
