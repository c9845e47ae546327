"""Assembly of messages from I-DATA chunks, by message and fragment number (RFC 8260, 2.2.3).

Fragments in order are appended; early ones wait apart until the gap before them closes, so every
fragment is touched twice at most. The incomplete messages of a stream are listed by number, so that
a skip or a reset finds them without a search.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort

from peer.sctp.errors import RemoteProtocolError
from peer.sctp.wire.chunks.data import BEGIN, END, I_DATA_HEADER, UNORDERED, DataChunk
from peer.sctp.wire.chunks.forward import Skipped
from peer.sctp.wire.params import Cause, cause
from peer.sctp.wire.serial import MASK32, Tsn, unwrap32

__all__ = ["IDataAssembler", "PartialMessage"]

_MAX_MESSAGES = 1 << 16
"""Incomplete messages at once."""
_FRAGMENT_BOOKKEEPING = 64
"""Bytes that an early fragment counts beside its chunk."""


class PartialMessage:
    """A message of which some fragments have arrived."""

    __slots__ = ("early", "last", "number", "parts", "ppid", "size")

    def __init__(self, number: int) -> None:
        self.number = number
        """Message identifier, unwrapped."""
        self.parts: list[bytes] = []
        """Fragments 0 to n-1."""
        self.early: dict[int, bytes] = {}
        """Fragments above n, by number."""
        self.last = -1
        """Number of the last fragment; -1 while it is unknown."""
        self.ppid = 0
        self.size = 0
        """Bytes of its chunks, headers included."""


class IDataAssembler:
    """Assembles messages from I-DATA chunks."""

    def __init__(self) -> None:
        self.buffered = 0
        """Bytes of the chunks of incomplete messages, headers included."""
        self.messages: dict[tuple[int, int, int], PartialMessage] = {}
        """By stream id, U bit and message identifier (as on the wire)."""
        self.unfinished = self.messages
        self._numbers: dict[tuple[int, int], list[int]] = {}
        """Unwrapped identifiers of ``messages``, ascending, by stream id and U bit."""

    def add(
        self, chunk: DataChunk, tsn: Tsn, *, in_order: bool = False
    ) -> tuple[int, bytes] | None:
        """Add a fragment; return payload protocol identifier and data of a complete message.

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
            message = self._start(key)
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
            size += _FRAGMENT_BOOKKEEPING
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
        """Add the first fragment of a message (a key of ``messages``) that is new.

        Returns:
            The message; None when ``add`` must decide, because other fragments are here.
        """
        if key in self.messages or len(self.messages) >= _MAX_MESSAGES:
            return None
        message = self._start(key)
        message.parts.append(payload)
        message.ppid = ppid
        message.size = I_DATA_HEADER.size + len(payload)
        self.buffered += message.size
        return message

    def _start(self, key: tuple[int, int, int]) -> PartialMessage:
        stream_id, unordered, number = key
        numbers = self._numbers.get((stream_id, unordered))
        if numbers is None:
            self._numbers[stream_id, unordered] = [number]
        else:
            number = unwrap32(number, numbers[-1])
            insort(numbers, number)
        message = self.messages[key] = PartialMessage(number)
        return message

    def complete(self, key: tuple[int, int, int]) -> tuple[int, bytes]:
        """Remove a complete message; return its payload protocol identifier and data."""
        message = self.messages.pop(key)
        self.buffered -= message.size
        numbers = self._numbers[key[:2]]
        if len(numbers) > 1:
            del numbers[bisect_left(numbers, message.number)]
        else:
            del self._numbers[key[:2]]
        return message.ppid, b"".join(message.parts)

    def skip(self, left: Tsn, forwarded: Tsn, reached: Tsn, skipped: tuple[Skipped, ...]) -> None:
        """Forget incomplete messages up to the skipped ones (RFC 8260, 2.3.1)."""
        for stream_id, unordered, last in skipped:
            key = (stream_id, UNORDERED if unordered else 0)
            numbers = self._numbers.get(key)
            if numbers is not None:
                self._forget(key, bisect_right(numbers, unwrap32(last, numbers[-1])))

    def reset_streams(self, stream_ids: frozenset[int] | None, reached: Tsn) -> None:
        """Forget the incomplete messages of these streams; ``None`` for all."""
        keys = (
            list(self._numbers)
            if stream_ids is None
            else [(stream_id, flag) for stream_id in stream_ids for flag in (0, UNORDERED)]
        )
        for key in keys:
            self._forget(key, len(self._numbers.get(key, ())))

    def _forget(self, key: tuple[int, int], count: int) -> None:
        """Forget the first incomplete messages of a stream."""
        numbers = self._numbers.get(key, [])
        for number in numbers[:count]:
            self.buffered -= self.messages.pop((*key, number & MASK32)).size
        del numbers[:count]
        if not numbers:
            self._numbers.pop(key, None)
