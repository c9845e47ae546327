"""Codes and passwords that come by a way on which nobody else of this machine can read them."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Sequence

from peer.cli.exit_status import UsageProblem

__all__ = ["ask_password", "can_ask", "given_code", "read_descriptor"]

_LONGEST = 4096
"""Bytes of the line that is read: more is no code, and no password that anybody types."""


def can_ask() -> bool:
    """Whether there is a person to ask: a terminal to read from, and a way to show the question.

    What stderr leads to may be shown elsewhere (``2>&1 | tee log``), but a file shows nothing.
    """
    if not sys.stdin.isatty():
        return False
    return sys.stderr.isatty() or stat.S_ISFIFO(os.fstat(sys.stderr.fileno()).st_mode)


def given_code(words: Sequence[str], descriptor: int | None) -> str:
    """Return the code that the command was given, from wherever; empty when there is none.

    Args:
        words: Arguments: a code in one or several, or a link.
        descriptor: What ``--code-fd`` says.

    Raises:
        UsageProblem: It was given twice, or cannot be read.
    """
    if descriptor is None:
        return " ".join(words) or os.environ.get("PEERLINE_CODE", "").strip()
    if words:
        raise UsageProblem("Give the code as an argument or by --code-fd, not both.")
    return read_descriptor(descriptor, "--code-fd")


def read_descriptor(descriptor: int, option: str) -> str:
    """Return the first line that a descriptor holds, without its end.

    Byte by byte: what follows the line belongs to somebody else (messages, where the descriptor
    is stdin).

    Args:
        descriptor: Number of an open file, pipe or terminal.
        option: By which it was named, for the complaint.

    Raises:
        UsageProblem: It cannot be read, or there is nothing in it.
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
    """Ask for a room's password, which the terminal does not show.

    Raises:
        UsageProblem: There is nobody to ask, or no answer.
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
        print(file=sys.stderr)  # the question has a line of its own
        raise UsageProblem("No password was given.") from None
    return password
