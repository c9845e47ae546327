"""Guards stdout and stderr, so that no output can move the cursor of the terminal.

Much of the output of a command comes from others (names of files and people, messages of a server),
and reaches the terminal by many ways (the screen, logs, tracebacks, warnings, errors of `click`).
So `guard` replaces stdout and stderr by a `Guarded`, which escapes every control character except
line ends and tabs. The modules that draw (`screen`, `prompts` and `faces` of the chat) take the
stream below with `bare`, and escape their input themselves.
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
    r"""A text stream that escapes control characters: `\x1b`."""

    def __init__(self, stream: TextIO) -> None:
        self.bare = stream

    def write(self, text: str, /) -> int:
        """Write text, with control characters escaped."""
        if not isinstance(text, str):
            raise TypeError(f"write() takes a str, not {type(text).__name__}")
        write(self.bare, spell(text))
        return len(text)

    def writelines(self, lines: Iterable[str], /) -> None:  # type: ignore[override]
        """Write lines, with control characters escaped."""
        for line in lines:
            self.write(line)

    def writable(self) -> bool:
        """Return True."""
        return True

    def flush(self) -> None:
        """Flush the stream below."""
        self.bare.flush()

    def fileno(self) -> int:
        """Return the descriptor of the stream below."""
        return self.bare.fileno()

    def isatty(self) -> bool:
        """Return whether the stream below is a terminal."""
        return self.bare.isatty()

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """Encoding of the stream below."""
        return self.bare.encoding

    @property
    def errors(self) -> str | None:  # type: ignore[override]
        """Error handling of the stream below."""
        return self.bare.errors


def spell(text: str) -> str:
    """Escape control characters in a text, except line ends and tabs."""
    if text.isascii() and text.isprintable():
        return text
    return "\n".join(
        "\t".join(safe(part, joiners=True) for part in line.split("\t"))
        for line in text.replace("\r\n", "\n").split("\n")
    )


def write(stream: TextIO, text: str) -> None:
    """Write text, and escape characters that the encoding of the stream lacks."""
    try:
        stream.write(text)
    except UnicodeEncodeError:
        encoding = stream.encoding
        stream.write(text.encode(encoding, "backslashreplace").decode(encoding))


def bare(stream: TextIO) -> TextIO:
    """Return the stream below a guarded one, for modules that draw."""
    return stream.bare if isinstance(stream, Guarded) else stream


def guard() -> None:
    """Guard stdout and stderr until the process ends; open closed descriptors on /dev/null.

    Otherwise a closed descriptor 0, 1 or 2 (`2>&-`) would become the first socket, and messages
    for the person would be sent there.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)
    # Python sets None for a descriptor that was closed at its start.
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
    """Log to the current stderr, one line for each event."""
    import logging

    class Lines(logging.Formatter):
        """Formats an event as one line, with an indented traceback below."""

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
        """Looks up stderr for every line, because a chat replaces it."""

        def emit(self, record: logging.LogRecord) -> None:
            try:
                stream: IO[str] = sys.stderr
                stream.write(f"{self.format(record)}\n")
                stream.flush()
            except Exception:  # noqa: BLE001 -- `logging` reports errors of handlers itself
                self.handleError(record)

    handler = Stderr()
    handler.setFormatter(Lines("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(level)


def indented(text: str) -> str:
    """Indent a text, so that none of its lines looks like one of the log."""
    return "\n".join(f"    {line}" for line in text.splitlines())
