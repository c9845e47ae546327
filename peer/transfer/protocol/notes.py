"""Notes about the names of a transfer for people, before and after it (floor 0).

Such lists may be long, so only the first notes are kept, with the total number.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from peer.text import show_name

from .manifest import DIRECTORY, FILE, Entry

__all__ = ["LeftOut", "Notable", "NotableScan", "Notes", "Renamed", "notable_entries"]

NOTES: Final = 100
"""Notes of one kind that are kept."""

_PROGRAMS: Final = frozenset(
    {"app", "bat", "cmd", "com", "command", "cpl", "desktop", "exe", "hta", "jar", "js", "jse"}
    | {"lnk", "msi", "pif", "ps1", "reg", "scr", "sh", "vbe", "vbs", "wsf"}
)
"""Endings of files that some desktop runs when they are opened."""

T = TypeVar("T")


class Notes(Generic[T]):
    """The first notes of one kind, and their total number.

    Iteration yields the kept notes; `total` counts all.
    """

    __slots__ = ("_kept", "total")

    def __init__(self, notes: Iterable[T] = ()) -> None:
        self._kept: list[T] = []
        self.total = 0
        """Number of notes, kept or not."""
        for note in notes:
            self.add(note)

    def add(self, note: T) -> None:
        """Count a note, and keep it if there is room."""
        self.total += 1
        if len(self._kept) < NOTES:
            self._kept.append(note)

    def count(self, more: int) -> None:
        """Count notes without keeping them."""
        self.total += more

    def __iter__(self) -> Iterator[T]:
        return iter(self._kept)

    def __len__(self) -> int:
        return len(self._kept)

    def __bool__(self) -> bool:
        return self.total > 0

    def __repr__(self) -> str:
        return f"<Notes {self.total}: {self._kept!r}>"


@dataclass(frozen=True, slots=True)
class LeftOut:
    """An entry that was not sent, or could not be put in place."""

    path: str
    """Path in the manifest or on the sender's disk; print it with `show_name` only."""
    reason: str
    """Reason, to follow the path in a sentence: `is a socket`. Safe to print."""

    def __str__(self) -> str:
        return f'"{show_name(self.path)}" {self.reason}.'


@dataclass(frozen=True, slots=True)
class Renamed:
    """A name that was changed."""

    path: str
    """As it was offered; print it with `show_name` only."""
    name: str
    """The new path below the destination; print it with `show_name` only."""


@dataclass(frozen=True, slots=True)
class Notable:
    """An entry that a person should see before accepting: hidden, or a program."""

    path: str
    """As it was offered; print it with `show_name` only."""
    hidden: bool
    """Some part of its path begins with a dot."""
    executable: bool
    """A file with an `x` bit, or with the ending of a program."""


class NotableScan:
    """Picks the hidden and executable entries while pages arrive.

    A hidden folder stands for its content: it is named once, at its first entry.
    """

    __slots__ = ("_folder", "_hidden", "_programs")

    def __init__(self) -> None:
        self._hidden: Notes[Notable] = Notes()
        self._programs: Notes[Notable] = Notes()
        self._folder = ""

    def extend(self, entries: Iterable[Entry]) -> None:
        """Add the next entries."""
        for entry in entries:
            note = notable(entry)
            if note is None:
                continue
            if not note.hidden:
                self._programs.add(note)
                continue
            within = _hidden_folder(f"{entry.path}/" if entry.kind == DIRECTORY else entry.path)
            if within and within == self._folder:
                continue
            self._folder = within or self._folder
            folder = Notable(within, hidden=True, executable=False)
            self._hidden.add(folder if within else note)

    def notes(self) -> Notes[Notable]:
        """Return the entries found so far, the hidden ones first, in order."""
        notes: Notes[Notable] = Notes([*self._hidden, *self._programs])
        notes.total = self._hidden.total + self._programs.total
        return notes


def notable_entries(entries: Iterable[Entry]) -> Notes[Notable]:
    """Pick the hidden and the executable entries, the hidden ones first, in order."""
    scan = NotableScan()
    scan.extend(entries)
    return scan.notes()


def notable(entry: Entry) -> Notable | None:
    """Return the note about an entry; None for most entries."""
    path = entry.path
    hidden = path.startswith(".") or "/." in path
    executable = entry.kind == FILE and (
        bool((entry.mode or 0) & 0o111) or _ending(path) in _PROGRAMS
    )
    return Notable(path, hidden, executable) if hidden or executable else None


def _ending(path: str) -> str:
    _, dot, ending = path.rpartition(".")
    return ending.lower() if dot else ""


def _hidden_folder(path: str) -> str:
    """The first hidden folder on the way to an entry, with its `/`; empty for none."""
    parts = path.split("/")
    for depth, part in enumerate(parts[:-1]):
        if part.startswith("."):
            return "/".join(parts[: depth + 1]) + "/"
    return ""
