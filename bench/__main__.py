"""`python -m bench`: both sides of every comparison in one run, as tables and as JSON.

    python -m bench [--quick] [--runs 3] [--only loopback,sizes,channels,links,files,sharing]

Needs root (network namespaces) for ``links`` and the files over links; a C compiler for the
emulator. Results go to ``bench/out/results.json``; `bench/RESULTS.md` is written by hand from it.
"""

from __future__ import annotations

import argparse
import asyncio
import compileall
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from . import files
from .bars import Group, write_bars
from .channel import Engine, Figures, Wrap, measure, on_loopback
from .link import ADDRESS_A, ADDRESS_B, HERE, LINKS, OUT, EmulatedLink
from .sharing import CONTROLS, SHARED, Shares, share

OURS = Engine("peerline")
SMALL = Engine("peerline", datagram=1188)
"""As if the path carried no more than every path does: what a packet costs, whatever its size."""
PAIRS = {
    "peerline": (OURS, OURS),
    "peerline (1188 B)": (SMALL, SMALL),
    "peerline (uvloop)": (Engine("peerline", True), Engine("peerline", True)),
    "aiortc": (Engine("aiortc"), Engine("aiortc")),
    "aiortc (uvloop)": (Engine("aiortc", True), Engine("aiortc", True)),
    "wrtc": (Engine("wrtc"), Engine("wrtc")),
    "peerline -> wrtc": (OURS, Engine("wrtc")),
    "wrtc -> peerline": (Engine("wrtc"), OURS),
    "peerline -> aiortc": (OURS, Engine("aiortc")),
    "aiortc -> peerline": (Engine("aiortc"), OURS),
}
QUICK = ("peerline", "peerline (1188 B)", "aiortc", "wrtc")
DRAWN = ("peerline", "peerline -> wrtc", "wrtc", "aiortc")
SIZES = (200, 1024, 16_384, 65_536, 262_144)
DEFAULT_TCP = Path("/proc/sys/net/ipv4/tcp_congestion_control")
"""What magic-wormhole sends with: CUBIC as Linux comes, but some machines are set to BBR."""

console = Console(width=140)


def cell(value: float | None, scale: float = 1.0, digits: int = 1) -> str:
    """A figure, or a dash."""
    return "-" if value is None else f"{value * scale:.{digits}f}"


def show(title: str, rows: list[Figures], limit: float | None = None) -> None:
    """Print one situation: rates, ratios to our own engine, CPU, set-up and round trips."""
    table = Table(title=title, title_justify="left")
    for name in (
        "engine", "MB/s", "ours is", "CPU s/GB", "set-up ms", "RTT idle ms", "RTT loaded ms",
        "p95 ms",
    ):  # fmt: skip
        table.add_column(name, justify="left" if name == "engine" else "right")
    ours = rows[0].median("rates")
    for row in rows:
        rate = row.median("rates")
        ratio = f"{ours / rate:.1f} x" if ours and rate else "-"
        share = f" ({rate / limit:.0%})" if rate and limit and limit != float("inf") else ""
        table.add_row(
            row.engine,
            (cell(rate, 1e-6, 2) + share) if rate else row.error or "-",
            ratio,
            cell(row.median("cpu_per_gb")),
            cell(row.median("setups"), 1e3, 0),
            cell(row.median("idle_rtt"), 1e3, 1),
            cell(row.median("loaded_rtt"), 1e3, 1),
            cell(row.median("loaded_p95"), 1e3, 1),
        )
    console.print(table)


async def compare(
    situation: str,
    names: list[str],
    *,
    runs: int,
    wrap: Wrap = on_loopback,
    limit: float | None = None,
    **options: Any,
) -> list[Figures]:
    """Measure each pairing `runs` times, in turn (A B C, A B C), and show the table."""
    rows = [Figures(name, situation) for name in names]
    for _ in range(runs):
        for row in rows:
            if not row.error:
                await measure(row, PAIRS[row.engine], wrap=wrap, **options)
    show(situation, rows, limit)
    return rows


def tcp(wrap: Wrap, host: str, seconds: int) -> dict[str, float]:
    """What the path gives plain TCP (iperf3, if it is there): bytes per second."""
    rates: dict[str, float] = {}
    for control in ("cubic", "bbr"):
        try:
            server = subprocess.Popen(
                wrap("b", ["iperf3", "-s", "-1"]), stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )  # fmt: skip
        except FileNotFoundError:
            return rates
        time.sleep(0.3)
        command = ["iperf3", "-c", host, "-t", str(seconds), "-C", control, "-J"]
        done = subprocess.run(wrap("a", command), capture_output=True, text=True)
        server.terminate()
        server.wait()
        if done.returncode == 0:
            report = json.loads(done.stdout)
            rates[control] = report["end"]["sum_received"]["bits_per_second"] / 8
    return rates


def show_tcp(rates: dict[str, float]) -> None:
    """One line below a table."""
    if rates:
        text = ", ".join(f"TCP {name} {rate / 1e6:.1f} MB/s" for name, rate in rates.items())
        console.print(f"  for comparison: {text} (iperf3, not encrypted)\n")


def file_table(situation: str, size: int, host: str, wrap: Wrap, runs: int) -> dict[str, Any]:
    """Both commands, in turn; a table and the figures."""
    rates: dict[str, list[float]] = {tool: [] for tool in files.TOOLS}
    for _ in range(runs):
        for tool, values in rates.items():
            values.append(files.measure(tool, size, host, wrap))
    title = f"a file of {size / 1e6:.0f} MB, {situation}; TCP is {DEFAULT_TCP.read_text().strip()}"
    table = Table(title=title, title_justify="left")
    table.add_column("command")
    table.add_column("MB/s", justify="right")
    table.add_column("ours is", justify="right")
    ours = statistics.median(rates["peerline"])
    for tool, values in rates.items():
        rate = statistics.median(values)
        table.add_row(tool, f"{rate / 1e6:.1f}", f"{ours / rate:.2f} x")
    console.print(table)
    return {"situation": situation, "size": size, "rates": rates}


async def sharing_table(runs: int, seconds: float) -> list[Shares]:
    """Our flow beside one of TCP, every queue and congestion control; a table."""
    table = Table(title="beside one TCP flow", title_justify="left")
    for name in ("link", "TCP", "ours MB/s", "TCP MB/s", "our share"):
        table.add_column(name, justify="left" if name in {"link", "TCP"} else "right")
    results: list[Shares] = []
    for shape in SHARED:
        for control in CONTROLS:
            rows = [await share(shape, control, seconds) for _ in range(runs)]
            middle = sorted(rows, key=lambda row: row.share)[len(rows) // 2]
            results += rows
            table.add_row(
                shape.name, control, cell(middle.ours, 1e-6, 2), cell(middle.theirs, 1e-6, 2),
                f"{middle.share:.0%}",
            )  # fmt: skip
    console.print(table)
    return results


def draw(tables: list[Figures], tcp_rates: dict[str, dict[str, float]]) -> None:
    """The links as bars, in `bench/out/links.svg`."""
    groups = []
    for shape in LINKS:
        rows = [row for row in tables if row.situation == shape.name]
        values = {row.engine: row.median("rates") for row in rows if row.engine in DRAWN}
        values |= {f"TCP {name}": rate for name, rate in tcp_rates.get(shape.name, {}).items()}
        if rows:
            shown = {name: rate / 1e6 for name, rate in values.items() if rate}
            groups.append(Group(shape.name, shown, shape.rate_mbit / 8))
    write_bars(OUT / "links.svg", "One stream over emulated links", groups, "MB/s of payload")


def machine() -> str:
    """What this ran on."""
    model = ""
    try:
        with Path("/proc/cpuinfo").open(encoding="ascii", errors="replace") as info:
            model = next(line.split(":")[1].strip() for line in info if "model name" in line)
    except (OSError, StopIteration):
        pass
    return (
        f"{os.cpu_count()} x {model or platform.machine()}, {platform.system()} "
        f"{platform.release()}, Python {platform.python_version()}"
    )


async def run(options: argparse.Namespace) -> dict[str, Any]:
    """Everything that was asked for."""
    runs, quick = options.runs, options.quick
    wanted = set(options.only.split(","))
    seconds, link_seconds = (2.0, 6.0) if quick else (5.0, 10.0)
    results: dict[str, Any] = {"machine": machine(), "when": time.strftime("%F %T")}
    tables: list[Figures] = []
    console.print(f"[bold]{results['machine']}[/], load {os.getloadavg()[0]:.1f}\n")
    if "loopback" in wanted:
        names = [name for name in PAIRS if not quick or name in QUICK]
        tables += await compare(
            "loopback, messages of 64 KiB", names, runs=runs, seconds=seconds, pings=True
        )
    three = ["peerline", "aiortc", "wrtc"]
    if "sizes" in wanted:
        for size in SIZES:
            tables += await compare(
                f"loopback, messages of {size} B", three, runs=runs, seconds=seconds, size=size
            )
    if "channels" in wanted:
        tables += await compare(
            "loopback, 50 channels at once", three, runs=runs, seconds=seconds, channels=50,
            size=16_384,
        )  # fmt: skip
    results["tcp"] = {}
    results["files"] = []
    if "files" in wanted:
        # As installing does; magic-wormhole was installed, we may run from a source tree.
        for package in ("peer", "signaling"):
            compileall.compile_dir(HERE.parent / package, quiet=1)
    if "files" in wanted:
        size = (100 if quick else 1000) * 10**6
        results["files"].append(file_table("loopback", size, "127.0.0.1", on_loopback, runs))
    for shape in LINKS:
        if not wanted & {"links", "files"}:
            break
        with EmulatedLink(shape) as link:
            if "links" in wanted:
                pairs = [*three, "peerline -> wrtc"]
                if not quick:
                    pairs.append("wrtc -> peerline")
                tables += await compare(
                    shape.name, pairs, runs=runs, wrap=link.command,
                    limit=shape.goodput_limit(), seconds=link_seconds, pings=not quick,
                )  # fmt: skip
                rates = results["tcp"][shape.name] = tcp(link.command, ADDRESS_B, int(link_seconds))
                show_tcp(rates)
            if "files" in wanted:
                size = int(min(shape.rate_mbit, 400) * 1e6 / 8 * (4 if quick else 10))
                try:
                    results["files"].append(
                        file_table(shape.name, size, ADDRESS_A, link.command, 1)
                    )
                except (RuntimeError, subprocess.TimeoutExpired) as error:
                    console.print(f"  {shape.name}: {error}")
    if "sharing" in wanted:
        try:
            shares = await sharing_table(runs, 20.0 if quick else 60.0)
            results["sharing"] = [asdict(row) for row in shares]
        except (RuntimeError, FileNotFoundError) as error:
            console.print(f"  beside TCP: {error}")
    draw(tables, results["tcp"])
    results["tables"] = [asdict(row) for row in tables]
    return results


def main() -> int:
    """Read the options, measure, save."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="shorter runs, fewer pairings")
    parser.add_argument("--runs", type=int, default=3, help="runs of each; medians are shown")
    parser.add_argument("--only", default="loopback,sizes,channels,links,files,sharing")
    results = asyncio.run(run(parser.parse_args()))
    OUT.mkdir(exist_ok=True)
    (OUT / "results.json").write_text(json.dumps(results, indent=1), encoding="utf-8")
    console.print(f"saved in {OUT / 'results.json'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
