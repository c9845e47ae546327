"""The chat of a link as a pure machine (floor 1).

JSON text on the channel `chat` (ordered, protocol `peerline.chat.1`), `t` the type:

* `message {t, id, text, at?}`: `id` counts up from 1 on each side, `text` is 1 byte to 64 KiB of
  UTF-8, `at` is the sender's unix time in milliseconds; one that is no moment is left out.
* `delivered {t, id}`: the message with this id has reached the other side's program.

A `delivered` waits while the channel has no room for it, with others: no more messages may be
unconfirmed than there can be (`MAX_UNDELIVERED`), and a side that goes on to send is faulty.

An unknown `t` is ignored. A message whose id is not above the last one's is a repetition (the
link's connection was replaced before `delivered` came through): it is confirmed again, and shown
once. A malformed message is dropped.
"""

from __future__ import annotations

import logging
from collections import deque
from dataclasses import dataclass
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct

from peer.text import exceeds

__all__ = [
    "MAX_TEXT",
    "MAX_UNDELIVERED",
    "Chat",
    "ChatEvent",
    "ChatMessage",
    "Delivered",
    "Flooded",
]

logger = logging.getLogger(__name__)

MAX_TEXT: Final = 65536
"""UTF-8 bytes of the longest message."""

MAX_FRAME: Final = 6 * MAX_TEXT + 256
"""UTF-8 bytes of the longest JSON object that can hold such a message, every byte escaped."""

MAX_UNDELIVERED: Final = 256
"""Messages that may wait for their `delivered`."""

MAX_CONFIRMATIONS: Final = 4 * MAX_UNDELIVERED
"""Confirmations of ours that may wait for room on the channel, one for each message."""

MAX_INTEGER: Final = (1 << 53) - 1
MAX_TIME: Final = 8_640_000_000_000_000
"""The last moment that JavaScript's calendar has, Unix time in milliseconds."""

Id = Annotated[int, Meta(ge=1, le=MAX_INTEGER)]


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """A message of the other side; its confirmation is queued."""

    id: int
    text: str
    """As it came: pass it through `peer.text.fit_text` before a terminal sees it."""
    at: int | None
    """The other side's unix time, milliseconds; None if it does not tell one."""


@dataclass(frozen=True, slots=True)
class Delivered:
    """A message of ours has reached the other side."""

    id: int


@dataclass(frozen=True, slots=True)
class Flooded:
    """The other side sends messages and does not take their confirmations."""


ChatEvent = ChatMessage | Delivered | Flooded


class _Message(Struct, frozen=True, tag_field="t", tag="message"):
    id: Id
    text: Annotated[str, Meta(min_length=1, max_length=MAX_TEXT)]
    at: Any = None


class _Delivered(Struct, frozen=True, tag_field="t", tag="delivered"):
    id: Id


class _Type(Struct, frozen=True):
    t: str


_TYPE: Final = msgspec.json.Decoder(_Type)
_DECODER: Final[msgspec.json.Decoder[_Message | _Delivered]] = msgspec.json.Decoder(
    _Message | _Delivered
)
_ENCODER: Final = msgspec.json.Encoder()
_TYPES: Final = frozenset({"message", "delivered"})


class Chat:
    """Both directions of one link's chat.

    After each call drain `messages_to_send` and `next_event`.
    """

    def __init__(self) -> None:
        self._last_sent = 0
        self._last_received = 0
        self._undelivered: dict[int, str] = {}
        self._messages: list[str] = []
        self._confirmations: dict[int, None] = {}
        self._events: deque[ChatEvent] = deque()

    @property
    def undelivered(self) -> tuple[int, ...]:
        """Ids of what was sent and not confirmed, oldest first."""
        return tuple(self._undelivered)

    def send(self, text: str, at: int, *, limit: int | None = None) -> int:
        """Send a message to the other side.

        Args:
            text: 1 byte to 64 KiB of UTF-8.
            at: Unix time, milliseconds.
            limit: Bytes of the largest message on the channel; escapes may need more than the text.

        Returns:
            The message's id, which comes back in `Delivered`.

        Raises:
            ValueError: The text is empty, too long or not Unicode, or 256 messages are waiting for
                their confirmation.
        """
        try:
            size = len(text.encode())
        except UnicodeEncodeError as exc:
            raise ValueError("The message has half a character in it (a lone surrogate).") from exc
        if not text:
            raise ValueError("The message is empty.")
        if size > MAX_TEXT:
            raise ValueError(f"The message has {size} bytes, at most {MAX_TEXT} are allowed.")
        if len(self._undelivered) >= MAX_UNDELIVERED:
            raise ValueError("The other side has not confirmed the last messages yet.")
        encoded = _ENCODER.encode(_Message(self._last_sent + 1, text, at))
        if limit is not None and len(encoded) > limit:
            raise ValueError(f"The message takes {len(encoded)} bytes, the other side {limit}.")
        self._last_sent += 1
        message = encoded.decode()
        self._undelivered[self._last_sent] = message
        self._messages.append(message)
        return self._last_sent

    def receive_message(self, text: str | bytes) -> None:
        """Take what arrived on the channel. Never raises for what the other side does."""
        message = _parse(text)
        match message:
            case None:
                pass
            case _Message():
                if len(self._confirmations) >= MAX_CONFIRMATIONS:
                    self._events.append(Flooded())
                    return
                self._confirmations[message.id] = None
                if message.id > self._last_received:
                    self._last_received = message.id
                    self._events.append(ChatMessage(message.id, message.text, _moment(message.at)))
            case _Delivered():
                if self._undelivered.pop(message.id, None) is not None:
                    self._events.append(Delivered(message.id))

    def connection_replaced(self) -> None:
        """Send again what was not confirmed: the channel is a new one, and empty."""
        self._messages = list(self._undelivered.values())
        self._confirmations.clear()

    def messages_to_send(self, *, confirmations: bool = True) -> list[str]:
        """Take what has to go out on the channel, in order.

        Args:
            confirmations: Whether there is room for those; without it they wait.
        """
        messages, self._messages = self._messages, []
        if confirmations:
            messages += [_ENCODER.encode(_Delivered(id)).decode() for id in self._confirmations]
            self._confirmations.clear()
        return messages

    def next_event(self) -> ChatEvent | None:
        """Take the oldest event; None if there is no further one."""
        return self._events.popleft() if self._events else None


def _parse(text: str | bytes) -> _Message | _Delivered | None:
    """Read one message; None when it is not ours or malformed."""
    try:
        if not isinstance(text, str) or exceeds(text, MAX_FRAME):
            raise msgspec.DecodeError("not a text, or too long")
        if _TYPE.decode(text).t not in _TYPES:
            return None
        message = _DECODER.decode(text)
        if isinstance(message, _Message) and exceeds(message.text, MAX_TEXT):
            raise msgspec.DecodeError("too long")
    except (msgspec.DecodeError, UnicodeError, RecursionError) as exc:
        logger.debug("dropped a malformed chat message: %s", exc)
        return None
    return message


def _moment(at: object) -> int | None:
    """The time of a message; None if it is no moment: a clock may say anything."""
    if isinstance(at, bool) or not isinstance(at, int | float) or not 0 <= at <= MAX_TIME:
        return None
    return int(at) if at == int(at) else None
