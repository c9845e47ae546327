"""Prints the coverage of lines and branches floor by floor, and what the machines lack.

Run as a program with `DATA [FLOOR]` it reads a data file of coverage.py. With FLOOR the table ends
at that floor: the machines' own tests say nothing about those above. The status is 1 when floors 0
and 1 together are covered less than `EXPECTED`.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import coverage

from tests.test_layers import MODULES, ROOT, floor

__all__ = ["EXPECTED", "Floor", "main", "table"]

EXPECTED: Final = 92.0
"""Share of the lines and branches of floors 0 and 1 below which the report fails, in percent."""

NAMES: Final = ("words", "machines", "I/O", "assembly", "faces")
MACHINES: Final = 1


@dataclass(slots=True)
class Floor:
    """The coverage of the modules of one floor."""

    name: str
    lines: int = 0
    lines_covered: int = 0
    branches: int = 0
    branches_covered: int = 0
    gaps: dict[str, str] = field(default_factory=dict)
    """Lines and branches that no test runs, by path."""

    @property
    def percent(self) -> float:
        """Covered lines and branches of all, in percent."""
        everything = self.lines + self.branches
        return 100 * (self.lines_covered + self.branches_covered) / everything if everything else 0

    def add(self, path: str, report: Mapping[str, Any]) -> None:
        """Counts one file, as coverage.py reports it in JSON."""
        summary = report["summary"]
        self.lines += summary["num_statements"]
        self.lines_covered += summary["covered_lines"]
        self.branches += summary["num_branches"]
        self.branches_covered += summary["covered_branches"]
        missing = set(report["missing_lines"])
        branches = [f"{a}->{b}" for a, b in report["missing_branches"] if not {a, b} & missing]
        if missing or branches:
            self.gaps[path] = ", ".join([*ranges(sorted(missing)), *branches])


def ranges(lines: list[int]) -> Iterator[str]:
    """Line numbers with neighbours joined: 3, 7-9."""
    start = 0
    for i, line in enumerate(lines):
        if i + 1 == len(lines) or lines[i + 1] != line + 1:
            yield str(line) if lines[start] == line else f"{lines[start]}-{line}"
            start = i + 1


def measure(data_file: Path) -> list[Floor]:
    """The floors from bottom to top, with all modules that the data file knows."""
    measured = coverage.Coverage(data_file=str(data_file))
    measured.load()
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "coverage.json"
        measured.json_report(outfile=str(out))
        files = json.loads(out.read_text(encoding="utf-8"))["files"]
    by_path = {str(path.relative_to(ROOT)): name for name, path in MODULES.items()}
    floors = [Floor(name) for name in NAMES]
    for path, report in sorted(files.items()):
        floors[floor(by_path[path])].add(path, report)
    return floors


def table(floors: list[Floor]) -> Iterator[str]:
    """One line for each floor, then the gaps of words and machines."""
    yield f"{'floor':<12} {'lines':>14} {'branches':>14} {'covered':>9}"
    for number, one in enumerate(floors):
        lines = f"{one.lines_covered}/{one.lines}"
        branches = f"{one.branches_covered}/{one.branches}"
        yield f"{number} {one.name:<10} {lines:>14} {branches:>14} {one.percent:>8.1f}%"
    for one in floors[: MACHINES + 1]:
        for path, gaps in one.gaps.items():
            yield f"  {path}: {gaps}"


def main(data_file: str, top: str = str(len(NAMES) - 1)) -> int:
    """Prints the table up to the floor `top`.

    Returns:
        The exit status.
    """
    floors = measure(Path(data_file))
    print(*table(floors[: int(top) + 1]), sep="\n")
    pure = Floor("pure")
    for one in floors[: MACHINES + 1]:
        pure.lines += one.lines
        pure.lines_covered += one.lines_covered
        pure.branches += one.branches
        pure.branches_covered += one.branches_covered
    if pure.percent < EXPECTED:
        print(f"Words and machines are covered to {pure.percent:.1f} %, {EXPECTED} % are expected.")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
