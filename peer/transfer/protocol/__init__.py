"""File transfer, versions 1 and 2: the protocol as pure state machines.

`Sender` and `Receiver` turn control messages and binary frames into events and back; they know
neither a clock nor a disk nor a socket. `PROTOCOL.md` beside this file describes what travels.
`names` and `plan` decide which names may be written to disk.
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
    HeldSegments,
    MakeDirectory,
    MakeLink,
    Offered,
    ReadSegment,
    SetFolders,
    Skipped,
    WriteFile,
    WriteSegment,
)
from .frames import BadFrame, parse_frame
from .manifest import Entry, Manifest
from .messages import MESSAGE_TYPES, BadMessage, parse_message
from .names import LINUX, PORTABLE, Platform
from .notes import LeftOut, Notable, Notes, Renamed
from .plan import NamePlan
from .receiver import Receiver, ReceiverState
from .sender import Sender, SenderState

__all__ = [
    "LINUX",
    "MESSAGE_TYPES",
    "PORTABLE",
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
    "HeldSegments",
    "LeftOut",
    "MakeDirectory",
    "MakeLink",
    "Manifest",
    "NamePlan",
    "Notable",
    "Notes",
    "Offered",
    "Platform",
    "ReadSegment",
    "Receiver",
    "ReceiverState",
    "Renamed",
    "Sender",
    "SenderState",
    "SetFolders",
    "Skipped",
    "TransferConfig",
    "WriteFile",
    "WriteSegment",
    "parse_frame",
    "parse_message",
]
