"""The tests that reach state machines alone: no socket, no event loop, no process.

They need neither browsers nor a network, so they run on every Python that is installed, and their
coverage says how much of the machines is tested without the rest. Run as a program, this module
prints their paths, one a line.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

from tests.test_layers import IMPURE, MODULES, ROOT, floor

__all__ = ["machine_tests"]

TOO_MUCH: Final = IMPURE - {"os", "pathlib", "random", "secrets", "time"} | {"subprocess"}
"""Imports that keep a test from being one of a machine; tests may read vectors and draw numbers."""

TESTS: Final = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts): path
    for folder in ("tests", "lab")
    for path in sorted((ROOT / folder).rglob("*.py"))
}
MACHINES: Final = 1


def imports(path: Path) -> Iterator[str]:
    """The modules that a test module imports, by their full names."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                yield full if full in TESTS or full in MODULES else str(node.module)


@cache
def needs(test: str) -> frozenset[str]:
    """Every module outside `tests` and `lab` that a test module imports, through those too."""
    found: set[str] = set()
    for target in imports(TESTS[test]):
        if target in TESTS and target != test:
            found |= needs(target)
        else:
            found.add(target)
    return frozenset(found)


def machine_tests() -> Iterator[Path]:
    """The test files that import modules of floors 0 and 1, and nothing that does I/O."""
    for test, path in TESTS.items():
        if path.name.startswith("test_"):
            ours = [floor(name) for name in needs(test) if name in MODULES]
            others = {name.partition(".")[0] for name in needs(test)}
            if ours and max(ours) <= MACHINES and not others & TOO_MUCH:
                yield path


if __name__ == "__main__":
    for path in machine_tests():
        print(path.relative_to(ROOT))
