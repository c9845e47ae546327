"""The two interfaces of a chat: a terminal with an input line, and plain lines of pipes."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, ExitStack, redirect_stderr, redirect_stdout
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self, TextIO

from peer.cli.exit_status import Interrupted
from peer.cli.terminal.output import Guarded, bare
from peer.cli.terminal.screen import WHOLE, Part, Screen
from peer.cli.terminal.stdin import LineReader
from peer.cli.terminal.text import fold, safe
from peer.text import fit_text

if TYPE_CHECKING:
    from prompt_toolkit import PromptSession
    from prompt_toolkit.styles import BaseStyle

__all__ = ["Face", "LineFace", "TerminalFace"]

_STYLE = [
    ("prompt", "bold"),
    ("bottom-toolbar", "noreverse ansibrightblack"),
    ("name", "bold ansicyan"),
    ("own", "bold"),
    ("mark", "ansigreen"),
    ("failed", "ansired"),
    ("notice", "ansibrightblack"),
    ("code", "bold ansicyan"),
    ("command", "bold"),
    ("dim", "ansibrightblack"),
    ("good", "ansigreen"),
    ("warning", "ansiyellow"),
    ("words", "ansimagenta"),
]
"""Class names for prompt_toolkit, which respects NO_COLOR itself."""


class Face(Protocol):
    """Interface between a conversation and the person."""

    commands: bool
    """Whether lines that begin with `/` are commands."""

    def message(self, name: str, text: str) -> None:
        """Show a message; `name` is terminal-safe, `text` is as it came."""

    def echo(self, name: str, text: str, mark: str) -> None:
        """Show the person's own message, with its delivery mark."""

    def notice(self, *parts: Part) -> None:
        """Show a line that is not a message."""

    def toolbar(self, text: str) -> None:
        """Show the current state, if there is a place for it."""

    def lines(self) -> AsyncIterator[str]:
        """Yield the lines of the person until the end of the input."""


class LineFace:
    """Sends each line of stdin, and prints each message as `name: text` on stdout."""

    commands = False

    def __init__(self, screen: Screen, lines: LineReader) -> None:
        self._screen = screen
        self._lines = lines

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._screen.clear_status()

    def message(self, name: str, text: str) -> None:
        """Print each line of a message."""
        for line in fit_text(text).split("\n"):
            print(f"{name}: {line}", flush=True)

    def echo(self, name: str, text: str, mark: str) -> None:
        """Print a message of the person if it was not delivered."""
        # Show failures only: the sender knows its own lines.
        if mark == "✗":
            self._screen.say(f"Not delivered: {fit_text(text)}")

    def notice(self, *parts: Part) -> None:
        """Print a line that is not a message."""
        self._screen.say(*parts)

    def toolbar(self, text: str) -> None:
        """Ignore the state: a pipe has no place for it."""

    async def lines(self) -> AsyncIterator[str]:
        """Yield the lines of stdin."""
        while (line := await self._lines.readline()) is not None:
            yield line


class TerminalFace:
    """An input line at the bottom, with everything else above it."""

    commands = True

    def __init__(self, commands: Sequence[str]) -> None:
        self._commands = commands
        self._stack = AsyncExitStack()
        self._session: PromptSession[str] | None = None
        self._style: BaseStyle | None = None
        self._toolbar = ""
        self._log: TextIO | None = None

    async def __aenter__(self) -> Self:
        from prompt_toolkit import PromptSession
        from prompt_toolkit.application import create_app_session
        from prompt_toolkit.completion import NestedCompleter, PathCompleter
        from prompt_toolkit.output import create_output
        from prompt_toolkit.patch_stdout import patch_stdout
        from prompt_toolkit.shortcuts import CompleteStyle
        from prompt_toolkit.styles import Style

        self._style = Style(_STYLE)
        with ExitStack() as entered:
            # stderr, because stdout may be a pipe.
            entered.enter_context(create_app_session(output=create_output(stdout=bare(sys.stderr))))
            self._log = None if sys.stdout.isatty() else sys.stdout
            entered.enter_context(patch_stdout(raw=True))
            # Output of others (a log, a warning) stays guarded.
            entered.enter_context(redirect_stdout(Guarded(sys.stdout)))
            entered.enter_context(redirect_stderr(Guarded(sys.stderr)))
            self._session = PromptSession(
                [("class:prompt", "> ")],
                completer=NestedCompleter.from_nested_dict(
                    {name: PathCompleter() if name == "/send" else None for name in self._commands}
                ),
                complete_while_typing=False,
                complete_style=CompleteStyle.READLINE_LIKE,
                bottom_toolbar=lambda: self._toolbar or None,
                # Enter erases the line; it returns as a message with its mark.
                erase_when_done=True,
                interrupt_exception=Interrupted,
                style=self._style,
            )
            self._stack.push(entered.pop_all())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._stack.aclose()

    def message(self, name: str, text: str) -> None:
        """Print a message above the input line."""
        lines = fit_text(text).expandtabs(4).split("\n")
        self._print(("class:name", f"{name}: "), ("", lines[0]))
        for line in lines[1:]:
            self._print(("", f"    {line}"))
        # `peerline chat > log` at a terminal: the log gets the same as a pipe.
        if self._log is not None:
            for line in lines:
                print(f"{name}: {line}", file=self._log, flush=True)

    def echo(self, name: str, text: str, mark: str) -> None:
        """Print a message of the person with its delivery mark."""
        first, *rest = fit_text(text).expandtabs(4).split("\n")
        self._print(
            ("class:own", f"{name}: "),
            ("", first),
            ("class:failed" if mark == "✗" else "class:mark", f" {mark}"),
        )
        for line in rest:
            self._print(("", f"    {line}"))

    def notice(self, *parts: Part) -> None:
        """Print a line that is not a message."""
        pieces = [(part, "") if isinstance(part, str) else part for part in parts]
        whole = pieces[0][0].startswith("    ") or any(style in WHOLE for _, style in pieces)
        self._print(
            *((f"class:{style}" if style else "class:notice", text) for text, style in pieces),
            columns=0
            if whole or self._session is None
            else self._session.output.get_size().columns,
        )

    def toolbar(self, text: str) -> None:
        """Show the state below the input line."""
        text = safe(text, joiners=True)
        if text == self._toolbar:
            return
        self._toolbar = text
        if self._session is not None and self._session.app.is_running:
            self._session.app.invalidate()

    async def lines(self) -> AsyncIterator[str]:
        """Yield the lines that the person enters."""
        assert self._session is not None
        while True:
            try:
                line = await self._session.prompt_async()
            except EOFError:
                return
            yield line

    def _print(self, *fragments: tuple[str, str], columns: int = 0) -> None:
        """Print a line, broken between words where it exceeds so many columns."""
        from prompt_toolkit import print_formatted_text
        from prompt_toolkit.formatted_text import FormattedText

        spelled = [(style, safe(text, joiners=True)) for style, text in fragments]
        if columns:
            rest = fold("".join(text for _, text in spelled), columns)
            for at, (style, text) in enumerate(spelled):
                spelled[at] = style, rest[: len(text)]
                rest = rest[len(text) :]
        print_formatted_text(FormattedText(spelled), style=self._style)
