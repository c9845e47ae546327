"""Settings of a transfer, and the numbers that protocol version 1 fixes (floor 0)."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = [
    "BYTES_PER_FRAME",
    "DIGEST_SIZE",
    "MAX_BYTES",
    "MAX_CONTROL_MESSAGE",
    "MAX_FOLDERS",
    "MAX_FOLDER_NAMES",
    "MAX_FRAME",
    "MAX_INDEX",
    "MAX_MANIFEST_TEXT",
    "MAX_PATH",
    "MAX_PATH_PART",
    "MAX_RETRIES",
    "MAX_UNDECIDED_BYTES",
    "MAX_WINDOW",
    "MIN_FRAME",
    "SEGMENT_SIZE",
    "SMALL_CREDIT",
    "TransferConfig",
]

SEGMENT_SIZE = 1 << 20
"""Bytes of one segment, the unit that is hashed and acknowledged; the last one may be shorter."""

DIGEST_SIZE = 32
"""Bytes of a SHA-256 digest."""

MAX_FRAME = 65536
"""Bytes of the largest binary frame, header included."""

MIN_FRAME = 1100
"""Bytes, the lower bound of `max_frame`: such a frame carries more than `BYTES_PER_FRAME`."""

BYTES_PER_FRAME = 1024
"""A segment may have one data frame for each so many bytes that it begins; more violate the
protocol. A frame costs some hundred bytes of memory beside its content, so this keeps the memory of
a segment in proportion to its credit, even with a hostile sender."""

MAX_CONTROL_MESSAGE = 48 * 1024
"""UTF-8 bytes of the longest control message."""

MAX_INDEX = 0xFFFFFFFF
"""Largest index of an entry: it has 32 bits in a frame."""

MAX_MANIFEST_TEXT = 256 << 20
"""Bytes of all entries of one transfer, as JSON: bounds how much a receiver reads.
`MAX_UNDECIDED_BYTES` bounds how much it keeps before the offer is accepted."""

MAX_UNDECIDED_BYTES = 32 << 20
"""Bytes of memory that all undecided offers of a link may take. A packed list of files takes a
tenth of its JSON: this holds about two million entries."""

MAX_FOLDERS = 1 << 19
"""Folders of one transfer, named or implied by paths."""

MAX_FOLDER_NAMES = 16 * MAX_FOLDERS
"""Names in the paths of all these folders. Without it, a few kilobytes of paths could name half a
million folders a thousand levels deep, each of which is walked to from the top."""

SMALL_CREDIT = 16 << 10
"""Bytes, the least credit that a small file takes in version 2."""

MAX_BYTES = (1 << 53) - 1
"""Bytes of one transfer: the largest integer that JavaScript represents exactly."""

MAX_PATH = 4096
"""UTF-8 bytes of one path on the wire; the limit of Linux, too."""

MAX_PATH_PART = 255
"""Bytes of one name inside a path on nearly every file system."""

MAX_RETRIES = 3
"""Retries of one segment before the transfer fails with code `integrity`."""

MAX_WINDOW = 65535
"""Segments of the largest window that an `accept` may grant."""


@dataclass(frozen=True, slots=True)
class TransferConfig:
    """Settings that each side chooses for its transfers."""

    window: int = 32
    """Segments that may be in flight to this side (1..65535). Bounds the buffer, and the rate to
    32 MiB per round trip."""

    max_frame: int = MAX_FRAME
    """Bytes of the largest binary frame we send, header included (1100..65536)."""

    read_ahead: int = 6
    """Segments that are being read or wait to be sent; bounds the memory of the sender."""

    def __post_init__(self) -> None:
        if not 1 <= self.window <= MAX_WINDOW:
            raise ValueError(f"window must be 1..{MAX_WINDOW} segments, not {self.window}")
        if not MIN_FRAME <= self.max_frame <= MAX_FRAME:
            raise ValueError(
                f"max_frame must be {MIN_FRAME}..{MAX_FRAME} bytes, not {self.max_frame}"
            )
        if self.read_ahead < 1:
            raise ValueError(f"read_ahead must be at least 1 segment, not {self.read_ahead}")
