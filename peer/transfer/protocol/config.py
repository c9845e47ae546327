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
"""Bytes of a file that are hashed, acknowledged and journalled together (the last: fewer)."""

DIGEST_SIZE = 32
"""Bytes of a SHA-256 digest."""

MAX_FRAME = 65536
"""Bytes of the largest binary frame, header included."""

MIN_FRAME = 1100
"""Bytes of the smallest largest-frame a peer may ask for: what it carries is more than
`BYTES_PER_FRAME`."""

BYTES_PER_FRAME = 1024
"""A segment may be cut into one data frame for each so many bytes that it begins; more break the
protocol. A frame costs some hundred bytes of memory beside its content: so what is kept of a
segment stays in proportion to its credit, whatever a hostile sender does."""

MAX_CONTROL_MESSAGE = 48 * 1024
"""UTF-8 bytes of the longest control message."""

MAX_INDEX = 0xFFFFFFFF
"""Largest index of an entry: it has 32 bits in a frame."""

MAX_MANIFEST_TEXT = 256 << 20
"""Bytes of all entries of one transfer together, as JSON. It bounds what a receiver has to read;
what it keeps before anybody has decided is bounded by `MAX_UNDECIDED_BYTES`."""

MAX_UNDECIDED_BYTES = 32 << 20
"""Bytes that all offers of a link together may take in memory before they are accepted. A list of
files shrinks to a tenth when it is packed: this holds about two million."""

MAX_FOLDERS = 1 << 19
"""Folders of one transfer, named or implied by paths."""

MAX_FOLDER_NAMES = 16 * MAX_FOLDERS
"""Names in the paths of all these folders together. A few kilobytes of paths could else name half
a million folders a thousand deep, each of which is to be found from the top again."""

SMALL_CREDIT = 16 << 10
"""Bytes of credit that a small file takes at least in version 2."""

MAX_BYTES = (1 << 53) - 1
"""Bytes of one transfer: the largest integer that JavaScript represents exactly."""

MAX_PATH = 4096
"""UTF-8 bytes of one path, as it travels; Linux takes no longer ones, either."""

MAX_PATH_PART = 255
"""Bytes of one name inside a path on nearly every file system."""

MAX_RETRIES = 3
"""Times that one segment is asked for again before the transfer fails as `integrity`."""

MAX_WINDOW = 65535
"""Segments of the largest window that an `accept` may grant."""


@dataclass(frozen=True, slots=True)
class TransferConfig:
    """What one side chooses for its transfers."""

    window: int = 32
    """Segments that may be in flight towards us (1..65535): bounds what we buffer, and with the
    round trip the rate: 32 MiB per round trip."""

    max_frame: int = MAX_FRAME
    """Bytes of the largest binary frame we send, header included (1100..65536)."""

    read_ahead: int = 6
    """Segments that are being read or wait to be sent: bounds what the sender holds in memory."""

    def __post_init__(self) -> None:
        if not 1 <= self.window <= MAX_WINDOW:
            raise ValueError(f"window must be 1..{MAX_WINDOW} segments, not {self.window}")
        if not MIN_FRAME <= self.max_frame <= MAX_FRAME:
            raise ValueError(
                f"max_frame must be {MIN_FRAME}..{MAX_FRAME} bytes, not {self.max_frame}"
            )
        if self.read_ahead < 1:
            raise ValueError(f"read_ahead must be at least 1 segment, not {self.read_ahead}")
