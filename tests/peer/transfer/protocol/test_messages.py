"""Control messages: the golden ones, out of bounds, cut, garbage."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from peer.transfer.protocol.config import MAX_BYTES, MAX_CONTROL_MESSAGE
from peer.transfer.protocol.manifest import Entry, Manifest
from peer.transfer.protocol.messages import (
    MESSAGE_TYPES,
    BadMessage,
    Offer,
    OfferMore,
    offer_pages,
    parse_message,
    serialize_message,
)

VECTORS = json.loads(
    (Path(__file__).parents[3] / "vectors" / "transfer.json").read_text(encoding="utf-8")
)


@pytest.mark.parametrize("text", VECTORS["messages"])
def test_golden_messages_are_read_and_written(text: str) -> None:
    message = parse_message(text)
    assert message is not None
    assert json.loads(serialize_message(message)) == json.loads(text)


def test_the_golden_messages_cover_every_type() -> None:
    assert {json.loads(text)["t"] for text in VECTORS["messages"]} == MESSAGE_TYPES


@pytest.mark.parametrize("text", VECTORS["bad_messages"])
def test_messages_out_of_bounds_are_refused(text: str) -> None:
    with pytest.raises(BadMessage):
        parse_message(text)


def test_a_bad_message_tells_which_transfer_it_spoils() -> None:
    with pytest.raises(BadMessage) as caught:
        parse_message('{"t":"accept","transfer":6,"window":0}')
    assert caught.value.transfer == 6


@pytest.mark.parametrize("text", VECTORS["not_messages"])
def test_what_is_no_message_is_refused(text: str) -> None:
    with pytest.raises(BadMessage) as caught:
        parse_message(text)
    assert caught.value.transfer is None


@pytest.mark.parametrize("text", VECTORS["ignored_messages"])
def test_messages_of_other_types_are_none_of_ours(text: str) -> None:
    assert parse_message(text) is None


@pytest.mark.parametrize("text", VECTORS["messages"])
def test_unknown_fields_are_ignored(text: str) -> None:
    future = json.loads(text) | {"future": {"deep": [1, 2, {}]}}
    assert parse_message(json.dumps(future)) == parse_message(text)


@pytest.mark.parametrize("text", VECTORS["messages"])
def test_no_cut_of_a_message_passes(text: str) -> None:
    for length in range(len(text)):
        with pytest.raises(BadMessage):
            parse_message(text[:length])


@pytest.mark.parametrize(
    "text",
    [
        '{"t":"done","x":' + "[" * 20000,
        '{"t":"done","transfer":1,"files":0,"bytes":0,"x":' + "[" * 20000 + "]" * 20000 + "}",
        '{"t":"cancel","transfer":1,"code":"x","message":"' + "y" * MAX_CONTROL_MESSAGE + '"}',
        '{"t":"cancel","transfer":1,"code":"x","message":"' + "é" * (MAX_CONTROL_MESSAGE // 2),
        "\ud800",
    ],
    ids=["deep and cut", "deep", "long", "long in bytes", "surrogate"],
)
def test_messages_made_to_exhaust_the_reader_are_refused(text: str) -> None:
    with pytest.raises(BadMessage):
        parse_message(text)


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.text(max_size=200), st.binary(max_size=200)))
def test_garbage_is_refused_or_ignored(data: str | bytes) -> None:
    with contextlib.suppress(BadMessage):
        assert parse_message(data) is None


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(VECTORS["messages"]), st.data())
def test_a_damaged_message_is_read_or_refused(text: str, data: st.DataObject) -> None:
    position = data.draw(st.integers(0, len(text) - 1))
    with contextlib.suppress(BadMessage):
        parse_message(text[:position] + data.draw(st.text(max_size=3)) + text[position + 1 :])


def file(path: str, size: int = 1) -> Entry:
    return Entry(path=path, kind="file", size=size)


def read_pages(pages: list[str]) -> list[Entry]:
    entries: list[Entry] = []
    for position, text in enumerate(pages):
        assert len(text.encode()) <= MAX_CONTROL_MESSAGE
        message = parse_message(text)
        assert isinstance(message, Offer if position == 0 else OfferMore)
        assert message.more == (position < len(pages) - 1)
        entries += message.entries
    return entries


def test_a_small_manifest_is_one_page() -> None:
    manifest = Manifest.of(file("a", 3), Entry(path="d", kind="dir"))
    pages = list(offer_pages(2, manifest))
    assert read_pages(pages) == list(manifest)
    first = parse_message(pages[0])
    assert isinstance(first, Offer)
    assert (first.files, first.bytes) == (1, 3)


def test_a_large_manifest_fits_in_bounded_pages() -> None:
    manifest = Manifest(file(f"some/folder/{n}") for n in range(70_000))
    assert read_pages(list(offer_pages(2, manifest))) == list(manifest)


def test_the_longest_and_widest_names_fit_too() -> None:
    manifest = Manifest(file(f"{n}/" + "😀" * 255) for n in range(200))
    assert read_pages(list(offer_pages(0xFFFFFFFF, manifest))) == list(manifest)


def test_a_manifest_adds_up_and_knows_its_segments() -> None:
    manifest = Manifest.of(
        file("a", 0), Entry(path="d", kind="dir"), file("b", (1 << 20) + 1), file("d/c", 1 << 20)
    )
    assert (len(manifest), manifest.files, manifest.bytes) == (4, 3, (2 << 20) + 1)
    assert [manifest.segments(n) for n in range(4)] == [0, 0, 2, 1]
    assert manifest.segment_length(2, 0) == 1 << 20
    assert manifest.segment_length(2, 1) == 1
    assert manifest.roots() == ["a", "d", "b"]


@pytest.mark.parametrize(
    ("entries", "complaint"),
    [
        ([file("a", MAX_BYTES), file("b", 1)], "sum up"),
        ([Entry(path="a", kind="file")], "size"),
        ([Entry(path="a", kind="dir", size=1)], "size"),
        ([Entry(path="a", kind="link")], "target"),
        ([file("a"), Entry(path="b", kind="file", size=1, target="x")], "entry 1: a target"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_manifest_that_does_not_add_up_is_refused(entries: list[Entry], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        Manifest(entries)


def test_a_manifest_ends_where_its_text_is_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("peer.transfer.protocol.manifest.MAX_MANIFEST_TEXT", 1000)
    with pytest.raises(ValueError, match="more files and folders"):
        Manifest(file("a" * 100) for _ in range(10))


def test_a_manifest_gives_any_entry_whatever_page_it_is_on() -> None:
    manifest = Manifest(file(f"folder/{n}", n) for n in range(9000))
    assert [manifest[n].size for n in (0, 8999, 4096, 1, 8191, 5000)] == [
        0,
        8999,
        4096,
        1,
        8191,
        5000,
    ]
    assert [entry.size for entry in manifest] == list(range(9000))
    assert manifest[-1] == manifest[8999]
    for index in (9000, -9001):
        with pytest.raises(IndexError):
            manifest[index]


def test_a_manifest_is_kept_packed_and_can_be_forgotten() -> None:
    manifest = Manifest(file(f"photos/{n:06}.jpg", n) for n in range(50_000))
    assert manifest.kept < 50_000 * 30
    manifest.release()
    assert (len(manifest), manifest.files, manifest.bytes) == (50_000, 50_000, sum(range(50_000)))
    assert 0 < len(list(manifest)) < 2000
    assert manifest.kept < 40_000


def test_the_longest_entry_that_may_be_sent_fits_in_a_page() -> None:
    manifest = Manifest([Entry(path="\x01" * 4096, kind="file", size=MAX_BYTES)])
    assert read_pages(list(offer_pages(0xFFFFFFFF, manifest, left_out=9))) == list(manifest)
