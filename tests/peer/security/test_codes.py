"""Codes: what people type and paste becomes the code, or a sentence that helps."""

from __future__ import annotations

import re
import string
import unicodedata
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from peer.errors import CodeError, ExitCode
from peer.security import words
from peer.security.codes import (
    DEFAULT_WORDS,
    MAX_WORDS,
    MIN_WORDS,
    RANDOM_BYTES,
    Code,
    complete,
    make_words,
    suggest,
)
from peer.security.pasted import server_of
from peer.security.words import WORDS
from tests.support.security import vectors

VECTORS = vectors.load("codes.json")
ROOT = Path(__file__).resolve().parents[3]

any_word = st.sampled_from(WORDS)
codes = st.builds(
    Code,
    st.integers(1, 999_999_999).map(str),
    st.lists(any_word, min_size=MIN_WORDS, max_size=MAX_WORDS).map(tuple),
)
quick = settings(max_examples=150, deadline=None)

DASHES = "-\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe58\uff0d_+ \t\u00a0\u3000./,"
INVISIBLE = "\u00ad\u200b\u200c\u200d\u200e\u200f\u2060\ufeff\ufe0f"


# The list


def test_the_list_has_1296_distinct_plain_words() -> None:
    assert len(WORDS) == 1296 == len(set(WORDS))
    assert all(re.fullmatch("[a-z]{3,10}", word) for word in WORDS)
    assert list(WORDS) == sorted(WORDS)


def test_three_letters_say_which_word_it_is() -> None:
    assert len({word[:3] for word in WORDS}) == 1296


def test_no_two_words_are_near_each_other() -> None:
    """So a slip in one or two letters is noticed, and the word that was meant is known."""
    shortened: dict[str, set[str]] = {}
    for word in WORDS:
        for dropped in range(3):
            for kept in combinations(word, len(word) - dropped):
                shortened.setdefault("".join(kept), set()).add(word)
    # Words within two edits of each other have such a remainder in common.
    pairs = {pair for group in shortened.values() for pair in combinations(sorted(group), 2)}
    assert pairs
    assert [pair for pair in pairs if within_two_edits(*pair)] == []


def within_two_edits(a: str, b: str) -> bool:
    """Levenshtein distance of at most 2, by trying the edits rather than by a table."""
    frontier = {(0, 0)}
    for edits in range(3):
        reached = set()
        for i, j in frontier:
            while i < len(a) and j < len(b) and a[i] == b[j]:
                i, j = i + 1, j + 1
            if i == len(a) and j == len(b):
                return True
            reached |= {(i + 1, j), (i, j + 1), (i + 1, j + 1)}
        frontier = {(i, j) for i, j in reached if i <= len(a) and j <= len(b)}
        if edits == 2:
            break
    return False


def test_the_page_has_the_same_words_in_the_same_order() -> None:
    script = (ROOT / "web/client/security/words.js").read_text(encoding="utf-8")
    assert tuple(script.split("`")[1].split()) == WORDS


def test_the_list_credits_its_authors() -> None:
    head = words.__doc__ or ""
    assert "Electronic Frontier Foundation" in head
    assert "CC BY" in head


# Making


def test_two_words_are_the_default() -> None:
    assert len(make_words(bytes(RANDOM_BYTES))) == DEFAULT_WORDS == 2


@quick
@given(st.binary(min_size=RANDOM_BYTES, max_size=64), st.integers(MIN_WORDS, MAX_WORDS))
def test_made_words_come_from_the_list(random: bytes, count: int) -> None:
    made = make_words(random, count)
    assert len(made) == count
    assert set(made) <= set(WORDS)


def test_every_word_can_be_made() -> None:
    size = len(WORDS)
    first = {make_words(n.to_bytes(RANDOM_BYTES, "big"))[0] for n in range(size)}
    second = {make_words((n * size).to_bytes(RANDOM_BYTES, "big"))[1] for n in range(size)}
    assert first == second == set(WORDS)


@pytest.mark.parametrize("count", [-1, 0, 1, MAX_WORDS + 1])
def test_too_few_or_too_many_words_are_not_made(count: int) -> None:
    with pytest.raises(ValueError, match="words"):
        make_words(bytes(RANDOM_BYTES), count)


def test_too_few_random_bytes_are_refused() -> None:
    with pytest.raises(ValueError, match="random bytes"):
        make_words(bytes(RANDOM_BYTES - 1))


# Reading


@pytest.mark.parametrize("case", VECTORS["parse"], ids=lambda case: ascii(case["text"][:40]))
def test_parsing_matches_the_golden_cases(case: dict[str, str]) -> None:
    if "code" in case:
        assert str(Code.parse(case["text"])) == case["code"]
    else:
        with pytest.raises(CodeError) as caught:
            Code.parse(case["text"])
        assert str(caught.value) == case["error"]


@quick
@given(codes)
def test_a_code_reads_back_as_itself(code: Code) -> None:
    assert Code.parse(str(code)) == code
    assert Code.parse(str(code).upper()) == code
    assert Code.parse(code.link("https://host.example:8443/")) == code


@quick
@given(
    code=codes,
    dashes=st.text(DASHES, min_size=1, max_size=3),
    around=st.tuples(
        st.text(DASHES + "<>()[]\"'!?*`", max_size=3), st.text(" .,;:!?)>", max_size=3)
    ),
    invisible=st.sampled_from(INVISIBLE),
    place=st.integers(0, 60),
    link=st.booleans(),
)
@example(Code("7", ("guitar", "ocean")), "-", ("", ""), "\u200b", 4, True)
def test_any_dashes_blanks_and_punctuation_are_accepted(
    code: Code, dashes: str, around: tuple[str, str], invisible: str, place: int, link: bool
) -> None:
    text = dashes.join((code.number, *code.words))
    text = text[:place] + invisible + text[place:]
    if link:
        text = "https://host.example/#" + text
    assert Code.parse(around[0] + text + around[1]) == code


@settings(max_examples=250, deadline=None)
@given(
    st.one_of(
        st.text(max_size=80),
        st.text(string.printable + DASHES + INVISIBLE + "٣½ǅßİ#%", max_size=80),
        st.lists(st.one_of(any_word, st.text(max_size=8), st.integers().map(str)), max_size=12).map(
            "-".join
        ),
    )
)
def test_anything_is_a_code_or_an_error_for_people(text: str) -> None:
    try:
        code = Code.parse(text)
    except CodeError as error:
        sentence = str(error)
        assert sentence.endswith((".", "?"))
        assert not any(unicodedata.category(letter)[0] == "C" for letter in sentence)
        assert error.exit_code is ExitCode.USAGE
    else:
        assert Code.parse(str(code)) == code
        assert re.fullmatch(r"[1-9][0-9]{0,8}(-[a-z]+){2,8}", str(code))


def swapped(text: str) -> set[str]:
    """All texts with two neighbouring letters swapped."""
    return {text[:at] + text[at + 1] + text[at] + text[at + 2 :] for at in range(len(text) - 1)} - {
        text
    }


@settings(max_examples=60, deadline=None)
@given(any_word, st.integers(0, 9), st.sampled_from(string.ascii_lowercase))
def test_a_slip_is_named_and_the_word_that_was_meant_is_offered(
    word: str, place: int, letter: str
) -> None:
    place = min(place, len(word) - 1)
    slip = word[:place] + letter + word[place + 1 :]
    # A prefix is taken for its word, and another word may be one swap away.
    assume(slip != word and not complete(slip) and not swapped(slip) & set(WORDS))
    with pytest.raises(CodeError, match=f'^"{slip}" is .*; did you mean "{word}"\\?$'):
        Code.parse(f"7-ocean-{slip}")


def test_every_unknown_word_is_named() -> None:
    with pytest.raises(CodeError) as caught:
        Code.parse("7-gitar-ocean-kangoroo")
    assert '"gitar"' in str(caught.value)
    assert '"kangoroo"' in str(caught.value)
    assert '"ocean"' not in str(caught.value)


# Completing and suggesting


def test_completion_matches_the_golden_cases() -> None:
    for prefix, expected in VECTORS["complete"].items():
        assert list(complete(prefix)) == expected
    for text, expected in VECTORS["suggest"].items():
        assert suggest(text) == expected


def test_no_letters_complete_to_everything() -> None:
    assert complete("") == WORDS


@quick
@given(any_word, st.integers(3, 10))
def test_three_letters_complete_to_their_word(word: str, size: int) -> None:
    assert complete(word[:size].upper()) == (word,)
    assert suggest(word[:size]) == word


@pytest.mark.parametrize("word", ["guitar", "ocean", "zucchini", "xerox"])
def test_swapped_neighbours_are_one_slip(word: str) -> None:
    assert {suggest(slip) for slip in swapped(word)} == {word}


# The code itself


def test_the_whole_code_is_the_password() -> None:
    vector = VECTORS["password"]
    assert Code.parse(vector["code"]).password.hex() == vector["hex"]
    assert Code.parse("7 GUITAR ocean").password == b"7-guitar-ocean"


@pytest.mark.parametrize(("base", "link"), VECTORS["link"].items())
def test_links_carry_the_code_in_the_fragment(base: str, link: str) -> None:
    assert Code.parse("7-guitar-ocean").link(base) == link


def test_secret_words_do_not_show_in_the_repr() -> None:
    code = Code.parse("7-guitar-ocean")
    assert "guitar" not in repr(code)
    assert "ocean" not in f"{[code]}"


@pytest.mark.parametrize("number", ["", "0", "07", "-1", "x", "7\x1b[2J", "7\n", "1234567890", "٣"])
def test_a_number_from_a_server_is_checked(number: str) -> None:
    with pytest.raises(CodeError):
        Code(number, ("guitar", "ocean"))


def test_words_are_checked_wherever_they_come_from() -> None:
    with pytest.raises(CodeError, match="at least"):
        Code("7", ("guitar",))
    with pytest.raises(CodeError, match="not a word"):
        Code("7", ("guitar", "Ocean"))


def test_golden_codes_are_what_the_code_makes() -> None:
    committed = (vectors.VECTORS / "codes.json").read_text(encoding="utf-8")
    assert committed == vectors.rendered("codes.json")
    for case in VECTORS["make_words"]:
        made = make_words(bytes.fromhex(case["random"]), case["count"])
        assert list(made) == case["words"]


@pytest.mark.parametrize("case", VECTORS["server"], ids=lambda case: ascii(case["text"][:40]))
def test_the_server_that_a_link_or_a_command_names_is_found(case: dict[str, str | None]) -> None:
    assert case["text"] is not None
    assert server_of(case["text"]) == case["server"]
