"""What the machines tell their driver (floor 0).

The first group asks for something; the driver does it and answers with the call named in each.
The second group tells.
"""

from __future__ import annotations

from dataclasses import dataclass

from .manifest import Manifest

__all__ = [
    "Accepted",
    "Completed",
    "Declined",
    "Event",
    "Failed",
    "FileConfirmed",
    "FinishFile",
    "Have",
    "MakeDirectory",
    "MakeLink",
    "Offered",
    "ReadSegment",
    "SetFolders",
    "Skipped",
    "WriteFile",
    "WriteSegment",
]


@dataclass(frozen=True, slots=True)
class Have:
    """What a receiver holds of one file already, verified earlier."""

    ranges: tuple[tuple[int, int], ...]
    """Segments (first, last), ascending and apart."""
    digests: bytes
    """Their SHA-256 digests, 32 bytes each, in the same order."""


# The driver is asked to do something


@dataclass(frozen=True, slots=True)
class ReadSegment:
    """To the sender's driver: read, then call `segment_read` (or `disk_failed`)."""

    file: int
    segment: int
    offset: int
    """Bytes from the start of the file."""
    length: int
    """Bytes to read; fewer only if the file has shrunk."""


@dataclass(frozen=True, slots=True, eq=False)
class WriteSegment:
    """To the receiver's driver: when the parts hash to `digest` write them and call
    `segment_written` (or `disk_failed`), otherwise call `segment_damaged`."""

    file: int
    segment: int
    offset: int
    """Bytes from the start of the file."""
    parts: tuple[memoryview, ...]
    """The segment in order; at most 1024 parts."""
    digest: bytes
    """SHA-256 that the segment must have: see `digest.segment_digest`."""


@dataclass(frozen=True, slots=True, eq=False)
class WriteFile:
    """To the receiver's driver: when the content hashes to `digest` write it, give the file its
    final name and call `entry_finished` (or `disk_failed`), otherwise call `segment_damaged`.

    Of a file that has one segment only: there are many of them.
    """

    file: int
    parts: tuple[memoryview, ...]
    """The whole content in order; at most 1024 parts."""
    digest: bytes
    """SHA-256 that it must have."""


@dataclass(frozen=True, slots=True)
class FinishFile:
    """To the receiver's driver: give the file its final name, then call `entry_finished`."""

    file: int
    digest: str
    """SHA-256 over the segments' digests, hexadecimal."""


@dataclass(frozen=True, slots=True)
class MakeDirectory:
    """To the receiver's driver: make a folder, then call `entry_finished`."""

    file: int


@dataclass(frozen=True, slots=True)
class MakeLink:
    """To the receiver's driver: make a symbolic link, then call `entry_finished`.

    Comes when all files are in place, so that nothing is ever written through a link.
    """

    file: int


@dataclass(frozen=True, slots=True)
class SetFolders:
    """To the receiver's driver: give the folders their modes and times, then call `folders_set`.

    Comes last: a folder may be one that nobody can write to.
    """


# The driver is told something


@dataclass(frozen=True, slots=True)
class Offered:
    """To the receiver: the whole offer is here, and nothing in it is impossible; accept or decline
    it. Its names are the other side's: `plan.NamePlan` makes safe ones of them."""

    manifest: Manifest


@dataclass(frozen=True, slots=True)
class Accepted:
    """To the sender: the receiver wants the files."""

    bytes_held: int
    """Bytes that it holds already, so that they need not travel."""


@dataclass(frozen=True, slots=True)
class FileConfirmed:
    """To the sender: the file stands at the receiver's under its final name, with our digest."""

    file: int


@dataclass(frozen=True, slots=True)
class Skipped:
    """To both: a file is not coming: its sender cannot read it any more, or it has changed."""

    file: int
    reason: str
    """To follow its path in a sentence; safe to print."""


@dataclass(frozen=True, slots=True)
class Completed:
    """To both: everything is in place. The last event."""

    files: int
    bytes: int
    left_out: int = 0
    """To the sender: entries that the receiver could not put in place."""


@dataclass(frozen=True, slots=True)
class Declined:
    """To both: the offer was turned down. The last event."""

    code: str
    """`refused`, `unsafe_name`, `unsupported`, `too_many`, `no_space`, `busy`, ..."""
    message: str
    """A sentence, safe to print; may be empty."""


@dataclass(frozen=True, slots=True)
class Failed:
    """To both: the transfer ended before its time. The last event."""

    code: str
    """`cancelled`, `integrity`, `changed`, `disk`, `protocol`, `busy`, ..."""
    message: str
    """A sentence, safe to print; may be empty."""
    remote: bool
    """The other side ended it."""


Event = (
    ReadSegment
    | WriteSegment
    | WriteFile
    | FinishFile
    | MakeDirectory
    | MakeLink
    | SetFolders
    | Skipped
    | Offered
    | Accepted
    | FileConfirmed
    | Completed
    | Declined
    | Failed
)
