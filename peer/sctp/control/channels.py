"""Data channels on streams (RFC 8831, 6; RFC 8832, 6).

A channel is a pair of streams of the same number, one each way. It is opened in-band by a
DATA_CHANNEL_OPEN, or known to both beforehand ("negotiated"); it is closed when both of its
streams are reset, whichever side starts.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from itertools import chain

from peer.sctp.context import Context
from peer.sctp.errors import LocalProtocolError, Malformed
from peer.sctp.events import DataChannelClosed, DataChannelMessage, DataChannelOpened
from peer.sctp.receive.early_messages import EarlyMessages
from peer.sctp.send.outgoing_chunks import Message
from peer.sctp.send.send_queue import SendQueue
from peer.sctp.wire import dcep
from peer.sctp.wire.ppid import Ppid, encode_payload

__all__ = ["ChannelEntry", "Channels", "EntryState"]

_INFINITY = float("inf")
_MAX_TEXT = 0xFFFF
_MAX_REMEMBERED = 4096
"""Limit of the lists of streams without a channel; further refusals are not sent."""


class EntryState(enum.Enum):
    """State of a channel."""

    OPENING = "opening"
    """Opened by us and not acknowledged yet; messages may be sent (RFC 8832, 6)."""
    OPEN = "open"
    CLOSING = "closing"
    """At least one direction is being reset, or is reset."""


@dataclass(slots=True)
class ChannelEntry:
    """A data channel, as the association keeps it."""

    stream_id: int
    parameters: dcep.DataChannelOpen
    state: EntryState
    by_peer: bool = False
    announced: bool = False
    """Whether its ``DataChannelOpened`` was reported."""
    incoming_reset: bool = False
    outgoing_reset: bool = False
    held: int = 0
    """Bytes of the peer's OPEN messages that are kept for it."""
    next_open: bytes = b""
    """An OPEN that arrived before the answer to our reset, and waits for it."""


class Channels:
    """All channels of an association."""

    def __init__(self, context: Context, queue: SendQueue) -> None:
        self._context = context
        self._queue = queue
        self._channels: dict[int, ChannelEntry] = {}
        self._next_id = 0 if context.config.client else 1
        self._held = 0
        """Bytes of the peer's OPEN messages, which do not count in the window."""
        self._early = EarlyMessages(context.config.keep_early)
        self._refused: set[int] = set()
        """Streams of the peer whose messages are dropped until it has reset them."""
        self._ended_early: set[int] = set()
        """Streams that the peer reset while they had no channel here."""

    def __len__(self) -> int:
        return len(self._channels)

    def get(self, stream_id: int) -> ChannelEntry | None:
        """Return the channel, or ``None``."""
        return self._channels.get(stream_id)

    # Calls of the application

    def open(
        self, parameters: dcep.DataChannelOpen, *, stream_id: int | None, negotiated: bool
    ) -> int:
        """Open a channel.

        Args:
            parameters: Label, protocol and reliability.
            stream_id: ``None`` to take a free one of our parity.
            negotiated: The peer opens it, too; no DATA_CHANNEL_OPEN is sent.

        Returns:
            The stream id.

        Raises:
            LocalProtocolError: The parameters, the id or the number of channels is not allowed.
        """
        _check(parameters)
        if len(self._channels) >= self._context.config.max_channels:
            raise LocalProtocolError(f"there are {len(self._channels)} channels already")
        if stream_id is None:
            if negotiated:
                raise LocalProtocolError("a negotiated channel needs a stream id")
            stream_id = self._free_id()
        elif stream_id in self._channels:
            raise LocalProtocolError(f"stream {stream_id} has a channel")
        elif not 0 <= stream_id < self._context.streams:
            raise LocalProtocolError(f"there is no stream {stream_id}")
        elif stream_id in self._refused:
            raise LocalProtocolError(f"too much came on stream {stream_id} before it was opened")
        elif self._is_being_reset(stream_id):
            raise LocalProtocolError(f"stream {stream_id} is being reset")
        state = EntryState.OPEN if negotiated else EntryState.OPENING
        channel = ChannelEntry(stream_id, parameters, state)
        self._channels[stream_id] = channel
        self._queue.stream(stream_id).weight = parameters.priority
        if not negotiated:
            self._send(stream_id, Ppid.DCEP, parameters.serialize())
        elif self._context.tcb is not None:
            self._announce(channel)
            self._catch_up(channel)
        self._ended_early.discard(stream_id)
        return stream_id

    def _catch_up(self, channel: ChannelEntry) -> None:
        """Report messages, or the reset, that arrived for a channel before it was opened here."""
        self._context.events += self._early.take(channel.stream_id)
        if channel.stream_id in self._ended_early:
            self._ended_early.discard(channel.stream_id)
            channel.incoming_reset = True
            self._start_closing(channel)

    def _free_id(self) -> int:
        """Return the id of our parity that has been unused for longest.

        A peer forgets its channel when our answer to its reset arrives. The answer may be lost,
        and stock aiortc fails an assertion when the id is reused before the repetition.
        """
        limit = self._context.streams
        first = 0 if self._context.config.client else 1
        for stream_id in chain(range(self._next_id, limit, 2), range(first, self._next_id, 2)):
            taken = stream_id in self._channels or stream_id in self._refused
            if not taken and not self._is_being_reset(stream_id):
                self._next_id = stream_id + 2
                return stream_id
        raise LocalProtocolError("every stream has a channel")

    def _is_being_reset(self, stream_id: int) -> bool:
        stream = self._queue.streams.get(stream_id)
        return stream is not None and stream.closing

    def _send(self, stream_id: int, ppid: int, data: bytes) -> None:
        self._queue.push(Message(stream_id, ppid, data, 0, False, _INFINITY, _INFINITY))

    def message(self, stream_id: int, message: str | bytes, now: float) -> Message:
        """Return the queue entry for ``message`` on a channel.

        Raises:
            LocalProtocolError: There is no such channel, or it is closing.
        """
        channel = self._channels.get(stream_id)
        if channel is None or channel.state is EntryState.CLOSING:
            raise LocalProtocolError(f"channel {stream_id} is not open")
        ppid, data = encode_payload(message)
        parameters = channel.parameters
        # RFC 8832, 6: until the ACK, everything is ordered, behind the OPEN.
        ordered = parameters.ordered or channel.state is EntryState.OPENING
        return make_message(
            stream_id, ppid, data, ordered=ordered, max_retransmits=parameters.max_retransmits,
            max_lifetime=parameters.max_lifetime, now=now,
        )  # fmt: skip

    def close(self, stream_id: int) -> None:
        """Close a channel after its queue is empty.

        Raises:
            LocalProtocolError: There is no such channel.
        """
        channel = self._channels.get(stream_id)
        if channel is None:
            raise LocalProtocolError(f"there is no channel {stream_id}")
        if channel.state is not EntryState.CLOSING:
            self._start_closing(channel)

    def _start_closing(self, channel: ChannelEntry) -> None:
        channel.state = EntryState.CLOSING
        stream_reset = self._context.stream_reset
        if stream_reset is not None:
            stream_reset.reset(channel.stream_id)
        elif self._context.tcb is not None:
            # The peer cannot reset streams: forgetting the channel is all that is possible.
            self._forget(channel)

    def _forget(self, channel: ChannelEntry) -> None:
        del self._channels[channel.stream_id]
        self._held -= channel.held
        self._context.events.append(DataChannelClosed(channel.stream_id))

    def _announce(self, channel: ChannelEntry) -> None:
        if channel.announced:
            return
        channel.announced = True
        p = channel.parameters
        self._context.events.append(
            DataChannelOpened(
                channel.stream_id, p.label, p.protocol, p.ordered, p.max_retransmits,
                p.max_lifetime, p.priority, channel.by_peer,
            )
        )  # fmt: skip

    # Calls of the association

    def on_established(self) -> None:
        """Report negotiated channels as open, and reset those that were closed meanwhile.

        Channels on streams that the peer does not accept are closed, too.
        """
        for channel in list(self._channels.values()):
            if channel.stream_id >= self._context.streams:
                self._forget(channel)
            elif channel.state is EntryState.OPEN:
                self._announce(channel)
            elif channel.state is EntryState.CLOSING:
                self._start_closing(channel)

    def clear(self) -> None:
        """Forget and report every channel as closed: the peer restarted."""
        for channel in list(self._channels.values()):
            self._forget(channel)
        self._early.clear()
        self._refused.clear()
        self._ended_early.clear()

    # Messages and resets of the peer

    def on_message(self, message: DataChannelMessage) -> int:
        """Deliver a message, at once or when its channel is opened here.

        Returns:
            Bytes of refused messages, to return to the receive window.
        """
        stream_id = message.stream_id
        channel = self._channels.get(stream_id)
        if not self._context.config.keep_early or not (channel is None or channel.incoming_reset):
            self._context.events.append(message)
            return 0
        if stream_id not in self._refused:
            if self._early.keep(message):
                return 0
            self._refuse(stream_id)
        return message.size + sum(kept.size for kept in self._early.take(stream_id))

    def _refuse(self, stream_id: int) -> None:
        """Drop messages of a stream until the peer resets it, and request that (RFC 8832, 6)."""
        if len(self._refused) < _MAX_REMEMBERED:
            self._refused.add(stream_id)
            stream_reset = self._context.stream_reset
            if stream_reset is not None and stream_id not in self._channels:
                stream_reset.reset(stream_id)

    def on_dcep(self, stream_id: int, data: bytes) -> None:
        """Handle a message with the identifier 50 (RFC 8832, 6)."""
        if stream_id >= self._context.streams:
            return  # the peer accepts nothing on it: neither answer nor reset
        channel = self._channels.get(stream_id)
        if data[0] == dcep.ACK_TYPE:
            if channel is not None and channel.state is EntryState.OPENING:
                channel.state = EntryState.OPEN
                self._announce(channel)
        elif data[0] == dcep.OPEN_TYPE:
            if channel is None:
                self._on_open(stream_id, data)
            elif channel.state is not EntryState.CLOSING:
                # In use, or opened by both sides at once: closed, and not acknowledged.
                self._start_closing(channel)
            elif channel.incoming_reset and not channel.next_open and self._has_room(data):
                channel.next_open = data
                self._hold(channel, data)

    def _has_room(self, data: bytes) -> bool:
        return self._held + len(data) <= self._context.config.receive_window

    def _hold(self, channel: ChannelEntry, data: bytes) -> None:
        channel.held += len(data)
        self._held += len(data)

    def _on_open(self, stream_id: int, data: bytes) -> None:
        try:
            parameters = dcep.DataChannelOpen.parse(data)
        except Malformed:
            parameters = None
        room = len(self._channels) < self._context.config.max_channels and self._has_room(data)
        if parameters is None or not room:
            self._refuse(stream_id)
            return
        channel = ChannelEntry(stream_id, parameters, EntryState.OPEN, by_peer=True)
        self._channels[stream_id] = channel
        self._hold(channel, data)
        self._queue.stream(stream_id).weight = parameters.priority
        self._ended_early.discard(stream_id)
        self._announce(channel)
        self._context.events += self._early.take(stream_id)
        self._send(stream_id, Ppid.DCEP, dcep.ACK)

    def on_reset_wanted(self, stream_id: int) -> None:
        """Reset our stream on the peer's request (RFC 6525, 5.2.3), and close its channel."""
        channel = self._channels.get(stream_id)
        if channel is None:
            # A stream that was not used since its last reset needs no reset.
            stream_reset = self._context.stream_reset
            if stream_reset is not None and stream_id in self._queue.streams:
                stream_reset.reset(stream_id)
        elif channel.state is not EntryState.CLOSING:
            self._start_closing(channel)

    def on_incoming_reset(self, stream_ids: frozenset[int] | None) -> None:
        """Reset our streams, too: the peer has reset its own (RFC 8831, 6.7)."""
        for stream_id in list(self._channels) if stream_ids is None else stream_ids:
            channel = self._channels.get(stream_id)
            if stream_id in self._refused:
                self._refused.discard(stream_id)
            elif (
                channel is None
                and self._context.config.keep_early
                and len(self._ended_early) < _MAX_REMEMBERED
            ):
                self._ended_early.add(stream_id)
            if channel is None:
                continue
            channel.incoming_reset = True
            if channel.state is not EntryState.CLOSING:
                self._start_closing(channel)
            self._finish(channel)

    def on_outgoing_reset(self, stream_ids: frozenset[int] | None) -> None:
        """Note that the peer has acknowledged the reset of these streams."""
        for stream_id in stream_ids or ():
            channel = self._channels.get(stream_id)
            if channel is not None:
                channel.outgoing_reset = True
                self._finish(channel)

    def _finish(self, channel: ChannelEntry) -> None:
        if channel.incoming_reset and channel.outgoing_reset:
            self._forget(channel)
            stream_reset = self._context.stream_reset
            if channel.stream_id in self._refused and stream_reset is not None:
                stream_reset.reset(channel.stream_id)
            elif channel.next_open:
                self._on_open(channel.stream_id, channel.next_open)


def make_message(
    stream_id: int,
    ppid: int,
    data: bytes,
    *,
    ordered: bool,
    max_retransmits: int | None,
    max_lifetime: float | None,
    now: float,
) -> Message:
    """Return a message as the queue takes it."""
    return Message(
        stream_id,
        ppid,
        data,
        0 if ordered else 4,
        max_retransmits is not None or max_lifetime is not None,
        _INFINITY if max_retransmits is None else max_retransmits,
        _INFINITY if max_lifetime is None else now + max_lifetime,
    )


def _check(parameters: dcep.DataChannelOpen) -> None:
    if parameters.max_retransmits is not None and parameters.max_lifetime is not None:
        raise LocalProtocolError("a channel is limited by retransmits or by lifetime, not by both")
    if len(parameters.label.encode()) > _MAX_TEXT or len(parameters.protocol.encode()) > _MAX_TEXT:
        raise LocalProtocolError(f"label and protocol take {_MAX_TEXT} bytes each at most")
    if not 0 < parameters.priority <= 0xFFFF:
        raise LocalProtocolError("a priority is a number from 1 to 65535")
    for limit in (parameters.max_retransmits, parameters.max_lifetime):
        if limit is not None and not 0 <= limit <= 0xFFFFFFFF:
            raise LocalProtocolError(f"{limit} is no limit for retransmits or lifetime")
