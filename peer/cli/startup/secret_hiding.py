"""What other processes of this machine see of a command: nothing secret for longer than must be.

Every user may read every process's command line (`ps`, ``/proc/PID/cmdline``), and its owner's
other processes its environment as it was at the start (``/proc/PID/environ``). Both are memory of
the process itself, so that the command overwrites what stands there: the arguments after the
command's name, and the values of `SECRETS`. Python's own copies (`sys.argv`, `os.environ`) stay.

The arguments are there from `execve` until Python gets here, 20 to 70 ms. No program written in
Python can do better; a code that is typed, or comes by the environment or a descriptor, is never
there at all.
"""

from __future__ import annotations

import os
import sys

__all__ = ["SECRETS", "hide_secrets"]

SECRETS = ("PEERLINE_CODE", "PEERLINE_PASSWORD")
"""Environment variables that carry one."""

_OPEN = frozenset({"send", "tx", "serve"})
"""Commands whose arguments are no secrets: `ps` may go on showing them."""

_ARG_START, _ARG_END, _ENV_START, _ENV_END = 45, 46, 47, 48
"""Fields of ``/proc/self/stat`` behind the program's name (proc(5): 48 to 51)."""


def hide_secrets() -> None:
    """Overwrite the arguments after the command's name, and secrets in the environment.

    Where the system does not let a process do so, everything stays as it is.
    """
    try:
        if sys.platform == "linux":
            _hide_on_linux()
        elif sys.platform == "darwin":
            _hide_on_macos()
    except (OSError, ValueError, IndexError, AttributeError, ImportError):
        pass  # hiding is a courtesy to the person, not a condition of the command


def _kept_arguments() -> int:
    """How many of the process's arguments stay: Python's own, the script, the command's name."""
    own = len(sys.orig_argv) - len(sys.argv) + 1
    return len(sys.orig_argv) if sys.argv[1:2] and sys.argv[1] in _OPEN else own + 1


def _hide_on_linux() -> None:
    # The program's name may hold blanks and brackets; behind its last bracket are numbers.
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
    except OSError:  # some sandboxes have no such file, or none to write to
        for address, length in holes:
            _overwrite(address, length)


def _write_holes(holes: list[tuple[int, int]]) -> None:
    # The shorter way, ctypes, takes several milliseconds to load.
    memory = os.open("/proc/self/mem", os.O_WRONLY | os.O_CLOEXEC)
    try:
        for address, length in holes:
            os.pwrite(memory, bytes(length), address)
    finally:
        os.close(memory)


def _read(name: str) -> bytes:
    # pathlib alone would take longer to load than all of this.
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
