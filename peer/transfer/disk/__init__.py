"""Disk access at both ends of a transfer (floor 2).

`Sources` lists and reads the files to send; `Destination` writes received files and never leaves
its folder. Everything here blocks and is meant for a worker thread.
"""

from __future__ import annotations

from .destination import Destination, NoRoom
from .partial import PARTIAL_SUFFIX
from .source import SourceChanged, SourceLost, Sources

__all__ = ["PARTIAL_SUFFIX", "Destination", "NoRoom", "SourceChanged", "SourceLost", "Sources"]
