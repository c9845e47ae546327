"""Comments, docstrings and pages keep to plain technical English and to the names in use.

A sentence begins with its subject: not with a clause that opens with "Who", "What" or "Whoever".
RFCs are cited as `RFC 9260, 6.2.1`. Floors (`ARCHITECTURE.md`) are named in docstrings of modules
only.
"""

from __future__ import annotations

import ast
import io
import re
import subprocess
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

FLOORS_EXPLAINED = ("ARCHITECTURE.md", "CONTRIBUTING.md")

BANNED = {
    "a clause as the subject": re.compile(
        r"(?:\A|[.!?:;]\s+|\n\n\s*|\n\s*[-*] )(?:Who|What|Whoever|Whatever)\s(?![^.!?]*\?)"
    ),
    "an idiom": re.compile(
        r"\b(?:is|are) none\b(?! of)|\bgoes? again\b|\bfound out\b|\bfinds out\b"
    ),
    "another form of citation": re.compile(
        r"§|RFC \d+,? (?:section|sec\.)|\bsection \d+\.\d|\(section \d"
    ),
    "only a reference": re.compile(r"\ASee [`:][^\n]*\Z"),
}
FLOOR = re.compile(r"\(floors? \d")

OLD_NAMES = re.compile(
    r"\b(?:Establishment|ChatLine|Arrivals|chat_line|signaling_(?:client|socket)|wakefulness"
    r"|signal_line|netem|PacketPath)\b|\bpeer[./](?:files|transfers|negotiation|arrivals)\b"
    r"|\bpeer[./](?:establish|generation|places|budget|events|words|chat|pake|sealing|codes)\b"
)
"""Names and homes of before; their successors are in `ARCHITECTURE.md`."""


def files() -> list[str]:
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    return [
        name
        for name in listed.stdout.splitlines()
        if Path(name).suffix in (".py", ".md", ".js", ".mjs", ".css", ".html", ".ts", ".toml")
        and "package-lock" not in name
        and (ROOT / name).exists()
    ]


FILES = files()


def prose_of_python(source: str) -> Iterator[tuple[int, str, bool]]:
    """Line, text, and whether it is a module's docstring, of all comments and docstrings."""
    tree = ast.parse(source)
    module = ast.get_docstring(tree, clean=False)
    if module is not None:
        yield 1, module, True
    for node in ast.walk(tree):
        body = getattr(node, "body", ())
        for child in body if isinstance(body, list) else ():
            match child:
                case ast.Expr(value=ast.Constant(value=str(text))) if text is not module:
                    yield child.lineno, text, False
                case _:
                    pass
    block: list[str] = []
    start = last = 0
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            if token.start[0] != last + 1 and block:
                yield start, "\n".join(block), False
                block = []
            if not block:
                start = token.start[0]
            block.append(token.string.lstrip("#").strip())
            last = token.start[0]
    if block:
        yield start, "\n".join(block), False


COMMENT = re.compile(r"/\*.*?\*/|(?:^|(?<=\s))//[^\n]*(?:\n\s*//[^\n]*)*", re.DOTALL)
MARKS = re.compile(r"^\s*(?:/\*+|\*+/|\*(?!/)|//)[ \t]?|\s*\*/\s*$", re.MULTILINE)


def prose(name: str) -> Iterator[tuple[int, str, bool]]:
    source = (ROOT / name).read_text(encoding="utf-8")
    if name.endswith(".py"):
        yield from prose_of_python(source)
    elif name.endswith((".js", ".mjs", ".ts", ".css")):
        for found in COMMENT.finditer(source):
            yield source.count("\n", 0, found.start()) + 1, MARKS.sub("", found[0]).strip(), False
    else:
        yield 1, source, False


@pytest.mark.parametrize("name", FILES)
def test_prose_is_plain(name: str) -> None:
    if name == "tests/test_language.py":
        return
    for line, text, of_module in prose(name):
        for reason, pattern in BANNED.items():
            if found := pattern.search(text):
                at = line + text.count("\n", 0, found.start())
                said = text[found.start() :].strip().splitlines()[0]
                pytest.fail(f"{name}:{at} has {reason}: {said}")
        if not of_module and name not in FLOORS_EXPLAINED and FLOOR.search(text):
            pytest.fail(f"{name}:{line} names a floor outside the docstring of a module")


@pytest.mark.parametrize("name", FILES)
def test_old_names_are_gone(name: str) -> None:
    if name == "tests/test_language.py":
        return
    text = (ROOT / name).read_text(encoding="utf-8")
    if found := OLD_NAMES.search(text):
        at = text.count("\n", 0, found.start()) + 1
        pytest.fail(f"{name}:{at} has the old name {found[0]}")


def test_the_rules_find_what_they_forbid() -> None:
    source = '"""Title (floor 1)."""\n\n\ndef f():\n    """Do it. What is left goes on."""\n'
    found = [
        text
        for _, text, _ in prose_of_python(source)
        if BANNED["a clause as the subject"].search(text)
    ]
    assert found == ["Do it. What is left goes on."]
    assert BANNED["an idiom"].search("Port 0 is none.")
    assert BANNED["another form of citation"].search("as RFC 9260 section 6 says")
    assert not BANNED["another form of citation"].search("(RFC 9260, 6.2.1)")
    assert BANNED["only a reference"].search("See `Connection.close`.")
    assert not BANNED["a clause as the subject"].search("What if the server is gone? It waits.")
