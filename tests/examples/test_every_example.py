"""Each example is short, uses nothing but the public API, and ends as programs should."""

from __future__ import annotations

import ast
import re
import signal
from pathlib import Path

import pytest

from tests.examples.conftest import StartExample
from tests.support.processes.terminal import ROOT

EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
SHORT = [path for path in EXAMPLES if path.name != "demo.py"]
ARGUMENTS = {
    "file_drop": ("inbox",),
    "port_forward": ("127.0.0.1:1",),
}


@pytest.mark.parametrize("path", SHORT, ids=lambda path: path.stem)
def test_it_is_short(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) < 80


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_it_uses_the_public_api_alone(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    imported = {
        name
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert not {name for name in imported if name.startswith(("peer.", "signaling."))}
    private = [
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and node.attr.startswith("_")
        and not (isinstance(node.value, ast.Name) and node.value.id == "self")
    ]
    assert not private


@pytest.mark.parametrize("path", SHORT, ids=lambda path: path.stem)
def test_ctrl_c_ends_it_without_a_word(path: Path, start: StartExample) -> None:
    program = start(path.stem, *ARGUMENTS.get(path.stem, ()))
    program.out.expect(r"\d+-\w+-\w+$")
    program.kill(signal.SIGINT)
    assert program.wait() == 130
    assert program.err.text == ""


@pytest.mark.parametrize("path", SHORT, ids=lambda path: path.stem)
def test_missing_server_is_told_in_one_sentence(path: Path, start: StartExample) -> None:
    program = start(path.stem, *ARGUMENTS.get(path.stem, ()), server="http://127.0.0.1:1")
    if path.stem == "file_drop":  # which tries again and again
        program.out.expect(r"^The server 127\.0\.0\.1:1 cannot be reached\.$")
        return
    assert program.wait() == 1
    assert program.err.text == "The server 127.0.0.1:1 cannot be reached.\n"


@pytest.mark.parametrize("name", ["game_loop", "port_forward", "rpc"])
def test_wrong_code_is_told_to_both(name: str, start: StartExample) -> None:
    host = start(name, *ARGUMENTS.get(name, ()))
    number = host.out.expect(r"^Code: (\d+)-")[1]
    guest = start(name, "--code", f"{number}-aardvark-aardvark", *ARGUMENTS.get(name, ()))
    for program in (host, guest):
        assert program.wait() == 1
        assert len(program.err.text.splitlines()) == 1
        assert "code" in program.err.text


def test_readme_shows_how_to_run_each() -> None:
    text = (ROOT / "examples" / "README.md").read_text(encoding="utf-8")
    shown = set(re.findall(r"^    .*python (examples/\w+\.py)", text, re.MULTILINE))
    assert shown == {f"examples/{path.name}" for path in EXAMPLES}
