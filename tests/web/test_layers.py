"""The JavaScript modules import downward only, and the library never imports the page."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

WEB: Final = Path(__file__).resolve().parents[2] / "web"

FLOORS: Final = {
    "client/events": 0,
    "client/problems": 0,
    "client/text": 0,
    "client/version": 0,
    "client/security/words": 0,
    "client/server/messages": 0,
    "client/security": 1,
    "client/rtc/description": 1,
    "client/link/control": 1,
    "client/link/negotiation": 1,
    "client/link/negotiation_types": 1,
    "client/link/sealed_signals": 1,
    "client/channel": 1,
    "client/transfer/protocol": 1,
    "client/transfer/disk/crc32": 1,
    "client/transfer/disk/zip": 1,
    "client/transfer/engine/meter": 1,
    "client/server": 2,
    "client/rtc": 2,
    "client/transfer/disk": 2,
    "client/transfer/engine": 3,
    "client/link": 3,
    "client/room": 3,
    "client/index": 3,
    "page": 4,
}
"""Floors: words 0, machines 1, I/O 2, assembly 3, faces 4. The longest prefix wins."""

IMPORT = re.compile(
    r"^(?:import|export)\s(?:[\w*{},\s]*\sfrom\s)?'(?P<static>[^']+)';$|\bimport\('(?P<other>[^']+)'\)",
    re.MULTILINE,
)
"""Static, dynamic and type imports: a type from above is an import from above."""

OUTSIDE = re.compile(
    r"\b(?:setTimeout|setInterval|queueMicrotask|performance\.|Date\.now|Math\.random|"
    r"fetch\(|new (?:WebSocket|Worker|EventSource|XMLHttpRequest|RTC\w+|BroadcastChannel)|"
    r"navigator\.|indexedDB|localStorage|sessionStorage)"
)
"""Clocks, timers, the network and the disk, which machines do not use."""

PAGE_ONLY = re.compile(r"\b(?:document|window)\s*[.[]|\b(?:localStorage|sessionStorage)\b")

COMMENT = re.compile(r"^\s*(?://|/?\*).*$", re.MULTILINE)


def modules() -> Iterator[tuple[str, Path]]:
    for path in sorted(WEB.rglob("*.js")):
        yield path.relative_to(WEB).with_suffix("").as_posix(), path


MODULES: Final = dict(modules())


def floor(module: str) -> int:
    prefix = module
    while prefix not in FLOORS:
        prefix, slash, _ = prefix.rpartition("/")
        if not slash:
            pytest.fail(f"{module} stands on no floor: add it to FLOORS in {Path(__file__).name}")
    return FLOORS[prefix]


def imports(module: str) -> Iterator[str]:
    """All modules that `module` imports, for its code or in the types of its comments."""
    path = MODULES[module]
    for found in IMPORT.finditer(path.read_text(encoding="utf-8")):
        target = found["static"] or found["other"]
        assert target.startswith(("./", "../")), f"{module} imports {target} from elsewhere"
        yield (path.parent / target).resolve().relative_to(WEB).with_suffix("").as_posix()


def code(module: str) -> str:
    return COMMENT.sub("", MODULES[module].read_text(encoding="utf-8"))


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_down(module: str) -> None:
    for target in imports(module):
        assert target in MODULES, f"{module} imports {target}, which does not exist"
        assert floor(target) <= floor(module), f"{module} imports {target} from a floor above"


@pytest.mark.parametrize("module", [name for name in MODULES if floor(name) <= 1])
def test_machines_know_no_clock_network_or_disk(module: str) -> None:
    assert OUTSIDE.findall(code(module)) == []


@pytest.mark.parametrize("module", [name for name in MODULES if name.startswith("client/")])
def test_the_library_needs_no_page(module: str) -> None:
    assert PAGE_ONLY.findall(code(module)) == []


def test_every_floor_is_used() -> None:
    for prefix in FLOORS:
        assert any(name == prefix or name.startswith(f"{prefix}/") for name in MODULES), prefix


def test_the_page_imports_the_library() -> None:
    """The pattern finds imports, also over several lines and in comments."""
    assert {"client/index", "client/link/link"} <= set(imports("page/main"))
    assert "client/rtc/description" in set(imports("client/rtc/connection"))
