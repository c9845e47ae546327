"""`peerline receive`: from a code to files in a folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from peer.cli import options
from peer.cli.exit_status import UsageProblem, run
from peer.cli.terminal.secret_input import can_ask, given_code
from peer.errors import PeerLeft

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from typing import Any

    from peer.cli.rendezvous import Reach
    from peer.link.link import Link
    from peer.transfer.engine import IncomingTransfer

__all__ = ["receive"]

Result = TypeVar("Result")


@click.command(short_help="Receive files and folders from somebody.")
@click.argument("words", metavar="[CODE|LINK]", nargs=-1)
@options.code_fd_option
@options.out_option
@options.yes_option
@options.overwrite_option
@options.reaching
def receive(
    words: tuple[str, ...],
    code_fd: int | None,
    out: Path,
    yes: bool,
    overwrite: bool,
    flags: options.ReachFlags,
    verbose: bool,
) -> int:
    """Receive files and folders from somebody.

    The command asks for the code on the sender's screen, such as 7-guitar-ocean; the link that
    is shown beside it works, too.

    The code or link can also be an argument, but then other users of this machine can briefly
    see it. In scripts, set PEERLINE_CODE in the environment, or use --code-fd; scripts also need
    --yes.

    Without --server, the command looks for the sender on this machine and on the local network.
    """
    # Before the event loop starts, because the loop opens descriptors.
    code = given_code(words, code_fd)

    async def body() -> int:
        from peer.cli.rendezvous import Reach

        reach = Reach.from_flags(flags)
        return await _receive(code, reach, out=out, yes=yes, overwrite=overwrite)

    return run(body, verbose=verbose)


async def _receive(code: str, reach: Reach, *, out: Path, yes: bool, overwrite: bool) -> int:
    """Receive one batch of files.

    Args:
        code: A code or a link; empty asks for one.
        reach: How to get to the sender.
        out: Destination of the files.
        yes: Accept without a question.
        overwrite: Replace existing files.

    Returns:
        The exit status.

    Raises:
        UsageProblem: No terminal can show the question. The code can still be used.
        PeerError: The transfer failed; each kind has its exit status.
    """
    import asyncio
    from contextlib import AsyncExitStack

    from peer.cli.rendezvous import join, locate
    from peer.cli.terminal import prompts, transfer_view, wording
    from peer.cli.terminal.offer_view import offer
    from peer.cli.terminal.screen import Screen
    from peer.cli.terminal.stdin import LineReader
    from peer.security.codes import Code

    if code == "-":
        code = ""
    if code:
        Code.parse(code)
    if not yes and not can_ask():
        raise UsageProblem(
            "There is no terminal on which to ask whether to accept the files: add --yes."
        )
    lines = LineReader()
    async with AsyncExitStack() as stack:
        screen = stack.enter_context(Screen())
        typed = code or await prompts.ask_code(screen, lines)
        screen.status("Looking for the other side ...")
        found, server = await locate(reach, typed)
        screen.status("Connecting ...")
        room = await stack.enter_async_context(join(reach, server, code=found))
        link = await room.link()
        screen.clear_status()
        wording.connected(screen, link)
        screen.status("Waiting for the offer ...")
        incoming = await _first_offer(link)
        screen.clear_status()
        sender = wording.who(link.peer)
        # Half a million names take a while.
        offered = await asyncio.to_thread(offer, incoming.manifest, sender=sender, out=out)
        for line in offered.lines:
            screen.say(*line)
        if not yes:
            # A mere Enter must not accept files that could take effect by themselves.
            answer = prompts.confirm(screen, "Accept?", default=not offered.dangerous, lines=lines)
            if not await _while_open(link, answer):
                await incoming.decline()
                await incoming.done()
        await incoming.accept(out, overwrite=overwrite)
        view = transfer_view.ScreenView(
            screen,
            path=wording.path_in_short(link.path),
            waiting="Waiting for the first bytes ...",
            finishing="Finishing the files ...",
        )
        try:
            took = await transfer_view.follow(incoming, view)
            await incoming.done()
        except BaseException:
            for line in transfer_view.unfinished(incoming):
                screen.say(*line)
            raise
        screen.say((f"{transfer_view.summary('Received', incoming, took)}.", "good"))
        screen.say("Every file matches the digests of the sender. Saved as:")
        for line in [*transfer_view.places(incoming), *transfer_view.notices(incoming)]:
            screen.say(*line)
        await link.close()
        return transfer_view.status_of(incoming)


async def _first_offer(link: Link) -> IncomingTransfer:
    async for incoming in link.transfers():
        if incoming.problem is not None:
            raise incoming.problem
        return incoming
    raise PeerLeft("The other side left without sending anything.")


async def _while_open(link: Link, question: Coroutine[Any, Any, Result]) -> Result:
    """Wait for an answer, or raise if the link ends first."""
    import asyncio

    answer = asyncio.ensure_future(question)
    end = asyncio.ensure_future(link.wait_closed())
    try:
        await asyncio.wait({answer, end}, return_when=asyncio.FIRST_COMPLETED)
        if answer.done():
            return answer.result()
        end.result()
        raise PeerLeft("The other side left before you answered.")
    finally:
        for task in (answer, end):
            task.cancel()
        await asyncio.gather(answer, end, return_exceptions=True)
