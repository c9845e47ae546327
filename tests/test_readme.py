"""What the README shows works: its code runs, its commands exist."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest

from signaling.config import Listener, ServerConfig
from signaling.server import SignalingServer
from tests.support.processes.leftovers import nothing_left_behind

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = sorted(
    path
    for path in ROOT.rglob("*.md")
    if not {".venv", "node_modules", ".pytest_cache"} & set(path.relative_to(ROOT).parts)
)


def python_block() -> str:
    (block,) = re.findall(r"^```python\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    return str(block)


async def test_the_library_sample_runs(capsys: pytest.CaptureFixture[str]) -> None:
    code = python_block()
    lines = [line for line in code.splitlines() if line.strip() and not line.startswith("import")]
    assert len(lines) < 20, "the sample is meant to be short"
    config = ServerConfig(listeners=(Listener("127.0.0.1", 0),))
    async with nothing_left_behind(), SignalingServer(config) as server:
        names: dict[str, Any] = {}
        here = f"ws://127.0.0.1:{server.ports[0]}"
        exec(compile(code.replace("ws://127.0.0.1:8080", here), "README.md", "exec"), names)
        told: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        async with asyncio.timeout(60):
            await asyncio.gather(names["alice"](told), names["bob"](told))
    assert sorted(capsys.readouterr().out.splitlines()) == ["alice got e7e5", "bob got e2e4"]


def test_make_targets_that_it_names_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"\bmake (\w+)", README))
    assert {"demo", "test"} <= targets
    for target in targets:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), f"make {target}"


def test_commands_that_it_names_exist() -> None:
    from peer.cli.app import peerline

    for command in set(re.findall(r"\bpeerline ([a-z]+)", README)):
        assert command in peerline.list_commands(None), f"peerline {command}"  # type: ignore[arg-type]


@pytest.mark.parametrize("page", PAGES, ids=[str(path.relative_to(ROOT)) for path in PAGES])
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
