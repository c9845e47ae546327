"""`peerline send`: offers files by a code."""

from __future__ import annotations

import os
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from peer.cli import options
from peer.cli.exit_status import UsageProblem, run
from peer.cli.terminal.text import safe

if TYPE_CHECKING:
    from peer.cli.rendezvous import Reach

__all__ = ["send"]

_NAMED = 20
"""Missing paths that one message names."""


@click.command(short_help="Send files and folders to somebody.")
@click.argument(
    "paths",
    metavar="PATH...",
    nargs=-1,
    required=True,
    type=click.Path(path_type=Path),
)
@options.strict_option
@options.words_option
@options.qr_option
@options.port_option
@options.reaching
def send(
    paths: tuple[Path, ...],
    strict: bool,
    words: int,
    qr: bool | None,
    port: int,
    flags: options.ReachFlags,
    verbose: bool,
) -> int:
    """Send files and folders to somebody.

    The command shows a code. The other side runs `peerline receive` and types the code, or opens
    the link in a browser. The command ends when the other side has confirmed that everything
    arrived.

    Files that cannot be read, sockets, pipes and devices are left out and named, and so are files
    that change before they are sent; the exit status is then 10. With --strict, the command fails
    in these cases.

    Without --server, the command runs a server of its own, which other machines on the same
    network find by themselves.
    """

    async def body() -> int:
        from peer.cli.rendezvous import Reach

        reach = Reach.from_flags(flags)
        return await _send(paths, reach, strict=strict, words=words, show_qr=qr, port=port)

    return run(body, verbose=verbose)


async def _send(
    paths: tuple[Path, ...],
    reach: Reach,
    *,
    strict: bool,
    words: int,
    show_qr: bool | None,
    port: int,
) -> int:
    import asyncio

    from peer.cli.rendezvous import invite
    from peer.cli.terminal import transfer_view, wording
    from peer.cli.terminal.screen import Screen
    from peer.transfer.disk import Sources

    missing = [path for path in paths if not os.path.lexists(path)]
    if missing:
        said = [
            f'There is no file or folder called "{safe(str(path))}".' for path in missing[:_NAMED]
        ]
        more = [f"... and {len(missing) - _NAMED} more."] if len(missing) > _NAMED else []
        raise UsageProblem(" ".join([*said, *more]))
    async with AsyncExitStack() as stack:
        screen = stack.enter_context(Screen())
        # Listed once: the offer is what was shown, however long the other side takes to come.
        sources = await asyncio.to_thread(Sources.of, paths, strict=strict)
        transfer_view.show_sources(screen, sources)
        invitation = await stack.enter_async_context(invite(reach, words=words, port=port))
        wording.invitation(
            screen, invitation, command=invitation.command("receive"), show_qr=show_qr
        )
        screen.status("Waiting for the other side ... (Ctrl-C gives up)")
        link = await invitation.room.link()
        screen.clear_status()
        wording.connected(screen, link)
        receiver = wording.who(link.peer)
        outgoing = await link.send_files(sources)
        view = transfer_view.ScreenView(
            screen,
            path=wording.path_in_short(link.path),
            waiting=f"Waiting for {receiver} to accept ...",
            finishing="Waiting for confirmation ...",
        )
        took = await transfer_view.follow(outgoing, view)
        await outgoing.done()
        screen.say((f"{transfer_view.summary('Sent', outgoing, took)}.", "good"))
        what = "everything that was sent" if outgoing.left_out else "everything"
        screen.say(f"Confirmed by {receiver}: {what} arrived, with the same digests.")
        for line in transfer_view.notices(outgoing):
            screen.say(*line)
        await link.close()
        return transfer_view.status_of(outgoing)
