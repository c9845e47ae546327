"""`python -m bench`: both sides of every comparison in one run, as tables and as JSON.

    python -m bench [--quick] [--runs 3] [--only loopback,sizes,...] [--links 2,3] [--write]

Needs root (network namespaces) and a C compiler for everything over links; iperf3 for TCP and
Chromium for its rows, which otherwise say that they are not there. Figures go to
``bench/out/results.json``, the picture of the links to ``bench/out/links.svg``, and with
``--write`` the tables into `bench/RESULTS.md`, a section for each that was measured.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import shutil
import sys
import time
from pathlib import Path
from typing import Any

from lab.wan import LINKS

from . import HERE, OUT
from .sections import SECTIONS, Options
from .tables import console, write_section

RESULTS = HERE / "RESULTS.md"


def machine() -> str:
    """Return a description of the computer and the software."""
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


async def run(names: list[str], options: Options, *, write: bool) -> dict[str, Any]:
    """Measure the sections that were asked for; what is ready is kept when a later one fails."""
    results: dict[str, Any] = {"machine": machine(), "sections": {}}
    OUT.mkdir(exist_ok=True)
    for name in names:
        when = time.strftime("%F %H:%M")
        console.print(f"[bold]{name}[/], {when}, load {os.getloadavg()[0]:.1f}\n")
        section = await SECTIONS[name](options)
        results["sections"][name] = {"when": when, "figures": section.figures}
        (OUT / "results.json").write_text(json.dumps(results, indent=1), encoding="utf-8")
        if write:
            quick = " --quick" if options.quick else ""
            command = f"python -m bench{quick} --runs {options.runs} --only {name}"
            origin = f"`{command}`, {when}, on {machine()}; medians."
            write_section(RESULTS, name, origin, section.tables)
            if name == "links" and options.links == LINKS:
                shutil.copyfile(OUT / "links.svg", HERE / "links.svg")
    return results


def main() -> int:
    """Read the options, measure, save."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="shorter runs, fewer pairings")
    parser.add_argument("--runs", type=int, default=3, help="runs of each; medians are shown")
    parser.add_argument("--only", default=",".join(SECTIONS), help="sections, in order")
    parser.add_argument("--links", help="numbers of the links, from 0; all if not given")
    parser.add_argument("--write", action="store_true", help="update bench/RESULTS.md")
    arguments = parser.parse_args()
    names = arguments.only.split(",")
    if unknown := [name for name in names if name not in SECTIONS]:
        parser.error(f"no such section: {', '.join(unknown)}")
    links = LINKS
    if arguments.links:
        links = tuple(LINKS[int(number)] for number in arguments.links.split(","))
    options = Options(arguments.runs, arguments.quick, links)
    console.print(f"[bold]{machine()}[/]\n")
    asyncio.run(run(names, options, write=arguments.write))
    console.print(f"saved in {OUT / 'results.json'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
