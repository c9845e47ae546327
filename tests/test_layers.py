"""Imports point down, from floor to floor and from folder to folder, and machines stay pure."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

FLOORS = {
    "signaling": 3,
    "signaling.errors": 0,
    "signaling.messages": 0,
    "signaling.ice_servers": 0,
    "signaling.limits_config": 0,
    "signaling.fields": 0,
    "signaling.rooms": 1,
    "signaling.hub": 1,
    "signaling.origins": 1,
    "signaling.rate_limit": 1,
    "signaling.hosts": 1,
    "signaling.frame_meter": 1,
    "signaling.visitors": 1,
    "signaling.tokens": 1,
    "signaling.config": 2,
    "signaling.assets": 2,
    "signaling.listeners": 2,
    "signaling.tls": 2,
    "signaling.connection": 2,
    "signaling.page": 2,
    "signaling.logs": 2,
    "signaling.descriptors": 2,
    "signaling.gates": 2,
    "signaling.door": 2,
    "signaling.service": 2,
    "signaling.server": 2,
    "signaling.broker": 2,
    "signaling.cli": 4,
    "signaling.__main__": 4,
    "peer": 3,
    "peer.errors": 0,
    "peer.config": 0,
    "peer.types": 0,
    "peer.text": 0,
    "peer.version": 0,
    "peer.security": 1,
    "peer.sctp": 1,
    "peer.udp": 2,
    "peer.rtc": 2,
    "peer.rtc.demultiplexing": 1,
    "peer.rtc.sdp": 1,
    "peer.rtc.ice.candidates": 1,
    "peer.rtc.ice.diagnosis": 1,
    "peer.server": 2,
    "peer.channel": 3,
    "peer.channel.unread": 1,
    "peer.channel.chat.protocol": 1,
    "peer.transfer": 0,
    "peer.transfer.protocol": 1,
    "peer.transfer.disk": 2,
    "peer.transfer.engine": 3,
    "peer.link": 3,
    "peer.link.control": 1,
    "peer.link.state": 1,
    "peer.link.negotiation": 1,
    "peer.room": 3,
    "peer.room.roster": 1,
    "peer.cli": 4,
}
"""Longest prefix wins; a module that no entry covers fails the test."""

IMPURE = {
    "aiohttp",
    "aioice",
    "aiortc",
    "asyncio",
    "os",
    "pathlib",
    "random",
    "secrets",
    "socket",
    "ssl",
    "threading",
    "time",
    "websockets",
}
"""Modules that floors 0 and 1 must not import."""

EXEMPT = {("peer.transfer.protocol.manifest", "threading")}
"""The manifest is read from worker threads and guards its cache with a lock."""

FOLDERS = (
    {"config", "errors", "text", "types", "version"},
    {"sctp", "security", "server", "udp"},
    {"rtc"},
    {"channel"},
    {"transfer"},
    {"link"},
    {"room"},
    {"cli"},
)
"""Modules and folders of `peer`, from bottom to top; those of one set do not import each other."""

RTC_ONLY = {"aiortc", "aioice"}
SHARED_CONTRACT = {
    "signaling",
    "signaling.messages",
    "signaling.ice_servers",
    "signaling.errors",
}


def modules() -> Iterator[tuple[str, Path]]:
    for package in ("signaling", "peer"):
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


MODULES = dict(modules())


def floor(module: str) -> int:
    prefix = module
    while prefix not in FLOORS or (prefix in ("peer", "signaling") and module != prefix):
        prefix, dot, _ = prefix.rpartition(".")
        if not dot:
            pytest.fail(f"{module} stands on no floor: add it to FLOORS in {Path(__file__).name}")
    return FLOORS[prefix]


def imports(module: str, path: Path) -> Iterator[tuple[str, int]]:
    """Every module that `module` imports at run time, absolute, with the line.

    Imports under ``if TYPE_CHECKING:`` count too: a type from above is an import from above.
    ``__getattr__``-style laziness in a package's ``__init__`` goes by strings and does not show.
    """
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                anchor = package.rsplit(".", node.level - 1)[0] if node.level > 1 else package
                base = f"{anchor}.{base}".rstrip(".")
            for alias in node.names:
                full = f"{base}.{alias.name}"
                yield (full if full in MODULES else base), node.lineno


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_down(module: str) -> None:
    mine = floor(module)
    for target, line in imports(module, MODULES[module]):
        if target in MODULES:
            assert floor(target) <= mine, f"{module}:{line} imports {target} from a floor above"


@pytest.mark.parametrize("module", [name for name in MODULES if floor(name) <= 1])
def test_machines_know_no_clock_socket_or_randomness(module: str) -> None:
    for target, line in imports(module, MODULES[module]):
        root = target.partition(".")[0]
        pure = root not in IMPURE or (module, root) in EXEMPT
        assert pure, f"{module}:{line} imports {target}"


def rank(module: str) -> int:
    folder = module.split(".")[1]
    return next(rank for rank, folders in enumerate(FOLDERS) if folder in folders)


@pytest.mark.parametrize("module", [name for name in MODULES if name.startswith("peer.")])
def test_folders_import_only_what_is_below_them(module: str) -> None:
    for target, line in imports(module, MODULES[module]):
        if target.startswith("peer.") and target.split(".")[1] != module.split(".")[1]:
            assert rank(target) < rank(module), f"{module}:{line} imports {target}"


@pytest.mark.parametrize("module", [m for m, path in MODULES.items() if path.stem == "__init__"])
def test_each_package_says_what_may_be_there(module: str) -> None:
    text = ast.get_docstring(ast.parse(MODULES[module].read_text(encoding="utf-8")))
    assert text, f"{module} has no docstring"
    if module.count(".") <= 1 and module != "peer":
        assert re.search(r"\bfloors? [0-4]", text), f"{module}: the docstring names no floor"


@pytest.mark.parametrize("module", MODULES)
def test_the_laboratory_is_for_tests_and_benchmarks(module: str) -> None:
    for target, line in imports(module, MODULES[module]):
        root = target.partition(".")[0]
        assert root not in ("lab", "tests", "bench"), f"{module}:{line} imports {target}"


@pytest.mark.parametrize("module", MODULES)
def test_packages_meet_only_at_the_shared_contract(module: str) -> None:
    for target, line in imports(module, MODULES[module]):
        if module.startswith("signaling"):
            assert target.partition(".")[0] != "peer", f"{module}:{line} imports {target}"
        elif target.partition(".")[0] == "signaling" and floor(module) < 4:
            assert target in SHARED_CONTRACT, f"{module}:{line} imports {target}"


@pytest.mark.parametrize("module", MODULES)
def test_only_the_seam_imports_aiortc(module: str) -> None:
    if module == "peer.rtc" or module.startswith("peer.rtc."):
        return
    for target, line in imports(module, MODULES[module]):
        assert target.partition(".")[0] not in RTC_ONLY, f"{module}:{line} imports {target}"
