"""How SCTP packets travel: in batches over a UDP socket of ours, or one by one through aiortc."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, cast

from aioice.turn import TurnTransport
from aiortc import RTCDtlsTransport

from peer.rtc.ice.agent import IceProtocol
from peer.rtc.shared_socket import SharedSocket

from .records import RecordLayer, record_layer

if TYPE_CHECKING:
    from aioice import Connection as IceConnection
    from aioice.ice import CandidatePair

__all__ = [
    "BatchedPacketTransport",
    "PacketTransport",
    "SinglePacketTransport",
    "batched_packet_transport",
]

logger = logging.getLogger(__name__)

MAX_WAITING = 128
"""Packets that wait for aiortc to send them; while there are so many no more are made."""


class PacketTransport(Protocol):
    """Takes SCTP packets to the other side."""

    @property
    def ended(self) -> bool:
        """Whether the other side closed the encrypted connection."""

    @property
    def blocked(self) -> bool:
        """True while packets wait; `_drive` is called when they have left."""

    def send(self, packets: list[bytes]) -> None:
        """Send packets, in order."""

    async def close(self) -> None:
        """Stop; what waits is sent if that takes no time."""


class SinglePacketTransport:
    """Packets one by one through aiortc's DTLS transport, whatever lies under it."""

    def __init__(self, dtls: RTCDtlsTransport, on_writable: Callable[[], None]) -> None:
        self.ended = False
        self._dtls = dtls
        self._on_writable = on_writable
        self._waiting: deque[bytes] = deque()
        self._task: asyncio.Task[None] | None = None

    @property
    def blocked(self) -> bool:
        """See `PacketTransport.blocked`."""
        return len(self._waiting) >= MAX_WAITING

    def send(self, packets: list[bytes]) -> None:
        """See `PacketTransport.send`."""
        self._waiting += packets
        # A task may be done before it is kept: an eager one (Python 3.12) that never waited.
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._send(), name="send packets")

    async def _send(self) -> None:
        was_blocked = False
        try:
            while self._waiting:
                was_blocked = was_blocked or self.blocked
                await self._dtls._send_data(self._waiting.popleft())
        except ConnectionError:
            self._waiting.clear()  # DTLS is over; the connection finds out by itself
        if was_blocked:
            # When this task is done, and the next packets get one of their own.
            asyncio.get_running_loop().call_soon(self._on_writable)

    async def close(self) -> None:
        """See `PacketTransport.close`."""
        task = self._task
        if task is not None:
            await asyncio.wait({task}, timeout=0.1)
            if not task.done():
                task.cancel()
                await asyncio.wait({task})


def batched_packet_transport(
    dtls: RTCDtlsTransport,
    receive: Callable[[list[bytes]], None],
    drive: Callable[[], None],
) -> BatchedPacketTransport | None:
    """Take the connection's sockets over; None where the nominated pair has none to take."""
    transport = BatchedPacketTransport(dtls, receive, drive)
    return transport if transport.follow_nomination() is not None else None


class BatchedPacketTransport:
    """Batches of DTLS records over the UDP socket of the pair that ICE has nominated.

    All of the connection's sockets are taken over, not that one alone: the two sides need not
    use the same pair, so records may come in where none go out.
    """

    def __init__(
        self,
        dtls: RTCDtlsTransport,
        receive: Callable[[list[bytes]], None],
        drive: Callable[[], None],
    ) -> None:
        """
        Args:
            dtls: Connected.
            receive: Called with the packets of a turn of the loop.
            drive: Called after that, and when a full socket has room again.
        """
        self._dtls = dtls
        self._ice: IceConnection = dtls.transport._connection
        self._receive = receive
        self._drive = drive
        connection = dtls._ssl
        assert connection is not None, "DTLS is connected"
        self._records: RecordLayer = record_layer(connection)
        self._single = SinglePacketTransport(dtls, drive)
        self._arrived: list[bytes] = []
        """Packets of this turn of the loop."""
        self._pair: CandidatePair | None = None
        self._socket: SharedSocket | None = None
        for protocol in self._ice._protocols:
            self._take_over(cast(IceProtocol, protocol))
        self.max_segments = 64
        """Packets of one send, if the socket takes so many."""

    @property
    def ended(self) -> bool:
        """See `PacketTransport.ended`."""
        return self._records.ended

    @property
    def blocked(self) -> bool:
        """See `PacketTransport.blocked`."""
        if self._socket is not None:
            return self._socket.endpoint.blocked
        return self._single.blocked

    def follow_nomination(self) -> SharedSocket | None:
        """The socket of the pair in use now; None where records cannot go out in batches.

        A controlling browser may nominate one pair and then a better one.
        """
        pair = self._ice._nominated.get(1)
        if pair is self._pair:
            return self._socket
        self._pair, self._socket = pair, None
        if pair is not None and isinstance(pair.protocol.transport, SharedSocket):
            self._socket = pair.protocol.transport
        return self._socket

    def _take_over(self, protocol: IceProtocol) -> None:
        if isinstance(protocol.transport, TurnTransport):
            return
        try:
            SharedSocket(
                protocol,
                on_records=self._on_records,
                on_batches_end=self._on_batches_end,
                on_writable=self._drive,
            )
        except (OSError, NotImplementedError, AttributeError) as error:
            logger.info("no batches on this path: %s", error)

    @property
    def is_ipv6(self) -> bool:
        """Whether the nominated pair is one of IPv6 addresses."""
        return self._pair is not None and ":" in self._pair.remote_addr[0]

    def allow_fragments(self, allow: bool) -> None:
        """Let IP fragment packets, or no more: only packets cut before the path shrank need it."""
        if self._socket is not None:
            self._socket.endpoint.allow_fragments(allow)

    def send(self, packets: list[bytes]) -> None:
        """See `PacketTransport.send`."""
        shared = self.follow_nomination()
        if shared is None or self._pair is None:
            self._single.send(packets)
            return
        endpoint = shared.endpoint
        address = self._pair.remote_addr
        max_segments = min(self.max_segments, endpoint.max_segments)
        for run, segment in self._records.seal(packets, max_segments):
            endpoint.send(run, segment, address)

    def _on_records(self, records: memoryview, segment: int) -> None:
        packets = self._records.open(records, segment)
        # Where the kernel does not put packets together, a turn's are still handled as one.
        self._arrived += packets
        if len(packets) * segment < len(records):
            # Something else than data: OpenSSL may have an answer to it.
            answer = self._records.pending()
            if answer and self._socket is not None and self._pair is not None:
                self._socket.endpoint.send(answer, len(answer), self._pair.remote_addr)
            if self._records.ended:
                self._ice._queue.put_nowait(None)  # aiortc's DTLS task learns that it is over

    def _on_batches_end(self) -> None:
        arrived, self._arrived = self._arrived, []
        if arrived:
            self._receive(arrived)
        self._drive()

    async def close(self) -> None:
        """See `PacketTransport.close`; the sockets are aioice's to close."""
        await self._single.close()
