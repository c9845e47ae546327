"""Sentences that several commands share: who, over which path, with which words, what files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from .screen import Part, Screen
from .text import count, safe_line, shorten, size

if TYPE_CHECKING:
    from peer.events import Path, PeerInfo
    from peer.link import Link
    from peer.transfer.manifest import Entry

    from .meeting import Invitation

__all__ = [
    "batch",
    "begin",
    "connected",
    "invitation",
    "listing",
    "path_in_full",
    "path_in_short",
    "who",
]

_LISTED = 8
"""Names that a listing shows before it says how many more there are."""
_NAMELESS = "the other side"
_CANDIDATES = {
    "host": "own address",
    "srflx": "address seen by STUN",
    "prflx": "address seen by the other side",
    "relay": "TURN server",
}


def who(peer: PeerInfo) -> str:
    """Return what to call the other side; terminal-safe."""
    return shorten(safe_line(peer.name), 40) or _NAMELESS


def begin(name: str) -> str:
    """Return what `who` returned as it stands at the beginning of a sentence."""
    return "The other side" if name == _NAMELESS else name


def path_in_short(path: Path | None) -> str:
    """Return ``direct`` or ``relayed``."""
    return path.kind if path else ""


def path_in_full(path: Path) -> str:
    """Return how the bytes travel, with addresses and the kinds of the two candidates."""
    local, remote = _CANDIDATES[path.local_type], _CANDIDATES[path.remote_type]
    kinds = local if local == remote else f"{local} to {remote}"
    if path.kind == "relayed":
        return f"relayed by a TURN server ({path.local_address} to {path.remote_address})"
    return f"direct, {path.local_address} to {path.remote_address} ({kinds})"


def connected(screen: Screen, link: Link) -> None:
    """Say who is there, over which path, and with which words to be sure of it."""
    screen.say("Connected to ", (who(link.peer), "name"), ".")
    if link.path is not None:
        screen.say(("Path:  ", "dim"), path_in_full(link.path))
    screen.say(
        ("Words: ", "dim"), (" ".join(link.sas), "words"), ("  (the same on both sides)", "dim")
    )
    if not link.authenticated:
        screen.say(
            (
                "No code or password protects this room: compare the words with the other side, "
                "by voice, before you trust it.",
                "warning",
            )
        )


def invitation(screen: Screen, invitation: Invitation, *, command: str, show_qr: bool) -> None:
    """Show the code, what to type elsewhere, and the link.

    Args:
        screen: Where to.
        invitation: The room.
        command: What the other side runs, with ``--server`` where it needs one.
        show_qr: Whether a QR code is wanted; a terminal that can show it is needed too.
    """
    own = invitation.embedded
    screen.say()
    screen.say("Code: ", (str(invitation.code), "code"))
    screen.say()
    screen.say("On the other machine, run:")
    screen.say("    ", (command, "command"))
    if own is None or own.tls_port is not None:
        where = "" if own is None else " there, on this network"
        screen.say(f"or open this link in a browser{where}:")
    else:
        screen.say("or open this link in a browser on this machine:")
    screen.say("    ", (invitation.link, "command"))
    if show_qr:
        from . import qr

        qr.show(screen, invitation.link)
    if own is not None and own.certificate is not None:
        fingerprint = own.certificate.fingerprint
        for line in (
            "The browser will warn about the certificate: nobody signs one for an address of",
            "a local network, so this machine made its own. Before you go on there, see that",
            "its SHA-256 fingerprint is this one; then nobody sits in between:",
            f"    {fingerprint[:48]}",
            f"    {fingerprint[48:]}",
        ):
            screen.say((line, "dim"))
    screen.say()


def batch(files: int, folders: int, links: int, total: int) -> str:
    """Return what is sent in numbers: ``3 files in 2 folders, 64.0 MB``."""
    things = [count(files, "file")] if files or not folders + links else []
    if links:
        things.append(count(links, "symbolic link"))
    if folders:
        things.append(count(folders, "folder"))
    return f"{', '.join(things)}, {size(total)}"


def listing(entries: Sequence[Entry]) -> list[tuple[Part, ...]]:
    """Return lines that name what is offered: files and folders at the top, with sizes."""
    from peer.transfer.names import display_name

    totals: dict[str, int] = {}
    folders: dict[str, int] = {}
    for entry in entries:
        root, slash, _ = entry.path.partition("/")
        totals[root] = totals.get(root, 0) + (entry.size or 0)
        if slash or entry.kind == "dir":
            folders[root] = folders.get(root, 0) + (entry.kind == "file")
    lines: list[tuple[Part, ...]] = []
    for root in list(totals)[:_LISTED]:
        within = f", {count(folders[root], 'file')}" if root in folders else ""
        name = display_name(root, 60) + ("/" if root in folders else "")
        lines.append(("    ", (name, "name"), f"  {size(totals[root])}{within}"))
    if len(totals) > _LISTED:
        lines.append((f"    ... and {count(len(totals) - _LISTED, 'more', 'more')}",))
    return lines
