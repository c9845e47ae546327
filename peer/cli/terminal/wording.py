"""Sentences that several commands share: people, paths, words and files."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from peer.transfer.sizes import format_size

from .screen import Part, Screen
from .text import count, safe_line, shorten

if TYPE_CHECKING:
    from peer.cli.rendezvous import Invitation
    from peer.link.link import Link
    from peer.transfer.protocol.manifest import Manifest
    from peer.types import NetworkPath, PeerInfo

__all__ = [
    "batch",
    "begin",
    "connected",
    "describe",
    "file_name",
    "invitation",
    "is_nameless",
    "path_in_full",
    "path_in_short",
    "who",
]

_BELOW = 2
"""Lines below an invitation: the status, or the prompt and toolbar of a chat."""
_NAMELESS = "the other side"
_NAME: Final = 60
"""Longest name of a file, in columns."""
_BLANKS: Final = re.compile(r"\s{2,}|[^\S ]|\A\s|\s\Z|(?<=/)\s|\s(?=/)")
"""Blanks that can imitate the end of a name, a column, or a line of the command."""
_CANDIDATES = {
    "host": "own address",
    "srflx": "address seen by STUN",
    "prflx": "address seen by the other side",
    "relay": "TURN server",
}


def who(peer: PeerInfo) -> str:
    """Return a name for the other side; terminal-safe."""
    return shorten(safe_line(peer.name), 40) or _NAMELESS


def is_nameless(name: str) -> bool:
    """Return whether `who` returned a placeholder."""
    return name.startswith(_NAMELESS)


def begin(name: str) -> str:
    """Return the result of `who` for the beginning of a sentence."""
    return f"T{name[1:]}" if is_nameless(name) else name


def path_in_short(path: NetworkPath | None) -> str:
    """Return `direct` or `relayed`."""
    return path.kind if path else ""


def path_in_full(path: NetworkPath) -> str:
    """Describe a network path, with addresses and the kinds of both candidates."""
    local, remote = _CANDIDATES[path.local_type], _CANDIDATES[path.remote_type]
    kinds = local if local == remote else f"{local} to {remote}"
    if path.kind == "relayed":
        return f"relayed by a TURN server ({path.local_address} to {path.remote_address})"
    return f"direct, {path.local_address} to {path.remote_address} ({kinds})"


def connected(screen: Screen, link: Link) -> None:
    """Show the other side, the network path, and the words to compare."""
    screen.say("Connected to ", (who(link.peer), "name"), ".")
    if link.path is not None:
        screen.say(("Path:  ", "dim"), path_in_full(link.path))
    screen.say(
        ("Words: ", "dim"), (" ".join(link.sas), "words"), ("  (the same on both sides)", "dim")
    )
    if not link.authenticated:
        screen.say(
            (
                (
                    "No code or password protects this room: compare the words by voice before "
                    "you trust it."
                ),
                "warning",
            )
        )


def invitation(
    screen: Screen, invitation: Invitation, *, command: str, show_qr: bool | None
) -> None:
    """Show the link, the command for the other side, and the code.

    Args:
        screen: The screen.
        invitation: The room.
        command: Command for the other side, with `--server` if it needs one.
        show_qr: Show the link as a QR code, too. None: only if the terminal has room for it and the
            rest, so that the code and the command stay visible.
    """
    lines = [*_link(invitation), (), *_command_and_code(invitation, command), ()]
    screen.say()
    if show_qr is not False:
        from . import qr

        drawn = qr.lines(invitation.link)
        rows = 1 + sum(screen.rows(*line) for line in lines) + _BELOW
        if qr.fits(screen, drawn, rows=rows) or (show_qr and qr.can_show(screen, drawn)):
            qr.show(screen, drawn)
            screen.say()
        elif qr.can_show(screen, drawn):
            needed = len(drawn) + rows
            lines.insert(2, ((f"(a window of {needed} lines has room for a QR code)", "dim"),))
    for line in lines:
        screen.say(*line)


def _link(invitation: Invitation) -> list[tuple[Part, ...]]:
    own = invitation.embedded
    if own is None:
        where = ""
    elif own.tls_port is not None:
        where = " on this network"
    else:
        where = " on this machine"
    lines: list[tuple[Part, ...]] = [
        (f"In a browser{where}, open:",),
        ("    ", (invitation.link, "command")),
    ]
    if own is not None and own.certificate is not None:
        fingerprint = own.certificate.fingerprint
        lines += [
            (("The browser will warn: this machine signed its own certificate. SHA-256:", "dim"),),
            ((f"    {fingerprint[:48]}", "dim"),),
            ((f"    {fingerprint[48:]}", "dim"),),
        ]
    return lines


def _command_and_code(invitation: Invitation, command: str) -> list[tuple[Part, ...]]:
    own = invitation.embedded
    lines: list[tuple[Part, ...]] = []
    if own is None or own.announced:
        lines.append(("In a terminal, run this and type the code:",))
    elif not own.addresses:
        lines.append(("In a terminal on this machine, run this and type the code:",))
    else:
        lines += [
            (
                (
                    (
                        "This network carries no announcements: on another machine, paste the "
                        "link, because the code alone is not found there."
                    ),
                    "warning",
                ),
            ),
            ("In a terminal, run this and type the code, or the link:",),
        ]
    return [
        *lines,
        ("    ", (command, "command")),
        ("Code: ", (str(invitation.code), "code")),
    ]


def batch(files: int, folders: int, links: int, total: int) -> str:
    """Return a transfer in numbers: `3 files, 2 folders, 64 MB`."""
    things = [count(files, "file")] if files or not folders + links else []
    if links:
        things.append(count(links, "symbolic link"))
    if folders:
        things.append(count(folders, "folder"))
    return f"{', '.join(things)}, {format_size(total)}"


def file_name(path: str) -> str:
    """Return a path for a list: of bounded width, with every character visible.

    Args:
        path: Hostile; never print it in another way.
    """
    from rich.cells import cell_len

    from peer.text import show_name

    limit = _NAME
    text = show_name(path, limit)
    while cell_len(text) > _NAME:
        limit -= 1 + limit // 8
        text = show_name(path, limit)
    return _BLANKS.sub(lambda blanks: "\N{OPEN BOX}" * len(blanks[0]), text)


def describe(manifest: Manifest) -> str:
    """Return a manifest in numbers: `3 files, 1 folder, 64 MB`."""
    kinds = [entry.kind for entry in manifest]
    return batch(manifest.files, kinds.count("dir"), kinds.count("link"), manifest.bytes)
