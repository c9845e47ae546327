"""Display of a transfer: its content, its progress and its end."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import islice
from typing import TYPE_CHECKING, Any

from peer.errors import ExitCode

from . import wording
from .offer_view import listing
from .progress import Meter, Pace, bar, sentence
from .screen import Screen
from .text import count, duration, rate

if TYPE_CHECKING:
    from peer.transfer.disk import Sources
    from peer.transfer.engine import IncomingTransfer, OutgoingTransfer, Progress
    from peer.transfer.protocol.notes import Notes

    from .offer_view import Line

    Transfer = OutgoingTransfer | IncomingTransfer

__all__ = [
    "ScreenView",
    "follow",
    "notices",
    "places",
    "show_sources",
    "status_of",
    "summary",
    "unfinished",
]

_SHOWN = 5
"""Left-out or renamed files that are named."""
_PLACES = 20
"""Received files and folders that are named, one a line."""
_REDRAW = 0.1
"""Seconds between two drawings on a terminal."""
_REPEAT = 5.0
"""Seconds between two lines of a pipe or file."""
_BAR_WIDTH = 24
_WIDE = 100
"""Columns from which a bar is shown."""


def show_sources(screen: Screen, sources: Sources) -> None:
    """Show the files to offer."""
    screen.say(f"Sending {wording.describe(sources.manifest)}:")
    for line in [*listing(sources.manifest), *notices(sources)]:
        screen.say(*line)


def summary(verb: str, transfer: Transfer, seconds: float) -> str:
    """Return size and speed of a finished transfer: `Sent 3 files, 64 MB in 1.2 s (53.3 MB/s)`."""
    progress = transfer.progress
    kinds = [entry.kind for entry in transfer.manifest]
    links = kinds.count("link") - transfer.not_placed
    what = wording.batch(progress.files_total, kinds.count("dir"), links, progress.bytes_total)
    if seconds < _REDRAW:  # ended before the first update
        return f"{verb} {what} in less than {_REDRAW} s"
    moved = progress.bytes_total - progress.bytes_held
    took = duration(seconds) if seconds >= 10 else f"{seconds:.1f} s"
    speed = f" ({rate(moved / seconds)})" if moved else ""
    return f"{verb} {what} in {took}{speed}"


def notices(transfer: Transfer | Sources) -> list[Line]:
    """Return lines about left-out and renamed files."""
    lines: list[Line] = []
    left_out, renamed = transfer.left_out, transfer.renamed
    if left_out and not len(left_out):
        things = count(left_out.total, "file or folder", "files or folders")
        lines.append(((f"Left out by the other side: {things}.", "warning"),))
    elif left_out:
        lines.append(((f"Left out ({left_out.total:,}):", "warning"),))
        lines += [
            ("    ", (wording.file_name(each.path), "name"), f" {each.reason}")
            for each in islice(left_out, _SHOWN)
        ]
        lines += _more(left_out)
    if renamed:
        lines.append(((f"Renamed ({renamed.total:,}):", "warning"),))
        lines += [
            (
                *("    ", (wording.file_name(each.path), "name"), " is now "),
                (wording.file_name(each.name), "name"),
            )
            for each in islice(renamed, _SHOWN)
        ]
        lines += _more(renamed)
    return lines


def status_of(transfer: Transfer) -> int:
    """Return the exit status of a command after its transfer."""
    return ExitCode.LEFT_OUT if transfer.left_out else ExitCode.DONE


def places(incoming: IncomingTransfer) -> list[Line]:
    """Return lines with the first received files and folders."""
    paths = incoming.paths
    lines: list[Line] = [("    ", (str(path), "name")) for path in paths[:_PLACES]]
    if len(paths) > _PLACES:
        lines.append((f"    ... and {count(len(paths) - _PLACES, 'more', 'more')}",))
    return lines


def unfinished(incoming: IncomingTransfer) -> list[Line]:
    """Return lines with the incomplete files of a failed transfer."""
    paths = incoming.partial_paths
    if not paths:
        return []
    lines: list[Line] = [(("Unfinished files; another run starts from the beginning:", "warning"),)]
    lines += [("    ", (str(path), "name")) for path in paths[:_SHOWN]]
    if len(paths) > _SHOWN:
        lines.append((f"    ... and {count(len(paths) - _SHOWN, 'more', 'more')}",))
    return lines


def _more(notes: Notes[Any]) -> list[Line]:
    more = notes.total - min(len(notes), _SHOWN)
    return [(f"    ... and {count(more, 'more', 'more')}",)] if more else []


async def follow(
    transfer: Transfer,
    show: Callable[[Progress, Meter | None, float], None],
    *,
    clock: Callable[[], float] = time.monotonic,
) -> float:
    """Show the progress of a transfer until it ends.

    Args:
        transfer: The transfer.
        show: Called with each progress, the meter (None before the start), and the time.
        clock: Returns seconds.

    Returns:
        Seconds that the transfer took; the caller awaits `Transfer.done` for errors.
    """
    from peer.transfer.engine import TransferStage

    meter: Meter | None = None
    async for progress in transfer:
        now = clock()
        if meter is None and progress.stage in (TransferStage.RUNNING, TransferStage.DONE):
            meter = Meter(progress.bytes_total, now=now, done=progress.bytes_held)
        if meter is not None:
            meter.update(progress.bytes_done, now=now)
        show(progress, meter, now)
    return meter.elapsed(now=clock()) if meter is not None else 0.0


class ScreenView:
    """Shows one transfer on the status line.

    Args:
        screen: The screen.
        path: Kind of network path.
        waiting: Status until the offer is accepted.
        finishing: Status between the last byte and the confirmation.
    """

    def __init__(self, screen: Screen, *, path: str, waiting: str, finishing: str) -> None:
        self._screen = screen
        self._path = path
        self._waiting = waiting
        self._finishing = finishing
        self._pace = (
            Pace(_REDRAW, at_once=True) if screen.terminal else Pace(_REPEAT, at_once=False)
        )

    def __call__(self, progress: Progress, meter: Meter | None, now: float) -> None:
        """Draw, if it is time."""
        from peer.transfer.engine import TransferStage

        if progress.stage is TransferStage.WAITING:
            self._screen.status(self._waiting)
        elif meter is None or progress.stage in (TransferStage.DONE, TransferStage.FAILED):
            self._screen.clear_status()
        elif progress.bytes_done >= progress.bytes_total:
            self._screen.status(self._finishing)
        elif self._pace.due(now=now):
            self._screen.status(self._line(progress, meter, now))

    def _line(self, progress: Progress, meter: Meter, now: float) -> str:
        reading = meter.read(now=now)
        columns = self._screen.width - 1 if self._screen.terminal else None
        drawn = ""
        if columns is not None and self._screen.unicode and columns >= _WIDE - 1:
            drawn = f"{bar(reading.fraction, _BAR_WIDTH)} "
            columns -= len(drawn)
        line = sentence(
            reading,
            files=(progress.files_done, progress.files_total),
            path=self._path,
            name=progress.name,
            width=columns,
        )
        return drawn + line
