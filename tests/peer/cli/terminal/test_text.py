"""Sizes, rates and durations as people read them; hostile text made harmless."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from peer.cli.terminal.text import count, duration, fold, rate, safe, safe_line, shorten


def test_rate_never_shows_a_negative_number() -> None:
    assert rate(88_600_000.4) == "88.6 MB/s"
    assert rate(-5.0) == "0 B/s"


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0.2, "0 s"), (59.4, "59 s"), (59.6, "1:00"), (65, "1:05"), (7384, "2:03:04"), (-1, "0 s")],
)
def test_durations_grow_from_seconds_to_hours(seconds: float, shown: str) -> None:
    assert duration(seconds) == shown


def test_counted_nouns_agree_with_their_number() -> None:
    assert count(1, "file") == "1 file"
    assert count(12_345, "file") == "12,345 files"
    assert count(2, "entry", "entries") == "2 entries"


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [
        ("\x1b]0;owned\x07", "\\x1b]0;owned\\x07"),
        ("a\nb", "a\\x0ab"),
        ("invoice\u202efdp.exe", "invoice\\u202efdp.exe"),
        ("zero\u200bwidth", "zero\\u200bwidth"),
        ("\u2028", "\\u2028"),
        ("\ud800", "\\ud800"),
        ("\U000e0041", "\\U000e0041"),
        ("\x9b31m", "\\x9b31m"),
        ("naïve 日本 🎬.mkv", "naïve 日本 🎬.mkv"),
    ],
)
def test_what_could_deceive_the_eye_is_spelled_out(hostile: str, shown: str) -> None:
    assert safe(hostile) == shown


def test_joiners_stay_in_messages_and_show_in_names() -> None:
    family = "👩\u200d👧"
    assert safe(family, joiners=True) == family
    assert safe(family) == "👩\\u200d👧"


def test_one_line_stays_one_line() -> None:
    assert safe_line("two\r\nlines\tand a tab") == "two lines and a tab"


@given(st.text())
@settings(max_examples=200, deadline=None)
def test_safe_text_is_printable_whatever_comes(text: str) -> None:
    assert all(char.isprintable() or char == "\u3000" or char.isspace() for char in safe(text))
    assert "\x1b" not in safe(text)
    assert safe(safe(text)) == safe(text)


@given(st.text(max_size=80), st.integers(min_value=2, max_value=40))
@settings(max_examples=200, deadline=None)
def test_shortened_text_fits_and_keeps_both_ends(text: str, limit: int) -> None:
    short = shorten(text, limit)
    assert len(short) <= limit
    if len(text) > limit:
        assert "…" in short
        assert short[-1] == text[-1]


@pytest.mark.parametrize(
    ("text", "columns", "folded"),
    [
        ("compare the words", 80, "compare the words"),
        ("compare the words", 11, "compare the\nwords"),
        ("compare the words", 10, "compare\nthe words"),
        ("a" * 30, 10, "a" * 30),
        ("see " + "a" * 30 + " there", 10, "see\n" + "a" * 30 + "\nthere"),
        ("你你 你你 x", 9, "你你 你你\nx"),
        ("", 10, ""),
    ],
)
def test_sentences_are_broken_between_words(text: str, columns: int, folded: str) -> None:
    assert fold(text, columns) == folded
