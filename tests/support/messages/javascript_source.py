"""Texts in JavaScript and HTML: strings and templates of several words, and what a page shows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

from .python_source import PROSE

__all__ = ["html_messages", "javascript_messages"]

TOKEN = re.compile(
    r"""
      (?P<comment> //[^\n]* | /\*.*?\*/ )
    | (?P<string>  '(?:[^'\\\n]|\\.)*' | "(?:[^"\\\n]|\\.)*" )
    | (?P<tick>    ` )
    | (?P<regex>   /(?![/*])(?:[^/\\\n\[]|\\.|\[(?:[^\]\\\n]|\\.)*\])+/[a-z]* )
    | (?P<word>    [\w$]+ )
    | (?P<space>   \s+ )
    | (?P<mark>    . )
    """,
    re.VERBOSE | re.DOTALL,
)
BEFORE_REGEX = {"", "(", ",", "=", ":", "[", "!", "&", "|", "?", "{", "}", ";", "return", ">", "+"}
"""Tokens after which a slash begins a regular expression and is no division."""

LABEL = re.compile(r"[A-Z][a-z]+[.!?…]?")
"""A word that can stand alone on a button."""

PROGRAMMERS = re.compile(
    r"(new (Error|TypeError|RangeError|SyntaxError|DOMException|BadMessage|BadFrame)"
    r"|console \. \w+|import|from) \(? ?$"
)
ATTRIBUTES = {"alt", "aria-label", "placeholder", "title"}


def javascript_messages(path: Path) -> Iterator[str]:
    """Yield the texts of a module, in the order of the source."""
    yield from _Scanner(path.read_text(encoding="utf-8")).messages()


class _Scanner:
    def __init__(self, source: str) -> None:
        self._source = source
        self._at = 0
        self._before: list[str] = []

    def messages(self, *, until: str = "") -> Iterator[str]:
        """Scan to the end, or to the bracket that closes a placeholder."""
        depth = 0
        while self._at < len(self._source):
            match = TOKEN.match(self._source, self._at)
            assert match is not None
            kind, text = match.lastgroup or "", match[0]
            if kind == "regex" and (self._before or [""])[-1] not in BEFORE_REGEX:
                kind, text = "mark", "/"
            if kind == "tick":
                self._at += 1
                shown = self._is_shown()
                parts: list[str] = []
                inner = list(self._template(parts))
                yield from self._text("".join(parts), shown=shown)
                yield from inner
                self._before.append("string")
                continue
            self._at += len(text)
            if kind in ("comment", "space"):
                continue
            if kind == "string":
                yield from self._text(_unescaped(text[1:-1]), shown=self._is_shown())
                self._before.append("string")
                continue
            if until and text == until and depth == 0:
                return
            depth += (text == "{") - (text == "}")
            self._before.append(text)

    def _template(self, parts: list[str]) -> Iterator[str]:
        """Scan a template to its end; `parts` gets it with `{name}` for its placeholders."""
        while True:
            char = self._source[self._at]
            if char == "`":
                self._at += 1
                return
            if self._source.startswith("${", self._at):
                self._at += 2
                start = self._at
                self._before.append("{")
                yield from self.messages(until="}")
                parts.append(f"{{{_placeholder(self._source[start : self._at - 1])}}}")
            elif char == "\\":
                parts.append(_unescaped(self._source[self._at : self._at + 2]))
                self._at += 2
            else:
                parts.append(char)
                self._at += 1

    def _is_shown(self) -> bool:
        return PROGRAMMERS.search(" ".join(self._before[-4:]) + " ") is None

    def _text(self, text: str, *, shown: bool) -> Iterator[str]:
        if shown and (LABEL.fullmatch(text) or PROSE.search(re.sub(r"\{[^{}]*\}", "0", text))):
            yield text


def _placeholder(code: str) -> str:
    """The name by which people know what is filled in: the last one of an expression."""
    names: list[str] = re.findall(r"[A-Za-z_$][\w$]*", re.sub(r"'[^']*'|`[^`]*`", "", code))
    return names[-1] if names else "..."


def _unescaped(text: str) -> str:
    text = re.sub(r"\\u\{?([0-9a-fA-F]{4,6})\}?", lambda found: chr(int(found[1], 16)), text)
    return re.sub(r"\\(.)", lambda found: {"n": "\n", "t": "\t"}.get(found[1], found[1]), text)


def html_messages(path: Path) -> Iterator[str]:
    """Yield what a page shows or reads out: its texts, and attributes that are texts."""
    parser = _Page()
    parser.feed(path.read_text(encoding="utf-8"))
    parser.close()
    yield from parser.texts


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._hidden += tag in ("script", "style")
        given = dict(attrs)
        shown = [value for name, value in attrs if name in ATTRIBUTES]
        if tag == "meta" and given.get("name") == "description":
            shown.append(given.get("content"))
        self.texts += [value for value in shown if value]

    def handle_endtag(self, tag: str) -> None:
        self._hidden -= tag in ("script", "style")

    def handle_data(self, data: str) -> None:
        text = " ".join(data.split())
        if text and not self._hidden and any(char.isalpha() for char in text):
            self.texts.append(text)
