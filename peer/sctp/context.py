"""What the parts of one association share: its two sides, its timers, what waits to be sent."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from .config import SctpConfig
from .events import Event
from .state import StateMachine
from .timers import Timers
from .wire.init_parameters import InitParameters
from .wire.packet import PacketWriter

if TYPE_CHECKING:
    from .control.stream_reset import StreamReset
    from .tcb import TransmissionControlBlock

__all__ = ["Context"]

_MAX_ANSWERS = 256
_MAX_ANSWER_BYTES = 1 << 16


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
        self.local: InitParameters | None = None
        self.peer: InitParameters | None = None
        self.tcb: TransmissionControlBlock | None = None
        """Set while the association is established."""

    @property
    def stream_reset(self) -> StreamReset | None:
        """Stream reset, while the association is established and the peer supports it."""
        return None if self.tcb is None else self.tcb.stream_reset

    @property
    def streams(self) -> int:
        """
        Streams that we may send on: what we offer, or what the peer takes if that is less.

        RFC 9260, 5.1.1.
        """
        ours = self.config.streams
        return ours if self.peer is None else min(ours, self.peer.inbound_streams)

    def send(self, chunk: bytes) -> None:
        """Queue a control chunk of our own accord."""
        self.control.append(chunk)

    def answer(self, chunk: bytes) -> None:
        """Queue a control chunk that the peer has brought about, if there is room for it."""
        if self.may_answer:
            self.control.append(chunk)

    def answer_packet(self, packet: bytes) -> None:
        """Queue a whole packet that the peer has brought about, if there is room for it."""
        if self.may_answer:
            self.packets.append(packet)

    @property
    def may_answer(self) -> bool:
        """
        Whether one more answer may wait to be sent.

        They wait while the path below takes nothing, and a peer may go on asking. All are asked
        for again when they do not come, so what there is no room for is as good as lost.
        """
        waiting = len(self.control) + len(self.packets)
        return waiting < _MAX_ANSWERS and (
            sum(map(len, self.control)) + sum(map(len, self.packets)) < _MAX_ANSWER_BYTES
        )
