"""Every Python block of the documentation runs, with a real server, and prints what it shows.

The blocks of a page run in order and share their names, as if they stood in one file. Then its
coroutine functions without parameters run, all at once, and so do those with the one parameter
`code`, as soon as a code is printed. A `text` block behind a Python block shows what is printed, in
any order. A block that cannot run says why in a comment before it: `<!-- not run: why -->`.
"""

from __future__ import annotations

import asyncio
import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.links.rooms import running_server
from tests.support.processes.leftovers import nothing_left_behind

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(
    r"^(?:<!-- not run: (?P<reason>.*?) -->\n)?"
    r"```python\n(?P<code>.*?)^```\n"
    r"(?:\n```text\n(?P<shown>.*?)^```\n)?",
    re.MULTILINE | re.DOTALL,
)
SERVER = "http://127.0.0.1:8080"
CODE = re.compile(r"\b\d+-[a-z]+-[a-z]+\b")


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


class Program:
    """The blocks of a page, as one program that has printed some lines."""

    def __init__(self, server: str) -> None:
        self._server = server
        self.printed: list[str] = []
        self._code: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._names: dict[str, Any] = {"__name__": "page", "print": self._print}

    def _print(self, *values: object) -> None:
        line = " ".join(map(str, values))
        if (code := CODE.search(line)) and not self._code.done():
            self._code.set_result(code[0])
        self.printed.append(CODE.sub("7-guitar-ocean", line))

    def execute(self, code: str, page: Path, line: int) -> None:
        """Execute a block; tracebacks show its line in the page."""
        text = "\n" * line + code.replace(SERVER, self._server)
        exec(compile(text, str(page), "exec"), self._names)

    async def run(self) -> None:
        """Run what the page defines to be run."""
        async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
            for value in list(self._names.values()):
                if inspect.iscoroutinefunction(value):
                    parameters = list(inspect.signature(value).parameters)
                    if not parameters:
                        tasks.create_task(value())
                    elif parameters == ["code"]:
                        tasks.create_task(self._with_code(value))

    async def _with_code(self, function: Callable[[str], Any]) -> None:
        await function(await self._code)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
async def test_python_of_the_page_runs(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "film.mkv").write_bytes(bytes(3_000_000))
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "beach.jpg").write_bytes(b"beach")
    text = page.read_text(encoding="utf-8")
    shown: list[str] = []
    async with nothing_left_behind(), running_server() as server:
        program = Program(server.urls[0].rstrip("/"))
        for block in BLOCK.finditer(text):
            if not block["reason"]:
                line = text.count("\n", 0, block.start("code"))
                program.execute(block["code"], page, line)
                shown += (block["shown"] or "").splitlines()
        await program.run()
    assert sorted(program.printed) == sorted(shown)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_no_python_of_the_page_is_overlooked(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    opened = re.findall(r"^\s*(?:```|~~~)\s*(?:python|py)\b", text, re.MULTILINE | re.IGNORECASE)
    assert len(opened) == len(BLOCK.findall(text))


def test_sample_of_the_readme_is_short() -> None:
    (block,) = BLOCK.finditer((ROOT / "README.md").read_text(encoding="utf-8"))
    assert len([line for line in block["code"].splitlines() if line.strip()]) <= 20
