"""The control channel of a link as a pure machine: hello, life, goodbye (floor 1).

JSON text on the channel `control` (ordered, protocol `peerline.control.1`), `t` the type:

* `hello {t, version: 1, name, agent, reveal?}`: the first message each way.
* `ping {t, n}`, answered with `pong {t, n}`: sent after some silence. Anything that arrives on
  any channel is a sign of life; without one for too long the other side counts as lost. Only the
  newest ping is answered: a side that sends many and reads none gets one answer, not as many.
* `unread {t, channel}`: the sender's program did not read the channel of this stream number while
  that kept the whole link waiting; the channel is being closed.
* `bye {t, code, message?}`: the last message of a side; everything it sent before has arrived.

Every other type belongs to transfers (`peer.transfer`) and is passed on unchanged; unknown types
are ignored there.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from peer.config import LinkConfig
from peer.text import exceeds, fit_code, fit_name, show_name

__all__ = [
    "VERSION",
    "ByeReceived",
    "ChannelUnread",
    "Control",
    "ControlEvent",
    "HelloReceived",
    "OtherMessage",
    "PeerSilent",
]

VERSION: Final = 1
MAX_MESSAGE: Final = 64 * 1024
"""Bytes of the longest message that is read; transfers keep to 48 KiB."""
LOST_AFTER_DOUBT: Final = 6.0
"""Seconds of silence after which the other side counts as gone, if somebody says that it left."""
LATE: Final = 2.0
"""Seconds by which a timer is late if this machine slept, and not the other side."""


@dataclass(frozen=True, slots=True)
class HelloReceived:
    """The other side is there.

    Attributes:
        reveal: Its nonce, on a link without a password.
    """

    name: str
    agent: str
    reveal: str | None


@dataclass(frozen=True, slots=True)
class ByeReceived:
    """The other side is leaving, in order."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class OtherMessage:
    """A message of another protocol, as it came."""

    text: str


@dataclass(frozen=True, slots=True)
class ChannelUnread:
    """The other side closes a channel that its program did not read."""

    channel: int


@dataclass(frozen=True, slots=True)
class PeerSilent:
    """Nothing has been heard of the other side for `after` seconds, which is too long."""

    after: float


ControlEvent = HelloReceived | ByeReceived | ChannelUnread | OtherMessage | PeerSilent


Number = Annotated[int, Meta(ge=0, le=(1 << 53) - 1)]


class _Hello(msgspec.Struct, tag_field="t", tag="hello", omit_defaults=True):
    version: Annotated[int, Meta(ge=1)]
    name: str = ""
    agent: str = ""
    reveal: str | None = None


class _Ping(msgspec.Struct, tag_field="t", tag="ping"):
    n: Number


class _Pong(msgspec.Struct, tag_field="t", tag="pong"):
    n: Number


class _Bye(msgspec.Struct, tag_field="t", tag="bye", omit_defaults=True):
    code: str = ""
    message: str = ""


class _Unread(msgspec.Struct, tag_field="t", tag="unread"):
    channel: Annotated[int, Meta(ge=0, le=65535)]


class _Type(msgspec.Struct):
    t: str


_type_of: Final = msgspec.json.Decoder(_Type).decode
_decode: Final = msgspec.json.Decoder(_Hello | _Ping | _Pong | _Bye | _Unread).decode
_encode: Final = msgspec.json.Encoder().encode
_OURS: Final = frozenset({"hello", "ping", "pong", "bye", "unread"})


class Control:
    """One side of a control channel. After every call, drain both queues and set the timer."""

    def __init__(self, config: LinkConfig, now: float) -> None:
        self._config = config
        self._heard = now
        self._next_ping = now + config.ping_interval
        self._patience = config.lost_after
        self._pings = 0
        self._ping_sent: float | None = None
        self._greeted = False
        self._over = False
        self._outbox: deque[str] = deque()
        self._pong: _Pong | None = None
        self._events: deque[ControlEvent] = deque()
        self.round_trip: float | None = None
        """Seconds the last answered ping took; None before the first."""

    def hello(self, name: str, agent: str, reveal: str | None) -> None:
        """Introduce ourselves; the first message."""
        self._send(_Hello(VERSION, fit_name(name), agent, reveal))

    def bye(self, code: str = "bye", message: str = "") -> None:
        """Say goodbye; the last message. No timer runs any more."""
        if not self._over:
            self._over = True
            self._pong = None
            self._send(_Bye("" if code == "bye" else code, message))

    def unread(self, channel: int) -> None:
        """Tell that our program did not read a channel, which we are closing."""
        if not self._over:
            self._send(_Unread(channel))

    def heard(self, now: float) -> None:
        """Something has arrived from the other side, on whatever channel."""
        self._heard = now
        self._patience = self._config.lost_after
        self._next_ping = now + self._config.ping_interval

    def doubt(self, now: float) -> None:
        """Ask at once whether the other side is there: somebody says that it left."""
        if self._over or self._patience < self._config.lost_after:
            return
        self._patience = min(LOST_AFTER_DOUBT, self._config.lost_after)
        self._heard = now
        self._ping(now)

    def receive_message(self, text: str | bytes, now: float) -> None:
        """Take a message of the channel; nothing is raised, nonsense is ignored."""
        self.heard(now)
        if self._over or not isinstance(text, str) or exceeds(text, MAX_MESSAGE):
            return
        try:
            if _type_of(text).t not in _OURS:
                self._events.append(OtherMessage(text))
                return
            message = _decode(text)
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            return
        match message:
            case _Hello() if not self._greeted:
                self._greeted = True
                self._events.append(
                    HelloReceived(fit_name(message.name), fit_name(message.agent), message.reveal)
                )
            case _Ping():
                self._pong = _Pong(message.n)
            case _Pong():
                if message.n == self._pings and self._ping_sent is not None:
                    self.round_trip = now - self._ping_sent
                    self._ping_sent = None
            case _Unread():
                self._events.append(ChannelUnread(message.channel))
            case _Bye():
                self._over = True
                code = fit_code(message.code, "bye")
                self._events.append(ByeReceived(code, show_name(message.message, 1000)))

    def get_timer(self) -> float | None:
        """When to call `handle_timer`; None: not at all."""
        if self._over:
            return None
        return min(self._next_ping, self._heard + self._patience)

    def handle_timer(self, now: float) -> None:
        """The time that `get_timer` said has come."""
        due = self.get_timer()
        if due is None or now < due:
            return
        if now - due > LATE:
            # We did not run for a while: what the other side sent meanwhile may wait to be read.
            self._heard = max(self._heard, now - self._patience + self._config.ping_interval)
        elif now >= self._heard + self._patience:
            self._over = True
            self._events.append(PeerSilent(self._patience))
            return
        self._ping(now)

    def messages_to_send(self, *, replies: bool = True) -> list[str]:
        """Take the messages to send now, in order.

        Args:
            replies: Whether there is room for answers; without it they wait, and only the newest
                is kept.
        """
        if replies and self._pong is not None:
            self._send(self._pong)
            self._pong = None
        messages = list(self._outbox)
        self._outbox.clear()
        return messages

    def next_event(self) -> ControlEvent | None:
        """Take the oldest event; None if there is no further one."""
        return self._events.popleft() if self._events else None

    def _ping(self, now: float) -> None:
        self._pings += 1
        self._ping_sent = now
        self._next_ping = now + self._config.ping_interval
        self._send(_Ping(self._pings))

    def _send(self, message: msgspec.Struct) -> None:
        self._outbox.append(_encode(message).decode())
