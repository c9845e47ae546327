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
crosses the end of a segment. type 4, PACK (version 2): the payload is one small file after the
other, each with its index (32 bits), its length (32 bits), its SHA-256 (32 bytes) and its content;
`file` and `offset` are 0. Frames arrive in any order.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from enum import IntEnum
from typing import Final

from msgspec import Struct

from peer.errors import ProtocolError

from .config import DIGEST_SIZE, MAX_FRAME

__all__ = [
    "HEADER_SIZE",
    "PACKED_HEADER_SIZE",
    "BadFrame",
    "BlockType",
    "DataFrame",
    "Frame",
    "PackFrame",
    "PackedFile",
    "SegmentFrame",
    "data_frames",
    "parse_frame",
    "serialize_data",
    "serialize_pack",
    "serialize_packed",
    "serialize_segment",
]

_HEADER: Final = struct.Struct(">BBHIIQ")
_SEGMENT: Final = struct.Struct(f">BBHIIQI{DIGEST_SIZE}s")
_PACKED: Final = struct.Struct(f">II{DIGEST_SIZE}s")

HEADER_SIZE: Final = _HEADER.size
"""Bytes before the payload: 20."""

PACKED_HEADER_SIZE: Final = _PACKED.size
"""Bytes before each content in a PACK: 40."""


class BlockType(IntEnum):
    """First byte of a frame. Other values are ignored."""

    SEGMENT = 1
    DATA = 2
    PACK = 4


class BadFrame(ProtocolError):
    """A binary frame that the protocol does not allow.

    Attributes:
        transfer: The transfer that it names, which ends; None if that is unreadable.
    """

    def __init__(self, reason: str, transfer: int | None = None) -> None:
        super().__init__(f"The other side sent a malformed block: {reason}.")
        self.transfer = transfer


class SegmentFrame(Struct, frozen=True, gc=False):
    """Announces a segment and its digest."""

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


class PackedFile(Struct, frozen=True, gc=False, eq=False):
    """A complete small file."""

    file: int
    digest: bytes
    """SHA-256 of the content, 32 bytes."""
    content: memoryview
    """At least one byte; a view into the frame, not a copy."""


class PackFrame(Struct, frozen=True, gc=False, eq=False):
    """Several small files."""

    transfer: int
    files: list[PackedFile]
    """At least one."""


Frame = SegmentFrame | DataFrame | PackFrame


def parse_frame(data: bytes) -> Frame | None:
    """Read one frame.

    Returns:
        The frame, or None when its type is unknown (to be ignored).

    Raises:
        BadFrame: It is shorter than its header, longer than 64 KiB, or malformed.
    """
    if len(data) < HEADER_SIZE:
        raise BadFrame(f"{len(data)} bytes, needs {HEADER_SIZE}")
    kind, flags, _, transfer, file, offset = _HEADER.unpack_from(data)
    if kind not in (BlockType.SEGMENT, BlockType.DATA, BlockType.PACK):
        return None
    if len(data) > MAX_FRAME:
        raise BadFrame(f"{len(data)} bytes, at most {MAX_FRAME} are allowed", transfer)
    if flags:
        # Flags change the meaning of the payload, so a peer sets none that were not negotiated.
        raise BadFrame(f"unknown flags {flags:#04x}", transfer)
    if kind == BlockType.DATA:
        if len(data) == HEADER_SIZE:
            raise BadFrame("no content", transfer)
        return DataFrame(transfer, file, offset, memoryview(data)[HEADER_SIZE:])
    if kind == BlockType.PACK:
        return PackFrame(transfer, _parse_pack(data, transfer))
    if len(data) != _SEGMENT.size:
        raise BadFrame(f"segment of {len(data)} bytes, needs {_SEGMENT.size}", transfer)
    length, digest = _SEGMENT.unpack(data)[-2:]
    return SegmentFrame(transfer, file, offset, length, digest)


def _parse_pack(data: bytes, transfer: int) -> list[PackedFile]:
    view = memoryview(data)
    files: list[PackedFile] = []
    start = HEADER_SIZE
    while start < len(data) or not files:
        content = start + PACKED_HEADER_SIZE
        if content >= len(data):
            raise BadFrame("a pack that is cut short", transfer)
        file, length, digest = _PACKED.unpack_from(data, start)
        start = content + length
        if not length or start > len(data):
            raise BadFrame("a pack that is cut short", transfer)
        files.append(PackedFile(file, digest, view[content:start]))
    return files


def serialize_packed(file: int, digest: bytes, content: bytes | memoryview) -> bytes:
    """Write one small file as a part of a PACK frame's payload."""
    return b"".join((_PACKED.pack(file, len(content), digest), content))


def serialize_pack(transfer: int, packed: Sequence[bytes]) -> bytes:
    """Write a PACK frame from parts that `serialize_packed` made."""
    return b"".join((_HEADER.pack(BlockType.PACK, 0, 0, transfer, 0, 0), *packed))


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

    Equal parts, because a full frame and a tiny one cost as many packets and calls as two halves.

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
