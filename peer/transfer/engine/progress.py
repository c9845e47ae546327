"""How far a transfer is (floor 3)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

__all__ = ["Progress", "TransferStage"]


class TransferStage(Enum):
    """What is going on."""

    WAITING = "waiting"
    """The receiver has not decided."""
    QUEUED = "queued"
    """Accepted, and waiting until another transfer is through."""
    RUNNING = "running"
    DONE = "done"
    """Everything is in place, and the receiver has confirmed it."""
    FAILED = "failed"
    """Declined, cancelled or broken off."""


@dataclass(frozen=True, slots=True)
class Progress:
    """One moment of a transfer."""

    stage: TransferStage
    bytes_done: int
    """Bytes that the receiver has verified and written."""
    bytes_total: int
    bytes_held: int
    """Of `bytes_done`, what was there before this transfer: leave it out of the rate."""
    files_done: int
    """Files that stand under their final names."""
    files_total: int
    name: str
    """Path of the current file, safe to print; empty before the first."""
