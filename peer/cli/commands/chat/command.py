"""`peerline chat`: a chat between two people or in a room."""

from __future__ import annotations

import sys
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from peer.cli import options
from peer.cli.exit_status import UsageProblem, run
from peer.cli.terminal.secret_input import ask_password, given_code, read_descriptor

if TYPE_CHECKING:
    from peer.cli.rendezvous import Reach

    from .faces import Face

__all__ = ["chat"]


@click.command(short_help="Chat with other people, and exchange files.")
@click.argument("words_of_target", metavar="[CODE|LINK|ROOM]", nargs=-1)
@options.code_fd_option
@click.option(
    "--password",
    metavar="TEXT",
    envvar="PEERLINE_PASSWORD",
    show_envvar=True,
    help="Password of a named room; '-' asks for it without showing it.",
)
@click.option(
    "--password-fd",
    type=click.IntRange(min=0),
    metavar="N",
    help="Read the password from file descriptor N, hidden from other users; for scripts.",
)
@options.out_option
@options.yes_option
@options.overwrite_option
@options.words_option
@options.qr_option
@options.port_option
@options.reaching
def chat(
    words_of_target: tuple[str, ...],
    code_fd: int | None,
    password: str | None,
    password_fd: int | None,
    out: Path,
    yes: bool,
    overwrite: bool,
    words: int,
    qr: bool | None,
    port: int,
    flags: options.ReachFlags,
    verbose: bool,
) -> int:
    """Chat with other people, and exchange files.

    Without an argument, the command makes a code for the other side. With a CODE or LINK, it
    connects to the person who made it; `peerline chat -` asks for the code. With the name of a
    ROOM, it connects to everybody in that room; this needs --server.

    If standard input is not a terminal, each of its lines is sent as a message, each message
    received is printed as `name: text`, and the end of the input ends the chat.

    Other users of this machine can briefly see a code or password that is given as an argument.
    In scripts, set PEERLINE_CODE and PEERLINE_PASSWORD in the environment, or use --code-fd and
    --password-fd.
    """
    # Before the event loop starts: the loop opens descriptors, and a prompt would block Ctrl-C.
    target = given_code(words_of_target, code_fd)
    secret = _password(password, password_fd)

    async def body() -> None:
        from peer.cli.rendezvous import Reach

        reach = Reach.from_flags(replace(flags, name=flags.name or _login_name()))
        await _chat(
            target,
            reach,
            password=secret,
            out=out,
            yes=yes,
            overwrite=overwrite,
            words=words,
            show_qr=qr,
            port=port,
        )

    return run(body, verbose=verbose)


async def _chat(
    target: str,
    reach: Reach,
    *,
    password: str | None,
    out: Path,
    yes: bool,
    overwrite: bool,
    words: int,
    show_qr: bool | None,
    port: int,
) -> None:
    from peer.cli.rendezvous import invite, join, locate
    from peer.cli.terminal import prompts, wording
    from peer.cli.terminal.screen import Screen
    from peer.cli.terminal.stdin import LineReader
    from peer.cli.terminal.text import safe_line

    from .conversation import COMMANDS, Conversation
    from .faces import LineFace, TerminalFace

    async with AsyncExitStack() as stack:
        screen = stack.enter_context(Screen())
        lines = LineReader()
        if not target:
            if password is not None:
                raise UsageProblem("--password is for a named ROOM; a code needs no password.")
            invitation = await stack.enter_async_context(invite(reach, words=words, port=port))
            room = invitation.room
            wording.invitation(
                screen, invitation, command=invitation.command("chat -"), show_qr=show_qr
            )
        elif target == "-" or _is_code(target):
            if target == "-":
                target = await prompts.ask_code(screen, lines)
            code, server = await locate(reach, target)
            room = await stack.enter_async_context(join(reach, server, code=code))
        else:
            if reach.server is None:
                raise UsageProblem(
                    f"'{safe_line(target)}' is not a code. To use it as the name of a room, add "
                    "--server."
                )
            room = await stack.enter_async_context(
                join(reach, reach.server, room=target, password=password)
            )
            screen.say(f"In the room '{safe_line(target)}' on {reach.server.host}.")
        face: Face
        if sys.stdin.isatty() and screen.terminal:
            face = await stack.enter_async_context(TerminalFace(list(COMMANDS)))
        else:
            face = await stack.enter_async_context(LineFace(screen, lines))
        conversation = Conversation(
            room, face, own_name=safe_line(reach.name), out=out, yes=yes, overwrite=overwrite
        )
        await conversation.run()


def _password(given: str | None, descriptor: int | None) -> str | None:
    """Return the password of the room; None without one.

    Raises:
        UsageProblem: It is empty, was given twice, or cannot be read.
    """
    if descriptor is not None:
        given = read_descriptor(descriptor, "--password-fd")
    elif given == "-":
        given = ask_password()
    if given == "":
        raise UsageProblem("The password is empty; leave it out for a room without a password.")
    return given


def _is_code(target: str) -> bool:
    """Return whether the text looks like a code or a link; names of rooms rarely do."""
    return "://" in target or target[:1].isdigit()


def _login_name() -> str:
    import getpass

    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # a user that the system does not know
        return ""
