"""Settings of links and channels: delivery, timeouts and limits (floor 0)."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final, Literal, TypeAlias

__all__ = ["ENGINES", "ChannelParameters", "EngineName", "LinkConfig", "Priority", "Timeouts"]

EngineName: TypeAlias = Literal["peerline", "aiortc"]
"""The SCTP implementation that carries the channels: Peerline's own or that of aiortc."""
ENGINES: Final = ("peerline", "aiortc")


MIN_WINDOW: Final = 16 * 1024
"""Bytes of the smallest receive window that carries Peerline's own channels."""
MAX_WINDOW: Final = 1 << 30
"""Bytes of the largest: four bytes on the wire say how much is left (RFC 9260, 3.3.4)."""


class Priority(IntEnum):
    """Shares of the path that channels with much to send get beside each other (RFC 8831, 6.4)."""

    BELOW_NORMAL = 128
    NORMAL = 256
    HIGH = 512
    EXTRA_HIGH = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelParameters:
    """How a data channel delivers (RFC 8831, 6.4; RFC 8832, 5.1).

    Attributes:
        label: Name of the channel; ASCII, since aiortc counts its length in characters where
            RFC 8832 wants bytes. Names for people belong into messages.
        ordered: Whether messages arrive in the order in which they were sent.
        max_retransmits: How often a lost message is sent again before it is given up; None: until
            it arrives.
        max_lifetime: Seconds after which a message that has not arrived is given up; None: never.
        protocol: Name and version of the protocol on the channel; ASCII.
        priority: Share of the path beside other channels: a `Priority` or any number in 1..65535.
            Twice the number gets twice the bytes while both have something to send. aiortc's
            engine takes no notice of it.
        id: Stream number both sides agreed on beforehand (both open the channel themselves);
            None: the other side is told, and gets the channel from `Link.channels()`.
    """

    label: str = ""
    ordered: bool = True
    max_retransmits: int | None = None
    max_lifetime: float | None = None
    protocol: str = ""
    priority: int = Priority.NORMAL
    id: int | None = None

    def __post_init__(self) -> None:
        for name, text in (("label", self.label), ("protocol", self.protocol)):
            if not text.isascii():
                raise ValueError(f"a channel's {name} must be ASCII, not {text!r}")
            if len(text) > 65535:
                raise ValueError(f"a channel's {name} is at most 65535 characters long")
        if self.max_retransmits is not None and self.max_lifetime is not None:
            raise ValueError("give max_retransmits or max_lifetime, not both")
        if self.max_retransmits is not None and not 0 <= self.max_retransmits <= 65535:
            raise ValueError("max_retransmits must be in 0..65535")
        if self.max_lifetime is not None and not 0.001 <= self.max_lifetime <= 65.535:
            raise ValueError("max_lifetime must be in 0.001..65.535 seconds")
        if not 1 <= self.priority <= 65535:
            raise ValueError("a channel's priority must be in 1..65535")
        if self.id is not None and not 0 <= self.id <= 65534:
            raise ValueError("a channel's id must be in 0..65534")

    @property
    def reliable(self) -> bool:
        """Whether every message arrives for as long as the link lives."""
        return self.max_retransmits is None and self.max_lifetime is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """How long each stage of a link's set-up may take, in seconds.

    Attributes:
        join: The server's welcome.
        pake: The exchange that proves the code (`pake` signals).
        description: The other side's offer or answer.
        path: Finding a network path (ICE), encryption included; a second attempt follows a
            failed one.
        hello: The other side's `hello` on the open channel.
        close: Standstill while the last messages are on their way, before they are given up.
    """

    join: float = 10.0
    pake: float = 15.0
    description: float = 15.0
    path: float = 15.0
    hello: float = 10.0
    close: float = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkConfig:
    """Settings of a link.

    Attributes:
        timeouts: Of the set-up.
        attempts: Connections that are tried, one after the other, before the link is given up.
        ping_interval: Seconds between pings on an otherwise silent link.
        lost_after: Seconds of silence after which the other side counts as gone.
        high_water: `send` waits while more than this many bytes are buffered on a channel.
        low_water: `send` goes on once no more than this many bytes are buffered; no more than
            `high_water`.
        receive_window: Bytes that may wait to be received on all channels of a link together,
            with 256 for each message; then the other side sends nothing more until some are. A
            larger one is faster on long paths (it takes a window a round trip), a smaller one
            takes less memory and shows a slow reader to the sender sooner. aiortc's engine has a
            small one of its own, which what waits here does not close.
        unread_patience: Seconds for which a channel that nobody reads may keep the whole link
            waiting, its window full; then the channel breaks (`ChannelOverflow`, at both ends).
        unreliable_limit: Bytes that may wait to be received on a channel that is not reliable
            (`max_retransmits`, `max_lifetime`); beyond, its oldest messages are dropped and
            counted in `Channel.stats`.
        receive_limit: Bytes that may wait to be received on a link outside any window: on channels
            that are closed already, and with aiortc's engine on all. The channel that gets more
            breaks (`ChannelOverflow`). No window is larger.
        engine: The engine that carries the channels, one of `ENGINES`; None: the one that the
            environment names (``PEERLINE_ENGINE``), or Peerline's own.
        host_candidates: Whether the other side is told the addresses of this machine's own
            interfaces. Without them it learns only what STUN and TURN servers see; two machines
            behind one router then need one that leads packets back (hairpinning), or a relay.
    """

    timeouts: Timeouts = field(default_factory=Timeouts)
    attempts: int = 2
    ping_interval: float = 5.0
    lost_after: float = 15.0
    high_water: int = 1024 * 1024
    low_water: int = 256 * 1024
    receive_window: int = 8 * 1024 * 1024
    unread_patience: float = 10.0
    unreliable_limit: int = 1024 * 1024
    receive_limit: int = 64 * 1024 * 1024
    engine: EngineName | None = None
    host_candidates: bool = True

    def __post_init__(self) -> None:
        if self.engine is not None and self.engine not in ENGINES:
            raise ValueError(f"engine must be one of {', '.join(ENGINES)}, not {self.engine!r}")
        for name in ("receive_window", "unreliable_limit", "receive_limit"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1 byte")
        if self.high_water < 0 or self.low_water < 0:
            raise ValueError("high_water and low_water must be at least 0 bytes")
        if self.unread_patience <= 0:
            raise ValueError("unread_patience must be more than 0 seconds")

    @property
    def window(self) -> int:
        """Bytes of the receive window of a link."""
        return max(MIN_WINDOW, min(self.receive_window, self.receive_limit, MAX_WINDOW))
