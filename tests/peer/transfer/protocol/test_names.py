"""Names from the other side: what is refused, what is not, how it is shown."""

from __future__ import annotations

import json
import os
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from peer.errors import UnsafeName
from peer.text import is_hidden, show_name
from peer.transfer.protocol.manifest import Entry, Manifest
from peer.transfer.protocol.names import (
    LINUX,
    PORTABLE,
    Platform,
    check_entry,
    decode_path,
    encode_path,
    name_key,
)
from peer.transfer.protocol.notes import notable_entries
from peer.transfer.protocol.plan import NamePlan

VECTORS = json.loads(
    (Path(__file__).parents[3] / "vectors" / "names.json").read_text(encoding="utf-8")
)


def entries(case: dict[str, Any]) -> list[Entry]:
    return [Entry(**entry) for entry in case["entries"]]


def file(path: str) -> Entry:
    return Entry(path=path, kind="file", size=1)


def check(case: dict[str, Any]) -> None:
    for index, entry in enumerate(entries(case)):
        try:
            check_entry(entry)
        except UnsafeName as exc:
            assert index == case["index"]
            assert exc.reason
            assert not any(map(is_hidden, str(exc)))
            assert str(exc).endswith(".")
            raise


@pytest.mark.parametrize("case", VECTORS["rejected"], ids=lambda case: case["name"])
def test_what_no_honest_sender_says_is_refused_at_the_entry_at_fault(case: dict[str, Any]) -> None:
    with pytest.raises(UnsafeName):
        check(case)


@pytest.mark.parametrize("case", VECTORS["doubled"], ids=lambda case: case["name"])
def test_a_path_that_is_there_twice_is_refused(case: dict[str, Any]) -> None:
    for platform in (LINUX, PORTABLE):
        with pytest.raises(ValueError, match="twice"):
            NamePlan(Manifest(entries(case)), platform)


@pytest.mark.parametrize("case", VECTORS["plans"], ids=lambda case: case["name"])
@pytest.mark.parametrize("name", ["linux", "portable"])
def test_every_name_becomes_one_that_the_platform_holds(case: dict[str, Any], name: str) -> None:
    manifest = Manifest(entries(case))
    for entry in manifest:
        check_entry(entry)
    plan = NamePlan(manifest, {"linux": LINUX, "portable": PORTABLE}[name])
    planned: list[object] = []
    for index, entry in enumerate(manifest):
        path = "/".join(plan.parts(index))
        planned.append([path, plan.target(index)] if entry.kind == "link" else path)
        if entry.kind == "link":
            assert bool(plan.link_problem(index)) == (plan.target(index) is None)
    assert planned == case[name]


def test_changes_are_listed_a_folder_once() -> None:
    paths = ["x\x1b/1", "x\x1b/2", "plain", "CON"]
    plan = NamePlan(Manifest(map(file, paths)), PORTABLE)
    assert {note.path: note.name for note in plan.renamed} == {"x\x1b": "x_", "CON": "_CON"}


def test_many_names_that_want_to_be_the_same_get_numbers_in_one_go() -> None:
    plan = NamePlan(Manifest(file(f"{chr(1 + n % 8) * (n // 8 + 1)}") for n in range(400)), LINUX)
    names = [plan.parts(n)[0] for n in range(400)]
    assert len(set(names)) == 400
    same = NamePlan(Manifest(file(f"a{chr(0x200B)}{chr(0xE000 + n)}") for n in range(9)), PORTABLE)
    assert len({same.parts(n) for n in range(9)}) == 9


@pytest.mark.parametrize(
    ("platform", "mark"), [(LINUX, "\x01"), (PORTABLE, "\x01"), (PORTABLE, "?")]
)
def test_many_names_that_only_differ_behind_the_number_are_settled_in_one_go(
    platform: Platform, mark: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = 0

    def count(name: str, platform: Platform) -> str:
        nonlocal keys
        keys += 1
        return name_key(name, platform)

    monkeypatch.setattr("peer.transfer.protocol.plan.name_key", count)
    long = "a" * 240
    kept = [f"{long}_{number:014}" for number in range(500)]
    changed = [f"{long}{mark}{number:014}" for number in range(500)]
    plan = NamePlan(Manifest(map(file, [*kept, *changed])), platform)
    names = {plan.parts(index) for index in range(len(plan))}
    assert len(names) == 1000
    assert [plan.parts(index)[0] for index in range(500)] == kept
    assert keys < 8 * 1000


def test_folders_deep_in_one_another_are_counted_with_all_above_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("peer.transfer.protocol.plan.MAX_FOLDER_NAMES", 21)
    assert NamePlan(Manifest([file("a/b/c/d/e/f/x")]), LINUX)
    with pytest.raises(ValueError, match="too deep"):
        NamePlan(Manifest([file("a/b/c/d/e/f/x"), file("b/x")]), LINUX)


def test_a_few_kilobytes_cannot_name_half_a_million_folders() -> None:
    deep = [f"{number}/" + "a/" * 2040 + "x" for number in range(8)]
    with pytest.raises(ValueError, match="too deep"):
        NamePlan(Manifest(map(file, deep)), LINUX)


def test_half_a_million_folders_are_the_most(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("peer.transfer.protocol.plan.MAX_FOLDERS", 100)
    with pytest.raises(ValueError, match="folders"):
        NamePlan(Manifest([file("/".join("d" * 102))]), LINUX)


@settings(max_examples=200, deadline=None)
@given(st.binary(min_size=1, max_size=20))
def test_any_bytes_that_linux_holds_come_back(data: bytes) -> None:
    name = os.fsdecode(data)
    path, escaped = encode_path(name)
    path.encode()  # it can travel
    assert not any(map(is_hidden, show_name(path)))
    assert decode_path(path, escaped) == name
    assert os.fsencode(decode_path(path, escaped)) == data


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(UnsafeName, match="neither a file nor a folder"):
        check_entry(Entry(path="pipe", kind="fifo"))


def printable(text: str) -> bool:
    bad = {"Cc", "Cf", "Cs", "Zl", "Zp"}
    return not any(unicodedata.category(c) in bad and c not in "\u200c\u200d" for c in text)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.text(min_size=1, max_size=12), max_size=5, unique=True),
    st.booleans(),
    st.sampled_from([LINUX, PORTABLE]),
)
def test_whatever_is_planned_stays_below_the_destination(
    paths: list[str], escaped: bool, platform: Platform
) -> None:
    manifest = Manifest(
        Entry(path=path, kind="file", size=1, escaped=escaped) for path in paths if encodable(path)
    )
    try:
        for entry in manifest:
            check_entry(entry)
        plan = NamePlan(manifest, platform)
    except (UnsafeName, ValueError) as exc:
        assert not any(map(is_hidden, str(exc)))
        return
    planned = [plan.parts(index) for index in range(len(manifest))]
    for parts in planned:
        assert parts
        for part in parts:
            assert part not in ("", ".", "..")
            assert not set(part) & set("/\0\n\x1b\u202e\u200b")
            assert len(os.fsencode(part)) <= 255
            if platform is PORTABLE:
                assert not set(part) & set('\\:*?"<>|')
                assert printable(part)
                assert part[-1] not in " ."
    assert len({tuple(name_key(part, platform) for part in parts) for parts in planned}) == len(
        planned
    )


@settings(max_examples=300, deadline=None)
@given(
    st.text("ab:./\x1b", min_size=1, max_size=8),
    st.text("ab:./\x1b", min_size=1, max_size=12),
    st.sampled_from([LINUX, PORTABLE]),
)
def test_whatever_a_link_says_it_stays_in_its_top_folder(
    path: str, target: str, platform: Platform
) -> None:
    entry = Entry(path=path, kind="link", target=target)
    manifest = Manifest([entry, file("a/b/a:b"), file("b/a")])
    try:
        check_entry(entry)
        plan = NamePlan(manifest, platform)
    except (UnsafeName, ValueError):
        return
    planned = plan.target(0)
    if planned is None:
        return
    where = list(plan.parts(0)[:-1])
    for part in planned.split("/"):
        if part == "..":
            where.pop()
            assert where, "it climbed out"
        else:
            assert part not in ("", ".")
            where.append(part)
    top = plan.parts(0)[:1] if "/" in path else {plan.parts(1)[0], plan.parts(2)[0], *plan.parts(0)}
    assert where[0] in top


def encodable(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)


@pytest.mark.parametrize("case", VECTORS["notable"], ids=lambda case: case["name"])
def test_what_is_hidden_or_a_program_is_named_first(case: dict[str, Any]) -> None:
    notes = notable_entries(entries(case))
    assert [[note.path, note.hidden, note.executable] for note in notes] == case["notable"]
    assert notes.total == len(case["notable"])


def test_of_many_notes_the_first_are_kept_and_all_are_counted() -> None:
    notes = notable_entries(file(f".{n}") for n in range(1000))
    assert (len(notes), notes.total) == (100, 1000)
