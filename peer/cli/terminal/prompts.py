"""Questions to the person, with a visible default: `Accept? [Y/n]`."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

from peer.cli.exit_status import Interrupted
from peer.errors import CodeError
from peer.security.codes import Code

from .output import bare
from .screen import Screen
from .stdin import LineReader

if TYPE_CHECKING:
    from collections.abc import Iterable

    from prompt_toolkit.completion import CompleteEvent, Completion
    from prompt_toolkit.document import Document

__all__ = ["ask_code", "confirm"]

_ATTEMPTS = 3


async def confirm(screen: Screen, question: str, *, default: bool, lines: LineReader) -> bool:
    """Ask a question until the answer is yes or no; the end of the input means no.

    Input typed before the question is discarded.
    """
    choices = "[Y/n]" if default else "[y/N]"
    lines.discard()
    while True:
        screen.ask(f"{question} {choices} ")
        try:
            answer = await lines.readline()
        except asyncio.CancelledError:
            screen.raw("\n")  # the next message gets its own line
            raise
        if answer is None:
            screen.raw("\n")
            return False
        match answer.strip().lower():
            case "":
                return default
            case "y" | "yes":
                return True
            case "n" | "no":
                return False
        screen.say("Answer y or n.")


async def ask_code(screen: Screen, lines: LineReader) -> str:
    """Ask for the code; on a terminal, Tab completes its words.

    Returns:
        The input: a valid code, or a link with one.

    Raises:
        CodeError: The input is not valid.
    """
    if not (sys.stdin.isatty() and screen.terminal):
        screen.ask("Code: ")
        typed = await lines.readline()
        if not typed:
            raise CodeError("No code was given. A code looks like 7-guitar-ocean.")
        return typed.strip()
    problem: CodeError | None = None
    for _ in range(_ATTEMPTS):
        typed = await _typed_code()
        try:
            Code.parse(typed)
        except CodeError as error:
            problem = error
            screen.say((str(error), "warning"))
        else:
            return typed.strip()
    raise problem or CodeError("No code was given. A code looks like 7-guitar-ocean.")


async def _typed_code() -> str:
    from prompt_toolkit import PromptSession
    from prompt_toolkit.completion import Completer, Completion
    from prompt_toolkit.output import create_output
    from prompt_toolkit.shortcuts import CompleteStyle

    class WordCompleter(Completer):
        """Completes the word before the cursor from the word list of codes."""

        def get_completions(
            self, document: Document, complete_event: CompleteEvent
        ) -> Iterable[Completion]:
            from peer.security.codes import complete

            before = document.text_before_cursor.replace(" ", "-")
            head, dash, word = before.rpartition("-")
            if dash and head and word:
                for candidate in complete(word.lower()):
                    yield Completion(candidate, start_position=-len(word))

    session: PromptSession[str] = PromptSession(
        "Code (Tab completes words): ",
        completer=WordCompleter(),
        complete_while_typing=False,
        complete_style=CompleteStyle.READLINE_LIKE,
        interrupt_exception=Interrupted,
        # stdout is for received data only.
        output=create_output(stdout=bare(sys.stderr)),
    )
    try:
        return await session.prompt_async()
    except EOFError:
        raise CodeError("No code was given. A code looks like 7-guitar-ocean.") from None
