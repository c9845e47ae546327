"""Description of an offer before it is accepted: notable entries, size and destination.

A sender may be hostile, and a listing of thousands of names hides anything. So entries that can
take effect by themselves stand first: names that programs read or run (`STARTUP`), hidden names,
programs. A destination where such entries take effect (a home, a folder of settings, a folder in
`PATH`) is named in a warning.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from peer.transfer.sizes import format_size

from .text import count, safe_line
from .wording import begin, describe, file_name

if TYPE_CHECKING:
    from peer.transfer.protocol.manifest import Entry, Manifest

    from .screen import Part

__all__ = ["STARTUP", "Offer", "danger_of", "free_space", "listing", "offer"]

Line = tuple["Part", ...]

_LISTED = 8
"""Names that a listing shows; the others are counted."""
_AT_LEAST = 4
"""Names at the top that are shown in any case."""

_SESSION = frozenset(
    # Read by shells, at the start of sessions, and by servers for remote logins.
    {".bash_aliases", ".bash_login", ".bash_logout", ".bash_profile", ".bashrc", ".cshrc"}
    | {".envrc", ".inputrc", ".kshrc", ".login", ".logout", ".mkshrc", ".pam_environment"}
    | {".profile", ".shrc", ".tcshrc", ".xinitrc", ".xprofile", ".xserverrc", ".xsession"}
    | {".xsessionrc", ".zlogin", ".zlogout", ".zprofile", ".zshenv", ".zshrc"}
    | {".forward", ".rhosts", ".shosts", ".ssh"}
    # Folders with such files.
    | {".config", ".local", "autostart", "autostart-scripts", "launchagents", "launchdaemons"}
)
"""Names (in lower case) that take effect at the next login, in the right folder."""

STARTUP = _SESSION | frozenset(
    # Read by programs, which run or trust their content.
    {".curlrc", ".emacs", ".emacs.d", ".exrc", ".gdbinit", ".gitconfig", ".gnupg"}
    | {".gvimrc", ".lessfilter", ".lldbinit", ".mailcap", ".netrc", ".npmrc", ".nvimrc", ".pdbrc"}
    | {".pypirc", ".pythonrc", ".pythonrc.py", ".screenrc"}
    | {".tmux.conf", ".vim", ".vimrc", ".wgetrc", ".git", ".hg", ".vscode", ".idea"}
    # Folders with such files.
    | {".kde", ".gnome2", ".mozilla", "startup", "cron.d", "systemd"}
    # Read in any folder.
    | {"authorized_keys", "autorun.inf", "crontab", "desktop.ini", "sitecustomize.py"}
    | {"usercustomize.py"}
)
"""Names (in lower case) that take effect without being opened, in the right folder."""

_STARTUP_ENDINGS = (".desktop", ".plist", ".service", ".pth")


@dataclass(slots=True)
class _Group:
    """A notable file, or a hidden folder with its content."""

    path: str
    hidden: bool
    rank: int = 4
    """0 to 2 take effect by themselves, 3 is hidden, 4 is a program."""
    files: int = 0
    programs: int = 0
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class Offer:
    """Description of an offer."""

    heading: Line
    listing: list[Line]
    """Entries by name."""
    remarks: list[Line]
    """Notable properties, and the destination."""
    notable: bool
    """Whether it has hidden or executable entries."""
    dangerous: bool
    """Whether the files could take effect by themselves, so that Enter must not accept them."""

    @property
    def lines(self) -> list[Line]:
        """All lines, in order."""
        return [self.heading, *self.listing, *self.remarks]


def offer(manifest: Manifest, *, sender: str, out: Path) -> Offer:
    """Describe an offer and its destination.

    Args:
        manifest: The offer.
        sender: Name of the other side; terminal-safe.
        out: Destination of the files.
    """
    notable = _survey(manifest)
    danger = danger_of(out)
    lines: list[Line] = []
    if remark := notable.remark():
        lines.append(((remark, "warning"),))
    where = safe_line(str(out.absolute()))
    room = free_space(out)
    if room is None:
        lines.append(((f"They go into {where}.", "dim"),))
    else:
        style = "warning" if room < manifest.bytes else "dim"
        lines.append(((f"They go into {where}, where {format_size(room)} are free.", style),))
    if danger:
        lines.append(((f"Careful: this is {danger}.", "warning"),))
    heading = (f"{begin(sender)} wants to send you {describe(manifest)}:",)
    return Offer(
        heading,
        listing(manifest, notable),
        lines,
        notable.total > 0,
        bool(danger and notable.total),
    )


def listing(entries: Iterable[Entry], notable: _Survey | None = None) -> list[Line]:
    """Return lines with the notable entries, and then the entries at the top.

    Args:
        entries: Entries of a manifest.
        notable: Notable entries, which stand first; None for none.
    """
    first = notable.first() if notable else []
    lines = [_notable_line(group) for group in first]
    if notable and notable.total > len(first):
        more = count(notable.total - len(first), "more", "more")
        lines.append(((f"    ... and {more} hidden files or programs", "warning"),))
    room = max(_LISTED - len(first), _AT_LEAST)
    totals: dict[str, int] = {}
    folders: dict[str, int] = {}
    more_roots, last = 0, ""
    for entry in entries:
        root, slash, _ = entry.path.partition("/")
        if notable and (root.startswith(".") or (not slash and _is_notable(entry))):
            continue
        if root not in totals:
            if len(totals) >= room:
                more_roots += root != last
                last = root
                continue
            totals[root] = 0
        totals[root] += entry.size or 0
        if slash or entry.kind == "dir":
            folders[root] = folders.get(root, 0) + (entry.kind == "file")
    for root, total in totals.items():
        within = f", {count(folders[root], 'file')}" if root in folders else ""
        name = file_name(root) + ("/" if root in folders else "")
        lines.append(("    ", (name, "name"), f"  {format_size(total)}{within}"))
    if more_roots:
        lines.append((f"    ... and {count(more_roots, 'more', 'more')}",))
    return lines


def danger_of(folder: Path, environ: Mapping[str, str] = os.environ) -> str:
    """Return why a folder is a dangerous destination; empty if it is not.

    Args:
        folder: The destination, which may not exist.
        environ: The environment, with `HOME` and `PATH`.
    """
    real = _real(folder)
    homes = {_real(Path(path)) for path in _homes(environ)}
    if real in homes:
        return "your home folder, where programs look for files to run"
    if any(real == home.parent for home in homes) or real == Path(real.anchor):
        return "the folder that holds all home folders" if real.name else "the root folder"
    for home in homes:
        if real.is_relative_to(home):
            hidden = any(part.startswith(".") for part in real.relative_to(home).parts)
            return _SETTINGS if hidden else _on_path(real, environ)
    if any(part.startswith(".") for part in real.parts):
        return _SETTINGS
    if any(real == system or system in real.parents for system in _SYSTEM) and not any(
        real.is_relative_to(free) for free in _FREE
    ):
        return "a folder of the system"
    return _on_path(real, environ)


_SETTINGS = "a hidden folder, where programs keep settings and what they run"
_SYSTEM = tuple(
    Path(f"/{name}")
    for name in (
        *("bin", "boot", "dev", "etc", "lib", "lib32", "lib64", "libx32", "proc", "root"),
        *("run", "sbin", "sys", "usr", "var"),
        *("Applications", "Library", "System", "private/etc", "private/var"),
    )
)
_FREE = tuple(
    Path(f"/{name}")
    for name in (
        *("dev/shm", "run/media", "run/user", "usr/src", "usr/local/src", "var/home"),
        *("var/tmp", "private/var/folders", "private/var/tmp"),
    )
)
"""Folders below those of the system that are for files of users."""


def free_space(folder: Path) -> int | None:
    """Return the free bytes at an existing or future folder; None if unknown.

    Unknown for file systems without a size (ramfs, some network and FUSE ones).
    """
    absolute = folder.absolute()
    for existing in (absolute, *absolute.parents):
        try:
            usage = shutil.disk_usage(existing)
            return usage.free if usage.total else None
        except FileNotFoundError:
            continue
        except OSError:
            return None
    return None


class _Survey:
    """Notable entries of an offer: counts of all, and the first of each kind.

    A hidden folder stands for its content. Memory is bounded for an offer of any length, because it
    is not accepted yet.
    """

    def __init__(self) -> None:
        self.total = 0
        """Number of notable files and hidden folders."""
        self._kept: tuple[dict[str, _Group], ...] = ({}, {}, {}, {}, {})
        self._last = ""
        self._alone = self._hidden = self._programs = 0

    def add(self, entry: Entry) -> None:
        """Add an entry; entries of one folder follow each other."""
        from peer.transfer.protocol.notes import notable

        note = notable(entry)
        alone = _acts_alone(entry.path)
        if note is None and not alone:
            return
        hidden = note is not None and note.hidden
        program = note is not None and note.executable
        path = _outermost_hidden(entry.path, folder=entry.kind == "dir")
        if path != self._last:
            self._last = path
            self.total += 1
        self._alone += alone
        self._hidden += hidden and entry.kind != "dir"
        self._programs += program
        if alone:
            # In a home, such names take effect at the top.
            root = entry.path.partition("/")[0].lower()
            rank = 0 if root in _SESSION else 1 if root in STARTUP else 2
        else:
            rank = 3 if hidden else 4
        group = next((kept[path] for kept in self._kept if path in kept), None)
        if group is None:
            group = _Group(path, hidden)
        elif rank < group.rank:
            del self._kept[group.rank][path]
        rank = group.rank = min(rank, group.rank)
        group.files += entry.kind == "file"
        group.programs += program
        group.bytes += entry.size or 0
        if path in self._kept[rank] or len(self._kept[rank]) < _LISTED:
            self._kept[rank][path] = group

    def first(self) -> list[_Group]:
        """Return entries that take effect by themselves, then hidden ones, then programs."""
        return [group for kept in self._kept for group in kept.values()][:_LISTED]

    def remark(self) -> str:
        """Return a sentence with the numbers of notable entries; empty for none."""
        numbers = (
            (self._alone, "may take effect without being opened"),
            (self._hidden, "hidden"),
            (self._programs, "can be run"),
        )
        said = [f"{number:,} {phrase}" for number, phrase in numbers if number]
        return f"Check before you accept: {', '.join(said)}." if said else ""


def _survey(entries: Iterable[Entry]) -> _Survey:
    survey = _Survey()
    for entry in entries:
        survey.add(entry)
    return survey


def _is_notable(entry: Entry) -> bool:
    from peer.transfer.protocol.notes import notable

    return notable(entry) is not None or _acts_alone(entry.path)


def _acts_alone(path: str) -> bool:
    lower = path.lower()
    return lower.endswith(_STARTUP_ENDINGS) or not STARTUP.isdisjoint(lower.split("/"))


def _outermost_hidden(path: str, *, folder: bool) -> str:
    """Return the first hidden folder of a path, with a slash, or else the path itself."""
    parts = path.split("/")
    for depth, part in enumerate(parts if folder else parts[:-1], 1):
        if part.startswith("."):
            return "/".join(parts[:depth]) + "/"
    return path


def _notable_line(group: _Group) -> Line:
    said = [format_size(group.bytes)]
    if group.path.endswith("/"):
        said.append(count(group.files, "file"))
    if group.rank <= 2:
        said.append("takes effect by itself")
    if group.hidden:
        said.append("hidden")
    if group.programs:
        folder = group.path.endswith("/")
        said.append(count(group.programs, "program") if folder else "a program")
    return ("    ", (file_name(group.path), "name"), "  ", (", ".join(said), "warning"))


def _homes(environ: Mapping[str, str]) -> list[str]:
    homes = [environ.get("HOME", ""), environ.get("USERPROFILE", "")]
    if sys.platform != "win32":
        import pwd

        with contextlib.suppress(KeyError):  # a user that the system does not know
            homes.append(pwd.getpwuid(os.getuid()).pw_dir)
    # "/" is the home of system users.
    return [home for home in homes if home and home != "/"]


def _on_path(folder: Path, environ: Mapping[str, str]) -> str:
    listed = [Path(each) for each in environ.get("PATH", "").split(os.pathsep) if each]
    if any(_real(each) == folder for each in listed if each.is_absolute()):
        return "a folder that programs are run from (it is in PATH)"
    return ""


def _real(path: Path) -> Path:
    try:
        return path.resolve()
    except (OSError, RuntimeError):  # a loop of links
        return path.absolute()
