"""Which names from the other side may be written to this disk, and how to show them (floor 1).

Everything in a manifest is chosen by a stranger. This module is the only place that decides; the
disk layer writes nothing else than what a `SafePlan` holds. The rules, each with vectors in
`tests/vectors/names.json`:

* A path is relative, its parts are joined by `/`, and none of them is empty, `.` or `..`. At most
  1024 bytes, 32 parts, 255 bytes a part.
* No part holds a backslash or a colon (separators, drives and streams on Windows), a control or
  format character (terminal escapes, right-to-left overrides, zero-width look-alikes), a
  line separator, a lone surrogate, or a blank that is no space.
* No part ends with a space or a dot, or is a device name on Windows (`con`, `LPT9.txt`, ...).
* No part ends like Peerline's own partial files (`.peerline-part`, ...).
* No two entries are the same to a file system that ignores case or Unicode normalisation: not
  two files, not a file and a folder, not two spellings of a folder's name.
* Nothing lies below a file or a link.
* A link points to a place inside the folder that was sent: relative, `..` only at its start.

The colon, device names, trailing dots and case collisions are harmless on most Unix disks, and are
refused there too: what arrives on one machine shall be fit to be sent on to any other.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from peer.errors import UnsafeName

from .config import MAX_DEPTH, MAX_ENTRIES, MAX_MANIFEST_TEXT, MAX_PATH, MAX_PATH_PART
from .manifest import DIRECTORY, KINDS, LINK, Entry

__all__ = ["NameChecker", "SafeEntry", "SafePlan", "display_name", "safe_manifest"]

PARTIAL_MARK: Final = ".peerline-"
"""What Peerline's own files beside a partial file have in their names; see `_OWN`."""

_OWN: Final = re.compile(r"\.peerline-[a-z]+\Z", re.IGNORECASE)
_DEVICES: Final = re.compile(
    r"(?:con|prn|aux|nul|clock\$|conin\$|conout\$|(?:com|lpt)[0-9\u00b9\u00b2\u00b3])[ ]*(?:\..*)?",
    re.IGNORECASE | re.DOTALL,
)
_DEVICE_3: Final = frozenset({"con", "prn", "aux", "nul", "clo", "com", "lpt"})
"""How the names of devices begin."""
_PLAIN: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_ ()+,-]*(?:\.[A-Za-z0-9_]+)?(?<! )")
"""Names that break no rule, but for those of devices and the length."""
_JOINERS: Final = "\u200c\u200d"
"""ZWNJ and ZWJ: spelling in Persian, Hindi and emoji, a disguise between ASCII letters."""
_BLANKS: Final = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
"""Characters that are neither control nor format by category, and yet show as nothing."""
_SEPARATORS: Final = {"\\": "a backslash", ":": "a colon", "/": "a slash"}
_BAD_CATEGORIES: Final = {
    "Cc": "a control character",
    "Cf": "an invisible or direction-changing character",
    "Cs": "half a character (a lone surrogate)",
    "Zl": "a line separator",
    "Zp": "a paragraph separator",
}


@dataclass(frozen=True, slots=True)
class SafeEntry:
    """An entry whose name may be written."""

    index: int
    """Position in the manifest."""
    parts: tuple[str, ...]
    """Names from the destination folder down; at least one."""
    entry: Entry
    """As it came."""


@dataclass(frozen=True, slots=True)
class SafePlan:
    """A whole manifest whose names may be written together."""

    entries: tuple[SafeEntry, ...]
    """One for each entry of the manifest, in its order."""

    def __iter__(self) -> Iterator[SafeEntry]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, index: int) -> SafeEntry:
        return self.entries[index]


def safe_manifest(entries: Iterable[Entry]) -> SafePlan:
    """Check all names of a transfer.

    Raises:
        UnsafeName: naming the first entry that may not be written, and why.
    """
    checker = NameChecker()
    checker.extend(entries)
    return checker.finish()


class _Node:
    """A name that is taken, in the form that the least discerning file system sees."""

    __slots__ = ("_children", "explicit", "kind", "name")

    def __init__(self, name: str, kind: str) -> None:
        self.name = name
        self.kind = kind
        self.explicit = False
        self._children: dict[str, _Node] | None = None  # most names are files: spare the dict

    def child(self, key: str) -> _Node | None:
        return self._children.get(key) if self._children else None

    def adopt(self, key: str, child: _Node) -> _Node:
        if self._children is None:
            self._children = {}
        self._children[key] = child
        return child


class NameChecker:
    """`safe_manifest` in steps, because a manifest arrives in pages.

    The cost of `extend` is proportional to the text of the page, whatever it holds.
    """

    def __init__(self) -> None:
        self._root = _Node("", DIRECTORY)
        self._safe: list[SafeEntry] = []
        self._root_links: list[tuple[int, Entry, str]] = []
        self._text = 0
        self._folders = 0
        self._keys: dict[str, str] = {}

    def extend(self, entries: Iterable[Entry]) -> None:
        """Check the next entries.

        Raises:
            UnsafeName: the checker is unusable afterwards.
        """
        for entry in entries:
            index = len(self._safe)
            try:
                self._safe.append(SafeEntry(index, self._check(entry), entry))
            except _Unsafe as exc:
                raise _error(entry, index, exc.reason) from None

    def finish(self) -> SafePlan:
        """Check what only the whole manifest can tell.

        Raises:
            UnsafeName: a link beside the sent folders points to something that was not sent.
        """
        for index, entry, first in self._root_links:
            target = self._root.child(_key(first))
            if target is None or target.name != first:
                raise _error(entry, index, "links to something that is not sent along")
        return SafePlan(tuple(self._safe))

    def _check(self, entry: Entry) -> tuple[str, ...]:
        if entry.kind not in KINDS:
            raise _Unsafe("is neither a file nor a folder nor a link")
        parts = _split(entry.path, "name")
        if entry.kind == LINK:
            self._check_target(entry, len(parts) - 1)
            self._text += _size(entry.target or "")
        self._text += _size(entry.path)
        if self._text > MAX_MANIFEST_TEXT:
            raise _Unsafe("is one name too many: all names together are too long")
        self._claim(parts, entry.kind)
        return parts

    def _check_target(self, entry: Entry, depth: int) -> None:
        """Check where a link points to; it lies `depth` folders below the destination."""
        names = _split(entry.target or "", "link target")
        up = 0
        # Only at the start is `..` what it seems: after a name that is itself a link it would
        # climb from wherever that link leads.
        while up < len(names) and names[up] == "..":
            up += 1
        for name in names[up:]:
            if name == "..":
                raise _Unsafe("links through `..` behind a name")
            _check_part(name)
        if up > depth:
            raise _Unsafe("links to a place outside")
        if up == depth:
            # Beside the things that were sent: only another one of them is allowed.
            if depth > 0:
                raise _Unsafe("links to a place outside the folder that is sent")
            self._root_links.append((len(self._safe), entry, names[up]))

    def _key(self, part: str) -> str:
        """`_key`, remembered where it is expensive."""
        if part.isascii():
            return part.lower()
        key = self._keys.get(part)
        if key is None:
            key = self._keys[part] = _key(part)
        return key

    def _claim(self, parts: tuple[str, ...], kind: str) -> None:
        """Take the place of `parts` in the tree of names, and check those that are new."""
        node = self._root
        for depth, part in enumerate(parts):
            last = depth == len(parts) - 1
            key = self._key(part)
            child = node.child(key)
            if child is None:
                _check_part(part)
                if not last:
                    self._folders += 1
                    if self._folders > MAX_ENTRIES:
                        raise _Unsafe(f"is in one folder too many: {MAX_ENTRIES} are allowed")
                child = node.adopt(key, _Node(part, kind if last else DIRECTORY))
            elif child.name != part:
                raise _Unsafe(f"differs from {display_name(child.name)} only in case or accents")
            elif not last and child.kind != DIRECTORY:
                raise _Unsafe(f"lies below {display_name(part)}, which is not a folder")
            elif last and (child.explicit or child.kind != kind):
                raise _Unsafe("is there twice")
            node = child
        node.explicit = True


class _Unsafe(Exception):
    """Why, on its way from a rule to the sentence."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def _error(entry: Entry, index: int, reason: str) -> UnsafeName:
    return UnsafeName(f'"{display_name(entry.path)}" {reason}.', index=index, reason=reason)


def _split(path: str, what: str) -> tuple[str, ...]:
    """Cut a path at its slashes and check its size."""
    try:
        size = _size(path)
    except UnicodeEncodeError:
        raise _Unsafe(f"has {_BAD_CATEGORIES['Cs']} in its {what}") from None
    if size > MAX_PATH:
        raise _Unsafe(f"has a {what} of {size} bytes, at most {MAX_PATH} are allowed")
    parts = tuple(path.split("/"))
    if len(parts) > MAX_DEPTH:
        raise _Unsafe(f"has {len(parts)} folders in its {what}, at most {MAX_DEPTH} are allowed")
    if path.startswith("/"):
        raise _Unsafe(f"has an absolute {what}")
    return parts


def _size(text: str) -> int:
    """Bytes in UTF-8."""
    return len(text) if text.isascii() else len(text.encode())


def _check_part(part: str) -> None:
    """Check one name of a path."""
    if _PLAIN.fullmatch(part) and len(part) <= MAX_PATH_PART and part[:3].lower() not in _DEVICE_3:
        return  # nearly all names, without further ado
    if part in ("", ".", ".."):
        raise _Unsafe(f"has the part {part!r} in its path")
    for separator, what in _SEPARATORS.items():
        if separator in part:
            raise _Unsafe(f"has {what} in its name")
    if not (part.isascii() and part.isprintable()):
        _check_characters(part)
    if part[-1] in " .":
        raise _Unsafe("has a name that ends with a space or a dot")
    if _size(part) > MAX_PATH_PART:
        raise _Unsafe(f"has a name of more than {MAX_PATH_PART} bytes")
    if part.isspace():
        raise _Unsafe("has a name of nothing but blanks")
    if _DEVICES.fullmatch(part):
        raise _Unsafe("has a name that Windows keeps for a device")
    if PARTIAL_MARK in part.lower() and _OWN.search(part):
        raise _Unsafe("is named like an unfinished transfer")


def _check_characters(part: str) -> None:
    for position, character in enumerate(part):
        if character in _JOINERS:
            # Between two non-ASCII characters it is spelling, elsewhere it is a disguise.
            around = part[position - 1 : position] + part[position + 1 : position + 2]
            if len(around) == 2 and not any(map(str.isascii, around)):
                continue
        reason = _BAD_CATEGORIES.get(unicodedata.category(character))
        if reason is None and character in _BLANKS:
            reason = _BAD_CATEGORIES["Cf"]
        if reason is not None:
            raise _Unsafe(f"has {reason} in its name (U+{ord(character):04X})")


def _key(part: str) -> str:
    """What a file system that ignores case and normalisation makes of a name."""
    if part.isascii():
        return part.lower()
    folded = unicodedata.normalize("NFD", part).casefold()
    return unicodedata.normalize("NFC", folded.translate({0x200C: None, 0x200D: None}))


def display_name(text: str, limit: int = 200) -> str:
    """A name as it may be printed to a terminal or put in a sentence.

    Control and format characters, line breaks and surrogates become visible escapes (`\\x1b`,
    `\\u202e`), so that a name cannot move the cursor, change colours or reverse its neighbours.

    Args:
        text: A name or path, hostile.
        limit: Characters to show; the middle of a longer text is left out.
    """
    if len(text) > limit:
        text = f"{text[: limit - limit // 3 - 1]}…{text[-(limit // 3) :]}"
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        _escape(character)
        if character not in _JOINERS
        and (unicodedata.category(character) in _BAD_CATEGORIES or character in _BLANKS)
        else character
        for character in text
    )


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
