"""
Messages out of I-DATA chunks: by message and fragment number (RFC 8260, 2.2.3).

Fragments in order are appended; those that came early wait beside and are drained when the
gap before them closes, so every fragment is touched twice at most.
"""

from __future__ import annotations

from .chunks.data import BEGIN, END, I_DATA_HEADER, UNORDERED, DataChunk
from .chunks.forward import Skipped
from .errors import RemoteProtocolError
from .params import Cause, cause
from .serial import MASK32, Tsn

__all__ = ["InterleavedAssembler", "PartialMessage"]

_MAX_MESSAGES = 1 << 16
"""Unfinished messages at once."""
_EARLY_OVERHEAD = 64
"""Bytes that a fragment counts more than its chunk when one before it is missing."""


class PartialMessage:
    """A message of which some fragments have arrived."""

    __slots__ = ("early", "last", "parts", "ppid", "size")

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        """Fragments 0 to n-1."""
        self.early: dict[int, bytes] = {}
        """Fragments above n, by number."""
        self.last = -1
        """Number of the last fragment; -1 while it is unknown."""
        self.ppid = 0
        self.size = 0
        """Bytes of its chunks, headers included."""


class InterleavedAssembler:
    """Assembles messages from I-DATA chunks."""

    def __init__(self) -> None:
        self.buffered = 0
        """Bytes of the chunks of unfinished messages, headers included."""
        self.messages: dict[tuple[int, int, int], PartialMessage] = {}
        """By stream id, U bit and message identifier (as on the wire)."""
        self.unfinished = self.messages

    def add(
        self, chunk: DataChunk, tsn: Tsn, *, in_order: bool = False
    ) -> tuple[int, bytes] | None:
        """
        Take in a fragment; return identifier and data when its message is complete.

        Raises:
            RemoteProtocolError: The fragment contradicts an earlier one.
        """
        if chunk.flags & (BEGIN | END) == BEGIN | END:
            return chunk.ppid, chunk.payload
        key = (chunk.stream_id, chunk.flags & UNORDERED, chunk.message)
        message = self.messages.get(key)
        if message is None:
            if len(self.messages) >= _MAX_MESSAGES:
                raise RemoteProtocolError("too many unfinished messages")
            message = self.messages[key] = PartialMessage()
        parts = message.parts
        fragment = chunk.fragment
        if chunk.flags & END:
            message.last = fragment
        if fragment < len(parts) or fragment in message.early or 0 <= message.last < fragment:
            raise RemoteProtocolError(
                f"fragment {fragment} contradicts an earlier one", cause(Cause.PROTOCOL_VIOLATION)
            )
        if chunk.flags & BEGIN:
            message.ppid = chunk.ppid
        elif fragment == 0:
            raise RemoteProtocolError("fragment 0 without a B bit", cause(Cause.PROTOCOL_VIOLATION))
        size = I_DATA_HEADER.size + len(chunk.payload)
        if fragment != len(parts):
            size += _EARLY_OVERHEAD
        message.size += size
        self.buffered += size
        if fragment != len(parts):
            message.early[fragment] = chunk.payload
            return None
        parts.append(chunk.payload)
        while message.early and (early := message.early.pop(len(parts), None)) is not None:
            parts.append(early)
        return self.complete(key) if message.last == len(parts) - 1 else None

    def begin(self, key: tuple[int, int, int], ppid: int, payload: bytes) -> PartialMessage | None:
        """
        Take in the first fragment of a message (as in ``messages``) of which none has arrived.

        Returns:
            The message; None when ``add`` has to decide, because some of it is here.
        """
        if key in self.messages or len(self.messages) >= _MAX_MESSAGES:
            return None
        message = self.messages[key] = PartialMessage()
        message.parts.append(payload)
        message.ppid = ppid
        message.size = I_DATA_HEADER.size + len(payload)
        self.buffered += message.size
        return message

    def complete(self, key: tuple[int, int, int]) -> tuple[int, bytes]:
        """Forget a message that is whole; return its identifier and data."""
        message = self.messages.pop(key)
        self.buffered -= message.size
        return message.ppid, b"".join(message.parts)

    def skip(self, forwarded: Tsn, reached: Tsn, skipped: tuple[Skipped, ...]) -> None:
        """Forget unfinished messages up to the skipped ones (RFC 8260, 2.3.1)."""
        limits = {(stream_id, unordered): last for stream_id, unordered, last in skipped}
        gone = [
            key
            for key in self.messages
            if (limit := limits.get((key[0], bool(key[1])))) is not None
            and (limit - key[2]) & MASK32 < 1 << 31
        ]
        self._forget(gone)

    def reset_streams(self, stream_ids: frozenset[int] | None) -> None:
        """Forget the unfinished messages of these streams; ``None`` for all."""
        self._forget([k for k in self.messages if stream_ids is None or k[0] in stream_ids])

    def _forget(self, keys: list[tuple[int, int, int]]) -> None:
        for key in keys:
            self.buffered -= self.messages.pop(key).size
