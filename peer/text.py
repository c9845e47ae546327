r"""Names and texts of other people, made fit to be shown (floor 0).

Names of people and programs are *cleaned* (`fit_name`): on one line, at most 64 characters, without
what cannot be seen. Texts are cleaned, too (`fit_text`), but keep their lines. Names of files are
*spelled out* (`show_name`): what cannot be seen becomes an escape such as `\u202e`, because it is
there on the disk.

A character is hidden when it draws nothing, or changes what stands around it: controls, the format
characters of bidirectional text, zero-width and other default-ignorable characters (UAX 44), tags
that can carry text nobody sees, blanks that look like nothing. Two kinds are of use in their place
and a disguise elsewhere: joiners (within emoji, and between letters of scripts whose spelling needs
them) and variation selectors (after what has an emoji form). Marks that pile up are cut off, since
they cover the lines around them.

The tables are ranges, not categories: those depend on the Unicode version of the reader.
`web/client/text.js` is the same in JavaScript; `tests/vectors/text.json` holds both to it.
`peer.cli.terminal.text` handles what a terminal obeys.
"""

from __future__ import annotations

import re
from typing import Final

__all__ = [
    "MAX_MARKS",
    "MAX_NAME",
    "exceeds",
    "fit_code",
    "fit_name",
    "fit_text",
    "is_hidden",
    "show_name",
]

MAX_NAME: Final = 64
"""Characters (code points) of a name, as servers bound it."""
MAX_MARKS: Final = 4
"""Combining marks that may follow one another."""

_CONTROLS: Final = r"\x00-\x1f\x7f-\x9f\ud800-\udfff"
_CONTROLS_OF_TEXT: Final = r"\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff"
"""All but line feed and tab."""
_BIDI: Final = r"\u061c\u202a-\u202e\u2066-\u206f"
_HIDDEN: Final = (
    _CONTROLS + _BIDI + r"\xad\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200e\u200f"
    r"\u2028\u2029\u2060-\u2065\u2800\u3164\ufeff\uffa0\ufff0-\ufffb"
    r"\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
    # Drawn as nothing, although they need not be: blanks, placeholders and what is no character.
    r"\ufffc\ufffe\uffff\U00013430-\U00013442\U00016fe4\U0001d159"
)
_SPACE: Final = r"\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
_EMOJI: Final = (
    r"\xa9\xae\u203c\u2049\u2122\u2139\u2190-\u21ff\u2300-\u23ff\u24c2\u25a0-\u27bf\u2900-\u297f"
    r"\u2b00-\u2bff\u3030\u303d\u3297\u3299\U0001f000-\U0001faff"
)
"""Characters with an emoji form, and their neighbours in the blocks."""
_JOINED: Final = (
    r"\u0600-\u06ff\u0700-\u077f\u07c0-\u07ff\u0840-\u085f\u0860-\u08ff\u0900-\u0dff\u1000-\u109f"
    r"\u1780-\u17ff\u1800-\u180a\u1810-\u18af\ua8e0-\ua8ff\ufb50-\ufdff\ufe70-\ufefe"
)
"""Scripts whose spelling needs joiners: Arabic and its kin, those of India, Myanmar, Khmer."""
_MARKS: Final = (
    r"\u0300-\u036f\u0483-\u0489\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a"
    r"\u064b-\u065f\u0670\u06d6-\u06dc\u06df-\u06e4\u06e7\u06e8\u06ea-\u06ed\u0711\u0730-\u074a"
    r"\u07eb-\u07f3\u07fd\u0816-\u0819\u081b-\u0823\u0825-\u0827\u0829-\u082d\u0859-\u085b"
    r"\u0898-\u089f\u08ca-\u08e1\u08e3-\u08ff\u0951-\u0954\u0e31\u0e34-\u0e3a\u0e47-\u0e4e"
    r"\u0eb1\u0eb4-\u0ebc\u0ec8-\u0ecd\u0f18\u0f19\u0f35\u0f37\u0f39\u0f71-\u0f7e\u0f80-\u0f84"
    r"\u0f86\u0f87\u0fc6\u135d-\u135f\u1a75-\u1a7f\u1ab0-\u1aff\u1b6b-\u1b73\u1cd0-\u1cd2"
    r"\u1cd4-\u1ce8\u1ced\u1cf4\u1cf8\u1cf9\u1dc0-\u1dff\u20d0-\u20f0\u2cef-\u2cf1\u2de0-\u2dff"
    r"\u302a-\u302f\u3099\u309a\ua66f-\ua672\ua674-\ua67d\ua69e\ua69f\ua6f0\ua6f1\ua8e0-\ua8f1"
    r"\ua92b-\ua92d\uaab0\uaab2-\uaab4\uaab7\uaab8\uaabe\uaabf\uaac1\ufb1e\ufe20-\ufe2f\U000101fd"
    r"\U000102e0\U00010376-\U0001037a\U00010a0d-\U00010a0f\U00010a38-\U00010a3f"
    r"\U00010f46-\U00010f50\U00011366-\U00011374\U00016af0-\U00016af4\U0001d165-\U0001d169"
    r"\U0001d17b-\U0001d182\U0001d185-\U0001d18b\U0001d1aa-\U0001d1ad"
    r"\U0001d242-\U0001d244\U0001e000-\U0001e02a\U0001e130-\U0001e136\U0001e8d0-\U0001e8d6"
    # Joiners and selectors are drawn with the marks around them: they do not split a pile.
    r"\u034f\u200c\u200d\ufe00-\ufe0f\U000e0100-\U000e01ef"
)

_is_hidden: Final = re.compile(f"[{_HIDDEN}]").match
_hidden: Final = re.compile(f"[{_HIDDEN}]+")
_space: Final = re.compile(f"[{_SPACE}]+")
_misplaced: Final = re.compile(
    # A joiner stands within an emoji ...
    rf"(?<![{_EMOJI}\ufe0f{_JOINED}])[\u200c\u200d]"
    rf"|(?<=[{_EMOJI}\ufe0f])(?:\u200c|\u200d(?![{_EMOJI}]))"
    # ... or between two letters of a script that needs it.
    rf"|(?<=[{_JOINED}])[\u200c\u200d](?![{_JOINED}])"
    # A variation selector follows what has another form: also the digits of keycaps.
    rf"|(?<![{_EMOJI}0-9#*])[\ufe0e\ufe0f]|(?<=[0-9#*])[\ufe0e\ufe0f](?!\u20e3)"
    r"|[\ufe00-\ufe0d]"
)
_piled: Final = re.compile(f"([{_MARKS}]{{{MAX_MARKS}}})[{_MARKS}]+")
_leading: Final = re.compile(f"^[{_MARKS} ]+")
_is_code: Final = re.compile("[a-z][a-z0-9_]{0,63}").fullmatch
_line_end: Final = re.compile("\r\n|[\r\x85\u2028\u2029]")
_not_in_text: Final = re.compile(
    rf"[{_CONTROLS_OF_TEXT}{_BIDI}\ufff0-\ufffb\U000e0000-\U000e00ff\U000e01f0-\U000e0fff]+"
)


def is_hidden(character: str) -> bool:
    """Tell whether a character cannot be seen, or changes what stands around it."""
    return _is_hidden(character) is not None


def fit_name(name: str) -> str:
    """Clean a person's or a program's name: on one line, short, and all of it visible.

    Returns:
        The name; empty when nothing is left of it.
    """
    if name.isascii() and name.isprintable():
        return " ".join(name.split())[:MAX_NAME].rstrip()
    name = _hidden.sub("", _space.sub(" ", name)).strip(" ")[:MAX_NAME]
    # Removing one may misplace another: `x` + joiner + selector.
    while (fitting := _piled.sub(r"\1", _misplaced.sub("", _leading.sub("", name)))) != name:
        name = fitting
    return re.sub(" +", " ", name).rstrip(" ")


def fit_code(code: str, default: str) -> str:
    """Return the other side's word for programs, or `default` if it is no word."""
    return code if _is_code(code) else default


def fit_text(text: str) -> str:
    """Clean a text of several lines: no controls, nothing that reorders, no piles of marks.

    Ends of lines of all kinds become line feeds; tabs stay.
    """
    if text.isascii() and text.isprintable():
        return text
    return _piled.sub(r"\1", _not_in_text.sub("", _line_end.sub("\n", text)))


def show_name(text: str, limit: int = 200) -> str:
    r"""Spell out a file's name or path, to stand in a sentence or on a terminal.

    Hidden characters become escapes (`\x1b`, `\u202e`), so that a name cannot move the cursor,
    change colours or reverse its neighbours.

    Args:
        text: A name or path, hostile.
        limit: Characters to show; the middle of a longer text is left out.
    """
    if len(text) > limit:
        text = f"{text[: limit - limit // 3 - 1]}…{text[len(text) - limit // 3 :]}"
    if text.isascii() and text.isprintable():
        return text
    return "".join(_spell(each) if is_hidden(each) else each for each in text)


def _spell(character: str) -> str:
    r"""Spell a character as an escape: `\n`, `\x1b`, `\u202e`, `\U000e0041`."""
    return character.encode("unicode_escape").decode("ascii")


def exceeds(text: str | bytes, limit: int) -> bool:
    """Tell whether a text has more than so many bytes of UTF-8."""
    if len(text) > limit:
        return True
    return isinstance(text, str) and len(text) * 4 > limit and len(_utf8(text)) > limit


def _utf8(text: str) -> bytes:
    """UTF-8, also of text with lone surrogates, which no peer can send."""
    return text.encode("utf-8", "surrogatepass")
