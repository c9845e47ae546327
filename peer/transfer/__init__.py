"""File transfer, version 1: the protocol as pure state machines.

`Sender` and `Receiver` turn control messages and binary frames into events and back; they know
neither a clock nor a disk nor a socket. `PROTOCOL.md` beside this file describes what travels.
`names` decides which names may be written to disk.
"""

from __future__ import annotations

from .config import SEGMENT_SIZE, TransferConfig
from .manifest import Entry, Manifest
from .messages import MESSAGE_TYPES
from .names import SafeEntry, SafePlan, display_name, safe_manifest

__all__ = [
    "MESSAGE_TYPES",
    "SEGMENT_SIZE",
    "Entry",
    "Manifest",
    "SafeEntry",
    "SafePlan",
    "TransferConfig",
    "display_name",
    "safe_manifest",
]
