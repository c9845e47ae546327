"""Maps every error to one plain sentence and an exit status.

Every command body runs inside `run`, which owns the event loop, turns signals into a clean end, and
maps exceptions with `outcome`.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from peer.errors import ExitCode, PeerError

from .terminal.output import indented, log_to_stderr, spell
from .terminal.text import fold, safe_line, shorten

if TYPE_CHECKING:
    import asyncio

__all__ = ["Interrupted", "Outcome", "UsageProblem", "outcome", "run"]

_LONGEST = 4000
"""Longest sentence, in characters: some quote another machine."""
_DISK_ERRNOS = {
    errno.EACCES,
    errno.EDQUOT,
    errno.EEXIST,
    errno.EFBIG,
    errno.EISDIR,
    errno.ENAMETOOLONG,
    errno.ENOENT,
    errno.ENOSPC,
    errno.ENOTDIR,
    errno.EPERM,
    errno.EROFS,
}


class UsageProblem(Exception):
    """The command line is not usable; the text says what to do instead."""


class Interrupted(Exception):
    """The person pressed Ctrl-C while the terminal passes it as a key."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a command ended."""

    status: int
    """The exit status of the process."""
    sentence: str
    """Message for the person; may be empty."""


def outcome(error: BaseException) -> Outcome:
    """Map an exception to its exit status and sentence."""
    if isinstance(error, BaseExceptionGroup):
        return _worst(error)
    from asyncio import CancelledError

    from signaling.errors import ConfigError, SignalingError

    if isinstance(error, KeyboardInterrupt | CancelledError | Interrupted):
        return Outcome(ExitCode.INTERRUPTED, "Interrupted.")
    if isinstance(error, _Terminated):
        return Outcome(128 + error.signal, "Ended by a signal.")
    if isinstance(error, PeerError):
        return Outcome(error.exit_code, _sentence(error))
    if isinstance(error, UsageProblem | ConfigError):
        return Outcome(ExitCode.USAGE, _sentence(error))
    if isinstance(error, SignalingError):
        return Outcome(ExitCode.SERVER, _sentence(error))
    if isinstance(error, BrokenPipeError):
        # The reader of our output has ended (`peerline ... | head`).
        return Outcome(ExitCode.UNEXPECTED, "")
    if isinstance(error, OSError) and error.errno in _DISK_ERRNOS:
        where = f"{safe_line(str(error.filename))}: " if error.filename else ""
        return Outcome(ExitCode.DISK, f"{where}{error.strerror}.")
    return Outcome(
        ExitCode.UNEXPECTED,
        f"Something unexpected went wrong: {_sentence(error)} (--verbose shows where)",
    )


def run(body: Callable[[], Coroutine[Any, Any, int | None]], *, verbose: bool = False) -> int:
    """Run a command's body in an event loop of its own and return the exit status.

    Ctrl-C cancels the body, so that its context managers close what they opened; a second
    Ctrl-C ends at once. SIGTERM and SIGHUP end as cleanly.

    Args:
        body: The command; returns None for success, or an exit status.
        verbose: Print the traceback of an error before the sentence.
    """
    # Imported here: `peerline --help` loads this module and must not load asyncio.
    import asyncio

    _set_up_logging(verbose)
    try:
        status = asyncio.run(_until_signal(body))
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 -- the outermost handler
        return report(error, verbose=verbose)
    return ExitCode.DONE if status is None else status


def report(error: BaseException, *, verbose: bool) -> int:
    """Print the sentence of an error to stderr and return the exit status."""
    ending = outcome(error)
    # stderr may be the broken pipe.
    with contextlib.suppress(OSError, ValueError):
        if verbose:
            import traceback

            trace = "".join(traceback.format_exception(error))
            print(indented(spell(trace)), file=sys.stderr)
        if ending.sentence:
            sentence = f"peerline: {ending.sentence}"
            if sys.stderr.isatty():
                import shutil

                sentence = fold(sentence, shutil.get_terminal_size().columns)
            print(sentence, file=sys.stderr, flush=True)
    _silence_broken_stdout()
    return int(ending.status)


def _set_up_logging(verbose: bool) -> None:
    """Log to stderr if `verbose`; otherwise log nothing."""
    import logging

    if verbose:
        log_to_stderr(logging.INFO)
    else:
        # Without a handler, the standard library prints warnings onto the screen.
        logging.getLogger().addHandler(logging.NullHandler())


class _Terminated(Exception):
    """A signal other than Ctrl-C asked the process to end."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.signal = number


async def _until_signal(body: Callable[[], Coroutine[Any, Any, int | None]]) -> int | None:
    import asyncio

    loop = asyncio.get_running_loop()
    task = asyncio.current_task()
    assert task is not None
    received: list[int] = []

    def end(number: int) -> None:
        received.append(number)
        task.cancel()

    hooked = [
        number
        for name in ("SIGTERM", "SIGHUP")
        if (number := getattr(signal, name, None)) is not None
        and _hook(loop, number, functools.partial(end, number))
    ]
    try:
        return await body()
    except asyncio.CancelledError:
        if received:
            raise _Terminated(received[0]) from None
        raise
    finally:
        for number in hooked:
            loop.remove_signal_handler(number)


def _hook(loop: asyncio.AbstractEventLoop, number: int, callback: Callable[[], None]) -> bool:
    try:
        loop.add_signal_handler(number, callback)
    except (NotImplementedError, RuntimeError):  # Windows; or not in the main thread
        return False
    return True


def _worst(group: BaseExceptionGroup[BaseException]) -> Outcome:
    """Pick the outcome of a task group: a known error before an unexpected one."""
    outcomes = [outcome(error) for error in group.exceptions]
    named = [each for each in outcomes if each.status != ExitCode.UNEXPECTED]
    return (named or outcomes)[0]


def _sentence(error: BaseException) -> str:
    text = shorten(safe_line(str(error)), _LONGEST) or type(error).__name__
    return text if text[-1] in ".!?)" else f"{text}."


def _silence_broken_stdout() -> None:
    """Prevent an error message of the interpreter about a broken stdout at exit."""
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
