"""Liveness of an idle path (RFC 9260, 8.1 and 8.3)..

Unanswered HEARTBEATs and T3-rtx expiries count together; too many in a row end the association. Any
answer, to data or to a HEARTBEAT, resets the count.
"""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct

from peer.sctp.context import Context
from peer.sctp.timers import Timer
from peer.sctp.wire.chunks.control import heartbeat

__all__ = ["Heartbeat"]

_INFO = Struct("!8sd")
_NONCE_SIZE = 8


class Heartbeat:
    """Sends HEARTBEATs, and measures round trips from the answers."""

    def __init__(self, context: Context, on_round_trip: Callable[[float, float], None]) -> None:
        """Prepare; `start` arms the timer.

        Args:
            context: For sending and for the timer ``HEARTBEAT``.
            on_round_trip: Called with the round trip in seconds, and the time.
        """
        self._context = context
        self._on_round_trip = on_round_trip
        self._nonce = b""
        self.missed = 0
        """HEARTBEATs in a row without an answer."""
        self._heard_at = 0.0

    def start(self, now: float) -> None:
        """Arm the timer: the association is established."""
        self._heard_at = now
        self._arm(now)

    def _arm(self, at: float) -> None:
        interval = self._context.config.heartbeat_interval
        # RFC 9260, 8.3: jittered, so that many associations do not beat in step.
        jitter = self._context.random(1)[0] / 256
        self._context.timers.start(Timer.HEARTBEAT, at + interval * (0.75 + 0.5 * jitter))

    def on_answer(self, now: float) -> None:
        """Note that the peer acknowledged data: the path is alive and not idle."""
        self._heard_at = now
        self.missed = 0

    def on_timer(self, now: float) -> bool:
        """Send a HEARTBEAT, unless an answer arrived lately.

        Returns:
            Whether the last HEARTBEAT is unanswered.
        """
        interval = self._context.config.heartbeat_interval
        if now - self._heard_at < 0.5 * interval:
            self._nonce = b""
            self._arm(self._heard_at)
            return False
        unanswered = bool(self._nonce)
        self.missed += unanswered
        self._nonce = self._context.random(_NONCE_SIZE)
        self._context.send(heartbeat(_INFO.pack(self._nonce, now)))
        self._arm(now)
        return unanswered

    def on_ack(self, info: bytes, now: float) -> bool:
        """Handle a HEARTBEAT ACK.

        Returns:
            Whether it answers our last HEARTBEAT.
        """
        if len(info) != _INFO.size:
            return False
        nonce, sent_at = _INFO.unpack(info)
        if not self._nonce or nonce != self._nonce:
            return False
        self._nonce = b""
        self.on_answer(now)
        self._on_round_trip(max(0.0, now - sent_at), now)
        return True
