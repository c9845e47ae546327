"""Input of codes and passwords that other users of this machine cannot read."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Sequence

from peer.cli.exit_status import UsageProblem

__all__ = ["ask_password", "can_ask", "given_code", "read_descriptor"]

_LONGEST = 4096
"""Longest line that is read, in bytes; longer than any code or typed password."""


def can_ask() -> bool:
    """Return whether a question can be asked: by a terminal as input, and a visible stderr.

    A pipe counts as visible (`2>&1 | tee log`), a file does not.
    """
    if not sys.stdin.isatty():
        return False
    return sys.stderr.isatty() or stat.S_ISFIFO(os.fstat(sys.stderr.fileno()).st_mode)


def given_code(words: Sequence[str], descriptor: int | None) -> str:
    """Return the code from the arguments, a descriptor or the environment; empty without one.

    Args:
        words: Arguments: a code as one or several words, or a link.
        descriptor: Value of `--code-fd`.

    Raises:
        UsageProblem: It was given twice, or cannot be read.
    """
    if descriptor is None:
        return " ".join(words) or os.environ.get("PEERLINE_CODE", "").strip()
    if words:
        raise UsageProblem("Give the code as an argument or by --code-fd, not both.")
    return read_descriptor(descriptor, "--code-fd")


def read_descriptor(descriptor: int, option: str) -> str:
    """Return the first line of a descriptor, without its end.

    It reads byte by byte, because the rest has another reader (messages, if the descriptor is
    stdin).

    Args:
        descriptor: Number of an open file, pipe or terminal.
        option: Name of the option, for the error.

    Raises:
        UsageProblem: It cannot be read, or has no line.
    """
    line = bytearray()
    try:
        while len(line) <= _LONGEST and (byte := os.read(descriptor, 1)) not in (b"", b"\n"):
            line += byte
        text = line.decode().strip()
    except OSError as error:
        raise UsageProblem(f"{option} {descriptor}: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise UsageProblem(f"{option} {descriptor}: this is not text.") from None
    if not text or len(line) > _LONGEST:
        raise UsageProblem(f"{option} {descriptor}: it must hold one line.")
    return text


def ask_password() -> str:
    """Ask for the password of a room without showing it.

    Raises:
        UsageProblem: There is no terminal, or no answer.
    """
    import getpass

    if not can_ask():
        raise UsageProblem(
            "There is no terminal on which to ask for the password: use --password-fd N or "
            "PEERLINE_PASSWORD."
        )
    try:
        password = getpass.getpass("Password of the room: ", stream=sys.stderr)
    except EOFError:
        print(file=sys.stderr)  # end the line of the question
        raise UsageProblem("No password was given.") from None
    return password
