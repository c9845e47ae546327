"""Handlers of the chunks that need a valid verification tag."""

from __future__ import annotations

import logging
from collections.abc import Callable

from .context import Context
from .control.handshake import Handshake
from .control.heartbeat import Heartbeat
from .control.shutdown import Shutdown
from .dispatch import Handler
from .errors import RemoteProtocolError
from .events import Ending
from .wire.chunks.base import ChunkType, RawChunk, serialize_chunk
from .wire.chunks.control import describe_causes, heartbeat_info, parse_shutdown
from .wire.chunks.data import DataChunk
from .wire.chunks.forward import ForwardTsn
from .wire.chunks.sack import Sack
from .wire.params import Cause, cause, parse_params

__all__ = ["ChunkHandlers"]

logger = logging.getLogger(__name__)


class ChunkHandlers:
    """Hands each chunk to the part of the association that it concerns."""

    def __init__(
        self,
        context: Context,
        *,
        handshake: Handshake,
        shutdown: Shutdown,
        heartbeat: Heartbeat,
        on_end: Callable[[Ending, str], None],
    ) -> None:
        self._context = context
        self._handshake = handshake
        self._shutdown = shutdown
        self._heartbeat = heartbeat
        self._on_end = on_end

    def handlers(self) -> dict[int, Handler]:
        """Return the handlers by chunk type, for the dispatcher."""
        return {
            ChunkType.DATA: self._on_data,
            ChunkType.I_DATA: self._on_data,
            ChunkType.SACK: self._on_sack,
            ChunkType.INIT_ACK: lambda chunk, now: self._handshake.on_init_ack(chunk.value, now),
            ChunkType.COOKIE_ACK: lambda chunk, now: self._handshake.on_cookie_ack(now),
            ChunkType.HEARTBEAT: self._on_heartbeat,
            ChunkType.HEARTBEAT_ACK: self._on_heartbeat_ack,
            ChunkType.ABORT: self._on_abort,
            ChunkType.ERROR: self._on_error,
            ChunkType.SHUTDOWN: self._on_shutdown,
            ChunkType.SHUTDOWN_ACK: lambda chunk, now: self._shutdown.on_shutdown_ack(),
            ChunkType.SHUTDOWN_COMPLETE: lambda c, now: self._shutdown.on_shutdown_complete(),
            ChunkType.FORWARD_TSN: self._on_forward_tsn,
            ChunkType.I_FORWARD_TSN: self._on_forward_tsn,
            ChunkType.RE_CONFIG: self._on_reconfig,
            ChunkType.PAD: lambda chunk, now: None,
        }

    def _on_data(self, chunk: RawChunk, now: float) -> None:
        tcb = self._context.tcb
        if tcb is not None and self._context.machine.may_receive_data:
            tcb.receiver.on_data(DataChunk.parse(*chunk))

    def _on_sack(self, chunk: RawChunk, now: float) -> None:
        tcb = self._context.tcb
        if tcb is None:
            return
        sack = Sack.parse(chunk.flags, chunk.value)
        if tcb.retransmission.on_sack(
            sack.cumulative_tsn, sack.window, sack.gaps, sack.duplicates, now
        ):
            self._heartbeat.on_answer(now)

    def _on_forward_tsn(self, chunk: RawChunk, now: float) -> None:
        tcb = self._context.tcb
        if tcb is None or not self._context.machine.may_receive_data:
            return
        interleaved = chunk.kind == ChunkType.I_FORWARD_TSN
        if not tcb.features.partial_reliability or interleaved is not tcb.features.interleaving:
            raise RemoteProtocolError(
                "a FORWARD-TSN that was not agreed on", cause(Cause.PROTOCOL_VIOLATION)
            )
        tcb.receiver.on_forward_tsn(ForwardTsn.parse(chunk.kind, chunk.value))

    def _on_reconfig(self, chunk: RawChunk, now: float) -> None:
        tcb = self._context.tcb
        if tcb is not None and tcb.stream_reset is not None:
            tcb.stream_reset.on_params(parse_params(chunk.value), now, tcb.rto)

    def _on_heartbeat(self, chunk: RawChunk, now: float) -> None:
        if self._context.tcb is not None:
            answer = serialize_chunk(ChunkType.HEARTBEAT_ACK, 0, chunk.value)
            self._context.answer(answer)

    def _on_heartbeat_ack(self, chunk: RawChunk, now: float) -> None:
        tcb = self._context.tcb
        if tcb is None:
            return
        info = heartbeat_info(chunk.value)
        if not self._heartbeat.on_ack(info, now):
            tcb.pmtu.on_ack(info, now)

    def _on_abort(self, chunk: RawChunk, now: float) -> None:
        self._on_end(Ending.ABORTED_BY_PEER, describe_causes(chunk.value))

    def _on_error(self, chunk: RawChunk, now: float) -> None:
        logger.debug("< ERROR %s", describe_causes(chunk.value))
        for kind, _ in parse_params(chunk.value):
            if kind == Cause.STALE_COOKIE:
                self._handshake.on_stale_cookie(now)

    def _on_shutdown(self, chunk: RawChunk, now: float) -> None:
        tcb = self._context.tcb
        if tcb is None:
            return
        retransmission = tcb.retransmission
        retransmission.on_sack(parse_shutdown(chunk.value), retransmission.peer_window, (), (), now)
        self._shutdown.on_shutdown(now, cumulative=tcb.receiver.cumulative_wire, rto=tcb.rto)
