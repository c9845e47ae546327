"""Rules for names from the other side: how they are written to disk and shown (floor 1).

A manifest is hostile input. This module decides about single names, and `plan` about the names of a
whole transfer; the disk layer writes no other names. Vectors: `tests/vectors/names.json`.

* `check_path` refuses a path that no honest sender sends: one that is absolute or longer than 4096
  bytes, or has an empty part, `.` or `..`.
* `safe_part` makes one name fit for a platform, and keeps it if it is. Characters that deceive in a
  terminal or a file manager are replaced everywhere: control and format characters (escapes,
  right-to-left overrides, zero-width look-alikes), line separators, blanks other than the space,
  and the endings of Peerline's own files. Windows' separators, wild cards, devices and
  trailing dots are replaced where they have a meaning, and kept on Linux.
* `link_problem` tells which links are left out: those with targets outside the offer.

A name that is not UTF-8 travels as text in which each odd byte is `%E7`, marked as `escaped`;
inside Python it is what `os.fsdecode` makes of it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import Final

from peer.errors import UnsafeName
from peer.text import show_name

from .config import MAX_PATH, MAX_PATH_PART
from .manifest import KINDS, Entry

__all__ = [
    "LINUX",
    "PORTABLE",
    "Platform",
    "check_entry",
    "cut",
    "decode_path",
    "encode_path",
    "link_problem",
    "name_key",
    "number_key",
    "numbered",
    "safe_part",
    "with_number",
]

_OWN: Final = re.compile(r"\.peerline-[a-z]+\Z", re.IGNORECASE)
"""Peerline's own files beside a partial file."""
_DEVICES: Final = re.compile(
    r"(?:con|prn|aux|nul|clock\$|conin\$|conout\$|(?:com|lpt)[0-9\u00b9\u00b2\u00b3])[ ]*(?:\..*)?",
    re.IGNORECASE | re.DOTALL,
)
_DEVICE_3: Final = frozenset({"con", "prn", "aux", "nul", "clo", "com", "lpt"})
"""How the names of devices begin."""
_PLAIN: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_ ()+,-]*(?:\.[A-Za-z0-9_]+)?(?<! )")
"""Names that are fit for every platform, but for those of devices and the length."""
_JOINERS: Final = "\u200c\u200d"
"""ZWNJ and ZWJ: spelling in Persian, Hindi and emoji, a disguise between ASCII letters."""
_BLANKS: Final = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
"""Characters that are neither control nor format by category, and yet show as nothing."""
_BAD_CATEGORIES: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Control, format, half a character (a lone surrogate), line separator, paragraph separator."""
_RESERVED: Final = frozenset('\\:*?"<>|')
"""Separators, drives, streams and wild cards on Windows; the colon is one on macOS, too."""
_LONGEST_NUMBER: Final = len(" (4294967295)")
_ODD_PART: Final = re.compile(r"(?:\A|(?<=/))\.{0,2}(?:/|\Z)")
_TRAILING: Final = re.compile(r"[ .]+\Z")
_ESCAPE: Final = re.compile(rb"%(25|[89A-F][0-9A-F])")
"""In an escaped path: a byte that is not UTF-8, or the per cent sign. Never `/`, `.` or NUL."""


@dataclass(frozen=True, slots=True)
class Platform:
    """Names that a file system can hold."""

    any_bytes: bool
    """Names need not be UTF-8."""
    reserved: bool
    """Windows' characters, devices and trailing dots are replaced."""
    fold: bool
    """Names that differ only in case or in Unicode normalisation are the same."""
    limit: int = MAX_PATH_PART
    """Bytes of the longest name."""


LINUX: Final = Platform(any_bytes=True, reserved=False, fold=False)
PORTABLE: Final = Platform(any_bytes=False, reserved=True, fold=True)
"""macOS, Windows, a page's downloads, and a stick that any of them may read."""


# Paths


def check_entry(entry: Entry) -> None:
    """Check one entry by itself, before a person is asked.

    Raises:
        UnsafeName: No honest sender offers such an entry.
    """
    if entry.kind not in KINDS:
        raise _error(entry, "is neither a file nor a folder nor a link")
    if _size(entry.path) > MAX_PATH:
        raise _error(entry, f"has a path of more than {MAX_PATH} bytes")
    odd = _ODD_PART.search(entry.path)
    if odd is None:
        return
    if entry.path.startswith("/"):
        raise _error(entry, "has an absolute path")
    raise _error(entry, f"has the part '{odd[0].strip('/')}' in its path")


def decode_path(path: str, escaped: bool) -> str:
    """Decode a path to its form in Python, with surrogates for bytes that are not UTF-8."""
    if not escaped or "%" not in path:
        return path
    data = path.encode("utf-8", "surrogateescape")
    data = _ESCAPE.sub(lambda match: bytes.fromhex(match[1].decode()), data)
    return data.decode("utf-8", "surrogateescape")


def encode_path(path: str, *, escape: bool = False) -> tuple[str, bool]:
    """Write a path as it travels.

    Args:
        path: As Python has it: with surrogates for bytes that are not UTF-8.
        escape: Escape it although it is UTF-8, because its counterpart is not.

    Returns:
        The text, and whether it is escaped.
    """
    if not escape and _is_utf8(path):
        return path, False
    return "".join("%25" if c == "%" else _visible(c) for c in path), True


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _visible(character: str) -> str:
    if "\udc80" <= character <= "\udcff":
        return f"%{ord(character) - 0xDC00:02X}"
    return "_" if "\ud800" <= character <= "\udfff" else character


def link_problem(entry: Entry) -> str | None:
    """Reason to leave a link out, to follow its path in a sentence; None if it may be made.

    A link at the top may also lead to something that is not sent, which only the plan knows.
    """
    target = decode_path(entry.target or "", entry.escaped)
    if target.startswith("/"):
        return "is a link to an absolute path"
    if _size(target) > MAX_PATH:
        return f"is a link to a path of more than {MAX_PATH} bytes"
    depth = entry.path.count("/")
    names = target.split("/")
    up = 0
    # `..` is reliable only at the start: after a name that is itself a link it would climb
    # from the target of that link.
    while up < len(names) and names[up] == "..":
        up += 1
    if target == ".":
        return "is a link to its own folder"
    if any(name in ("", ".", "..") for name in names[up:]):
        return "is a link through `.` or `..` behind a name"
    if up > depth or (up == depth and (depth or up == len(names))):
        return "is a link to a place outside the folder that is sent"
    return None


# Names


def safe_part(part: str, platform: Platform) -> str:
    """Make one name of a path fit for a platform.

    Args:
        part: As `decode_path` gives it; neither empty nor `.` nor `..`, without `/`.
        platform: The platform of the destination.

    Returns:
        The safe name, unchanged if possible.
    """
    if len(part) <= platform.limit and _PLAIN.fullmatch(part) and part[:3].lower() not in _DEVICE_3:
        return part  # the fast path for nearly all names
    name = part
    if not (part.isascii() and part.isprintable()) or platform.reserved:
        name = "".join(_replace(part, at, platform) for at in range(len(part)))
    if platform.reserved:
        name = _TRAILING.sub(lambda end: "_" * len(end[0]), name)
        if name.isspace():
            name = "_"
        if _DEVICES.fullmatch(name):
            name = f"_{name}"
    if _OWN.search(name):
        name = f"{name}_"
    return _shorten(name, platform)


def _replace(part: str, at: int, platform: Platform) -> str:
    character = part[at]
    if character.isascii():
        if platform.reserved and character in _RESERVED:
            return "_"
        return character if character.isprintable() else "_"
    if character in _JOINERS:
        # Between two non-ASCII characters it is spelling; elsewhere it is a disguise.
        around = part[at - 1 : at] + part[at + 1 : at + 2]
        return character if len(around) == 2 and not any(map(str.isascii, around)) else "_"
    if "\udc80" <= character <= "\udcff":
        return character if platform.any_bytes else _visible(character)
    if unicodedata.category(character) in _BAD_CATEGORIES or character in _BLANKS:
        return "_"
    return character


def name_key(name: str, platform: Platform) -> str:
    """Return the form by which a file system compares a name."""
    if not platform.fold:
        return name
    if name.isascii():
        return name.lower()
    folded = unicodedata.normalize("NFD", name).casefold()
    return unicodedata.normalize("NFC", folded.translate({0x200C: None, 0x200D: None}))


def numbered(name: str, *, folder: bool = False, limit: int = MAX_PATH_PART) -> Iterator[str]:
    """`film.mkv`, `film (1).mkv`, ... without end; never longer than `limit` bytes."""
    yield name
    for number in count(1):
        yield with_number(name, number, limit, folder=folder)


def with_number(name: str, number: int, limit: int, *, folder: bool) -> str:
    """`film (1).mkv`; at most `limit` bytes."""
    stem, suffix = (name, "") if folder else _split_suffix(name)
    rest = f" ({number}){suffix}"
    return f"{cut(stem, limit - _size(rest))}{rest}"


def number_key(name: str, platform: Platform, *, folder: bool) -> tuple[str, str]:
    """A key that is equal for names that `with_number` makes equal."""
    stem, suffix = (name, "") if folder else _split_suffix(name)
    short = cut(stem, platform.limit - _size(suffix) - _LONGEST_NUMBER)
    return name_key(short, platform), name_key(suffix, platform)


def cut(text: str, limit: int) -> str:
    """The beginning of a name, at most `limit` bytes."""
    data = text.encode("utf-8", "surrogateescape")
    if len(data) <= limit:
        return text
    data = data[:limit]
    while data and _is_continuation(text, data):
        data = data[:-1]
    return data.decode("utf-8", "surrogateescape")


def _is_continuation(text: str, data: bytes) -> bool:
    """Return whether a beginning ends inside a character of the text."""
    return not text.startswith(data.decode("utf-8", "surrogateescape"))


def _shorten(name: str, platform: Platform) -> str:
    """Cut a name to what the platform holds, and keep its ending."""
    if _size(name) <= platform.limit:
        return name
    stem, suffix = _split_suffix(name)
    if suffix:
        return f"{cut(stem, platform.limit - _size(suffix))}{suffix}"
    short = cut(name, platform.limit)
    if platform.reserved:
        short = _TRAILING.sub(lambda end: "_" * len(end[0]), short)
    # A cut must not give a name the ending of a program that it did not have.
    return f"{cut(short, platform.limit - 1)}_" if _split_suffix(short)[1] else short


def _split_suffix(name: str) -> tuple[str, str]:
    """Cut off `.mkv`, or `.tar.gz`; not the dot of a hidden file, nor an absurdly long suffix."""
    stem, _, ending = name.rpartition(".")
    if not stem.strip(".") or not ending or _size(ending) >= 32:
        return name, ""
    if stem.endswith(".tar") and stem != ".tar":
        return stem[:-4], f".tar.{ending}"
    return stem, f".{ending}"


def _size(text: str) -> int:
    """Bytes of a name on disk."""
    if text.isascii():
        return len(text)
    try:
        return len(text.encode("utf-8", "surrogateescape"))
    except UnicodeEncodeError:
        return len(text.encode("utf-8", "surrogatepass"))


def _error(entry: Entry, reason: str) -> UnsafeName:
    return UnsafeName(f'"{show_name(entry.path)}" {reason}.', reason=reason)
