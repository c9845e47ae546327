"""What a person is shown before files are accepted: all that matters of them, and where they go.

Who sends may have reasons of their own, and a listing of thousands of names hides whatever it
wants to. So what could do something by itself stands first: names that programs read or run on
their own (`STARTUP`), hidden ones, programs. And a folder in which such a thing takes effect (a
home, a folder of settings, a folder that programs are run from) is named as that.
"""

from __future__ import annotations

import contextlib
import heapq
import os
import shutil
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .present import begin, describe
from .text import count, safe_line, size

if TYPE_CHECKING:
    from peer.transfer.manifest import Entry, Manifest

    from .screen import Part

__all__ = ["STARTUP", "Offer", "danger_of", "free_space", "listing", "offer"]

Line = tuple["Part", ...]

_LISTED = 8
"""Names that a listing shows before it says how many more there are."""
_AT_LEAST = 4
"""Of them, names at the top that are shown whatever else there is to show."""

STARTUP = frozenset(
    # Read by shells and by what starts a session.
    {".bash_aliases", ".bash_login", ".bash_logout", ".bash_profile", ".bashrc", ".cshrc"}
    | {".envrc", ".inputrc", ".kshrc", ".login", ".logout", ".mkshrc", ".pam_environment"}
    | {".profile", ".shrc", ".tcshrc", ".xinitrc", ".xprofile", ".xserverrc", ".xsession"}
    | {".xsessionrc", ".zlogin", ".zlogout", ".zprofile", ".zshenv", ".zshrc"}
    # Read by programs, which run what stands there or believe it.
    | {".curlrc", ".emacs", ".emacs.d", ".exrc", ".forward", ".gdbinit", ".gitconfig", ".gnupg"}
    | {".gvimrc", ".lessfilter", ".lldbinit", ".mailcap", ".netrc", ".npmrc", ".nvimrc", ".pdbrc"}
    | {".pypirc", ".pythonrc", ".pythonrc.py", ".rhosts", ".screenrc", ".shosts", ".ssh"}
    | {".tmux.conf", ".vim", ".vimrc", ".wgetrc", ".git", ".hg", ".vscode", ".idea"}
    # Folders with such things in them.
    | {".config", ".local", ".kde", ".gnome2", ".mozilla", "autostart", "autostart-scripts"}
    | {"launchagents", "launchdaemons", "startup", "cron.d", "systemd"}
    # Read wherever they lie.
    | {"authorized_keys", "autorun.inf", "crontab", "desktop.ini", "sitecustomize.py"}
    | {"usercustomize.py"}
)
"""Names (in lower case) that do something without being opened, where they are looked for."""

_STARTUP_ENDINGS = (".desktop", ".plist", ".service", ".pth")


@dataclass(slots=True)
class _Group:
    """Something notable: a file, or a hidden folder with all that is in it."""

    path: str
    rank: int
    """0 does something by itself, 1 is hidden, 2 is a program."""
    hidden: bool
    files: int = 0
    programs: int = 0
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class Offer:
    """What is said of an offer."""

    heading: Line
    listing: list[Line]
    """What is offered, by name."""
    remarks: list[Line]
    """What is notable of it, and where it would go."""
    notable: bool
    """There is something hidden or executable in it."""
    dangerous: bool
    """Accepting it could have effects by itself: nobody should do so by a mere Enter."""

    @property
    def lines(self) -> list[Line]:
        """All of it, in order."""
        return [self.heading, *self.listing, *self.remarks]


def offer(manifest: Manifest, *, sender: str, out: Path) -> Offer:
    """Describe what somebody offers, and the folder that it goes to.

    Args:
        manifest: The offer.
        sender: What the other side is called; terminal-safe.
        out: Where the files go.
    """
    groups = _notable(manifest)
    danger = danger_of(out)
    lines: list[Line] = []
    if remark := _remark(groups):
        lines.append(((remark, "warning"),))
    where = safe_line(str(out.absolute()))
    room = free_space(out)
    if room is None:
        lines.append(((f"They go into {where}.", "dim"),))
    else:
        style = "warning" if room < manifest.bytes else "dim"
        lines.append(((f"They go into {where}, where {size(room)} are free.", style),))
    if danger:
        lines.append(((f"Careful: this is {danger}.", "warning"),))
    heading = (f"{begin(sender)} wants to send you {describe(manifest)}:",)
    return Offer(heading, listing(manifest, groups), lines, bool(groups), bool(danger and groups))


def listing(entries: Iterable[Entry], groups: Mapping[str, _Group] | None = None) -> list[Line]:
    """Return lines that name what is offered: what is notable, then what stands at the top.

    Args:
        entries: Of a manifest.
        groups: What of it is notable, if it shall stand first.
    """
    from peer.transfer.names import display_name

    groups = groups or {}
    first = heapq.nsmallest(_LISTED, groups.values(), key=lambda group: group.rank)
    lines = [_notable_line(group) for group in first]
    if len(groups) > len(first):
        more = count(len(groups) - len(first), "more", "more")
        lines.append(((f"    ... and {more} that are hidden, or programs", "warning"),))
    totals: dict[str, int] = {}
    folders: dict[str, int] = {}
    for entry in entries:
        root, slash, _ = entry.path.partition("/")
        if root in groups or f"{root}/" in groups:
            continue
        totals[root] = totals.get(root, 0) + (entry.size or 0)
        if slash or entry.kind == "dir":
            folders[root] = folders.get(root, 0) + (entry.kind == "file")
    room = max(_LISTED - len(first), _AT_LEAST)
    for root in list(totals)[:room]:
        within = f", {count(folders[root], 'file')}" if root in folders else ""
        name = display_name(root, 60) + ("/" if root in folders else "")
        lines.append(("    ", (name, "name"), f"  {size(totals[root])}{within}"))
    if len(totals) > room:
        lines.append((f"    ... and {count(len(totals) - room, 'more', 'more')}",))
    return lines


def danger_of(folder: Path, environ: Mapping[str, str] = os.environ) -> str:
    """Return what is special about a folder as the place for somebody's files; empty for nothing.

    Args:
        folder: Which may not exist yet.
        environ: The environment: ``HOME`` and ``PATH`` count.
    """
    real = _real(folder)
    homes = {_real(Path(path)) for path in _homes(environ)}
    if real in homes:
        return "your home folder, where programs look for files to run"
    if any(real == home.parent for home in homes) or real == Path(real.anchor):
        return "the folder above everybody's home" if real.name else "the root of all folders"
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
"""Below folders of the system, and for anybody's files all the same."""


def free_space(folder: Path) -> int | None:
    """Return the bytes free where a folder is, or is going to be; None when nobody can tell.

    A file system that has no size either does not count (ramfs, some network and FUSE ones).
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


def _notable(entries: Iterable[Entry]) -> dict[str, _Group]:
    """Return what is notable, by path: a hidden folder stands for all that is in it."""
    from peer.transfer.notes import notable

    groups: dict[str, _Group] = {}
    for entry in entries:
        note = notable(entry)
        alone = _acts_alone(entry.path)
        if note is None and not alone:
            continue
        path = _outermost_hidden(entry.path, folder=entry.kind == "dir")
        group = groups.get(path)
        if group is None:
            hidden = note is not None and note.hidden
            group = groups[path] = _Group(path, 1 if hidden else 2, hidden)
        group.rank = 0 if alone else group.rank
        group.files += entry.kind == "file"
        group.programs += note is not None and note.executable
        group.bytes += entry.size or 0
    return groups


def _acts_alone(path: str) -> bool:
    lower = path.lower()
    return lower.endswith(_STARTUP_ENDINGS) or not STARTUP.isdisjoint(lower.split("/"))


def _outermost_hidden(path: str, *, folder: bool) -> str:
    """Return the first hidden folder on the way, with its slash; without one, the path itself."""
    parts = path.split("/")
    for depth, part in enumerate(parts if folder else parts[:-1], 1):
        if part.startswith("."):
            return "/".join(parts[:depth]) + "/"
    return path


def _notable_line(group: _Group) -> Line:
    from peer.transfer.names import display_name

    said = [size(group.bytes)]
    if group.path.endswith("/"):
        said.append(count(group.files, "file"))
    if group.rank == 0:
        said.append("takes effect by itself")
    if group.hidden:
        said.append("hidden")
    if group.programs:
        folder = group.path.endswith("/")
        said.append(count(group.programs, "program") if folder else "a program")
    return ("    ", (display_name(group.path, 60), "name"), "  ", (", ".join(said), "warning"))


def _remark(groups: Mapping[str, _Group]) -> str:
    """Return how much of the offer is notable, as a sentence."""
    alone = sum(group.rank == 0 for group in groups.values())
    hidden = sum(group.files or 1 for group in groups.values() if group.hidden)
    programs = sum(group.programs for group in groups.values())
    said = [
        f"{number:,} {phrase}"
        for number, phrase in (
            (alone, "may take effect without being opened"),
            (hidden, "hidden"),
            (programs, "can be run"),
        )
        if number
    ]
    return f"Look twice: {', '.join(said)}." if said else ""


def _homes(environ: Mapping[str, str]) -> list[str]:
    homes = [environ.get("HOME", ""), environ.get("USERPROFILE", "")]
    if sys.platform != "win32":
        import pwd

        with contextlib.suppress(KeyError):  # a user whom the system does not know
            homes.append(pwd.getpwuid(os.getuid()).pw_dir)
    # "/" is the home of users that are no people.
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
