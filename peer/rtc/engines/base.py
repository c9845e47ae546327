"""The interface of engines, which carry data channels over the DTLS of a connection."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Final, Protocol, cast

from peer.config import ENGINES, ChannelParameters, EngineName
from peer.rtc.data_channel import DataChannel

__all__ = ["Engine", "chosen_engine"]

VARIABLE: Final = "PEERLINE_ENGINE"


def chosen_engine() -> EngineName:
    """Return the engine that the environment selects: ours, unless ``PEERLINE_ENGINE=aiortc``.

    Raises:
        ValueError: The environment names an unknown engine.
    """
    name = os.environ.get(VARIABLE) or "peerline"
    if name not in ENGINES:
        raise ValueError(f"{VARIABLE} must be one of {', '.join(ENGINES)}, not {name!r}")
    return cast(EngineName, name)


class Engine(Protocol):
    """Data channels of one connection."""

    on_channel: Callable[[DataChannel], None]
    """Called with each channel that the peer opens."""
    on_open: Callable[[], None]
    """Called whenever a channel of ours opens."""
    on_heard: Callable[[], None]
    """Called when any packet of the peer arrives, including acknowledgements."""
    on_ended: Callable[[str], None]
    """Called when the engine or the peer ended the association, with the reason for a log."""

    sctp_init: bytes
    """INIT chunk for our description, which saves the handshake; empty without one."""

    def accept_sctp_init(self, sctp_init: bytes) -> bool:
        """Take the INIT chunk of the peer's description; return whether it is usable."""

    window: int
    """Bytes that may be unread before the peer has to wait; 0 when the window ignores them."""

    @property
    def unread(self) -> int:
        """Bytes that were not consumed, bookkeeping of each message included."""

    @property
    def backlog(self) -> object:
        """None when all data has been acknowledged, else a value that changes with progress."""

    def create_channel(self, parameters: ChannelParameters) -> DataChannel:
        """Open a channel.

        Raises:
            ValueError: Its id is taken.
            ChannelError: There is no room for another channel.
            aiortc.InvalidStateError: The connection is closed.
        """
