"""Reads the text that people paste as a code (floor 1).

It may be the code alone, a link, or the whole command from the other side's screen, with quotes,
options and a shell's prompt around it. A link and `--server` say on which server the code is: it
is to be used there, since on every other server the same number is a stranger's.

`web/client/security/pasted.js` is the same in JavaScript; `tests/vectors/codes.json` holds both
to it.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Final

__all__ = ["Pasted", "server_of", "unwrap"]

_INVISIBLE: Final = re.compile(
    "[\u00ad\u034f\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff]"
)
"""Soft hyphens, zero-width spaces and joiners, direction marks, variation selectors."""
_BLANKS: Final = re.compile("[ \t\r\n]+")
_QUOTES: Final = "\"'`\u2018\u2019\u201c\u201d<>()"
_PERCENT: Final = re.compile("%([0-7][0-9A-Fa-f])")
_LINK: Final = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE | re.ASCII)
_LINK_AT_END: Final = re.compile(r"[a-z][a-z0-9+.-]*://[^ ]*$", re.IGNORECASE | re.ASCII)
_HOST_AT_END: Final = re.compile(
    r"(?:\[[0-9A-Fa-f:.]+\](?::\d+)?|localhost(?::\d+)?|[^ /:]+:\d+|[^ /:]+\.[^ /:]+(?::\d+)?"
    r"|[^ /:]+(?=/))(?:/[^ ]*)?$",
    re.ASCII,
)
"""A link without its scheme, as some programs shorten it: `host/`, `10.0.0.1:8080`."""
_ODD_LINK: Final = re.compile(r"[/\\@]|:.", re.DOTALL)
"""Marks of a malformed link before a `#`: `https:/host`, `//host`."""
_NAMED: Final = re.compile(
    r"(?:peerline_server[\"']?(?:[ \t]*=[ \t]*|[ \t]+)|--server(?:=|[ \t\r\n]+))([^ \t\r\n]+)"
    r"|([a-z][a-z0-9+.-]*://[^ \t\r\n]*)",
    re.IGNORECASE | re.ASCII,
)
"""The name of a server, anywhere in the text."""
_CONTINUED: Final = re.compile(r"[\\`^][ \t]*\r?\n")
"""The end of a line after which a command goes on, for one shell or another."""

_PROGRAMS: Final = frozenset({"peerline", "peerline.exe", "peer.cli"})
_COMMANDS: Final = frozenset({"receive", "chat", "send"})
_WITH_VALUE: Final = frozenset(
    {"--name", "--ice-config", "--engine", "--words", "--port", "--out", "-o", "--code-fd"}
)
_ENDS: Final = frozenset({"&&", "||", "|", ";", "&", ">"})
"""Words that end a command for a shell."""


@dataclass(frozen=True, slots=True)
class Pasted:
    """The code and server of a pasted text.

    Attributes:
        code: The text of the code; None in a link that has none. Not shown in logs by its repr.
        server: The server that was named, as it was written; None if none was.
    """

    code: str | None
    server: str | None

    def __repr__(self) -> str:
        return f"Pasted(server={self.server!r})"


def unwrap(text: str) -> Pasted:
    """Take the code, and the server that goes with it, out of what was typed or pasted."""
    whole = _CONTINUED.sub(" ", _INVISIBLE.sub("", unicodedata.normalize("NFKC", text)))
    text, server = _command(whole)
    server = server or _named(whole)
    before, hash_sign, fragment = text.partition("#")
    if hash_sign:
        code = _PERCENT.sub(lambda escape: chr(int(escape[1], 16)), fragment)
        return Pasted(code, _server_at_end(before) or server)
    last = _BLANKS.split(text.strip(" \t\r\n"))[-1]
    if _LINK.match(last.lstrip(_QUOTES)):
        return Pasted(None, server)
    return Pasted(text, server)


def server_of(text: str) -> str | None:
    """The server that a pasted link or command names, as it was written there."""
    return unwrap(text).server


def _server_at_end(text: str) -> str | None:
    """The link or host that a text ends with; a fragment follows it."""
    words = _BLANKS.split(text.strip(" \t\r\n"))
    last = words[-1].lstrip(_QUOTES)
    if text[-1:] in tuple(" \t\r\n") and not _ODD_LINK.search(last):
        return None  # a word of a sentence, not a link that was broken before its fragment
    found = _LINK_AT_END.search(last) or _HOST_AT_END.match(last)
    if found:
        return found[0]
    last = last.rstrip(_QUOTES)
    return last if _ODD_LINK.search(last) else None


def _named(text: str) -> str | None:
    """The server that a text names last, anywhere: better too many are heeded than one too few."""
    server = None
    for found in _NAMED.finditer(text):
        named = (found[1] or found[2]).partition("#")[0].strip(_QUOTES + ";,")
        server = named or server
    return server


def _command(text: str) -> tuple[str, str | None]:
    """The arguments of the command in a text, or the whole text; and the server it names."""
    for line in text.split("\n"):
        pieces = [piece for piece in _BLANKS.split(line) if piece]
        programs = [at for at, piece in enumerate(pieces[:-1]) if _is_program(piece)]
        if not programs:
            continue
        at = next((at for at in programs if pieces[at + 1].lower() in _COMMANDS), programs[-1])
        server = next(
            (
                piece.partition("=")[2].strip(_QUOTES)
                for piece in pieces[:at]
                if piece.lower().startswith("peerline_server=")
            ),
            None,
        )
        return _arguments(pieces[at + 1 :], server)
    return text, None


def _is_program(piece: str) -> bool:
    return re.split(r"[/\\]", piece.lower().strip(_QUOTES))[-1] in _PROGRAMS


def _arguments(pieces: list[str], server: str | None) -> tuple[str, str | None]:
    """Return the arguments of a command without its options, and the server among these."""
    kept: list[str] = []
    rest = iter(pieces[1:] if pieces[0].lower() in _COMMANDS else pieces)
    for piece in rest:
        option, equals, value = piece.partition("=")
        if piece in _ENDS:
            break
        if option.lower() == "--server":
            server = (value if equals else next(rest, "")).strip(_QUOTES) or server
        elif piece.lower() in _WITH_VALUE:
            next(rest, "")
        elif not piece.startswith("-") or piece.strip("-") == "":
            kept.append(piece)
    return " ".join(kept), server
