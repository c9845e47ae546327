"""Sections of `python -m bench`: tables, and figures for programs."""

from __future__ import annotations

import asyncio
import compileall
import json
import subprocess
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lab.link import Link
from lab.wan import ADDRESS_A, ADDRESS_B, LINKS, EmulatedLink

from . import HERE, OUT, files
from .bars import Group, write_bars
from .channel import Engine, Figures, Wrap, measure, on_loopback
from .roundtrips import Delays, measure_delays
from .sharing import CONTROLS, SHARED, share
from .tables import Table, cell

__all__ = ["SECTIONS", "Options", "Section"]

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
    "peerline to wrtc": (OURS, Engine("wrtc")),
    "wrtc to peerline": (Engine("wrtc"), OURS),
    "peerline to aiortc": (OURS, Engine("aiortc")),
    "aiortc to peerline": (Engine("aiortc"), OURS),
    "peerline to Chromium": (OURS, Engine("chromium")),
    "Chromium to peerline": (Engine("chromium"), OURS),
}
QUICK = ("peerline", "peerline (1188 B)", "aiortc", "wrtc")
BASIC = ("peerline", "aiortc", "wrtc")
ON_LINKS = (
    "peerline", "aiortc", "wrtc", "peerline to wrtc", "peerline to Chromium", "wrtc to peerline",
)  # fmt: skip
QUICK_ON_LINKS = ("peerline", "wrtc", "peerline to wrtc", "peerline to Chromium")
DRAWN = ("peerline", "peerline to wrtc", "wrtc", "aiortc")
SIZES = (200, 1024, 16_384, 65_536, 262_144)
COLUMNS = (
    "engine", "MB/s", "ours is", "CPU s/GB", "set-up ms", "RTT idle ms", "RTT loaded ms", "p95 ms",
)  # fmt: skip
SMALL_FILE = 100_000
SMALL_RUNS = 3
"""For each run of the others: a lost packet shows in few of them."""
TCP_CONTROL = Path("/proc/sys/net/ipv4/tcp_congestion_control")
"""Congestion control of magic-wormhole: Linux uses CUBIC by default, some hosts BBR."""


@dataclass(frozen=True, slots=True)
class Options:
    """How thoroughly."""

    runs: int
    """Of each figure; medians are shown."""
    quick: bool
    links: tuple[Link, ...] = LINKS


@dataclass(slots=True)
class Section:
    """The result of one section."""

    tables: list[Table]
    figures: list[Any]


async def _compare(
    title: str,
    names: tuple[str, ...],
    runs: int,
    *,
    wrap: Wrap = on_loopback,
    limit: float | None = None,
    host: str = "127.0.0.1",
    seconds: float,
    reference: bool = False,
    **options: Any,
) -> tuple[Table, list[dict[str, Any]]]:
    """Measure each pairing `runs` times, in turn (A B C, A B C); plain TCP last, if asked for."""
    rows = [Figures(name, title) for name in names]
    if reference:
        rows += [Figures("TCP CUBIC", title), Figures("TCP BBR", title)]
    for _ in range(runs):
        for row in rows:
            if row.error:
                continue
            if row.engine in PAIRS:
                await measure(row, PAIRS[row.engine], wrap=wrap, seconds=seconds, **options)
            else:
                _tcp(row, wrap, host, seconds)
    table = Table(title, COLUMNS)
    ours = rows[0].median("rates")
    for row in rows:
        rate = row.median("rates")
        share = f" ({rate / limit:.0%})" if rate and limit and limit != float("inf") else ""
        table.rows.append(
            (
                row.engine,
                (cell(rate, 1e-6, 1 if rate > 2e7 else 2) + share) if rate else row.error or "-",
                f"{ours / rate:.1f} x" if ours and rate and row is not rows[0] else "",
                cell(row.median("cpu_per_gb")),
                cell(row.median("setups"), 1e3, 0),
                cell(row.median("idle_rtt"), 1e3, 1),
                cell(row.median("loaded_rtt"), 1e3, 1),
                cell(row.median("loaded_p95"), 1e3, 1),
            )
        )
    table.show()
    return table, [asdict(row) for row in rows]


def _tcp(row: Figures, wrap: Wrap, host: str, seconds: float) -> None:
    """Plain TCP by iperf3 over the same path: not encrypted, in the kernel."""
    control = row.engine.removeprefix("TCP ").lower()
    try:
        server = subprocess.Popen(
            wrap("b", ["iperf3", "-s", "-1"]), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
    except FileNotFoundError:
        row.error = "no iperf3 here"
        return
    time.sleep(0.3)
    command = ["iperf3", "-c", host, "-t", str(int(seconds)), "-C", control, "-J"]
    done = subprocess.run(wrap("a", command), capture_output=True, text=True)
    server.terminate()
    server.wait()
    report = json.loads(done.stdout)
    if done.returncode:
        row.error = str(report.get("error", "iperf3 failed"))
        return
    end = report["end"]
    received = end["sum_received"]["bytes"]
    used = end["cpu_utilization_percent"]
    row.rates.append(received / end["sum_received"]["seconds"])
    busy = (used["host_total"] + used["remote_total"]) / 100 * end["sum_sent"]["seconds"]
    row.cpu_per_gb.append(busy * 1e9 / received)


async def loopback(options: Options) -> Section:
    """One ordered channel, messages of 64 KiB, every pairing."""
    names = QUICK if options.quick else tuple(PAIRS)
    table, rows = await _compare(
        "Loopback, messages of 64 KiB", names, options.runs,
        seconds=2.0 if options.quick else 5.0, pings=True, reference=True,
    )  # fmt: skip
    return Section([table], rows)


async def sizes(options: Options) -> Section:
    """Messages from tiny to large."""
    tables, figures = [], []
    seconds = 2.0 if options.quick else 4.0
    for size in SIZES:
        table, rows = await _compare(
            f"Loopback, messages of {size} B", BASIC, options.runs, seconds=seconds, size=size
        )
        tables.append(table)
        figures += rows
    summary = Table(
        "Loopback, MB/s by size of message (CPU s/GB)", ("engine", *(f"{s} B" for s in SIZES))
    )
    for index, name in enumerate(BASIC):
        cells = (f"{t.rows[index][1]} ({t.rows[index][3]})" for t in tables)
        summary.rows.append((name, *cells))
    return Section([summary], figures)


async def channels(options: Options) -> Section:
    """Many channels at once."""
    table, rows = await _compare(
        "Loopback, 50 channels at once, messages of 16 KiB", BASIC, options.runs,
        seconds=2.0 if options.quick else 5.0, channels=50, size=16_384,
    )  # fmt: skip
    table.columns = table.columns[:5]
    table.rows = [row[:5] for row in table.rows]
    return Section([table], rows)


async def links(options: Options) -> Section:
    """One stream over each emulated link, start-up included; plain TCP over the same."""
    tables, figures, groups = [], [], []
    seconds = 6.0 if options.quick else 10.0
    names = QUICK_ON_LINKS if options.quick else ON_LINKS
    for link in options.links:
        with EmulatedLink(link) as emulated:
            table, rows = await _compare(
                link.name, names, options.runs, wrap=emulated.command, host=ADDRESS_B,
                limit=link.goodput_limit(), seconds=seconds, reference=True,
            )  # fmt: skip
        tables.append(table)
        figures += rows
        rates = {row["engine"]: Figures(**row).median("rates") for row in rows}
        shown = {
            name: rate / 1e6 for name, rate in rates.items()
            if rate and (name in DRAWN or name.startswith("TCP"))
        }  # fmt: skip
        groups.append(Group(link.name, shown, link.rate / 8e6))
    write_bars(OUT / "links.svg", "One stream over emulated links", groups, "MB/s of payload")
    rates_table = Table(
        "MB/s (share of the link's goodput)",
        ("link", *(row[0] for row in tables[0].rows)),
        [(table.title, *(row[1] for row in table.rows)) for table in tables],
    )
    cpu_table = Table(
        "CPU seconds per GB, both ends",
        ("link", *(row[0] for row in tables[0].rows)),
        [(table.title, *(row[3] for row in table.rows)) for table in tables],
    )
    return Section([rates_table, cpu_table], figures)


async def latency(options: Options) -> Section:
    """Round trips of a small message beside a full stream, over some of the links."""
    tables, figures = [], []
    for link in options.links:
        if link.rate != 1e8 or link.back is not None or link.burst > 1:
            continue
        with EmulatedLink(link) as emulated:
            table, rows = await _compare(
                link.name, ("peerline", "peerline to wrtc", "wrtc"), options.runs,
                wrap=emulated.command, seconds=8.0, pings=True, limit=link.goodput_limit(),
            )  # fmt: skip
        tables.append(table)
        figures += rows
    summary = Table(
        "Round trips beside a full stream, ms: idle, loaded, loaded 95th percentile",
        ("link", *(row[0] for row in tables[0].rows)),
        [
            (table.title, *(f"{row[5]}, {row[6]}, {row[7]}" for row in table.rows))
            for table in tables
        ],
    )
    return Section([summary], figures)


async def round_trips(options: Options) -> Section:
    """One question at a time between two peers on loopback, and closing; both our engines."""
    rows = [Delays("peerline"), Delays("aiortc")]
    for _ in range(options.runs):
        for row in rows:
            await measure_delays(row)
    table = Table(
        "One message there and back on loopback, and closing right after one, ms (95th percentile)",
        ("engine", *(f"{size} B" for size in rows[0].round_trips), "close"),
    )
    for row in rows:
        values = [*row.round_trips.values(), row.closings]
        cells = (
            f"{cell(row.median(v), 1e3, 2)} ({cell(row.percentile(v, 0.95), 1e3, 2)})"
            for v in values
        )
        table.rows.append((row.engine, *cells))
    table.show()
    return Section([table], [asdict(row) for row in rows])


async def whole_files(options: Options) -> Section:
    """`peerline send` against `wormhole send`, start to end, over loopback and the links."""
    _compile()
    table = Table(
        f"Whole files, MB/s from the receiver's start to its end; TCP is "
        f"{TCP_CONTROL.read_text().strip()}",
        ("file and path", *files.TOOLS, "ours is"),
    )
    figures = []
    # Once without counting: memory that was never used has to be found first, which takes longer.
    await _send_over(None, 10**9, 1)
    seconds = 4 if options.quick else 12
    situations: list[tuple[int, Link | None]] = [
        ((100 if options.quick else 1000) * 10**6, None),
        *((int(link.rate / 8 * seconds), link) for link in options.links),
    ]
    for size, link in situations:
        name, rates = await _send_over(link, size, options.runs)
        medians = [_median(values) for values in rates.values()]
        ratio = f"{medians[0] / medians[1]:.2f} x" if all(medians) else "-"
        table.rows.append(
            (f"{size / 1e6:.0f} MB, {name}", *(cell(rate or None, 1e-6) for rate in medians), ratio)
        )
        figures.append({"situation": name, "size": size, "rates": rates})
    table.show()
    return Section([table], figures)


async def small_files(options: Options) -> Section:
    """The same with a file that is nothing but set-up: to start, meet, connect, agree and part."""
    _compile()
    table = Table(
        "A file of 100 kB, seconds from the receiver's start to its end (and the longest)",
        ("path", *files.TOOLS, "ours takes"),
    )
    figures = []
    for link in (None, *options.links):
        name, rates = await _send_over(link, SMALL_FILE, options.runs * SMALL_RUNS)
        times = [[SMALL_FILE / rate for rate in values] for values in rates.values()]
        cells = [f"{_median(t):.2f} ({max(t):.2f})" if t else "-" for t in times]
        ratio = f"{_median(times[0]) / _median(times[1]):.2f} x" if all(times) else "-"
        table.rows.append((name, *cells, ratio))
        figures.append({"situation": name, "size": SMALL_FILE, "seconds": times})
    table.show()
    return Section([table], figures)


async def many_files(options: Options) -> Section:
    """Ten thousand files of 1 KB over loopback: what each costs beside its bytes."""
    _compile()
    count = 2_000 if options.quick else 10_000
    tools = list(files.many_tools())
    table = Table(
        f"{count} files of 1 KB over loopback, seconds from the receiver's start to its end",
        tuple(tools),
    )
    times: dict[str, list[float]] = {tool: [] for tool in tools}
    for _ in range(options.runs):
        for tool, values in times.items():
            values.append(await asyncio.to_thread(files.measure_many, tool, count, 1024))
    table.rows.append(tuple(f"{_median(values):.2f}" for values in times.values()))
    table.show()
    return Section([table], [{"files": count, "seconds": times}])


def _compile() -> None:
    """Compile ours as installing does; magic-wormhole was installed, we may run from a tree."""
    for package in ("peer", "signaling"):
        compileall.compile_dir(HERE.parent / package, quiet=1)


async def _send_over(link: Link | None, size: int, runs: int) -> tuple[str, dict[str, list[float]]]:
    """The name of a link, or of loopback, and the rates of both commands over it."""
    if link is None:
        return "loopback", await asyncio.to_thread(
            _send_files, size, "127.0.0.1", on_loopback, runs
        )
    with EmulatedLink(link) as emulated:
        return link.name, await asyncio.to_thread(
            _send_files, size, ADDRESS_A, emulated.command, runs
        )


def _send_files(size: int, host: str, wrap: Wrap, runs: int) -> dict[str, list[float]]:
    """Both commands, in turn; a run that takes longer than anybody would wait gives none."""
    rates: dict[str, list[float]] = {tool: [] for tool in files.TOOLS}
    for _ in range(runs):
        for tool, values in rates.items():
            try:
                values.append(files.measure(tool, size, host, wrap))
            except (RuntimeError, subprocess.TimeoutExpired):
                continue
    return rates


def _median(values: list[float]) -> float:
    return sorted(values)[len(values) // 2] if values else 0.0


async def sharing(options: Options) -> Section:
    """Our flow beside one of TCP, every queue and congestion control."""
    table = Table("Beside one TCP flow", ("link", "TCP", "ours MB/s", "TCP MB/s", "our share"))
    figures: list[Any] = []
    seconds = 20.0 if options.quick else 60.0
    for link in SHARED:
        for control in CONTROLS:
            rows = [await share(link, control, seconds) for _ in range(options.runs)]
            middle = sorted(rows, key=lambda row: row.share)[len(rows) // 2]
            figures += [asdict(row) for row in rows]
            table.rows.append(
                (link.name, control, cell(middle.ours, 1e-6, 2), cell(middle.theirs, 1e-6, 2),
                 f"{middle.share:.0%}")
            )  # fmt: skip
    table.show()
    return Section([table], figures)


SECTIONS: dict[str, Callable[[Options], Awaitable[Section]]] = {
    "loopback": loopback,
    "sizes": sizes,
    "channels": channels,
    "links": links,
    "latency": latency,
    "roundtrips": round_trips,
    "files": whole_files,
    "small": small_files,
    "many": many_files,
    "sharing": sharing,
}
