"""One SCTP association for WebRTC, sans-I/O; it puts the other modules of this package together.

Every call that takes ``now`` may produce packets and events. After each such call, the caller
drains them: ``datagrams_to_send(now)`` until it returns nothing, ``next_event()`` until
``None``; then it asks ``get_timer()`` when to call ``handle_timer(now)``.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from .chunk_handlers import ChunkHandlers
from .config import SctpConfig
from .context import Context
from .control.channels import Channels, make_message
from .control.handshake import Handshake
from .control.heartbeat import Heartbeat
from .control.shutdown import Shutdown
from .dispatch import Dispatcher
from .errors import LocalProtocolError, RemoteProtocolError
from .events import (
    AssociationEnded,
    BufferedAmountLow,
    DataChannelMessage,
    Ending,
    Established,
    Event,
    Restarted,
)
from .receive.reassembly import BOOKKEEPING
from .send.outgoing_chunks import NORMAL_PRIORITY, Message
from .send.send_queue import SendQueue
from .state import State, StateEvent
from .stats import Stats
from .tcb import TransmissionControlBlock
from .timers import Timer
from .wire.chunks.base import ChunkType, serialize_chunk
from .wire.chunks.sack import drop_outdated
from .wire.dcep import DataChannelOpen
from .wire.init_parameters import parse_sctp_init
from .wire.params import Cause, cause
from .wire.ppid import Ppid

__all__ = ["Association"]

logger = logging.getLogger(__name__)

_SACK_EVERY = 2
_EMPTY = frozenset({Ppid.STRING_EMPTY, Ppid.BINARY_EMPTY})
_OPEN = frozenset({State.CLOSED, State.COOKIE_WAIT, State.COOKIE_ECHOED, State.ESTABLISHED})


class Association:
    """An association with one peer, and the data channels on it."""

    def __init__(self, config: SctpConfig, *, random: Callable[[int], bytes]) -> None:
        """Prepare an association; nothing is sent before `connect`.

        Args:
            config: Settings.
            random: Returns that many unpredictable bytes (``os.urandom``).
        """
        self._config = config
        self._context = Context(config, random)
        self._queue = SendQueue(datagram_size=config.datagram_size, overhead=config.overhead)
        self._channels = Channels(self._context, self._queue)
        self._handshake = Handshake(
            self._context,
            on_established=self._on_established,
            on_restart=self._on_restart,
            on_failed=lambda message: self._end(Ending.UNREACHABLE, message),
        )
        self._shutdown = Shutdown(self._context, self._end)
        self._shutdown_wanted = False
        """The application wants a shutdown, which may have to wait for (re-)establishment."""
        self._heartbeat = Heartbeat(self._context, self._on_round_trip)
        chunk_handlers = ChunkHandlers(
            self._context,
            handshake=self._handshake,
            shutdown=self._shutdown,
            heartbeat=self._heartbeat,
            on_end=self._end,
        )
        self._dispatcher = Dispatcher(
            self._context,
            chunk_handlers.handlers(),
            on_init=self._handshake.on_init,
            on_cookie_echo=self._handshake.on_cookie_echo,
        )

    # The five verbs

    def receive_datagram(self, data: bytes, now: float) -> None:
        """Process one packet from the peer, which may contain anything."""
        self.receive_datagrams((data,), now)

    def receive_datagrams(self, datagrams: Sequence[bytes], now: float) -> None:
        """Process packets that arrived together; far cheaper than one call per packet.

        Args:
            datagrams: Packets, oldest first.
            now: Monotonic time in seconds.
        """
        if len(datagrams) > 1:
            datagrams = drop_outdated(datagrams)
        step = len(datagrams)
        tcb = self._context.tcb
        if tcb is not None and not tcb.features.same_implementation:
            step = _SACK_EVERY
        try:
            for start in range(0, len(datagrams), step or 1):
                batch = datagrams if step == len(datagrams) else datagrams[start : start + step]
                self._receive(batch, now)
                tcb = self._context.tcb
                if tcb is not None and not tcb.features.same_implementation:
                    tcb.receiver.schedule_sack(now)
                    if (
                        start + step < len(datagrams)
                        and tcb.receiver.sack_is_due(now)
                        and self._context.may_answer
                    ):
                        sack = tcb.receiver.make_sack(now)
                        self._context.packets.append(self._context.writer.wrap(sack))
        except RemoteProtocolError as error:
            self._abort(error.cause, Ending.PROTOCOL_ERROR, str(error))

    def _receive(self, datagrams: Sequence[bytes], now: float) -> None:
        context = self._context
        machine = context.machine
        count = len(datagrams)
        index = 0
        while index < count:
            tcb = self._context.tcb
            if tcb is not None and machine.may_receive_data:
                index = tcb.data_packets.take(datagrams, index)
                if index == count:
                    break
            if self._dispatcher.receive(datagrams[index], now) and context.tcb is not None:
                context.tcb.receiver.packets += 1
            index += 1
        tcb = self._context.tcb
        if tcb is None:
            return
        tcb.after_batch()
        self._check_liveness()
        if tcb.receiver.packets and machine.state is State.SHUTDOWN_SENT:
            self._shutdown.on_data(now, cumulative=tcb.receiver.cumulative_wire, rto=tcb.rto)

    def datagrams_to_send(self, now: float) -> list[bytes]:
        """Return the packets that are due, in order; about ``max_burst`` at most.

        An empty list means that nothing is due before ``get_timer()``. Data packets of one
        call have the same size but for the last of a message, which suits segmentation offload.
        A packet larger than ``stats().datagram_size`` was cut before the path MTU fell; the
        caller must allow the network to fragment it.
        """
        context = self._context
        packets, context.packets = context.packets, []
        tcb = self._context.tcb
        if tcb is None:
            if context.control and context.peer is not None:
                packets.append(context.writer.wrap_checked(b"".join(context.control)))
                context.control = []
            return packets
        tcb.receiver.schedule_sack(now)
        machine = context.machine
        stream_reset = tcb.stream_reset
        if stream_reset is not None and stream_reset.is_idle:
            stream_reset = None
        if stream_reset is not None:
            stream_reset.advance(now, tcb.rto, tcb.outstanding.base)
        packets += tcb.datagrams(now, may_send_data=machine.may_send_data)
        if stream_reset is not None and stream_reset.advance(now, tcb.rto, tcb.outstanding.base):
            # Its messages had expired: no acknowledgement would trigger another call.
            packets += tcb.datagrams(now, may_send_data=False)
        if machine.state is State.ESTABLISHED:
            packets += tcb.mtu_probes(now)
        elif tcb.all_acked:
            cumulative = tcb.receiver.cumulative_wire
            self._shutdown.advance(now, cumulative=cumulative, rto=tcb.rto)
            packets += tcb.datagrams(now, may_send_data=False)
        if self._queue.drained:
            for stream in self._queue.drained:
                context.events.append(BufferedAmountLow(stream.stream_id))
            self._queue.drained.clear()
        return packets

    def get_timer(self) -> float | None:
        """Return when to call ``handle_timer`` (possibly in the past), or ``None`` for never."""
        deadline = self._context.timers.next_deadline()
        tcb = self._context.tcb
        if tcb is not None and self._context.machine.may_send_data:
            send_at = tcb.transmission.next_send_at
            if send_at is not None and (deadline is None or send_at < deadline):
                return send_at
        return deadline

    def handle_timer(self, now: float) -> None:
        """Handle the timers that are due. Harmless when called too early, or for pacing alone."""
        for timer in self._context.timers.pop_due(now):
            if self._context.machine.state is State.ENDED:
                return
            self._on_timer(timer, now)

    def next_event(self) -> Event | None:
        """Return the oldest event not returned yet, or ``None``."""
        events = self._context.events
        return events.popleft() if events else None

    # Calls of the application

    def connect(self, now: float, *, sctp_inits: tuple[bytes, bytes] | None = None) -> None:
        """Start the handshake. Both sides may, and in WebRTC both do.

        Args:
            now: Monotonic time in seconds.
            sctp_inits: Our INIT chunk (``make_sctp_init``) and the one in the peer's description.
                Both sides then skip the handshake.

        Raises:
            LocalProtocolError: It has started or ended, or an INIT chunk is not usable.
        """
        if self.state is not State.CLOSED:
            raise LocalProtocolError(f"cannot connect: {self.state.value}")
        if sctp_inits is None:
            self._handshake.connect(now)
        else:
            ours, peers = sctp_inits
            self._handshake.skip(parse_sctp_init(ours), parse_sctp_init(peers), now)

    def open_channel(
        self,
        label: str,
        *,
        protocol: str = "",
        ordered: bool = True,
        max_retransmits: int | None = None,
        max_lifetime: float | None = None,
        priority: int = NORMAL_PRIORITY,
        stream_id: int | None = None,
        negotiated: bool = False,
    ) -> int:
        """Open a data channel, also before the association is established.

        Args:
            label: Name, for the application.
            protocol: Name of the subprotocol.
            ordered: Messages arrive in the order in which they were sent.
            max_retransmits: Retransmissions after which a message is abandoned.
            max_lifetime: Seconds after which a message is abandoned.
            priority: Share of the path against other channels (RFC 8831, 6.4).
            stream_id: ``None`` takes a free one; needed when ``negotiated``.
            negotiated: Both sides open it with the same id; no DATA_CHANNEL_OPEN is sent.

        Returns:
            The stream id, which identifies the channel.

        Raises:
            LocalProtocolError: The association has ended, or a parameter is not allowed.
        """
        self._check_open()
        parameters = DataChannelOpen(
            label, protocol, ordered, max_retransmits, max_lifetime, priority
        )
        return self._channels.open(parameters, stream_id=stream_id, negotiated=negotiated)

    def send_message(self, stream_id: int, message: str | bytes, now: float) -> None:
        """Queue a message on a channel; the caller bounds the queue.

        Raises:
            LocalProtocolError: There is no such channel, or the message is larger than the peer
                accepts.
        """
        self._check_open()
        self._push(self._channels.message(stream_id, message, now))

    def close_channel(self, stream_id: int) -> None:
        """Close a channel after all its queued messages have been sent (RFC 8831, 6.7).

        Raises:
            LocalProtocolError: There is no such channel.
        """
        self._channels.close(stream_id)

    def send(
        self,
        stream_id: int,
        ppid: int,
        data: bytes,
        *,
        now: float,
        ordered: bool = True,
        max_retransmits: int | None = None,
        max_lifetime: float | None = None,
    ) -> None:
        """Queue a message on a stream, with or without a channel.

        Raises:
            LocalProtocolError: The message is empty or larger than the peer accepts, the
                stream does not exist or is being reset, or the association is ending.
        """
        self._check_open()
        self._push(
            make_message(
                stream_id, ppid, data, ordered=ordered, max_retransmits=max_retransmits,
                max_lifetime=max_lifetime, now=now,
            )
        )  # fmt: skip

    def _push(self, message: Message) -> None:
        size = len(message.data)
        limit = self._config.peer_max_message_size
        if not size:
            raise LocalProtocolError("SCTP carries no empty message (see peer.sctp.wire.ppid)")
        if limit and size > limit:
            raise LocalProtocolError(f"a message of {size} bytes; the peer accepts {limit}")
        if not 0 <= message.stream_id < self._context.streams:
            raise LocalProtocolError(f"there is no stream {message.stream_id}")
        stream = self._queue.streams.get(message.stream_id)
        if stream is not None and stream.closing:
            raise LocalProtocolError(f"stream {message.stream_id} is being reset")
        self._queue.push(message)

    def _check_open(self) -> None:
        if self.state not in _OPEN or self._shutdown_wanted:
            raise LocalProtocolError(f"the association takes no more data: {self.state.value}")

    def reset_stream(self, stream_id: int) -> None:
        """Reset a stream without a channel when its queue is empty (RFC 6525).

        Raises:
            LocalProtocolError: The association is not established, or the peer does not support it.
        """
        stream_reset = self._context.stream_reset
        if stream_reset is None:
            raise LocalProtocolError("streams cannot be reset now, or not with this peer")
        stream_reset.reset(stream_id)

    def consume(self, stream_id: int, size: int) -> None:
        """Return the ``size`` of a received message to the receive window.

        Args:
            stream_id: Stream of the message.
            size: Bytes; ``DataChannelMessage.size``, or less and the rest later.

        Raises:
            LocalProtocolError: It is more than was received.
        """
        tcb = self._context.tcb
        if tcb is None:
            return
        if not 0 <= size <= tcb.receiver.unread:
            raise LocalProtocolError(f"{size} bytes of stream {stream_id} were never received")
        tcb.receiver.consume(size)

    def buffered_amount(self, stream_id: int) -> int:
        """Return the bytes queued on a stream that have never been sent."""
        stream = self._queue.streams.get(stream_id)
        return 0 if stream is None else stream.buffered

    @property
    def datagram_size(self) -> int:
        """Bytes of the largest packet that the path is known to carry."""
        tcb = self._context.tcb
        return self._config.datagram_size if tcb is None else tcb.pmtu.size

    @property
    def all_acknowledged(self) -> bool:
        """Whether nothing is queued and the peer has acknowledged all data."""
        tcb = self._context.tcb
        return not self._queue.buffered if tcb is None else tcb.all_acked

    def set_buffered_amount_low_threshold(self, stream_id: int, size: int) -> None:
        """Request ``BufferedAmountLow`` when the queued bytes fall to ``size`` or below."""
        self._queue.stream(stream_id).low_threshold = size

    def shutdown(self, now: float) -> None:
        """Shut down: all queued data of both sides is delivered first (RFC 9260, 9.2)."""
        if self.state is State.CLOSED:
            self._end(Ending.SHUTDOWN, "")
        elif self.state is not State.ENDED:
            self._shutdown_wanted = self._queue.ending = True
            if self.state is State.ESTABLISHED:
                self._shutdown.start()

    def abort(self, reason: str = "") -> None:
        """Abort: queued data is lost (RFC 9260, 9.1)."""
        if self.state is not State.ENDED:
            text = cause(Cause.USER_ABORT, reason.encode()[:200])
            self._abort(text, Ending.ABORTED_BY_US, reason)

    @property
    def state(self) -> State:
        """State of the association."""
        return self._context.machine.state

    def stats(self) -> Stats:
        """Return the present statistics."""
        tcb = self._context.tcb
        if tcb is None:
            return Stats(datagram_size=self._config.datagram_size, buffered=self._queue.buffered)
        return tcb.stats()

    def trace(self) -> dict[str, float | str]:
        """Return the internal variables of congestion control, by name."""
        tcb = self._context.tcb
        return {} if tcb is None else tcb.controller.trace()

    # Callbacks of the parts

    def _on_established(self, now: float) -> None:
        context = self._context
        context.tcb = TransmissionControlBlock(context, self._queue, self._channels, self._deliver)
        features = context.tcb.features
        context.events.append(
            Established(
                features.same_implementation, features.interleaving, context.writer.zero_checksum
            )
        )
        self._queue.limit_streams(context.streams)
        self._channels.on_established()
        self._heartbeat.start(now)
        if self._shutdown_wanted:
            self._shutdown.start()

    def _on_restart(self, now: float) -> None:
        """Forget all data, channels and timers: the peer restarted (RFC 9260, 5.2.4.1)."""
        self._context.timers.stop_all()
        self._context.control.clear()
        self._context.events.append(Restarted())
        self._channels.clear()
        self._queue.clear()
        self._context.tcb = None

    def _deliver(self, stream_id: int, ppid: int, data: bytes) -> None:
        size = len(data) + BOOKKEEPING
        tcb = self._context.tcb
        if ppid == Ppid.DCEP:
            self._channels.on_dcep(stream_id, data)
            if tcb is not None:
                tcb.receiver.consume(size)
            return
        if len(data) == 1 and ppid in _EMPTY:
            data = b""
        refused = self._channels.on_message(DataChannelMessage(stream_id, ppid, data, size))
        if refused and tcb is not None:
            tcb.receiver.consume(refused)

    def _on_round_trip(self, rtt: float, now: float) -> None:
        if self._context.tcb is not None:
            self._context.tcb.on_round_trip(rtt, now)

    def _on_timer(self, timer: Timer, now: float) -> None:
        tcb = self._context.tcb
        if timer in (Timer.T1_INIT, Timer.T1_COOKIE):
            self._handshake.on_timer(timer, now)
        elif tcb is None:
            return
        elif timer is Timer.SACK:
            self._context.timers.start(
                Timer.SACK, now
            )  # due: the next call of `datagrams_to_send` sends it
        elif timer is Timer.LOSS:
            tcb.retransmission.detect(now)
        elif timer is Timer.PROBE:
            tcb.on_probe_timer(now)
        elif timer is Timer.HEARTBEAT:
            self._heartbeat.on_timer(now)
        elif timer is Timer.RECONFIG and tcb.stream_reset is not None:
            tcb.stream_reset.on_timer(now, tcb.rto)
        elif timer is Timer.PMTU:
            tcb.pmtu.on_timer(now)
        elif timer is Timer.T2_SHUTDOWN:
            self._shutdown.on_timer(now, cumulative=tcb.receiver.cumulative_wire, rto=tcb.rto)
        elif timer is Timer.T5_SHUTDOWN_GUARD:
            self._abort(cause(Cause.USER_ABORT), Ending.UNREACHABLE, "the shutdown took too long")
        self._check_liveness()

    def _check_liveness(self) -> None:
        """Abort when the peer has been silent for too long (RFC 9260, 8.1 and 8.2)."""
        tcb = self._context.tcb
        if tcb is None:
            return
        errors = tcb.retransmission.errors + self._heartbeat.missed
        attempts = tcb.stream_reset.attempts if tcb.stream_reset is not None else 0
        if max(errors, attempts) > self._config.max_retransmissions:
            self._abort(cause(Cause.USER_ABORT), Ending.UNREACHABLE, "the peer does not answer")
        elif tcb.pmtu.stuck:
            self._abort(
                cause(Cause.USER_ABORT),
                Ending.UNREACHABLE,
                "the path has shrunk, and does not carry what was cut for it before",
            )

    def _abort(self, causes: bytes, ending: Ending, message: str) -> None:
        context = self._context
        if context.peer is not None:
            chunk = serialize_chunk(ChunkType.ABORT, 0, causes)
            context.packets.append(context.writer.wrap_checked(chunk))
        self._end(ending, message)

    def _end(self, ending: Ending, message: str) -> None:
        context = self._context
        if context.machine.state is State.ENDED:
            return
        logger.debug("= ended: %s %s", ending.value, message)
        context.machine.fire(StateEvent.END)
        context.timers.stop_all()
        context.control.clear()
        context.events.append(AssociationEnded(ending, message))
        self._queue.clear()
        context.tcb = None
