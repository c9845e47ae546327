"""Association setup (RFC 9260, 5).

::

    A -- INIT -------------> Z      A: CLOSED -> COOKIE_WAIT; Z keeps nothing
    A <- INIT ACK(cookie) -- Z
    A -- COOKIE ECHO ------> Z      A: COOKIE_WAIT -> COOKIE_ECHOED; Z: -> ESTABLISHED
    A <- COOKIE ACK -------- Z      A: -> ESTABLISHED

In WebRTC both sides send INIT (RFC 8831, 6.1), so the collision of 5.2.1 is the usual case:
each answers the other's INIT with the tag and TSN of its own, and whichever COOKIE ECHO
arrives first establishes the association (5.2.4, action B or D).

The handshake takes two round trips. When the session descriptions carry INIT chunks, each side
knows the INIT parameters of the other, and there is no handshake (``wire/init_parameters.py``).
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from peer.sctp.context import Context
from peer.sctp.errors import RemoteProtocolError
from peer.sctp.state import SETTING_UP, State, StateEvent
from peer.sctp.timers import Timer
from peer.sctp.wire.chunks.base import ChunkType, serialize_chunk
from peer.sctp.wire.chunks.control import TAG_REFLECTED
from peer.sctp.wire.cookie import Cookie
from peer.sctp.wire.features import unrecognised_params
from peer.sctp.wire.init_parameters import InitParameters
from peer.sctp.wire.params import Cause, Param, ParamType, cause

__all__ = ["Handshake"]

logger = logging.getLogger(__name__)


class Handshake:
    """Both roles of the four-way handshake."""

    def __init__(
        self,
        context: Context,
        *,
        on_established: Callable[[float], None],
        on_restart: Callable[[float], None],
        on_failed: Callable[[str], None],
    ) -> None:
        """Prepare; nothing is sent before `connect`.

        Args:
            context: ``local`` and ``peer`` are set here.
            on_established: Called with the time when data may flow.
            on_restart: Called before ``on_established`` when the peer restarted.
            on_failed: Called when the peer does not answer.
        """
        self._context = context
        self._on_established = on_established
        self._on_restart = on_restart
        self._on_failed = on_failed
        self._secret = context.random(32)
        self._attempts = 0
        """Retransmissions of the present INIT or COOKIE ECHO."""
        self._restarts = 0
        """Restarts because of a stale cookie."""
        self._cookie = b""

    def connect(self, now: float) -> None:
        """Send INIT (5.1 A)."""
        context = self._context
        context.local = InitParameters.new(context.config, context.random)
        context.machine.fire(StateEvent.CONNECT)
        self._attempts = self._restarts = 0
        self._send_init(now)

    def skip(self, local: InitParameters, peer: InitParameters, now: float) -> None:
        """Establish from INIT chunks exchanged by signaling: data may flow at once."""
        self._context.local, self._context.peer = local, peer
        self._context.machine.fire(StateEvent.INITS_SIGNALED)
        self._on_established(now)

    def _send_init(self, now: float) -> None:
        context = self._context
        if context.local is None:
            raise AssertionError("INIT before connect")
        features = context.local.features
        chunk = context.local.serialize(
            ChunkType.INIT, told=features.known_to_all() if self._attempts else features
        )
        # 8.5.1 A: a packet with an INIT has a verification tag of 0.
        context.packets.append(context.writer.wrap_checked(chunk, tag=0))
        self._restart_timer(Timer.T1_INIT, now)

    def _send_cookie_echo(self, now: float) -> None:
        chunk = serialize_chunk(ChunkType.COOKIE_ECHO, 0, self._cookie)
        self._context.packets.append(self._context.writer.wrap_checked(chunk))
        self._restart_timer(Timer.T1_COOKIE, now)

    def _restart_timer(self, timer: Timer, now: float) -> None:
        config = self._context.config
        delay = min(config.rto_initial * (1 << self._attempts), config.rto_max)
        self._context.timers.start(timer, now + delay)

    def on_timer(self, timer: Timer, now: float) -> None:
        """Send INIT or COOKIE ECHO again, or give up (5.1, T1 timers)."""
        self._attempts += 1
        if self._attempts > self._context.config.max_init_retransmissions:
            self._on_failed("the other side does not answer the handshake")
        elif timer is Timer.T1_INIT:
            self._send_init(now)
        else:
            self._send_cookie_echo(now)

    # Chunks of the peer

    def on_init(self, value: bytes, now: float) -> None:
        """Answer an INIT with a cookie, in any state (5.1 B, 5.2.1, 5.2.2)."""
        context = self._context
        state = context.machine.state
        peer, _, unrecognised = InitParameters.parse(value)
        if peer.tag == 0:
            return  # 3.3.2: discarded silently
        try:
            peer.check()
        except RemoteProtocolError as error:
            # 8.4, 3: it carries the tag of the INIT.
            abort = serialize_chunk(ChunkType.ABORT, 0, error.cause)
            context.answer_packet(context.writer.wrap_checked(abort, tag=peer.tag))
            return
        if state is State.SHUTDOWN_ACK_SENT:
            # 9.2: the peer missed our SHUTDOWN ACK.
            context.answer(serialize_chunk(ChunkType.SHUTDOWN_ACK))
            return
        local = InitParameters.new(context.config, context.random)
        local_tie = peer_tie = 0
        if state in SETTING_UP and context.local is not None:
            # 5.2.1: a collision. The same tag and TSN as in our own INIT.
            local = context.local
            peer_tie = context.peer.tag if context.peer is not None else 0
        elif context.local is not None and context.peer is not None:
            # 5.2.2: an association exists. The tie-tags remember it.
            local_tie, peer_tie = context.local.tag, context.peer.tag
        cookie = Cookie(local, peer, local_tie, peer_tie, now)
        params = [
            Param(ParamType.STATE_COOKIE, cookie.serialize(self._secret)),
            *unrecognised_params(unrecognised),
        ]
        told = local.features.in_answer_to(peer.features)
        chunk = local.serialize(ChunkType.INIT_ACK, params, told=told)
        context.answer_packet(context.writer.wrap_checked(chunk, tag=peer.tag))

    def on_init_ack(self, value: bytes, now: float) -> None:
        """Return the cookie (5.1 C). An INIT ACK in any other state is discarded (5.2.3).

        Raises:
            RemoteProtocolError: It has no cookie, or a field with an invalid value.
        """
        context = self._context
        if context.machine.state is not State.COOKIE_WAIT or context.local is None:
            return
        peer, params, unrecognised = InitParameters.parse(value)
        if peer.tag == 0:
            # 3.3.3: there is no tag for an ABORT but the one it came with.
            abort = serialize_chunk(ChunkType.ABORT, TAG_REFLECTED)
            context.packets.append(context.writer.wrap_checked(abort, tag=context.local.tag))
            raise RemoteProtocolError("INIT ACK with a zero tag", cause(Cause.INVALID_PARAMETER))
        context.peer = peer  # an ABORT can reach the peer from here on
        context.writer.set_peer(peer.tag, zero_checksum=False)
        peer.check()
        cookies = [p.value for p in params if p.kind == ParamType.STATE_COOKIE]
        if not cookies:
            missing = b"\0\0\0\1" + ParamType.STATE_COOKIE.to_bytes(2, "big")
            raise RemoteProtocolError(
                "INIT ACK without a cookie", cause(Cause.MISSING_PARAMETER, missing)
            )
        context.timers.stop(Timer.T1_INIT)
        context.machine.fire(StateEvent.INIT_ACK)
        self._cookie = cookies[0]
        self._attempts = 0
        self._send_cookie_echo(now)
        if unrecognised:
            reported = b"".join(p.value for p in unrecognised_params(unrecognised))
            context.answer(
                serialize_chunk(ChunkType.ERROR, 0, cause(Cause.UNRECOGNIZED_PARAMETERS, reported))
            )

    def on_cookie_echo(self, value: bytes, tag: int, now: float) -> bool:
        """Handle a COOKIE ECHO (5.1 D, 5.2.4).

        Args:
            value: The cookie.
            tag: Verification tag of its packet.
            now: Monotonic time in seconds.

        Returns:
            Whether the rest of its packet belongs to the association.
        """
        context = self._context
        state = context.machine.state
        cookie = Cookie.parse(value, self._secret)
        if cookie is None or tag != cookie.local.tag:
            return False
        local, peer = context.local, context.peer
        # 5.2.4: compare the tags with those of the association that exists.
        same_local = local is not None and local.tag == cookie.local.tag
        same_peer = peer is not None and peer.tag == cookie.peer.tag
        if now > cookie.created + context.config.cookie_lifetime and not (same_local and same_peer):
            staleness = int((now - cookie.created - context.config.cookie_lifetime) * 1e6)
            error = cause(Cause.STALE_COOKIE, min(staleness, 0xFFFFFFFF).to_bytes(4, "big"))
            chunk = serialize_chunk(ChunkType.ERROR, 0, error)
            context.answer_packet(context.writer.wrap_checked(chunk, tag=cookie.peer.tag))
            return False
        if state is State.CLOSED:
            self._establish(cookie, now)
        elif same_local and same_peer:
            # Action D: our COOKIE ACK was lost, or the peer's cookie overtook it.
            if state in SETTING_UP:
                self._establish(cookie, now)
        elif same_local and state in SETTING_UP:
            # Action B: both sides initiated at about the same time.
            self._establish(cookie, now)
        elif (
            local is not None
            and peer is not None
            and (cookie.local_tie_tag, cookie.peer_tie_tag) == (local.tag, peer.tag)
        ):
            # Action A: the peer restarted.
            if state is State.SHUTDOWN_ACK_SENT:
                error = cause(Cause.COOKIE_WHILE_SHUTTING_DOWN)
                context.answer(serialize_chunk(ChunkType.SHUTDOWN_ACK))
                context.answer(serialize_chunk(ChunkType.ERROR, 0, error))
                return False
            logger.debug("the peer restarted the association")
            self._on_restart(now)
            self._establish(cookie, now)
        else:
            return False  # action C: a late cookie
        context.answer(serialize_chunk(ChunkType.COOKIE_ACK))
        return True

    def _establish(self, cookie: Cookie, now: float) -> None:
        self._context.local = cookie.local
        self._context.peer = cookie.peer
        self._context.machine.fire(StateEvent.COOKIE_ECHO)
        self._finish(now)

    def on_cookie_ack(self, now: float) -> None:
        """Finish the handshake (5.1 E); in other states a COOKIE ACK is discarded (5.2.5)."""
        if self._context.machine.state is State.COOKIE_ECHOED:
            self._context.machine.fire(StateEvent.COOKIE_ACK)
            self._finish(now)

    def _finish(self, now: float) -> None:
        self._context.timers.stop(Timer.T1_INIT)
        self._context.timers.stop(Timer.T1_COOKIE)
        self._on_established(now)

    def on_stale_cookie(self, now: float) -> None:
        """Start again after a stale cookie, as often as an INIT may be sent (5.2.6)."""
        if self._context.machine.state is not State.COOKIE_ECHOED:
            return
        self._restarts += 1
        if self._restarts > self._context.config.max_init_retransmissions:
            self._on_failed("the other side finds every cookie of its own stale")
            return
        self._context.peer = None
        self._context.timers.stop(Timer.T1_COOKIE)
        self._context.machine.fire(StateEvent.STALE_COOKIE)
        self._attempts = 0
        self._send_init(now)
