"""Output for the person, on stderr, so that stdout is for received data only.

On a terminal, a status line at the bottom changes in place (waiting, progress); elsewhere each
status is a line, printed once.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Self, TextIO

from .output import bare, write
from .text import safe

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

__all__ = ["WHOLE", "Part", "Screen"]

Part = str | tuple[str, str]
"""A part of a line: text, or text with the name of a style."""

_STYLES = {
    "": "",
    "code": "bold cyan",
    "command": "bold",
    "dim": "dim",
    "good": "green",
    "name": "bold",
    "question": "bold",
    "warning": "yellow",
    "words": "magenta",
}

WHOLE = {"code", "command", "name"}
"""Styles of text that is not broken into lines."""


class Screen:
    """The terminal of the person, or a pipe or file in its place."""

    def __init__(
        self,
        stream: TextIO | None = None,
        *,
        terminal: bool | None = None,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        self._stream = bare(sys.stderr if stream is None else stream)
        if terminal is None:
            terminal = self._stream.isatty() and environ.get("TERM") != "dumb"
        self.terminal = terminal
        """Whether lines may be rewritten in place, and colours used."""
        self._colour = terminal and not environ.get("NO_COLOR")
        self._console: Console | None = None
        self._status = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Remove the status line, because an error or the shell prompt is printed next."""
        self.clear_status()

    @property
    def width(self) -> int:
        """Columns of the terminal; 80 without one."""
        return self._rich().width if self.terminal else 80

    @property
    def height(self) -> int:
        """Lines of the terminal; 24 without one."""
        return self._rich().height if self.terminal else 24

    def rows(self, *parts: Part) -> int:
        """Return the number of terminal lines that a line takes."""
        lines = self._broken(_pieces(parts))
        return sum(max(1, -(-line.cell_len // self.width)) for line in lines)

    @property
    def unicode(self) -> bool:
        """Whether block characters can be printed."""
        return (self._stream.encoding or "").lower().replace("-", "") == "utf8"

    def say(self, *parts: Part) -> None:
        """Print a line that stays; control characters are escaped."""
        self.erase_status()
        self._print(parts)
        self._draw_status()

    def raw(self, text: str) -> None:
        """Write text as it is: own escape sequences only, never foreign text."""
        self.erase_status()
        self._write(text)

    def ask(self, text: str) -> None:
        """Write a question, without a line end."""
        self.erase_status()
        self._write(safe(text, joiners=True))

    def status(self, text: str) -> None:
        """Show a status until the next one or `clear_status`."""
        text = safe(text, joiners=True)
        if text == self._status:
            return
        if not self.terminal:
            self._status = text
            self._write(f"{text}\n")
            return
        self._status = text
        self._draw_status()

    def clear_status(self) -> None:
        """Remove the status."""
        self.erase_status()
        self._status = ""

    def erase_status(self) -> None:
        """Erase the status line until the next line is printed."""
        if self.terminal and self._status:
            self._write("\r\x1b[2K")

    def _draw_status(self) -> None:
        if self.terminal and self._status:
            from rich.cells import set_cell_size

            # One column less: a full line would wrap, and \r would not return to its start.
            room = max(1, self.width - 1)
            self._write(f"\r{set_cell_size(self._status, room).rstrip()}\x1b[K")

    def _print(self, parts: tuple[Part, ...]) -> None:
        pieces = _pieces(parts)
        if not self.terminal:
            self._write("".join(text for text, _ in pieces) + "\n")
            return
        for line in self._broken(pieces):
            if self._colour:
                # soft_wrap: the terminal breaks longer text, which can be copied as one line.
                self._rich().print(line, soft_wrap=True)
            else:
                self._write(f"{line.plain}\n")

    def _broken(self, pieces: Sequence[tuple[str, str]]) -> Sequence[Text]:
        """Break prose between words, but never codes, links and paths, which people copy."""
        from rich.text import Text

        line = Text.assemble(*((text, _STYLES[style]) for text, style in pieces), overflow="ignore")
        whole = line.plain.startswith("    ") or any(style in WHOLE for _, style in pieces)
        if whole or line.cell_len <= self.width:
            return [line]
        lines = line.wrap(self._rich(), self.width)
        for each in lines:
            each.rstrip()
        return list(lines)

    def _write(self, text: str) -> None:
        write(self._stream, text)
        self._stream.flush()

    def _rich(self) -> Console:
        if self._console is None:
            from rich.console import Console

            self._console = Console(
                file=self._stream, highlight=False, markup=False, force_terminal=True
            )
        return self._console


def _pieces(parts: Sequence[Part]) -> list[tuple[str, str]]:
    """Return text and style of each part, with control characters escaped."""
    styled = ((part, "") if isinstance(part, str) else part for part in parts)
    return [(safe(text, joiners=True), style) for text, style in styled]
