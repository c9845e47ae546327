"""State that the parts of one association share: INIT parameters, timers, pending chunks."""

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
    """Shared by the handshake, the shutdown, stream reset and the association itself."""

    def __init__(self, config: SctpConfig, random: Callable[[int], bytes]) -> None:
        self.config = config
        self.random = random
        """Returns that many unpredictable bytes."""
        self.machine = StateMachine()
        self.timers = Timers()
        self.writer = PacketWriter(config.local_port, config.remote_port)
        self.events: deque[Event] = deque()
        self.control: list[bytes] = []
        """Pending control chunks, in order; they share packets with each other and with data."""
        self.packets: list[bytes] = []
        """Pending whole packets: handshake chunks, answers to packets out of the blue."""
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
        """Streams that we may send on: the lower of our offer and the peer's (RFC 9260, 5.1.1)."""
        ours = self.config.streams
        return ours if self.peer is None else min(ours, self.peer.inbound_streams)

    def send(self, chunk: bytes) -> None:
        """Queue a control chunk."""
        self.control.append(chunk)

    def answer(self, chunk: bytes) -> None:
        """Queue a control chunk that answers the peer, if there is room for it."""
        if self.may_answer:
            self.control.append(chunk)

    def answer_packet(self, packet: bytes) -> None:
        """Queue a packet that answers the peer, if there is room for it."""
        if self.may_answer:
            self.packets.append(packet)

    @property
    def may_answer(self) -> bool:
        """Whether one more answer may wait to be sent.

        Answers wait while the socket is full, and a peer may go on asking. The peer repeats every
        request that it gets no answer to, so an answer may be dropped like a lost packet.
        """
        waiting = len(self.control) + len(self.packets)
        return waiting < _MAX_ANSWERS and (
            sum(map(len, self.control)) + sum(map(len, self.packets)) < _MAX_ANSWER_BYTES
        )
