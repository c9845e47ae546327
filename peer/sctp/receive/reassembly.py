"""Reassembly and ordering of messages (RFC 9260, 6.5, 6.6 and 6.9; RFC 8260, 2.2).

Each chunk type has its own way of matching the fragments of a message:

* DATA: a message is a run of consecutive TSNs between a B and an E bit. Runs grow at both
  ends and merge; they are found by their first and last TSN (``data_assembler.py``).
* I-DATA: fragments carry message and fragment numbers (``idata_assembler.py``).

A complete unordered message is delivered at once. A complete ordered one waits for its turn in its
own stream only.
"""

from __future__ import annotations

from collections.abc import Callable, Sized
from heapq import heappop, heappush
from typing import Protocol

from peer.sctp.errors import RemoteProtocolError
from peer.sctp.wire.chunks.data import UNORDERED, DataChunk
from peer.sctp.wire.chunks.forward import Skipped
from peer.sctp.wire.params import Cause, cause
from peer.sctp.wire.serial import Tsn, unwrap16, unwrap32

from .data_assembler import DataAssembler
from .idata_assembler import IDataAssembler

__all__ = ["BOOKKEEPING", "Assembler", "DeliverMessage", "Reassembly"]

BOOKKEEPING = 256
"""Bytes that a waiting, unread or incomplete message counts beside its payload: about what Python
needs to keep it. A peer may send a byte at a time."""

DeliverMessage = Callable[[int, int, bytes], None]
"""Called with stream id, payload protocol identifier and data of each message, in turn."""

_MAX_REPORTS = 16
_MAX_WAITING_PER_STREAM = 1 << 15
"""Half of the sequence number space; numbers farther ahead are ambiguous."""


class Assembler(Protocol):
    """Puts the fragments of a message together."""

    buffered: int
    """Bytes of the chunks of unfinished messages, headers included."""
    unfinished: Sized
    """Incomplete messages, or pieces of them that are not joined yet."""

    def add(self, chunk: DataChunk, tsn: Tsn, *, in_order: bool) -> tuple[int, bytes] | None:
        """Add a fragment; return payload protocol identifier and data of a complete message.

        Args:
            chunk: The fragment.
            tsn: Unwrapped.
            in_order: Everything before it had arrived or was given up.

        Raises:
            RemoteProtocolError: It contradicts an earlier one.
        """

    def skip(self, left: Tsn, forwarded: Tsn, reached: Tsn, skipped: tuple[Skipped, ...]) -> None:
        """Forget the incomplete messages that the peer has abandoned."""

    def reset_streams(self, stream_ids: frozenset[int] | None, reached: Tsn) -> None:
        """Forget the incomplete messages of these streams; ``None`` for all."""


class _Waiting:
    """Complete messages of a stream that wait for their turn."""

    __slots__ = ("messages", "order")

    def __init__(self) -> None:
        self.messages: dict[int, tuple[int, bytes]] = {}
        self.order: list[int] = []
        """The numbers in ``messages``, as a heap."""


class Reassembly:
    """Turns data chunks in any order into messages in the right order."""

    def __init__(
        self, *, interleaving: bool, streams: int, limit: int, max_message_size: int
    ) -> None:
        """Start empty.

        Args:
            interleaving: I-DATA was agreed on.
            streams: Incoming streams that we offered.
            limit: Bytes of incomplete and waiting messages, bookkeeping included, above which
                the association ends.
            max_message_size: Bytes of the largest message we accept.
        """
        self.assembler: DataAssembler | IDataAssembler = (
            IDataAssembler() if interleaving else DataAssembler()
        )
        self._unwrap = unwrap32 if interleaving else unwrap16
        self._unfinished: Sized = self.assembler.unfinished
        self._turns: dict[int, int] = {}
        """Unwrapped sequence number of the next ordered message, by stream."""
        self._early: dict[int, _Waiting] = {}
        """By stream; only for streams where messages wait, because a peer may use all streams."""
        self._waiting = 0
        """Bytes of complete messages that wait for their turn."""
        self._waiting_count = 0
        self._stream_count = streams
        self.invalid_streams: list[int] = []
        """Used streams that do not exist, to be reported (RFC 9260, 6.5)."""
        self._limit = limit
        self._max_message_size = max_message_size
        self.deliver: DeliverMessage = _nobody

    @property
    def buffered(self) -> int:
        """Bytes received and not delivered yet."""
        return self.assembler.buffered + self._waiting

    @property
    def bookkeeping(self) -> int:
        """Bytes that the messages received and not delivered yet count beside their payload."""
        return BOOKKEEPING * (len(self._unfinished) + self._waiting_count)

    def add(self, chunk: DataChunk, tsn: Tsn, *, in_order: bool) -> None:
        """Add a chunk that is not a duplicate, and deliver the message that it completes.

        Args:
            chunk: Any data chunk.
            tsn: Unwrapped.
            in_order: Everything before it had arrived or was given up.

        Raises:
            RemoteProtocolError: The peer exceeds a limit.
        """
        message = self.assembler.add(chunk, tsn, in_order=in_order)
        if message is not None:
            self.finish(chunk.stream_id, chunk.flags & UNORDERED, chunk.message, *message)

    def check_limit(self) -> None:
        """Check the memory limit of the peer; called after every batch of datagrams.

        Raises:
            RemoteProtocolError: Incomplete and waiting messages exceed it.
        """
        if self.buffered + self.bookkeeping > self._limit:
            raise RemoteProtocolError(
                f"unfinished messages take more than {self._limit} bytes",
                cause(Cause.OUT_OF_RESOURCE),
            )

    def finish(self, stream_id: int, unordered: int, number: int, ppid: int, data: bytes) -> None:
        """Deliver a complete message, or keep it for its turn.

        Args:
            stream_id: Its stream.
            unordered: Its U bit; anything but zero is set.
            number: Stream sequence number or message identifier, as on the wire.
            ppid: Payload protocol identifier.
            data: All its bytes.

        Raises:
            RemoteProtocolError: It is larger than what we accept.
        """
        if len(data) > self._max_message_size:
            raise RemoteProtocolError(
                f"a message of {len(data)} bytes; we accept {self._max_message_size}",
                cause(Cause.OUT_OF_RESOURCE),
            )
        if stream_id >= self._stream_count:
            if len(self.invalid_streams) < _MAX_REPORTS:
                self.invalid_streams.append(stream_id)
            return
        if unordered:
            self.deliver(stream_id, ppid, data)
            return
        turn = self._turns.get(stream_id, 0)
        number = self._unwrap(number, turn)
        if number == turn:
            self._turns[stream_id] = turn + 1
            self.deliver(stream_id, ppid, data)
            if stream_id in self._early:
                self._advance(stream_id, turn + 1)
        elif number > turn:
            self._keep(stream_id, number, ppid, data)
        # A number that was already delivered or abandoned: the message is dropped.

    def _keep(self, stream_id: int, number: int, ppid: int, data: bytes) -> None:
        waiting = self._early.get(stream_id)
        if waiting is None:
            waiting = self._early[stream_id] = _Waiting()
        if number in waiting.messages:
            return
        if len(waiting.messages) >= _MAX_WAITING_PER_STREAM:
            raise RemoteProtocolError("too many messages wait for an earlier one")
        waiting.messages[number] = (ppid, data)
        heappush(waiting.order, number)
        self._waiting += len(data)
        self._waiting_count += 1

    def _advance(self, stream_id: int, turn: int) -> None:
        """Advance to ``turn``: deliver messages up to it, and those that follow without a gap."""
        waiting = self._early.get(stream_id)
        if waiting is not None:
            order = waiting.order
            while order and order[0] <= turn:
                number = heappop(order)
                ppid, data = waiting.messages.pop(number)
                turn = max(turn, number + 1)
                self._waiting -= len(data)
                self._waiting_count -= 1
                self.deliver(stream_id, ppid, data)
            if not order:
                del self._early[stream_id]
        self._turns[stream_id] = turn

    def skip(self, left: Tsn, forwarded: Tsn, reached: Tsn, skipped: tuple[Skipped, ...]) -> None:
        """Obey a FORWARD-TSN (RFC 3758, 3.6) or I-FORWARD-TSN (RFC 8260, 2.3.1).

        Messages up to the skipped one that are complete are handed up; then the stream goes on.

        Args:
            left: The cumulative TSN up to now, unwrapped.
            forwarded: The TSN that the peer says may be skipped to.
            reached: The cumulative TSN that results.
            skipped: The last abandoned message of each stream.
        """
        self.assembler.skip(left, forwarded, reached, skipped)
        for stream_id, unordered, message in skipped:
            if unordered or stream_id >= self._stream_count:
                continue
            turn = self._turns.get(stream_id, 0)
            number = self._unwrap(message, turn)
            if number >= turn:
                self._advance(stream_id, number + 1)

    def reset_streams(self, stream_ids: frozenset[int] | None, reached: Tsn) -> None:
        """Reset the numbers of these streams (``None``: all) to zero (RFC 6525, 5.2.2).

        Args:
            stream_ids: Streams that the peer has reset.
            reached: The cumulative TSN, unwrapped; all data before the reset has arrived.
        """
        self.assembler.reset_streams(stream_ids, reached)
        for stream_id in {*self._turns, *self._early} if stream_ids is None else stream_ids:
            self._turns.pop(stream_id, None)
            waiting = self._early.pop(stream_id, None)
            if waiting is not None:
                self._waiting -= sum(len(data) for _, data in waiting.messages.values())
                self._waiting_count -= len(waiting.messages)


def _nobody(stream_id: int, ppid: int, data: bytes) -> None:
    raise AssertionError("nobody takes the messages")
