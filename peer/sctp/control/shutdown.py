"""Orderly shutdown (RFC 9260, 9.2).

::

    A: SHUTDOWN_PENDING until all is acked
    A -- SHUTDOWN ----------> Z     A: SHUTDOWN_SENT; Z: SHUTDOWN_RECEIVED until all is acked
    A <- SHUTDOWN ACK ------- Z     Z: SHUTDOWN_ACK_SENT
    A -- SHUTDOWN COMPLETE -> Z     both: ENDED
"""

from __future__ import annotations

from collections.abc import Callable

from peer.sctp.context import Context
from peer.sctp.events import Ending
from peer.sctp.state import State, StateEvent
from peer.sctp.timers import Timer
from peer.sctp.wire.chunks.base import ChunkType, serialize_chunk
from peer.sctp.wire.chunks.control import shutdown

__all__ = ["Shutdown"]

_GUARD_ROUNDS = 5
"""RFC 9260, 9.2: T5 is recommended at five times RTO.Max."""


class Shutdown:
    """Both roles of the shutdown."""

    def __init__(self, context: Context, on_end: Callable[[Ending, str], None]) -> None:
        self._context = context
        self._on_end = on_end
        self._attempts = 0

    def start(self) -> None:
        """Stop taking data; SHUTDOWN follows when everything is acknowledged."""
        self._context.machine.fire(StateEvent.SHUTDOWN_REQUESTED)

    def advance(self, now: float, *, cumulative: int, rto: float) -> None:
        """Advance the state after all data is acknowledged.

        Args:
            now: Monotonic time in seconds.
            cumulative: Our cumulative TSN, as on the wire.
            rto: RTO in seconds.
        """
        machine = self._context.machine
        if machine.state in (State.SHUTDOWN_PENDING, State.SHUTDOWN_RECEIVED):
            if machine.fire(StateEvent.ALL_ACKED) is State.SHUTDOWN_SENT:
                guard = now + _GUARD_ROUNDS * self._context.config.rto_max
                self._context.timers.start(Timer.T5_SHUTDOWN_GUARD, guard)
            self._attempts = 0
            self._send(now, cumulative, rto)

    def _send(self, now: float, cumulative: int, rto: float) -> None:
        context = self._context
        if context.machine.state is State.SHUTDOWN_SENT:
            context.answer(shutdown(cumulative))
        else:
            context.answer(serialize_chunk(ChunkType.SHUTDOWN_ACK))
        context.timers.start(Timer.T2_SHUTDOWN, now + rto * (1 << min(self._attempts, 8)))

    def on_timer(self, now: float, *, cumulative: int, rto: float) -> None:
        """Handle T2: retransmit, or give up."""
        self._attempts += 1
        if self._attempts > self._context.config.max_retransmissions:
            self._on_end(Ending.UNREACHABLE, "the other side does not answer the shutdown")
        else:
            self._send(now, cumulative, rto)

    def on_shutdown(self, now: float, *, cumulative: int, rto: float) -> None:
        """Handle SHUTDOWN; the caller processes its cumulative TSN."""
        machine = self._context.machine
        if machine.state in (State.ESTABLISHED, State.SHUTDOWN_PENDING):
            machine.fire(StateEvent.SHUTDOWN_RECEIVED)
        elif machine.state is State.SHUTDOWN_SENT:
            machine.fire(StateEvent.SHUTDOWN_RECEIVED)
            self._attempts = 0
            self._send(now, cumulative, rto)
        elif machine.state is State.SHUTDOWN_ACK_SENT:
            self._send(now, cumulative, rto)

    def on_data(self, now: float, *, cumulative: int, rto: float) -> None:
        """Answer data that arrives before SHUTDOWN ACK with another SHUTDOWN."""
        if self._context.machine.state is State.SHUTDOWN_SENT:
            self._send(now, cumulative, rto)

    def on_shutdown_ack(self) -> None:
        """Handle SHUTDOWN ACK; in other states it is discarded (8.5.1 E: or out of the blue)."""
        context = self._context
        if context.machine.state in (State.SHUTDOWN_SENT, State.SHUTDOWN_ACK_SENT):
            complete = serialize_chunk(ChunkType.SHUTDOWN_COMPLETE)
            context.packets.append(context.writer.wrap_checked(complete))
            self._on_end(Ending.SHUTDOWN, "")

    def on_shutdown_complete(self) -> None:
        """Handle SHUTDOWN COMPLETE; in other states it is discarded."""
        if self._context.machine.state is State.SHUTDOWN_ACK_SENT:
            self._on_end(Ending.SHUTDOWN, "")
