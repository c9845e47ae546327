"""The names of a whole transfer on one platform (floor 1).

`names` decides about single names; the plan combines them: names that are equal for the file system
get numbers, targets of links follow renamed entries, and every change is noted.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from typing import Final

from .config import MAX_FOLDER_NAMES, MAX_FOLDERS
from .manifest import DIRECTORY, LINK, Entry, Manifest
from .names import (
    Platform,
    check_entry,
    decode_path,
    encode_path,
    link_problem,
    name_key,
    number_key,
    safe_part,
    with_number,
)
from .notes import Notes, Renamed

__all__ = ["NamePlan"]

_ROOT: Final = 0
"""Number of the destination folder itself."""

_Name = tuple[int, str]
"""A name in the folder of that number, as it was offered."""


class NamePlan:
    """The path of each entry of a manifest below the destination.

    Every name of the plan is safe to write for any manifest: never empty, `.` or `..`, and without
    a slash. Its size is bounded by the manifest's text and by `MAX_FOLDERS`.

    Args:
        manifest: Complete; each of its entries has passed `names.check_entry`.
        platform: Names that the destination can hold.

    Raises:
        ValueError: More than `MAX_FOLDERS` folders, more than `MAX_FOLDER_NAMES` names in their
            paths, or two entries of one path.
    """

    def __init__(self, manifest: Manifest, platform: Platform) -> None:
        self._manifest = manifest
        self._platform = platform
        self._folders: dict[_Name, int] = {}
        """Numbers of folders, by parent and name."""
        self._renames: dict[_Name, str] = {}
        """Names that differ from the offered ones."""
        self._depths = array("H", (0,))
        """By number of a folder."""
        self._names_above = 0
        """Names in the paths of all folders."""
        self._last: tuple[str, int] = ("", _ROOT)
        self._link_roots: set[str] = set()
        """Entries at the top, if links there may lead to them."""
        self.renamed: Notes[Renamed] = Notes()
        """Changed names; a folder is listed once, without its content."""
        changed = self._look()
        if changed or platform.fold:
            self._settle_collisions(changed)
        if not self._renames:
            self._folders = {}

    def parts(self, index: int) -> tuple[str, ...]:
        """Names of an entry from the destination down; at least one."""
        entry = self._manifest[index]
        return self._final(decode_path(entry.path, entry.escaped).split("/"))

    def target(self, index: int) -> str | None:
        """Target of a link; None if the link is left out."""
        entry = self._manifest[index]
        return self._target(entry) if self._link_problem(entry) is None else None

    def link_problem(self, index: int) -> str:
        """Reason to leave a link out, to follow its path in a sentence; empty if it is kept."""
        return self._link_problem(self._manifest[index]) or ""

    def __len__(self) -> int:
        return len(self._manifest)

    # Making it

    def _look(self) -> dict[_Name, str]:
        """Go through all entries once; return the names that must change, and the wanted names."""
        changed: dict[_Name, str] = {}
        roots = False
        seen = array("q")  # half a million names take fifty megabytes, their hashes four
        for entry in self._manifest:
            check_entry(entry)
            path = decode_path(entry.path, entry.escaped)
            folder, part = self._place(path, changed)
            name = safe_part(part, self._platform)
            if name != part:
                changed[folder, part] = name
            if entry.kind == DIRECTORY:
                self._folder(folder, part)
                continue
            seen.append(hash((folder, part)))
            roots = roots or (entry.kind == LINK and "/" not in path)
        seen.extend(map(hash, self._folders))
        _refuse_doubles(seen)
        if roots:
            self._link_roots = {
                decode_path(entry.path, entry.escaped).partition("/")[0] for entry in self._manifest
            }
        return changed

    def _place(self, path: str, changed: dict[_Name, str]) -> _Name:
        """The folder that a path is in, and its last part."""
        above, _, name = path.rpartition("/")
        if above == self._last[0]:
            return self._last[1], name
        folder = _ROOT
        for part in above.split("/") if above else ():
            below = self._folders.get((folder, part))
            if below is None:
                below = self._folder(folder, part)
                safe = safe_part(part, self._platform)
                if safe != part:
                    changed[folder, part] = safe
            folder = below
        self._last = above, folder
        return folder, name

    def _folder(self, above: int, part: str) -> int:
        """Number of a folder; a new number if it is not known."""
        number = self._folders.setdefault((above, part), len(self._folders) + 1)
        if number < len(self._depths):
            return number
        self._depths.append(self._depths[above] + 1)
        self._names_above += self._depths[number]
        if number > MAX_FOLDERS:
            raise ValueError(f"more than {MAX_FOLDERS} folders")
        if self._names_above > MAX_FOLDER_NAMES:
            raise ValueError("too many folders, too deep in one another")
        return number

    def _settle_collisions(self, changed: dict[_Name, str]) -> None:
        """Give numbers to names that are equal for the file system."""
        suspects = None if self._platform.fold else {folder for folder, _ in changed}
        taken: dict[int, set[str]] = {}
        second: list[_Name] = []
        numbers: dict[tuple[int, tuple[str, str]], int] = {}
        for name in self._all_names():
            folder, part = name
            if (suspects is not None and folder not in suspects) or name in changed:
                continue
            keys = taken.setdefault(folder, set())
            key = name_key(part, self._platform)
            if key in keys:
                second.append(name)  # the first one keeps its name
            keys.add(key)
        for name in [*changed, *second]:
            folder, part = name
            keys = taken.setdefault(folder, set())
            free = wanted = changed.get(name, part)
            if name_key(free, self._platform) in keys:
                # Names with a common numbered form continue where the last one stopped:
                # otherwise a hostile list could keep this busy for hours.
                is_folder = name in self._folders
                counter = folder, number_key(wanted, self._platform, folder=is_folder)
                number = numbers.get(counter, 0)
                while name_key(free, self._platform) in keys:
                    number += 1
                    free = with_number(wanted, number, self._platform.limit, folder=is_folder)
                numbers[counter] = number
            self._renames[name] = free
            keys.add(name_key(free, self._platform))
        self._note_renames()

    def _all_names(self) -> Iterator[_Name]:
        """Every name once, folders first."""
        yield from self._folders
        for entry in self._manifest:
            name = self._place(decode_path(entry.path, entry.escaped), {})
            if name not in self._folders:
                yield name

    def _note_renames(self) -> None:
        where = {number: name for name, number in self._folders.items()}
        for name in self._renames:
            if len(self.renamed) == self.renamed.total:  # all are kept so far
                parts = _path_of(name, where)
                path = encode_path("/".join(parts))[0]
                self.renamed.add(Renamed(path, encode_path("/".join(self._final(parts)))[0]))
            else:
                self.renamed.count(1)

    # Asking it

    def _final(self, parts: Sequence[str]) -> tuple[str, ...]:
        if not self._renames:
            return tuple(parts)
        names = []
        folder = _ROOT
        for part in parts:
            name = folder, part
            names.append(self._renames.get(name) or safe_part(part, self._platform))
            folder = self._folders.get(name, -1)  # below the target of a link it may be unknown
        return tuple(names)

    def _target(self, entry: Entry) -> str:
        parts = decode_path(entry.path, entry.escaped).split("/")[:-1]
        names = decode_path(entry.target or "", entry.escaped).split("/")
        up = 0
        while up < len(names) and names[up] == "..":
            up += 1
        base = parts[: len(parts) - up]
        below = self._final([*base, *names[up:]])[len(base) :]
        if not self._renames:
            below = tuple(safe_part(name, self._platform) for name in names[up:])
        return "/".join([".."] * up + list(below))

    def _link_problem(self, entry: Entry) -> str | None:
        problem = link_problem(entry)
        if problem is None and "/" not in entry.path:
            first = decode_path(entry.target or "", entry.escaped).partition("/")[0]
            if first not in self._link_roots:
                return "is a link to something that is not sent along"
        return problem


def _refuse_doubles(hashes: array[int]) -> None:
    previous = None
    for each in sorted(hashes):
        if each == previous:
            raise ValueError("a path is there twice, or lies below a file")
        previous = each


def _path_of(name: _Name, where: dict[int, _Name]) -> list[str]:
    folder, part = name
    parts = [part]
    while folder != _ROOT:
        folder, part = where[folder]
        parts.append(part)
    return parts[::-1]
