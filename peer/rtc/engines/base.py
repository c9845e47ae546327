"""What carries data channels over a connection's DTLS: our association, or aiortc's."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Final, Protocol, cast

from peer.config import ENGINES, ChannelParameters, EngineName
from peer.rtc.data_channel import DataChannel

__all__ = ["Engine", "chosen_engine"]

VARIABLE: Final = "PEERLINE_ENGINE"


def chosen_engine() -> EngineName:
    """The engine that the environment asks for: ours, unless ``PEERLINE_ENGINE=aiortc``.

    Raises:
        ValueError: it names one that does not exist.
    """
    name = os.environ.get(VARIABLE) or "peerline"
    if name not in ENGINES:
        raise ValueError(f"{VARIABLE} must be one of {', '.join(ENGINES)}, not {name!r}")
    return cast(EngineName, name)


class Engine(Protocol):
    """Data channels of one connection."""

    on_channel: Callable[[DataChannel], None]
    """Called with each channel that the other side opens."""
    on_open: Callable[[], None]
    """Called whenever a channel of ours opens."""
    on_heard: Callable[[], None]
    """Called when anything came from the other side, be it an acknowledgement."""
    on_ended: Callable[[str], None]
    """Called when the engine gave up, or the other side ended it, with the reason for a log."""

    sctp_init: bytes
    """Goes with our description, so that there need be no handshake; empty if there must."""

    def accept_sctp_init(self, sctp_init: bytes) -> bool:
        """Take what came with the other side's description; False if it cannot be used."""

    window: int
    """Bytes that may arrive and not be consumed before the other side has to wait; 0: any number,
    for the engine's window does not count what its user holds."""

    @property
    def unread(self) -> int:
        """Bytes that arrived and were not consumed, with something for each message."""

    @property
    def backlog(self) -> object:
        """None when everything sent has been acknowledged; else a value that progress changes."""

    def create_channel(self, parameters: ChannelParameters) -> DataChannel:
        """Open a channel.

        Raises:
            ValueError: its id is taken.
            ChannelError: there is no room for another channel.
            aiortc.InvalidStateError: the connection is closed.
        """
