"""
Messages on streams that have no channel here yet.

With ids that both sides agreed on, nothing says when the other side has opened its end, and the
first messages may be here before ours is. So may those of a channel whose number is used again
before the answer to the reset of the one before it. They are kept, in the receive window, until
our end opens; what there is no room for is refused with all of its stream.
"""

from __future__ import annotations

from collections.abc import Sequence

from peer.sctp.events import DataChannelMessage

__all__ = ["EarlyMessages"]


class EarlyMessages:
    """Keeps messages by stream, in order, up to a number of bytes in all."""

    __slots__ = ("_limit", "_streams", "size")

    def __init__(self, limit: int) -> None:
        """
        Args:
            limit: Bytes, as they count in the receive window: what keeping a message costs is
                part of each, which bounds their number, too.
        """
        self._limit = limit
        self._streams: dict[int, list[DataChannelMessage]] = {}
        self.size = 0
        """Bytes kept."""

    def keep(self, message: DataChannelMessage) -> bool:
        """Keep a message; tell whether there was room."""
        if self.size + message.size > self._limit:
            return False
        self.size += message.size
        self._streams.setdefault(message.stream_id, []).append(message)
        return True

    def take(self, stream_id: int) -> Sequence[DataChannelMessage]:
        """Return what was kept of a stream, oldest first, and keep it no longer."""
        messages = self._streams.pop(stream_id, ())
        self.size -= sum(message.size for message in messages)
        return messages

    def clear(self) -> None:
        """Forget everything: the peer has restarted."""
        self._streams.clear()
        self.size = 0
