"""Every module and test that docs/security.md names exists, and the limits it states are true."""

from __future__ import annotations

import re
from pathlib import Path

from peer.security.guesses import CODE_GUESSES, ROOM_GUESSES, ROOM_WINDOW

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
CELLS = [line for line in PAGE.splitlines() if line.startswith("| ") and "`" in line]


def test_the_files_that_it_names_exist() -> None:
    named = re.findall(r"`((?:peer|signaling|web|tests|docs)/[\w./-]+)`", PAGE)
    assert len(named) > 60
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_every_promise_names_a_module_and_a_test() -> None:
    for line in CELLS:
        promise, _, module, test = (cell.strip() for cell in line.strip("|").split("|"))
        assert promise
        assert "`" in module or module == "the same", line
        assert "`tests/" in test or test == "the same", line


def test_the_numbers_of_guesses_are_those_of_the_code() -> None:
    assert (CODE_GUESSES, ROOM_GUESSES, ROOM_WINDOW) == (1, 8, 3600)
    assert f"{ROOM_GUESSES * 24 * 7:,} a week" in re.sub(r"\s+", " ", PAGE)
