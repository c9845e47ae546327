"""Dependencies lie above the versions with known holes, installed ones and allowed ones."""

from __future__ import annotations

import tomllib
from importlib import metadata

from packaging.requirements import Requirement
from packaging.version import Version

from tests.support.security.audit import ROOT, canonical, closure, known_holes, main, problems

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
DIRECT = {canonical(r.name): r for r in map(Requirement, PROJECT["dependencies"])}


def test_nothing_that_is_installed_has_a_known_hole() -> None:
    assert list(problems()) == []
    assert main() == 0


def test_an_old_version_and_an_unknown_package_are_found() -> None:
    def old(name: str) -> str:
        return "3.13.3" if name == "aiohttp" else metadata.version(name)

    assert list(problems(old)) == ["aiohttp 3.13.3: has a known hole; 3.14.5 has not"]


def test_no_version_with_a_known_hole_can_be_installed() -> None:
    for name, fixed in known_holes().items():
        if not fixed:
            continue
        # Versions that a dependency rules out itself need no lower bound here.
        ruled_out = name == "markdown-it-py"
        assert name in DIRECT or ruled_out, f"{name}: needs a floor of its own in pyproject.toml"
    for name, requirement in DIRECT.items():
        fixed = known_holes()[name]
        floors = [s.version for s in requirement.specifier if s.operator == ">="]
        assert len(floors) == 1, name
        assert not fixed or Version(floors[0]) >= Version(fixed), name


def test_the_table_has_what_is_used_and_nothing_else() -> None:
    # Some are used on some versions of Python only.
    assert set(known_holes()) - set(closure()) <= {"typing-extensions"}


def test_packages_whose_private_names_are_used_have_a_bound_above() -> None:
    for name in ("aiohttp", "aioice", "aiortc", "pyopenssl"):
        assert any(s.operator == "<" for s in DIRECT[name].specifier), name
