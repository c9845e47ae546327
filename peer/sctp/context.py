"""What the parts of one association share: its two sides, its timers, what waits to be sent."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from .config import SctpConfig
from .events import Event
from .features import Features
from .packet import PacketWriter
from .state import StateMachine
from .timers import Timers

__all__ = ["Context", "Side"]


@dataclass(frozen=True, slots=True)
class Side:
    """What one side said of itself in INIT or INIT ACK."""

    tag: int
    """Packets toward it carry this verification tag."""
    initial_tsn: int
    window: int
    """a_rwnd, bytes."""
    outbound_streams: int
    inbound_streams: int
    features: Features


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

    def random_uint32(self) -> int:
        """Return an unpredictable number from 1 to 2**32 - 1 (RFC 9260, 5.3.1: tags are not 0)."""
        return int.from_bytes(self.random(4), "big") or 1

    def send(self, chunk: bytes) -> None:
        """Queue a control chunk."""
        self.control.append(chunk)
