"""Names and texts of others: what of them is shown."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from peer.text import MAX_NAME, exceeds, fit_name, fit_text, is_hidden, show_name
from signaling.messages import Hello, parse_client, serialize

VECTORS: dict[str, Any] = json.loads(
    (Path(__file__).parents[1] / "vectors" / "text.json").read_text(encoding="utf-8")
)
HOSTILE = st.text(
    st.characters()
    | st.sampled_from(
        "\u200b\u200c\u200d\u202e\u2066\ufe0f\u0301\u3164\u2028\xa0 \U000e0041\U0001f469\u0645"
    ),
    max_size=90,
)


def test_the_hidden_characters_are_those_of_the_table() -> None:
    hidden = {code for low, high in VECTORS["hidden"] for code in range(low, high + 1)}
    assert {code for code in range(0x110000) if is_hidden(chr(code))} == hidden


@pytest.mark.parametrize("case", VECTORS["names"], ids=lambda case: ascii(case["text"][:40]))
def test_a_name_is_cleaned(case: dict[str, str]) -> None:
    assert fit_name(case["text"]) == case["fit"]


@pytest.mark.parametrize("case", VECTORS["texts"], ids=lambda case: ascii(case["text"][:40]))
def test_a_text_is_cleaned(case: dict[str, str]) -> None:
    assert fit_text(case["text"]) == case["fit"]


@pytest.mark.parametrize("case", VECTORS["shown"], ids=lambda case: ascii(case["text"][:40]))
def test_a_name_of_a_file_is_spelled_out(case: dict[str, str]) -> None:
    assert show_name(case["text"]) == case["shown"]


def test_a_long_name_is_shown_by_its_two_ends() -> None:
    shown = show_name("a" * 500 + ".exe", limit=40)
    assert len(shown) == 40
    assert shown.startswith("aaaa")
    assert shown.endswith(".exe")
    assert "…" in shown
    assert [show_name("abcdef", limit) for limit in (1, 2, 3)] == ["…", "a…", "a…f"]


@settings(max_examples=400, deadline=None)
@given(HOSTILE)
def test_whatever_a_name_is_it_is_cleaned_for_good(text: str) -> None:
    name = fit_name(text)
    assert fit_name(name) == name
    assert len(name) <= MAX_NAME
    assert not any(map(is_hidden, name))
    assert name == name.strip(" ") and "  " not in name


@settings(max_examples=200, deadline=None)
@given(HOSTILE)
def test_a_server_takes_every_name_that_was_cleaned(text: str) -> None:
    hello = Hello(room="demo", name=fit_name(text))
    assert parse_client(serialize(hello)) == hello


@settings(max_examples=200, deadline=None)
@given(HOSTILE)
def test_whatever_a_text_is_it_moves_nothing(text: str) -> None:
    shown = fit_text(text)
    assert fit_text(shown) == shown
    assert not re.search(
        "[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069]", shown
    )
    assert not any(is_hidden(character) for character in show_name(text))


@settings(max_examples=200, deadline=None)
@given(HOSTILE, st.integers(min_value=0, max_value=400))
def test_bytes_are_counted_as_utf8(text: str, limit: int) -> None:
    assert exceeds(text, limit) == (len(text.encode("utf-8", "surrogatepass")) > limit)
