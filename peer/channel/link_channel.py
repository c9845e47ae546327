"""Data channels, as links and connections drive them (floor 3)."""

from __future__ import annotations

import logging
from collections.abc import Callable

from peer.config import ChannelParameters, LinkConfig
from peer.errors import ChannelOverflow, PeerError
from peer.rtc import DataChannel

from .channel import Channel
from .unread import Shelf

__all__ = ["LinkChannel"]

logger = logging.getLogger(__name__)


class LinkChannel(Channel):
    """A channel with the calls of its link and of the connection (`peer.rtc.ChannelHandler`).

    Programs get it as a `Channel`.

    Attributes:
        on_room: Called when no more than the low-water mark is buffered any longer.
    """

    def __init__(
        self,
        raw: DataChannel,
        parameters: ChannelParameters,
        *,
        config: LinkConfig,
        shelf: Shelf,
        max_message_size: Callable[[], int],
        end_of_link: Callable[[], PeerError],
        on_heard: Callable[[], None] = lambda: None,
        on_waiting: Callable[[], None] = lambda: None,
        on_unread: Callable[[], None] = lambda: None,
        low_water: int | None = None,
    ) -> None:
        """Take over a channel of a connection.

        Args:
            raw: The channel of the connection.
            parameters: How it delivers.
            config: Settings of the link.
            shelf: Holds received messages until they are read.
            max_message_size: Returns the limit of the other side, in bytes.
            end_of_link: Returns the reason for the end of the link, once there is one.
            on_heard: Called with every message that arrives.
            on_waiting: Called when a message begins to wait.
            on_unread: Called before the channel breaks because nobody reads it.
            low_water: Bytes, in place of the link's low-water mark.
        """
        super().__init__(
            raw,
            parameters,
            config=config,
            shelf=shelf,
            max_message_size=max_message_size,
            low_water=low_water,
        )
        self.on_room: Callable[[], None] = lambda: None
        self._end_of_link = end_of_link
        self._on_heard = on_heard
        self._on_waiting = on_waiting
        self._on_unread = on_unread
        self._receiver: Callable[[str | bytes], None] | None = None
        shelf.on_blame = self._break_unread
        raw.attach(self, low_water=self._low_water)

    # For links

    @property
    def has_room(self) -> bool:
        """Whether no more than the low-water mark is buffered; see `on_room`."""
        return self._raw.buffered <= self._low_water

    @property
    def max_message_size(self) -> int:
        """Bytes of the largest message that the other side accepts."""
        return self._max_message_size()

    @property
    def closed_unused(self) -> bool:
        """Whether it was closed before anything arrived on it."""
        return self._ended.is_set() and self._error is None and not self._shelf

    def deliver_to(self, receiver: Callable[[str | bytes], None]) -> None:
        """Hand every message to a function from now on, beginning with those that wait."""
        self._receiver = receiver
        while self._shelf:
            receiver(self._take())

    def abandon(self) -> None:
        """Close it without waiting; no program holds it."""
        self._receiver = lambda message: None
        self._raw.close()
        self._end(None)

    def closed_as_unread(self) -> None:
        """Note that the other side is closing it, because its program does not read it."""
        self._closing_error = self._closing_error or ChannelOverflow(
            f"The other side did not read the channel {self.label!r}, which held up all others, "
            "and closed it."
        )

    # For connections

    def channel_opened(self) -> None:
        """The channel can send."""
        self._opened.set()

    def channel_received(self, message: str | bytes) -> None:
        """A whole message has arrived."""
        self._on_heard()
        self._received += 1
        if self._receiver is not None:
            self._receiver(message)
            self._raw.consume()
        elif self._error is not None:
            self._raw.consume()
        elif not self._shelf.put(message, self._loop.time()):
            limit = self._config.receive_limit
            self._overflow(f"more arrived than the limit allows ({limit} bytes)")
        else:
            self._drop_oldest()
            self._readable.set()
            self._on_waiting()

    def channel_drained(self) -> None:
        """No more than the low-water mark is buffered any longer."""
        self._drained.set()
        self.on_room()

    def channel_closed(self, clean: bool) -> None:
        """The channel is over: closed by one of the sides (`clean`), or the connection broke."""
        self._end(None if clean else self._end_of_link())

    def _drop_oldest(self) -> None:
        """Drop messages beyond the limit of a partially reliable channel, never the newest."""
        shelf, limit = self._shelf, self._config.unreliable_limit
        while shelf.must_drop or (shelf.droppable and len(shelf) > 1 and shelf.bytes > limit):
            self._take()
            self._dropped += 1

    def _break_unread(self) -> None:
        """Break it, because nobody reads it here and it holds up all others."""
        self._on_unread()  # before the close: the other side learns the reason
        patience = self._config.unread_patience
        self._overflow(f"nothing was read for {patience:g} seconds, which held up all others")

    def _overflow(self, reason: str) -> None:
        shelf = self._shelf
        error = ChannelOverflow(
            f"The channel {self.label!r} was closed with {len(shelf)} messages unread "
            f"({shelf.bytes} bytes): {reason}."
        )
        logger.warning("%s", error)
        self._end(error)
        self._raw.close()

    def _end(self, error: PeerError | None) -> None:
        if self._ended.is_set():
            return
        kept = self._shelf.release()
        super()._end(error)
        if not kept:
            self._error = self._error or ChannelOverflow(
                f"The channel {self.label!r} was closed, and its unread messages were dropped: too "
                "much waits on other channels."
            )
