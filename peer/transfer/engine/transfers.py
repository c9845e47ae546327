"""All transfers of one link (floor 3)."""

from __future__ import annotations

import asyncio
import logging
import os
from collections import deque
from collections.abc import AsyncIterator, Iterable
from dataclasses import replace
from functools import partial

from peer.errors import LinkClosed, PeerError, TransferBroken, TransferCancelled, TransferError
from peer.transfer.disk import Sources
from peer.transfer.protocol.config import MAX_UNDECIDED_BYTES, MIN_FRAME, TransferConfig
from peer.transfer.protocol.frames import BadFrame, parse_frame
from peer.transfer.protocol.messages import BadMessage, Offer, OfferMore, parse_message

from .incoming import IncomingTransfer
from .outgoing import OutgoingTransfer
from .port import TransferPort
from .workers import Workers

__all__ = ["Transfers"]

logger = logging.getLogger(__name__)

MAX_UNDECIDED = 16
"""Offers that may wait for a decision; the next is declined as `busy`."""

MAX_LIVE = 32
"""Incoming transfers in any state; an offer beyond is dropped without an answer."""

MAX_ACTIVE = 4
"""Incoming transfers that run at a time; the next accepted one is queued."""

SPARE_WINDOW = 4
"""Segments granted to each transfer beside the one with the whole window."""


class Transfers:
    """Sends and receives files over one link.

    Iterate over it for the offers of the other side. Buffers are bounded: `config.window` segments
    of 1 MiB for the first incoming transfer, 4 for each of 3 more beside it, and `2 *
    config.read_ahead` for each outgoing one.

    Args:
        port: The link.
        offerer: Whether our side made the link's offer: its transfers have even numbers.
        config: Window, frame size, read-ahead.
    """

    def __init__(
        self, port: TransferPort, *, offerer: bool, config: TransferConfig | None = None
    ) -> None:
        self._port = port
        self._config = config or TransferConfig()
        self._workers = Workers()
        self._next_id = 0 if offerer else 1
        self._last_offer = -1
        self._outgoing: dict[int, OutgoingTransfer] = {}
        self._incoming: dict[int, IncomingTransfer] = {}
        self._offered: deque[IncomingTransfer] = deque()
        self._offered_or_over = asyncio.Event()
        self._windows: dict[IncomingTransfer, int] = {}
        self._queue: deque[IncomingTransfer] = deque()
        self._end: PeerError | None = None
        self.dropped = 0
        """Blocks of no known transfer; a few are normal after a cancel."""

    # For programs

    async def send(
        self,
        paths: Sources | str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
        *,
        strict: bool = False,
    ) -> OutgoingTransfer:
        """Offer files and folders to the peer; see `Link.send_files`."""
        self._check_open()
        if isinstance(paths, Sources):
            if strict and not paths.strict:
                raise ValueError("these sources were not listed as strict")
            sources = paths
        else:
            if isinstance(paths, str | os.PathLike):
                paths = (paths,)
            sources = await self._workers.run(Sources.of, list(paths), strict=strict)
            self._check_open()
        sources._claim()
        transfer = self._next_id
        self._next_id += 2
        outgoing = OutgoingTransfer(
            transfer,
            sources,
            self._port,
            self._workers,
            self._sending_config(),
            partial(self._on_outgoing_end, transfer),
        )
        self._outgoing[transfer] = outgoing
        return outgoing

    async def __aiter__(self) -> AsyncIterator[IncomingTransfer]:
        """Yield the offers of the other side as they arrive, until the link is closed.

        Withdrawn offers are left out; those with unsafe names are not.

        Raises:
            LinkLost: The link broke.
        """
        while True:
            while self._offered:
                incoming = self._offered.popleft()
                if not _withdrawn(incoming):
                    yield incoming
            if self._end is not None:
                if isinstance(self._end, LinkClosed):
                    return
                raise self._end
            self._offered_or_over.clear()
            await self._offered_or_over.wait()

    # For links

    def receive_message(self, text: str | bytes) -> None:
        """Take a control message that the link does not handle. Never raises."""
        try:
            message = parse_message(text)
        except BadMessage as exc:
            logger.debug("%s", exc)
            transfer = None if exc.transfer is None else self._find(exc.transfer)
            if transfer is None and exc.transfer is not None and exc.kind == "offer":
                transfer = self._new_incoming(exc.transfer)  # shown as a declined offer
            if transfer is not None:
                transfer._protocol_error(str(exc))
            return
        if message is None or self._end is not None:
            return
        if isinstance(message, Offer) and message.transfer not in self._outgoing:
            self._receive_offer(message)
            return
        transfer = self._find(message.transfer)
        if transfer is not None:
            transfer._receive_message(message)
            if isinstance(message, OfferMore):
                self._bound_undecided(message.transfer)

    def receive_block(self, data: str | bytes) -> None:
        """Take a message from the blocks channel. Never raises."""
        try:
            frame = parse_frame(data) if isinstance(data, bytes) else None
        except BadFrame as exc:
            logger.debug("%s", exc)
            incoming = None if exc.transfer is None else self._incoming.get(exc.transfer)
            if incoming is not None:
                incoming._protocol_error(str(exc))
            return
        incoming = None if frame is None else self._incoming.get(frame.transfer)
        if frame is None or incoming is None:
            self.dropped += 1
            return
        incoming._receive_block(frame)

    def abort(self, error: PeerError) -> None:
        """End every transfer that is not done, because the link is over.

        Args:
            error: The reason; `LinkClosed` after an orderly end.
        """
        if self._end is None:
            self._end = error
            for transfer in self._live():
                transfer._abort(error)
            self._offered_or_over.set()

    async def close(self, error: PeerError | None = None) -> None:
        """End all transfers and wait until no task, file or thread is left.

        Args:
            error: As in `abort`; None after an orderly end.
        """
        self.abort(error or LinkClosed())
        for transfer in self._live():
            await transfer._ended()
        self._workers.close()

    # Internals

    def _check_open(self) -> None:
        if self._end is not None:
            raise self._end

    def _live(self) -> list[OutgoingTransfer | IncomingTransfer]:
        return [*self._outgoing.values(), *self._incoming.values()]

    def _find(self, transfer: int) -> OutgoingTransfer | IncomingTransfer | None:
        return self._outgoing.get(transfer) or self._incoming.get(transfer)

    def _sending_config(self) -> TransferConfig:
        limit = self._port.max_message_size or self._config.max_frame
        if limit < MIN_FRAME:
            raise TransferError("The other side accepts only messages too small for files.")
        return replace(self._config, max_frame=min(limit, self._config.max_frame))

    def _receive_offer(self, message: Offer) -> None:
        incoming = self._incoming.get(message.transfer)
        if incoming is not None:
            incoming._receive_message(message)  # a second offer, which the machine handles
            return
        undecided = [other for other in self._incoming.values() if other.undecided]
        incoming = self._new_incoming(message.transfer)
        if incoming is None:
            return
        if len(undecided) >= MAX_UNDECIDED:
            incoming._decline_now("busy")
        else:
            incoming._receive_message(message)
            self._bound_undecided(message.transfer)

    def _new_incoming(self, transfer: int) -> IncomingTransfer | None:
        """Start to receive an offer; None if its number is not allowed."""
        ours = transfer % 2 == self._next_id % 2
        if ours or transfer <= self._last_offer or len(self._incoming) >= MAX_LIVE:
            logger.debug("dropped an offer with number %d", transfer)
            return None
        self._last_offer = transfer
        incoming = IncomingTransfer(
            transfer,
            self._port,
            self._workers,
            self._config,
            self._on_offered,
            self._on_accepted,
            partial(self._on_incoming_end, transfer),
        )
        self._incoming[transfer] = incoming
        return incoming

    def _bound_undecided(self, transfer: int) -> None:
        """Decline an offer that makes the undecided lists too large together."""
        undecided = [other for other in self._incoming.values() if other.undecided]
        if sum(other.manifest.kept for other in undecided) > MAX_UNDECIDED_BYTES:
            self._incoming[transfer]._decline_now("busy" if len(undecided) > 1 else "too_many")

    def _on_outgoing_end(self, transfer: int) -> None:
        self._outgoing.pop(transfer, None)

    def _on_offered(self, incoming: IncomingTransfer) -> None:
        # Bounded, because the program may never iterate.
        self._offered = deque(other for other in self._offered if not _withdrawn(other))
        if len(self._offered) < 2 * MAX_UNDECIDED:
            self._offered.append(incoming)
            self._offered_or_over.set()

    def _on_accepted(self, incoming: IncomingTransfer) -> None:
        self._queue.append(incoming)
        self._begin_next()

    def _on_incoming_end(self, transfer: int) -> None:
        incoming = self._incoming.pop(transfer, None)
        if incoming is None:
            return
        self._windows.pop(incoming, None)
        if incoming in self._queue:
            self._queue.remove(incoming)
        self._begin_next()

    def _begin_next(self) -> None:
        while self._queue and len(self._windows) < MAX_ACTIVE and self._end is None:
            incoming = self._queue.popleft()
            whole = self._config.window
            window = min(SPARE_WINDOW, whole) if whole in self._windows.values() else whole
            self._windows[incoming] = window
            incoming._begin(window)


def _withdrawn(incoming: IncomingTransfer) -> bool:
    return isinstance(incoming.problem, TransferCancelled | TransferBroken)
