"""ARCHITECTURE.md and CONTRIBUTING.md are true, and lead a stranger to the right file."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.test_layers import MODULES, floor

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## (.+)\n((?:(?!^## ).*\n?)*)", PAGE, re.MULTILINE))
RECIPES = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
QUOTED = sorted(set(re.findall(r"`([^`\n]+)`", PAGE + RECIPES)))
ROWS = re.findall(
    r"^\| (.+?) \| (.+?) \| (.+?) \|$", SECTIONS["Where to change what"], re.MULTILINE
)
CHANGES = {change: (where, also) for change, where, also in ROWS[1:]}

QUESTIONS = {
    "I add a chunk to SCTP": ("a new SCTP chunk", "peer/sctp/wire/chunks"),
    "codes shall use another word list": ("another word list", "peer/security/words.py"),
    "the server refuses for a new reason": (
        "a new error code of the server",
        "signaling/errors.py",
    ),
    "the sentence about a refused file name is unclear": (
        "which file names are refused, and how it is worded",
        "peer/transfer/protocol/names.py",
    ),
    "peerline send gets one more flag": (
        "a new flag of `peerline send`",
        "peer/cli/commands/send.py",
    ),
    "I try another congestion controller": (
        "another congestion controller",
        "peer/sctp/congestion/base.py",
    ),
    "a peer may be silent for longer": ("how long a peer may be silent", "peer/config.py"),
    "the signaling hello carries one more field": (
        "a new field in the signaling `hello`",
        "signaling/messages.py",
    ),
    "the log has too many lines about strangers": (
        "what is logged about strangers",
        "signaling/logs.py",
    ),
    "the progress bar of the page jumps": ("the page's progress bar", "web/page/ui/transfers.js"),
}
"""Ten changes, each with the row of the table that it needs and the file to open first."""


PATH = re.compile(r"(?:peer|signaling|web|lab|bench|tests|docs)(?:/[\w.-]+)+")
NAME = re.compile(r"(?:peer|signaling|lab)(?:\.\w+)+")


def defines(body: list[ast.stmt], names: list[str]) -> bool:
    """Whether a module or class has a class, function or constant by this path of names."""
    for node in body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            if node.name == names[0]:
                return len(names) == 1 or defines(node.body, names[1:])
        elif isinstance(node, ast.Assign | ast.AnnAssign) and len(names) == 1:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if any(isinstance(one, ast.Name) and one.id == names[0] for one in targets):
                return True
    return False


@pytest.mark.parametrize("path", [text for text in QUOTED if PATH.fullmatch(text)])
def test_every_path_that_it_names_exists(path: str) -> None:
    assert (ROOT / path).exists()


@pytest.mark.parametrize("name", [text for text in QUOTED if NAME.fullmatch(text)])
def test_every_function_that_it_names_exists(name: str) -> None:
    module = name
    while module not in MODULES:
        module = module.rpartition(".")[0]
    rest = name[len(module) :].strip(".").split(".")
    tree = ast.parse(MODULES[module].read_text(encoding="utf-8"))
    assert rest == [""] or defines(tree.body, rest), f"{module} does not define {rest}"


@pytest.mark.parametrize("life", ["a file", "a message", "an offer", "a datagram"])
def test_the_lives_go_through_named_functions(life: str) -> None:
    named = re.findall(r"`([^`\n]+)`", SECTIONS[f"The life of {life}"])
    assert len([name for name in named if NAME.fullmatch(name)]) >= 6


def test_the_map_of_rfcs_names_every_file_of_sctp_once() -> None:
    folder = ROOT / "peer/sctp"
    page = (folder / "README.md").read_text(encoding="utf-8")
    table = page.partition("\n## RFCs and files\n")[2].partition("\n## ")[0]
    first = "".join(re.findall(r"^\| (`.*?) \|", table, re.MULTILINE))
    named = re.findall(r"`([^`]+)`", first)
    files = {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*.py")
        if path.name != "__init__.py"
        and not path.is_relative_to(folder / "congestion")
        and not path.is_relative_to(folder / "wire/chunks")
    }
    assert sorted(named) == sorted({*files, "congestion", "wire/chunks"})


def test_every_package_is_in_the_list_with_its_floors() -> None:
    told: dict[str, list[int]] = {}
    for names, floors in re.findall(
        r"^\| (`.+?`) \| ([\d, ]+) \|", SECTIONS["Packages"], re.MULTILINE
    ):
        for name in re.findall(r"`([^`]+)`", names):
            told[name.removesuffix(".py")] = [int(number) for number in floors.split(", ")]
    found: dict[str, set[int]] = {}
    for module in MODULES:
        if module != "peer":
            parts = module.split(".")
            package = "signaling" if parts[0] == "signaling" else "/".join(parts[:2])
            found.setdefault(package, set()).add(floor(module))
    assert told == {package: sorted(floors) for package, floors in found.items()}


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_stranger_finds_the_file(question: str) -> None:
    change, path = QUESTIONS[question]
    where, _ = CHANGES[change]
    assert f"`{path}`" in where
    assert (ROOT / path).exists()


def test_every_change_names_a_place() -> None:
    for change, (where, _) in CHANGES.items():
        places = re.findall(r"`([^`]+)`", where)
        assert any((ROOT / place).exists() for place in places), change


def test_one_term_has_one_entry_in_the_glossary() -> None:
    terms = re.findall(r"^\| ([^|]+?) \|", SECTIONS["Glossary"], re.MULTILINE)[1:]
    assert terms == sorted(terms, key=str.lower)
    assert len(terms) == len(set(terms)) > 30
