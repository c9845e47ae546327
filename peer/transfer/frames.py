"""Binary frames of the `blocks` channel (floor 0).

Every frame starts with the same 20 bytes, all integers big-endian::

     0                   1                   2                   3
     0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
    +---------------+---------------+-------------------------------+
    |     type      |   flags = 0   |         reserved = 0          |
    +---------------+---------------+-------------------------------+
    |                           transfer                            |
    +---------------------------------------------------------------+
    |                             file                              |
    +---------------------------------------------------------------+
    |                            offset                             |
    |                           (64 bits)                           |
    +---------------------------------------------------------------+

type 1, SEGMENT: `offset` is where a segment starts; the payload is `length` (32 bits) and the
segment's SHA-256 (32 bytes). type 2, DATA: the payload is file content at `offset`, and never
crosses the end of a segment. Frames arrive in any order.
"""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import Final

from msgspec import Struct

from peer.errors import ProtocolError

from .config import DIGEST_SIZE, MAX_FRAME

__all__ = [
    "HEADER_SIZE",
    "BadFrame",
    "BlockType",
    "DataFrame",
    "Frame",
    "SegmentFrame",
    "data_frames",
    "parse_frame",
    "serialize_data",
    "serialize_segment",
]

_HEADER: Final = struct.Struct(">BBHIIQ")
_SEGMENT: Final = struct.Struct(f">BBHIIQI{DIGEST_SIZE}s")

HEADER_SIZE: Final = _HEADER.size
"""Bytes before the payload: 20."""


class BlockType(IntEnum):
    """First byte of a frame. Other values are ignored."""

    SEGMENT = 1
    DATA = 2


class BadFrame(ProtocolError):
    """A binary frame that the protocol does not allow.

    Attributes:
        transfer: the transfer it names, which ends with it; None when even that is unreadable.
    """

    def __init__(self, reason: str, transfer: int | None = None) -> None:
        super().__init__(f"The other side sent a malformed block: {reason}.")
        self.transfer = transfer


class SegmentFrame(Struct, frozen=True, gc=False):
    """Announces a segment and what it must hash to."""

    transfer: int
    file: int
    offset: int
    """Where the segment starts in the file, bytes."""
    length: int
    """Bytes of the segment."""
    digest: bytes
    """SHA-256 of the segment, 32 bytes."""


class DataFrame(Struct, frozen=True, gc=False, eq=False):
    """Content of a file."""

    transfer: int
    file: int
    offset: int
    """Where the payload belongs in the file, bytes."""
    payload: memoryview
    """At least one byte; a view into the frame, not a copy."""


Frame = SegmentFrame | DataFrame


def parse_frame(data: bytes) -> Frame | None:
    """Read one frame.

    Returns:
        The frame, or None when its type is unknown (to be ignored).

    Raises:
        BadFrame: shorter than its header, longer than 64 KiB, or malformed.
    """
    if len(data) < HEADER_SIZE:
        raise BadFrame(f"{len(data)} bytes, needs {HEADER_SIZE}")
    kind, flags, _, transfer, file, offset = _HEADER.unpack_from(data)
    if kind not in (BlockType.SEGMENT, BlockType.DATA):
        return None
    if len(data) > MAX_FRAME:
        raise BadFrame(f"{len(data)} bytes, at most {MAX_FRAME} are allowed", transfer)
    if flags:
        # A flag changes what the payload means, so nobody sets one before it was negotiated.
        raise BadFrame(f"unknown flags {flags:#04x}", transfer)
    if kind == BlockType.DATA:
        if len(data) == HEADER_SIZE:
            raise BadFrame("no payload", transfer)
        return DataFrame(transfer, file, offset, memoryview(data)[HEADER_SIZE:])
    if len(data) != _SEGMENT.size:
        raise BadFrame(f"segment of {len(data)} bytes, needs {_SEGMENT.size}", transfer)
    length, digest = _SEGMENT.unpack(data)[-2:]
    return SegmentFrame(transfer, file, offset, length, digest)


def serialize_segment(transfer: int, file: int, offset: int, length: int, digest: bytes) -> bytes:
    """Write a SEGMENT frame: `length` bytes at `offset` hash to `digest`."""
    return _SEGMENT.pack(BlockType.SEGMENT, 0, 0, transfer, file, offset, length, digest)


def serialize_data(transfer: int, file: int, offset: int, payload: bytes | memoryview) -> bytes:
    """Write a DATA frame."""
    return b"".join((_HEADER.pack(BlockType.DATA, 0, 0, transfer, file, offset), payload))


def data_frames(
    transfer: int, file: int, offset: int, data: bytes | memoryview, max_frame: int
) -> list[bytes]:
    """Cut a segment into DATA frames of (nearly) equal size.

    Equal, because a full frame followed by a crumb costs the same packets and calls as two halves.

    Args:
        transfer: Id of the transfer.
        file: Index of the file.
        offset: Where `data` starts in the file, bytes.
        data: One segment, at least one byte.
        max_frame: Bytes of the largest frame, header included.

    Returns:
        Frames in order of offset; each at most `max_frame` bytes.
    """
    view = memoryview(data)
    count = -(-len(view) // (max_frame - HEADER_SIZE))
    step = -(-len(view) // count)
    return [
        serialize_data(transfer, file, offset + start, view[start : start + step])
        for start in range(0, len(view), step)
    ]
