"""`make audit`: no installed dependency is of a version with a known hole.

The holes are in a table of our own (`known_holes.toml`), because the services that know them all
are not to be reached from everywhere; `pip-audit` says "no known vulnerabilities" then, too.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Final

from packaging.requirements import Requirement
from packaging.version import Version

__all__ = ["ROOT", "closure", "known_holes", "main", "problems"]

ROOT: Final = Path(__file__).resolve().parents[3]
TABLE: Final = Path(__file__).with_name("known_holes.toml")


def canonical(name: str) -> str:
    """A package's name as PEP 503 writes it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def known_holes() -> dict[str, str]:
    """Of each package the first version without a known hole; "" where none is known."""
    table = tomllib.loads(TABLE.read_text(encoding="utf-8"))
    return {canonical(name): str(entry["fixed"]) for name, entry in table["packages"].items()}


def closure() -> Iterator[str]:
    """The packages that Peerline brings along, direct and indirect."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    waiting, seen = list(map(Requirement, project["dependencies"])), set[str]()
    while waiting:
        wanted = waiting.pop()
        name = canonical(wanted.name)
        if name in seen or (
            wanted.marker is not None and not wanted.marker.evaluate({"extra": ""})
        ):
            continue
        seen.add(name)
        yield name
        waiting += map(Requirement, metadata.requires(name) or ())


def problems(version_of: Callable[[str], str] = metadata.version) -> Iterator[str]:
    """Yield the problems of the installed packages, in sentences.

    Args:
        version_of: A package's installed version.
    """
    holes = known_holes()
    for name in sorted(closure()):
        installed = version_of(name)
        if name not in holes:
            yield f"{name} {installed}: nobody has looked for its holes; add it to {TABLE.name}"
        elif holes[name] and Version(installed) < Version(holes[name]):
            yield f"{name} {installed}: has a known hole; {holes[name]} has not"


def main() -> int:
    """Say what is wrong; the exit code is 1 when something is."""
    found = list(problems())
    for problem in found:
        sys.stderr.write(f"{problem}\n")
    if not found:
        sys.stdout.write(f"No known hole in the {len(set(closure()))} packages that are used.\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
