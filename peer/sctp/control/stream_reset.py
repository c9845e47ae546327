"""Stream reset (RFC 6525), by which WebRTC closes channels (RFC 8831, 6.7).

Outgoing: a stream is reset when its queue is empty and the peer has acknowledged all its data:
aiortc and werift ignore the TSN in the request and lose later retransmissions. The same
implementation does not need that acknowledgement. Nothing is sent on the stream until the peer has
answered. One request is outstanding at a time.

Incoming: a request is granted when all data up to its TSN has arrived; before that the answer is
"in progress", and the peer asks again.
"""

from __future__ import annotations

from collections.abc import Callable

from peer.sctp.context import Context
from peer.sctp.receive.receiver import Receiver
from peer.sctp.send.send_queue import SendQueue
from peer.sctp.timers import Timer
from peer.sctp.wire.chunks.reconfig import IncomingReset, OutgoingReset, Response, Result, reconfig
from peer.sctp.wire.params import Param, ParamType
from peer.sctp.wire.serial import MASK32, Tsn

__all__ = ["StreamReset"]

_DONE = frozenset({Result.NOTHING_TO_DO, Result.PERFORMED})
_MAX_STREAMS = 400
"""Streams per request: it must fit a packet."""
_UNSUPPORTED = frozenset(
    {ParamType.SSN_TSN_RESET, ParamType.ADD_OUTGOING_STREAMS, ParamType.ADD_INCOMING_STREAMS}
)

StreamsReset = Callable[[frozenset[int] | None], None]
"""Called with the streams; ``None`` for all."""


class StreamReset:
    """Both directions of RFC 6525's stream reset."""

    def __init__(
        self,
        context: Context,
        queue: SendQueue,
        receiver: Receiver,
        *,
        local_tsn: int,
        peer_tsn: int,
        same_implementation: bool,
        on_outgoing: StreamsReset,
        on_incoming: StreamsReset,
        on_asked: Callable[[int], None],
    ) -> None:
        """Prepare; no request is outstanding.

        Args:
            context: For sending and for the timer ``RECONFIG``.
            queue: Our streams.
            receiver: The peer's streams.
            local_tsn: Our initial TSN: the first request number (RFC 6525, 4.1).
            peer_tsn: The initial TSN of the peer.
            same_implementation: The peer runs this implementation.
            on_outgoing: Called when streams of ours are reset.
            on_incoming: Called when streams of the peer are reset.
            on_asked: Called with a stream of ours whose reset the peer requests.
        """
        self._context = context
        self._queue = queue
        self._receiver = receiver
        self._same_implementation = same_implementation
        self._on_outgoing = on_outgoing
        self._on_incoming = on_incoming
        self._on_asked = on_asked
        self._next_request = local_tsn
        self._wanted: set[int] = set()
        """Streams to reset whose queue is not empty yet."""
        self._emptied: dict[int, Tsn] = {}
        """Streams to reset, and the last TSN that they may have used."""
        self._request: OutgoingReset | None = None
        self.attempts = 0
        """Retransmissions of the present request."""
        self._expected = peer_tsn
        self._last_result: int = Result.NOTHING_TO_DO
        self._deferred: OutgoingReset | None = None
        self._in_progress = False
        """Whether the present request was answered by "in progress"."""

    # Outgoing

    def reset(self, stream_id: int) -> None:
        """Reset a stream of ours after its queue is empty."""
        self._queue.stream(stream_id).closing = True
        self._wanted.add(stream_id)

    @property
    def is_idle(self) -> bool:
        """Whether ``advance`` has nothing to do."""
        return not self._wanted and not self._emptied and self._deferred is None

    def advance(self, now: float, rto: float, unacked: Tsn) -> bool:
        """Send a request, and grant the peer's, when they have become possible.

        Args:
            now: Monotonic time in seconds.
            rto: RTO in seconds.
            unacked: Lowest TSN of ours that the peer has not acknowledged.

        Returns:
            Whether there is something to send.
        """
        deferred = self._deferred
        granted = deferred is not None and self._receiver.has_received(deferred.last_tsn)
        if granted and deferred is not None:
            self._perform(deferred)
            self._respond(deferred.request, Result.PERFORMED)
        for stream_id in list(self._wanted):
            stream = self._queue.stream(stream_id)
            if not stream.messages:
                stream.paused = True
                self._wanted.remove(stream_id)
                self._emptied[stream_id] = self._queue.next_tsn - 1
        if self._request is not None:
            return granted
        ready = [
            stream_id
            for stream_id, last in self._emptied.items()
            if self._same_implementation or last < unacked
        ]
        if not ready:
            return granted
        del ready[_MAX_STREAMS:]
        for stream_id in ready:
            del self._emptied[stream_id]
        last_tsn = (self._queue.next_tsn - 1) & MASK32
        self._ask(last_tsn, tuple(sorted(ready)), now, rto)
        return True

    def _ask(self, last_tsn: int, streams: tuple[int, ...], now: float, rto: float) -> None:
        response = (self._expected - 1) & MASK32
        self._request = OutgoingReset(self._next_request, response, last_tsn, streams)
        self._next_request = (self._next_request + 1) & MASK32
        self.attempts = 0
        self._in_progress = False
        self._send_request(now, rto)

    def _send_request(self, now: float, rto: float) -> None:
        if self._request is not None:
            self._context.send(reconfig(self._request.param()))
            patience = min(rto * (1 << self.attempts), self._context.config.rto_max)
            self._context.timers.start(Timer.RECONFIG, now + patience)

    def on_timer(self, now: float, rto: float) -> None:
        """Retransmit the request."""
        request = self._request
        if request is None:
            return
        if self._in_progress:
            # dcsctp repeats its answer to a repeated number, so "in progress" would stay.
            self._ask(request.last_tsn, request.streams, now, rto)
            return
        self.attempts += 1
        self._send_request(now, rto)

    def _on_response(self, response: Response, now: float, rto: float) -> None:
        request = self._request
        if request is None or response.response != request.request:
            return
        self.attempts = 0
        if response.result == Result.IN_PROGRESS:
            self._in_progress = True
            self._context.timers.start(Timer.RECONFIG, now + rto)
            return
        self._request = None
        # Otherwise a lost next request would be repeated under another number.
        self._in_progress = False
        self._context.timers.stop(Timer.RECONFIG)
        for stream_id in request.streams:
            if response.result in _DONE:
                self._queue.reset_stream(stream_id)
            else:
                # Denied. The numbers go on, the stream stays usable.
                self._queue.resume_stream(stream_id)
        self._on_outgoing(frozenset(request.streams))

    # Incoming

    def on_params(self, params: list[Param], now: float, rto: float) -> None:
        """Handle the parameters of a RE-CONFIG chunk (RFC 6525, 5.2).

        Raises:
            Malformed: One of them does not parse.
        """
        for kind, value in params[:2]:
            if kind == ParamType.RECONFIG_RESPONSE:
                self._on_response(Response.parse(value), now, rto)
            elif kind == ParamType.OUTGOING_RESET:
                self._on_outgoing_request(OutgoingReset.parse(value))
            elif kind == ParamType.INCOMING_RESET:
                self._on_incoming_request(IncomingReset.parse(value))
            elif kind in _UNSUPPORTED and len(value) >= 4:
                request = int.from_bytes(value[:4], "big")
                if self._is_new(request):
                    self._answer(request, Result.DENIED)

    def _is_new(self, request: int) -> bool:
        """Return whether a request is the expected one; answer it here if it is not (5.2.1)."""
        if request == self._expected:
            return True
        if request == (self._expected - 1) & MASK32:
            self._respond(request, self._last_result)
        else:
            self._respond(request, Result.BAD_SEQUENCE_NUMBER)
        return False

    def _answer(self, request: int, result: Result) -> None:
        self._expected = (request + 1) & MASK32
        self._last_result = result
        self._respond(request, result)

    def _respond(self, request: int, result: int) -> None:
        self._context.answer(reconfig(Response(request, result).param()))

    def _on_outgoing_request(self, request: OutgoingReset) -> None:
        if not self._is_new(request.request):
            return
        if self._receiver.has_received(request.last_tsn):
            self._perform(request)
            self._answer(request.request, Result.PERFORMED)
        else:
            self._deferred = request
            self._answer(request.request, Result.IN_PROGRESS)

    def _perform(self, request: OutgoingReset) -> None:
        self._deferred = None
        self._last_result = Result.PERFORMED
        streams = frozenset(request.streams) or None
        self._receiver.on_reset(streams)
        self._on_incoming(streams)

    def _on_incoming_request(self, request: IncomingReset) -> None:
        """Handle the peer's request to reset streams of ours (5.2.3)."""
        if not self._is_new(request.request):
            return
        for stream_id in request.streams or tuple(self._queue.streams):
            self._on_asked(stream_id)
        self._answer(request.request, Result.PERFORMED)
