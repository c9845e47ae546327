"""Events from the machines to their driver (floor 0).

The first group requests work: the driver does it and answers with the call named in each event. The
second group informs.
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
    "HeldSegments",
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
class HeldSegments:
    """Segments of one file that a receiver holds already, verified earlier."""

    ranges: tuple[tuple[int, int], ...]
    """Ranges of segments (first, last), ascending and disjoint."""
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
    """To the receiver's driver: verify a segment and write it.

    If the parts hash to `digest`, write them and call `segment_written` (or `disk_failed`);
    otherwise call `segment_damaged`.
    """

    file: int
    segment: int
    offset: int
    """Bytes from the start of the file."""
    parts: tuple[memoryview, ...]
    """The segment in order; at most 1024 parts."""
    digest: bytes
    """Expected SHA-256 of the segment, see `digest.segment_digest`."""


@dataclass(frozen=True, slots=True, eq=False)
class WriteFile:
    """To the receiver's driver: verify, write and name a file that has a single segment.

    If the content hashes to `digest`, write it, give the file its final name and call
    `entry_finished` (or `disk_failed`); otherwise call `segment_damaged`. One event, because such
    files are many.
    """

    file: int
    parts: tuple[memoryview, ...]
    """The whole content in order; at most 1024 parts."""
    digest: bytes
    """Expected SHA-256."""


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

    It comes when all files are in place, so that no file is written through a link.
    """

    file: int


@dataclass(frozen=True, slots=True)
class SetFolders:
    """To the receiver's driver: give the folders their modes and times, then call `folders_set`.

    It comes last, because the mode of a folder may forbid writing.
    """


# The driver is told something


@dataclass(frozen=True, slots=True)
class Offered:
    """To the receiver: the offer is complete and valid; accept or decline it.

    Its names are those of the other side: `plan.NamePlan` makes safe names from them.
    """

    manifest: Manifest


@dataclass(frozen=True, slots=True)
class Accepted:
    """To the sender: the receiver wants the files."""

    bytes_held: int
    """Bytes that the receiver holds already."""


@dataclass(frozen=True, slots=True)
class FileConfirmed:
    """To the sender: the file has its final name at the receiver, with our digest."""

    file: int


@dataclass(frozen=True, slots=True)
class Skipped:
    """To both: a file is skipped, because the sender can no longer read it or it has changed."""

    file: int
    reason: str
    """Reason, to follow the path in a sentence; safe to print."""


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
    """To both: the transfer failed. The last event."""

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
