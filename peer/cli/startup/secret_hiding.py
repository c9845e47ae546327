"""Hides codes and passwords from other processes of this machine.

Every user can read the command line of every process (`ps`, `/proc/PID/cmdline`), and processes of
the same user its initial environment (`/proc/PID/environ`). Both are memory of the process itself,
so the command overwrites them: the arguments after the name of the command, and the values of
`SECRETS`. The copies in Python (`sys.argv`, `os.environ`) stay.

The arguments are visible from `execve` until this code runs, 20 to 70 ms, which no Python program
can avoid. A code that is typed, or passed by the environment or a descriptor, never is.
"""

from __future__ import annotations

import os
import sys

__all__ = ["SECRETS", "hide_secrets"]

SECRETS = ("PEERLINE_CODE", "PEERLINE_PASSWORD")
"""Environment variables with secrets."""

_OPEN = frozenset({"send", "tx", "serve"})
"""Commands without secrets in their arguments, which stay visible."""

_ARG_START, _ARG_END, _ENV_START, _ENV_END = 45, 46, 47, 48
"""Fields of `/proc/self/stat` after the name of the program (proc(5): 48 to 51)."""


def hide_secrets() -> None:
    """Overwrite the arguments after the command's name, and secrets in the environment.

    If the system does not permit it, nothing changes.
    """
    try:
        if sys.platform == "linux":
            _hide_on_linux()
        elif sys.platform == "darwin":
            _hide_on_macos()
    except (OSError, ValueError, IndexError, AttributeError, ImportError):
        pass  # best effort; the command works without it


def _kept_arguments() -> int:
    """Count the arguments that stay: those of Python, the script, the name of the command."""
    own = len(sys.orig_argv) - len(sys.argv) + 1
    return len(sys.orig_argv) if sys.argv[1:2] and sys.argv[1] in _OPEN else own + 1


def _hide_on_linux() -> None:
    # The name of the program may contain blanks and brackets; numbers follow its last bracket.
    stat = _read("stat").rpartition(b")")[2].split()
    arguments = _read("cmdline").split(b"\0")
    start, end = int(stat[_ARG_START]), int(stat[_ARG_END])
    start += sum(len(argument) + 1 for argument in arguments[: _kept_arguments()])
    holes = [(start, end - start)] if start < end else []
    first = int(stat[_ENV_START])
    if any(name in os.environ for name in SECRETS):
        for entry in _read("environ").split(b"\0"):
            name, _, value = entry.partition(b"=")
            if name.decode("ascii", "replace") in SECRETS:
                holes.append((first + len(name) + 1, len(value)))
            first += len(entry) + 1
    if not holes:
        return
    try:
        _write_holes(holes)
    except OSError:  # some sandboxes lack this file, or forbid writing
        for address, length in holes:
            _overwrite(address, length)


def _write_holes(holes: list[tuple[int, int]]) -> None:
    # Not with ctypes, which takes several milliseconds to load.
    memory = os.open("/proc/self/mem", os.O_WRONLY | os.O_CLOEXEC)
    try:
        for address, length in holes:
            os.pwrite(memory, bytes(length), address)
    finally:
        os.close(memory)


def _read(name: str) -> bytes:
    # Not with pathlib, which takes longer to load than all of this.
    with open(f"/proc/self/{name}", "rb") as file:  # noqa: PTH123
        return file.read()


def _hide_on_macos() -> None:
    import ctypes

    libc = ctypes.CDLL(None)
    libc._NSGetArgv.restype = ctypes.POINTER(ctypes.POINTER(ctypes.c_void_p))
    arguments = libc._NSGetArgv().contents
    for index in range(_kept_arguments(), len(sys.orig_argv)):
        if address := arguments[index]:
            _overwrite(address, len(ctypes.string_at(address)))
    libc.getenv.restype = ctypes.c_void_p
    for name in SECRETS:
        if address := libc.getenv(name.encode()):
            _overwrite(address, len(ctypes.string_at(address)))


def _overwrite(address: int, length: int) -> None:
    import ctypes

    ctypes.memset(address, 0, length)
