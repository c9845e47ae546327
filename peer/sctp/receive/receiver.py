"""The receiving side: data chunks in, messages and SACKs out (RFC 9260, 6.2).

The advertised window is ``receive_window`` less data above a hole, messages that the application
has not consumed, and the bookkeeping of each message, so that many tiny ones fill it, too.
Fragments that arrive in order do not count: otherwise no message larger than the window could be
completed. Their memory is bounded by ``max_message_size`` instead (``reassembly.py``).
"""

from __future__ import annotations

from peer.sctp.config import SctpConfig
from peer.sctp.errors import RemoteProtocolError
from peer.sctp.timers import Timer, Timers
from peer.sctp.wire.chunks.data import IMMEDIATE, DataChunk
from peer.sctp.wire.chunks.forward import ForwardTsn
from peer.sctp.wire.params import Cause, cause
from peer.sctp.wire.serial import MASK32, Tsn, unwrap32

from .reassembly import BOOKKEEPING, DeliverMessage, Reassembly
from .tsn_tracker import TsnTracker

__all__ = ["Receiver"]

_SACK_EVERY = 2
"""Packets per SACK toward other implementations, whose windows grow per SACK (RFC 9260, 6.2)."""
_SACK_OVERHEAD = 16


class Receiver:
    """Accepts data chunks and schedules acknowledgements."""

    def __init__(
        self,
        config: SctpConfig,
        timers: Timers,
        *,
        initial_tsn: int,
        interleaving: bool,
        same_implementation: bool,
        deliver: DeliverMessage,
    ) -> None:
        """Start with an empty window.

        Args:
            config: Settings of the association.
            timers: ``SACK`` is ours.
            initial_tsn: The first TSN of the peer.
            interleaving: I-DATA was agreed on.
            same_implementation: The peer runs this implementation.
            deliver: Called with each message, which fills the window until ``consume``.
        """
        self._timers = timers
        self._limit = config.receive_window
        self._delay = config.sack_delay
        self._stretch_delay = config.stretch_sack_delay
        self._max_blocks = (config.datagram_size - _SACK_OVERHEAD - 16) // 4
        self._deliver = deliver
        self.interleaving = interleaving
        self.same_implementation = same_implementation
        self.tsns = TsnTracker(initial_tsn - 1)
        self.reassembly = Reassembly(
            interleaving=interleaving,
            streams=config.streams,
            # A quarter for the headers of small fragments and the bookkeeping of messages.
            limit=(config.receive_window + config.max_message_size) * 5 // 4,
            max_message_size=config.max_message_size,
        )
        self.reassembly.deliver = self._on_message
        self.unread = 0
        """Bytes of messages that the application has not consumed, bookkeeping included."""
        self.packets = 0
        """Packets with data since the last SACK."""
        self.immediate = False
        """Whether to send a SACK at once: for a hole, a duplicate, or a closed window."""
        self._advertised = self._limit
        self._last_sack_at = -1.0

    # The window

    @property
    def window(self) -> int:
        """a_rwnd, bytes."""
        used = self.unread + self.tsns.out_of_order + self.reassembly.bookkeeping
        return max(0, self._limit - used)

    @property
    def is_full(self) -> bool:
        """Whether new data is dropped unless it fills the first hole."""
        return self.unread + self.tsns.out_of_order + self.reassembly.bookkeeping >= self._limit

    def _on_message(self, stream_id: int, ppid: int, data: bytes) -> None:
        self.unread += len(data) + BOOKKEEPING
        self._deliver(stream_id, ppid, data)

    def consume(self, size: int) -> None:
        """Return ``size`` bytes to the window, and send a SACK if the peer may wait for it."""
        self.unread -= size
        grown = self.window - self._advertised
        if self._advertised < self._limit // 2 and grown >= self._limit // 4:
            self.immediate = True

    # Data in

    def on_data(self, chunk: DataChunk) -> None:
        """Process one chunk (RFC 9260, 6.2); the caller counts ``packets``.

        Raises:
            RemoteProtocolError: The chunk ends the association.
        """
        if chunk.interleaved is not self.interleaving:
            # RFC 8260, 2.2.1: never both kinds in one association.
            raise RemoteProtocolError(
                "the wrong kind of data chunk", cause(Cause.PROTOCOL_VIOLATION)
            )
        if not chunk.payload:
            tsn_bytes = chunk.tsn.to_bytes(4, "big")
            raise RemoteProtocolError("a chunk without data", cause(Cause.NO_USER_DATA, tsn_bytes))
        tsns = self.tsns
        tsn = unwrap32(chunk.tsn, tsns.cumulative)
        if chunk.flags & IMMEDIATE:
            self.immediate = True
        if tsns.is_duplicate(tsn):
            self.immediate = True
            return
        if not tsns.may_add(tsn) or (
            self.is_full and (tsn != tsns.cumulative + 1 or self.unread >= self._limit)
        ):
            self.immediate = True
            return
        holes = bool(tsns.blocks)
        tsns.add(tsn, len(chunk.payload))
        if holes or tsns.blocks:
            # RFC 9260, 6.2: a SACK at once when a hole is seen, and when one is filled.
            self.immediate = True
        self.reassembly.add(chunk, tsn, in_order=tsn <= tsns.cumulative)

    def on_forward_tsn(self, chunk: ForwardTsn) -> None:
        """Skip abandoned TSNs (RFC 3758, 3.6)."""
        left = self.tsns.cumulative
        tsn = unwrap32(chunk.new_cumulative_tsn, left)
        self.packets += 1
        if self.tsns.forward(tsn):
            self.reassembly.skip(left, tsn, self.tsns.cumulative, chunk.skipped)
        else:
            self.immediate = True

    def on_reset(self, stream_ids: frozenset[int] | None) -> None:
        """Reset these streams of the peer; ``None`` for all (RFC 6525, 5.2.2)."""
        self.reassembly.reset_streams(stream_ids, self.tsns.cumulative)

    def has_received(self, wire_tsn: int) -> bool:
        """Return whether all data up to a TSN of the peer has arrived."""
        return unwrap32(wire_tsn, self.tsns.cumulative) <= self.tsns.cumulative

    @property
    def cumulative_wire(self) -> int:
        """The cumulative TSN as on the wire, for a SACK or SHUTDOWN."""
        return self.tsns.cumulative & MASK32

    @property
    def cumulative(self) -> Tsn:
        """The cumulative TSN, unwrapped."""
        return self.tsns.cumulative

    # SACKs out

    def schedule_sack(self, now: float) -> None:
        """Schedule the next SACK; called after every batch of datagrams."""
        if not self.packets and not self.immediate:
            return
        if self.same_implementation:
            # A stretch acknowledgement: per batch, or per millisecond when batches are small.
            if self.packets >= _SACK_EVERY or self.immediate:
                due = max(now, self._last_sack_at + self._stretch_delay)
            else:
                due = now + self._delay
        elif self.packets >= _SACK_EVERY or self.immediate:
            due = now
        else:
            due = now + self._delay
        current = self._timers.deadline(Timer.SACK)
        if current is None or due < current:
            self._timers.start(Timer.SACK, due)

    def sack_is_due(self, now: float) -> bool:
        """Return whether a SACK is due."""
        deadline = self._timers.deadline(Timer.SACK)
        return deadline is not None and deadline <= now

    def sack_goes_along(self, now: float) -> bool:
        """Return whether to bundle a SACK, due or not, with a packet that leaves anyway."""
        if self.same_implementation and now < self._last_sack_at + self._stretch_delay:
            return False  # processing one costs the peer more than an occasional packet of its own
        return self.packets > 0 or self.sack_is_due(now)

    def make_sack(self, now: float) -> bytes:
        """Return a SACK chunk for the data received so far."""
        self._timers.stop(Timer.SACK)
        self.packets = 0
        self.immediate = False
        self._last_sack_at = now
        self._advertised = self.window
        return self.tsns.sack(self._advertised, self._max_blocks).serialize()
