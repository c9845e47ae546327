"""What the parts of one association share: its two sides, its timers, what waits to be sent."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from .config import SctpConfig
from .events import Event
from .packet import PacketWriter
from .side import Side
from .state import StateMachine
from .timers import Timers

__all__ = ["Context"]


class Context:
    """Shared by the handshake, the shutdown, the resets and the association itself."""

    def __init__(self, config: SctpConfig, random: Callable[[int], bytes]) -> None:
        self.config = config
        self.random = random
        """Returns that many unpredictable bytes."""
        self.machine = StateMachine()
        self.timers = Timers()
        self.writer = PacketWriter(config.local_port, config.remote_port)
        self.events: deque[Event] = deque()
        self.control: list[bytes] = []
        """Control chunks for the peer, in order; they share packets with each other and data."""
        self.packets: list[bytes] = []
        """Whole packets that leave as they are: handshake chunks, answers out of the blue."""
        self.local: Side | None = None
        self.peer: Side | None = None

    @property
    def streams(self) -> int:
        """
        Streams that we may send on: what we offer, or what the peer takes if that is less.

        RFC 9260, 5.1.1.
        """
        ours = self.config.streams
        return ours if self.peer is None else min(ours, self.peer.inbound_streams)

    def send(self, chunk: bytes) -> None:
        """Queue a control chunk."""
        self.control.append(chunk)
