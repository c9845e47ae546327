"""File transfer, version 1: the protocol as pure state machines.

`Sender` and `Receiver` turn control messages and binary frames into events and back; they know
neither a clock nor a disk nor a socket. `PROTOCOL.md` beside this file describes what travels.
`names` decides which names may be written to disk.
"""

from __future__ import annotations

from .config import SEGMENT_SIZE, TransferConfig
from .events import (
    Accepted,
    Completed,
    Declined,
    Event,
    Failed,
    FileConfirmed,
    FinishFile,
    Have,
    MakeDirectory,
    MakeLink,
    Offered,
    ReadSegment,
    WriteSegment,
)
from .frames import BadFrame, parse_frame
from .manifest import Entry, Manifest
from .messages import MESSAGE_TYPES, BadMessage, parse_message
from .names import SafeEntry, SafePlan, display_name, safe_manifest
from .notes import LeftOut, Notable, Notes, Renamed
from .receiver import Receiver, ReceiverState
from .sender import Sender, SenderState

__all__ = [
    "MESSAGE_TYPES",
    "SEGMENT_SIZE",
    "Accepted",
    "BadFrame",
    "BadMessage",
    "Completed",
    "Declined",
    "Entry",
    "Event",
    "Failed",
    "FileConfirmed",
    "FinishFile",
    "Have",
    "LeftOut",
    "MakeDirectory",
    "MakeLink",
    "Manifest",
    "Notable",
    "Notes",
    "Offered",
    "ReadSegment",
    "Receiver",
    "ReceiverState",
    "Renamed",
    "SafeEntry",
    "SafePlan",
    "Sender",
    "SenderState",
    "TransferConfig",
    "WriteSegment",
    "display_name",
    "parse_frame",
    "parse_message",
    "safe_manifest",
]
