"""The one way to a person's terminal: what is written there cannot move its cursor.

File names, people's names, a server's messages: much of what a command shows comes from somewhere
else, and reaches the terminal by many roads (lines of the screen, logs, tracebacks, warnings, the
complaints of `click`). So the streams themselves are guarded: `guard` puts a `Guarded` in the place
of stdout and stderr, which spells out every control character but line ends and tabs. The three
places that draw (`screen`, `chat_faces`, `prompts`) take the stream below by `bare`, and spell out
themselves what they were given.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterable
from typing import IO, TYPE_CHECKING, Any, TextIO, cast

from .text import safe

if TYPE_CHECKING:
    import logging

__all__ = ["Guarded", "bare", "guard", "log_to_stderr", "write"]

_LINES = "\n\t"


class Guarded(io.TextIOBase):
    """A text stream in which control characters appear as what they are: ``\\x1b``."""

    def __init__(self, stream: TextIO) -> None:
        self.bare = stream

    def write(self, text: str, /) -> int:
        """Write text, spelled out where it could do something to a terminal."""
        if not isinstance(text, str):
            raise TypeError(f"write() takes a str, not {type(text).__name__}")
        write(self.bare, spell(text))
        return len(text)

    def writelines(self, lines: Iterable[str], /) -> None:  # type: ignore[override]
        for line in lines:
            self.write(line)

    def writable(self) -> bool:
        return True

    def flush(self) -> None:
        self.bare.flush()

    def fileno(self) -> int:
        return self.bare.fileno()

    def isatty(self) -> bool:
        return self.bare.isatty()

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self.bare.encoding

    @property
    def errors(self) -> str | None:  # type: ignore[override]
        return self.bare.errors


def spell(text: str) -> str:
    """Return text of several lines with everything but line ends and tabs spelled out."""
    if text.isascii() and text.isprintable():
        return text
    return "\n".join(
        "\t".join(safe(part, joiners=True) for part in line.split("\t"))
        for line in text.replace("\r\n", "\n").split("\n")
    )


def write(stream: TextIO, text: str) -> None:
    """Write to a stream whose encoding may not have every character: those are spelled out."""
    try:
        stream.write(text)
    except UnicodeEncodeError:
        encoding = stream.encoding
        stream.write(text.encode(encoding, "backslashreplace").decode(encoding))


def bare(stream: TextIO) -> TextIO:
    """Return the stream below a guarded one, for those that draw."""
    return stream.bare if isinstance(stream, Guarded) else stream


def guard() -> None:
    """Guard stdout and stderr until the process ends; what is closed leads nowhere.

    A descriptor 0, 1 or 2 that is closed (``2>&-``) would be given to the first socket, and what
    is meant for a person would be sent there.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)
    # Python leaves None where a descriptor was closed when it started.
    standard = cast("Any", sys)
    if standard.stdin is None:
        standard.stdin = os.fdopen(0, encoding="utf-8", closefd=False)
    for name, number in (("stdout", 1), ("stderr", 2)):
        stream = getattr(standard, name)
        if stream is None:
            stream = os.fdopen(number, "w", encoding="utf-8", closefd=False)
        if not isinstance(stream, Guarded):
            setattr(standard, name, Guarded(stream))


def log_to_stderr(level: int) -> None:
    """Send the log to stderr, whatever stands in its place at the time: a line an event."""
    import logging

    class Lines(logging.Formatter):
        """Message and all in one line; a traceback below it, where it cannot pass for another."""

        def format(self, record: logging.LogRecord) -> str:
            record.message = record.getMessage()
            record.asctime = self.formatTime(record)
            lines = [safe(self.formatMessage(record), joiners=True)]
            if record.exc_info:
                lines.append(indented(self.formatException(record.exc_info)))
            if record.stack_info:
                lines.append(indented(record.stack_info))
            return "\n".join(lines)

    class Stderr(logging.Handler):
        """Looks stderr up for every line: a chat puts a stream of its own there."""

        def emit(self, record: logging.LogRecord) -> None:
            try:
                stream: IO[str] = sys.stderr
                stream.write(f"{self.format(record)}\n")
                stream.flush()
            except Exception:  # noqa: BLE001 -- the seam of `logging`: it says what is wrong
                self.handleError(record)

    handler = Stderr()
    handler.setFormatter(Lines("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(level)


def indented(text: str) -> str:
    """Return text of several lines moved to the right, so that none can pass for one of ours."""
    return "\n".join(f"    {line}" for line in text.splitlines())
