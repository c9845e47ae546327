"""Passes the frames of one WebSocket at the rate at which it may send (floor 1).

The bound is below the messages, because much of what a client can send is no message: pongs,
continuations, empty fragments. aiohttp reads those without telling anybody, thousands in one go,
and serves nobody else meanwhile. So frames are counted by their headers (RFC 6455, 5.2)
before aiohttp gets them; the excess waits here, and reading from the sender pauses.
"""

from __future__ import annotations

from typing import Final

from .rate_limit import TokenBucket

__all__ = ["FrameMeter"]

# The longest header: 2 bytes, 8 of length, 4 of mask.
_MAX_HEADER: Final = 14
_LONG: Final = 127
_MEDIUM: Final = 126


class FrameMeter:
    """Holds the data of a client until its rates allow it.

    It counts frames and bytes, and judges nothing: a broken header passes like any other, and the
    next reader reports it.

    Args:
        frames: Frames per second, in the long run.
        frame_burst: Frames at once.
        bytes_: Bytes per second, and at once.
        now: Seconds, monotonic.
    """

    def __init__(self, frames: float, frame_burst: float, bytes_: float, now: float) -> None:
        self._frames = TokenBucket(frames, frame_burst, now)
        self._bytes = TokenBucket(bytes_, bytes_, now)
        self._batch = max(1.0, frame_burst / 4)
        self._byte_batch = bytes_ / 4
        self._held = bytearray()
        self._payload = 0
        self._needs_frame = False
        self._needs_bytes = False

    @property
    def held(self) -> int:
        """Number of bytes that wait."""
        return len(self._held)

    def receive(self, data: bytes) -> None:
        """Add bytes that have arrived."""
        self._held += data

    def take(self, now: float) -> bytes:
        """Return the bytes that may pass now; an incomplete header waits for its rest."""
        held, position = self._held, 0
        budget = self._bytes.take_up_to(len(held), now)
        left = budget
        self._needs_frame = self._needs_bytes = False
        while position < len(held):
            if self._payload:
                step = min(self._payload, len(held) - position, left)
            else:
                size = self._header(position)
                if size is None:
                    break
                if left >= size and not self._frames.take_up_to(1, now):
                    self._needs_frame = True
                    break
                step = size if left >= size else 0
            if step == 0:
                self._needs_bytes = True
                break
            if self._payload:
                self._payload -= step
            else:
                self._payload = self._length(position)
            position += step
            left -= step
        self._bytes.give_back(left)
        passed = bytes(held[:position])
        del held[:position]
        return passed

    def wait(self, now: float) -> float | None:
        """Seconds until the next batch may pass; None when nothing waits for the rates."""
        if self._needs_frame:
            return self._frames.wait_for(self._batch, now)
        if self._needs_bytes:
            return self._bytes.wait_for(max(_MAX_HEADER, self._byte_batch), now)
        return None

    def _header(self, at: int) -> int | None:
        """Size of the header at a position; None if it is incomplete."""
        if len(self._held) - at < 2:
            return None
        second = self._held[at + 1]
        length = second & 0x7F
        size = 2 + (2 if length == _MEDIUM else 8 if length == _LONG else 0)
        size += 4 if second & 0x80 else 0
        return size if len(self._held) - at >= size else None

    def _length(self, at: int) -> int:
        length = self._held[at + 1] & 0x7F
        if length < _MEDIUM:
            return length
        size = 2 if length == _MEDIUM else 8
        return int.from_bytes(self._held[at + 2 : at + 2 + size], "big")
