"""Names from the other side: what is refused, what is not, how it is shown."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from peer.errors import UnsafeName
from peer.transfer.config import MAX_ENTRIES
from peer.transfer.manifest import Entry
from peer.transfer.names import NameChecker, SafePlan, display_name, safe_manifest
from peer.transfer.notes import notable_entries

VECTORS = json.loads(
    (Path(__file__).parents[2] / "vectors" / "names.json").read_text(encoding="utf-8")
)


def entries(case: dict[str, Any]) -> list[Entry]:
    return [Entry(**entry) for entry in case["entries"]]


def file(path: str) -> Entry:
    return Entry(path=path, kind="file", size=1)


@pytest.mark.parametrize("case", VECTORS["rejected"], ids=lambda case: case["name"])
def test_a_hostile_manifest_is_refused_at_the_entry_at_fault(case: dict[str, Any]) -> None:
    with pytest.raises(UnsafeName) as caught:
        safe_manifest(entries(case))
    assert caught.value.index == case["index"]
    assert caught.value.reason


@pytest.mark.parametrize("case", VECTORS["accepted"], ids=lambda case: case["name"])
def test_an_honest_manifest_keeps_its_names(case: dict[str, Any]) -> None:
    plan = safe_manifest(entries(case))
    assert ["/".join(safe.parts) for safe in plan] == [e["path"] for e in case["entries"]]
    assert [safe.index for safe in plan] == list(range(len(plan)))


@pytest.mark.parametrize("case", VECTORS["accepted"], ids=lambda case: case["name"])
def test_pages_are_judged_like_the_whole(case: dict[str, Any]) -> None:
    checker = NameChecker()
    for entry in entries(case):
        checker.extend([entry])
    assert checker.finish() == safe_manifest(entries(case))


@pytest.mark.parametrize("case", VECTORS["display"], ids=lambda case: ascii(case["text"]))
def test_text_is_shown_without_what_a_terminal_would_obey(case: dict[str, Any]) -> None:
    assert display_name(case["text"]) == case["shown"]


@pytest.mark.parametrize("case", VECTORS["rejected"], ids=lambda case: case["name"])
def test_the_refusal_itself_is_safe_to_print(case: dict[str, Any]) -> None:
    with pytest.raises(UnsafeName) as caught:
        safe_manifest(entries(case))
    assert printable(str(caught.value))
    assert str(caught.value).endswith(".")


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(UnsafeName, match="neither a file nor a folder"):
        safe_manifest([Entry(path="pipe", kind="fifo")])


def test_a_manifest_may_not_imply_more_folders_than_it_may_name() -> None:
    per_file = 31
    checker = NameChecker()
    with pytest.raises(UnsafeName, match="folder too many"):
        for n in range(MAX_ENTRIES // per_file + 2):
            checker.extend([file("/".join([f"{n:x}"] * (per_file + 1)))])


def test_a_long_name_is_shown_by_its_two_ends() -> None:
    shown = display_name("a" * 500 + ".exe", limit=40)
    assert len(shown) == 40
    assert shown.startswith("aaaa")
    assert shown.endswith(".exe")
    assert "…" in shown


def printable(text: str) -> bool:
    bad = {"Cc", "Cf", "Cs", "Zl", "Zp"}
    return not any(unicodedata.category(c) in bad and c not in "\u200c\u200d" for c in text)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.text(max_size=12), max_size=5))
def test_whatever_passes_stays_below_the_destination(paths: list[str]) -> None:
    try:
        plan: SafePlan = safe_manifest([file(path) for path in paths])
    except UnsafeName as exc:
        assert printable(str(exc))
        return
    for safe in plan:
        assert safe.parts
        for part in safe.parts:
            assert part not in ("", ".", "..")
            assert not set(part) & set("/\\:\0\n\x1b\u202e\u200b")
            assert len(part.encode()) <= 255
            assert printable(part)


@settings(max_examples=200, deadline=None)
@given(
    st.text(alphabet="aAbB/.é\u0301 ", max_size=8), st.text(alphabet="aAbB/.é\u0301 ", max_size=8)
)
def test_two_names_that_pass_differ_on_the_least_discerning_disk(one: str, other: str) -> None:
    try:
        safe_manifest([file(one), file(other)])
    except UnsafeName:
        return
    assert fold(one) != fold(other)


def fold(text: str) -> str:
    return unicodedata.normalize("NFC", text).casefold()


@settings(max_examples=300, deadline=None)
@given(st.text())
def test_everything_can_be_shown(text: str) -> None:
    assert printable(display_name(text))


@pytest.mark.parametrize("case", VECTORS["notable"], ids=lambda case: case["name"])
def test_what_is_hidden_or_a_program_is_named_first(case: dict[str, Any]) -> None:
    notes = notable_entries(entries(case))
    assert [[note.path, note.hidden, note.executable] for note in notes] == case["notable"]
    assert notes.total == len(case["notable"])


def test_of_many_notes_the_first_are_kept_and_all_are_counted() -> None:
    notes = notable_entries(file(f".{n}") for n in range(1000))
    assert (len(notes), notes.total) == (100, 1000)
