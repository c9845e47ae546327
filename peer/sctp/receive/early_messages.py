"""Messages on streams that have no channel here yet.

A negotiated channel may be open at the peer, and its first messages may arrive, before our side has
opened it. The same happens when a stream id is reused before the answer to the reset of the earlier
channel arrives. Such messages are kept, in the receive window, until our side opens the channel;
when there is no room for one, its stream is refused.
"""

from __future__ import annotations

from collections.abc import Sequence

from peer.sctp.events import DataChannelMessage

__all__ = ["EarlyMessages"]


class EarlyMessages:
    """Keeps messages by stream, in order, up to a number of bytes in all."""

    __slots__ = ("_limit", "_streams", "size")

    def __init__(self, limit: int) -> None:
        """Start empty.

        Args:
            limit: Bytes as they count in the receive window, bookkeeping of each message
                included, which bounds the number of messages, too.
        """
        self._limit = limit
        self._streams: dict[int, list[DataChannelMessage]] = {}
        self.size = 0
        """Bytes kept."""

    def keep(self, message: DataChannelMessage) -> bool:
        """Keep a message; return whether there was room."""
        if self.size + message.size > self._limit:
            return False
        self.size += message.size
        self._streams.setdefault(message.stream_id, []).append(message)
        return True

    def take(self, stream_id: int) -> Sequence[DataChannelMessage]:
        """Return the messages of a stream, oldest first, and forget them."""
        messages = self._streams.pop(stream_id, ())
        self.size -= sum(message.size for message in messages)
        return messages

    def clear(self) -> None:
        """Forget all messages: the peer has restarted."""
        self._streams.clear()
        self.size = 0
