"""Every text for people is in `tests/messages.txt`, reviewed, and follows the rules."""

from __future__ import annotations

import pytest

from tests.support.messages.collect import FILE, HOW, NOT_TEXTS, collect, written
from tests.support.messages.rules import broken_rules

TEXTS = collect()


def test_every_text_is_in_the_reviewed_file() -> None:
    assert FILE.read_text(encoding="utf-8") == written(), (
        f"texts for people have changed: run `{HOW}`, and review the difference"
    )


def test_every_text_follows_the_rules() -> None:
    shown = {
        name: [text for text in those if text not in NOT_TEXTS] for name, those in TEXTS.items()
    }
    assert broken_rules(shown) == []


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("The file could not be read here", "ends with"),
        ("the room is full.", "full stop"),
        ("What was sent is lost.", "begin with the subject"),
        ("The address is none.", "say what is missing"),
        ("The other side's SDP is too long.", "internal name"),
        ("A LinkLost ended it.", "name of a class"),
    ],
)
def test_a_rule_that_is_broken_is_named(text: str, rule: str) -> None:
    (problem,) = broken_rules({"a.py": [text]})
    assert rule in problem


def test_one_thing_in_two_wordings_is_named() -> None:
    two = ["The code has been used by somebody.", "This code is already used by somebody."]
    assert len(broken_rules({"a.py": two})) == 1


def test_what_counts_as_no_text_occurs() -> None:
    assert {text for those in TEXTS.values() for text in those} >= NOT_TEXTS
