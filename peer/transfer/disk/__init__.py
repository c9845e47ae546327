"""Disk, on both ends of a transfer (floor 2).

`Sources` lists what to send and reads it; `Destination` writes what arrives and never leaves the
folder it was given. Everything here blocks and is meant for a worker thread.
"""

from __future__ import annotations

from .destination import Destination, NoRoom
from .partial import PARTIAL_SUFFIX
from .source import SourceChanged, SourceLost, Sources

__all__ = ["PARTIAL_SUFFIX", "Destination", "NoRoom", "SourceChanged", "SourceLost", "Sources"]
