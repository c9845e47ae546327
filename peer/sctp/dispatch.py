"""Validation of received packets, and dispatch of their chunks (RFC 9260, 3.2, 8.4 and 8.5)..

A packet that does not parse, or has a wrong tag or checksum, is discarded silently. One that
violates the protocol raises :exc:`RemoteProtocolError`, which the association turns into an ABORT.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from .context import Context
from .errors import Malformed
from .state import SETTING_UP, State
from .wire.chunks.base import ChunkType, RawChunk, serialize_chunk
from .wire.chunks.control import TAG_REFLECTED
from .wire.crc32c import has_valid_checksum
from .wire.packet import parse_header, split_chunks
from .wire.params import Cause, cause, pad

__all__ = ["Dispatcher", "Handler"]

Handler = Callable[[RawChunk, float], None]
"""Called with a chunk and the time."""

_CHECKED = frozenset({ChunkType.INIT, ChunkType.COOKIE_ECHO})
"""RFC 9653, 5.3: packets with these chunks always need a checksum."""
_SILENT = frozenset({ChunkType.ABORT, ChunkType.SHUTDOWN_COMPLETE, ChunkType.COOKIE_ACK,
                     ChunkType.ERROR})  # fmt: skip
"""RFC 9260, 8.4: packets out of the blue with these chunks get no answer."""
_DATA = frozenset({ChunkType.DATA, ChunkType.I_DATA})
_MAY_REFLECT = frozenset({ChunkType.ABORT, ChunkType.SHUTDOWN_COMPLETE})


class Dispatcher:
    """Checks packets and hands their chunks to handlers."""

    def __init__(
        self,
        context: Context,
        handlers: dict[int, Handler],
        *,
        on_init: Callable[[bytes, float], None],
        on_cookie_echo: Callable[[bytes, int, float], bool],
    ) -> None:
        """Prepare to dispatch.

        Args:
            context: Of the association.
            handlers: By chunk type, for all chunks that need a valid tag.
            on_init: Called with value and time.
            on_cookie_echo: Called with value, tag and time; returns whether to handle the rest of
                    the packet.
        """
        self._context = context
        self._handlers = handlers
        self._on_init = on_init
        self._on_cookie_echo = on_cookie_echo

    def receive(self, datagram: bytes, now: float) -> bool:
        """Process a packet.

        Returns:
            Whether it contained user data, in a state that accepts data.

        Raises:
            RemoteProtocolError: The packet violates the protocol.
        """
        context = self._context
        try:
            source, target, tag = parse_header(datagram)
            if source != context.config.remote_port or target != context.config.local_port:
                return False
            chunks = split_chunks(datagram)
        except Malformed:
            return False
        kinds = {chunk.kind for chunk in chunks}
        if not self._has_good_checksum(datagram, kinds):
            return False
        first = chunks[0]
        if first.kind == ChunkType.INIT:
            # 8.5.1 A: alone, and with a tag of 0.
            if tag != 0 or len(chunks) > 1 or context.machine.state is State.ENDED:
                return False
            with contextlib.suppress(Malformed):
                self._on_init(first.value, now)
            return False
        if first.kind == ChunkType.COOKIE_ECHO:
            if context.machine.state is State.ENDED:
                return False
            if not self._on_cookie_echo(first.value, tag, now):
                return False
            chunks = chunks[1:]
        elif self._is_out_of_the_blue(first):
            self._answer_out_of_the_blue(kinds, tag)
            return False
        elif not self._has_good_tag(first, tag):
            return False  # discarded silently (8.5)
        has_data = False
        for chunk in chunks:
            if context.machine.state is State.ENDED:
                break
            if chunk.kind in _DATA and context.machine.may_receive_data:
                has_data = True
            if not self._handle(chunk, now):
                break
        return has_data

    def _has_good_checksum(self, datagram: bytes, kinds: set[int]) -> bool:
        # RFC 9653, 5.3: we offered to do without a checksum, so the peer may.
        offered = self._context.config.zero_checksum and not kinds & _CHECKED
        if offered and datagram[8:12] == b"\0\0\0\0":
            return True
        return has_valid_checksum(datagram)

    def _is_out_of_the_blue(self, first: RawChunk) -> bool:
        """Return whether a packet belongs to no association of ours (8.4), whatever its tag."""
        context = self._context
        if context.local is None or context.machine.state is State.ENDED:
            return True
        # 8.5.1 E: it answers an earlier association.
        return first.kind == ChunkType.SHUTDOWN_ACK and context.machine.state in SETTING_UP

    def _has_good_tag(self, first: RawChunk, tag: int) -> bool:
        local, peer = self._context.local, self._context.peer
        if first.kind in _MAY_REFLECT and first.flags & TAG_REFLECTED:
            # 8.5.1 B and C: it is the tag that we send to the peer.
            return peer is not None and tag == peer.tag
        return local is not None and tag == local.tag

    def _answer_out_of_the_blue(self, kinds: set[int], tag: int) -> None:
        context = self._context
        if kinds & _SILENT:
            return
        if ChunkType.SHUTDOWN_ACK in kinds:
            answer = serialize_chunk(ChunkType.SHUTDOWN_COMPLETE, TAG_REFLECTED)
        else:
            answer = serialize_chunk(ChunkType.ABORT, TAG_REFLECTED)
        context.answer_packet(context.writer.wrap_checked(answer, tag=tag))

    def _handle(self, chunk: RawChunk, now: float) -> bool:
        """Handle a chunk; return whether to handle the rest of the packet."""
        handler = self._handlers.get(chunk.kind)
        if handler is not None:
            try:
                handler(chunk, now)
            except Malformed:
                return False
            return True
        # 3.2: the two upper bits of an unknown type say what to do with it.
        if chunk.kind & 0x40:
            whole = serialize_chunk(chunk.kind, chunk.flags, chunk.value)[:64]
            error = cause(Cause.UNRECOGNIZED_CHUNK, pad(whole))
            self._context.answer(serialize_chunk(ChunkType.ERROR, 0, error))
        return bool(chunk.kind & 0x80)
