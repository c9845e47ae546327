"""Progress of a transfer (floor 3)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

__all__ = ["Progress", "TransferStage"]


class TransferStage(Enum):
    """Stages of a transfer."""

    WAITING = "waiting"
    """The receiver has not accepted or declined."""
    QUEUED = "queued"
    """Accepted, and waiting for the end of another transfer."""
    RUNNING = "running"
    DONE = "done"
    """Everything is in place, and the receiver has confirmed it."""
    FAILED = "failed"
    """Declined, cancelled or broken off."""


@dataclass(frozen=True, slots=True)
class Progress:
    """Progress at one moment."""

    stage: TransferStage
    bytes_done: int
    """Bytes that the receiver has verified and written."""
    bytes_total: int
    bytes_held: int
    """The part of `bytes_done` that was there before; not counted in rates."""
    files_done: int
    """Files that have their final names."""
    files_total: int
    name: str
    """Path of the current file, safe to print; empty before the first."""
