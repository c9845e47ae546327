"""Words and numbers for people: pure functions."""

from __future__ import annotations

import unicodedata

from peer.text import is_hidden
from peer.transfer.sizes import format_size

__all__ = ["count", "duration", "fold", "rate", "safe", "safe_line", "shorten"]

_JOINERS = "\u200c\u200d"
"""Zero-width joiners: part of emoji and of several scripts, and harmless in messages."""


def rate(bytes_per_second: float) -> str:
    """Return a rate in decimal units: `88.6 MB/s`."""
    return f"{format_size(max(0, round(bytes_per_second)))}/s"


def duration(seconds: float) -> str:
    """Return a length of time: `7 s`, `1:05` (minutes), `2:03:04` (hours)."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    minutes, second = divmod(whole, 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"


def count(number: int, singular: str, plural: str = "") -> str:
    """Return a counted noun: `1 file`, `3 files`."""
    return f"{number:,} {singular if number == 1 else plural or singular + 's'}"


def fold(text: str, columns: int) -> str:
    """Replace blanks by line ends, so that the terminal breaks no word.

    Args:
        text: One line.
        columns: Columns of the terminal.
    """
    folded = list(text)
    used = used_before = 0
    blank = -1
    for at, char in enumerate(text):
        used += 2 if unicodedata.east_asian_width(char) in "WF" else 1
        if char == " ":
            blank, used_before = at, used
        elif used > columns and blank >= 0:
            folded[blank] = "\n"
            used, blank = used - used_before, -1
    return "".join(folded)


def safe(text: str, *, joiners: bool = False) -> str:
    r"""Escape characters that could move the cursor or deceive the eye.

    Control characters (escape sequences), bidirectional overrides, zero-width characters, line
    separators and lone surrogates become escapes such as `\x1b`. All text from other machines is
    printed through this.

    It is the last check before a terminal, also for text of libraries, and stricter than
    `peer.text`: that hides some characters, and this escapes them, private and unassigned ones,
    too, because terminals disagree about their columns.

    Args:
        text: Any text.
        joiners: Keep zero-width joiners (for messages; in names they deceive).
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(_spell(char, joiners=joiners) for char in text)


def safe_line(text: str, *, joiners: bool = True) -> str:
    """Return text as one line: `safe`, with line ends and tabs as spaces."""
    return safe(" ".join(text.split()), joiners=joiners)


def shorten(text: str, limit: int) -> str:
    """Cut text in its middle to at most `limit` characters, because both ends matter."""
    if len(text) <= limit:
        return text
    head = (limit - 1) // 2
    return f"{text[:head]}…{text[len(text) - (limit - 1 - head) :]}"


def _spell(char: str, *, joiners: bool) -> str:
    if joiners and char in _JOINERS:
        return char
    if not is_hidden(char) and unicodedata.category(char)[0] != "C":
        return char
    code = ord(char)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
