"""Transports of SCTP packets: in batches over a UDP socket of ours, or singly through aiortc."""

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
"""Packets that may wait for aiortc to send them; at this number the transport is blocked."""


class PacketTransport(Protocol):
    """Sends SCTP packets to the peer."""

    @property
    def ended(self) -> bool:
        """Whether the peer closed DTLS."""

    @property
    def blocked(self) -> bool:
        """Whether packets wait; the driver is called when they have been sent."""

    def send(self, packets: list[bytes]) -> None:
        """Send packets, in order."""

    async def close(self) -> None:
        """Stop; waiting packets are sent if the socket takes them at once."""


class SinglePacketTransport:
    """Sends packets singly through aiortc's DTLS transport, on any ICE transport."""

    def __init__(self, dtls: RTCDtlsTransport, on_writable: Callable[[], None]) -> None:
        self.ended = False
        self._dtls = dtls
        self._on_writable = on_writable
        self._waiting: deque[bytes] = deque()
        self._task: asyncio.Task[None] | None = None

    @property
    def blocked(self) -> bool:
        """Whether too many packets wait."""
        return len(self._waiting) >= MAX_WAITING

    def send(self, packets: list[bytes]) -> None:
        """Queue packets for a task that sends them in order."""
        self._waiting += packets
        # An eager task (Python 3.12) may be done before it is stored.
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._send(), name="send packets")

    async def _send(self) -> None:
        was_blocked = False
        try:
            while self._waiting:
                was_blocked = was_blocked or self.blocked
                await self._dtls._send_data(self._waiting.popleft())
        except ConnectionError:
            self._waiting.clear()  # DTLS has ended, which the connection detects
        if was_blocked:
            # After this task is done, so that the next packets start another.
            asyncio.get_running_loop().call_soon(self._on_writable)

    async def close(self) -> None:
        """Stop the task; waiting packets are sent if that takes no more than 0.1 s."""
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
    """Take over the connection's sockets; None where the nominated pair has no UDP socket."""
    transport = BatchedPacketTransport(dtls, receive, drive)
    return transport if transport.follow_nomination() is not None else None


class BatchedPacketTransport:
    """Batches of DTLS records over the UDP socket of the pair that ICE has nominated.

    All sockets of the connection are taken over: the two sides may use different pairs, so records
    may arrive on a socket on which none are sent.
    """

    def __init__(
        self,
        dtls: RTCDtlsTransport,
        receive: Callable[[list[bytes]], None],
        drive: Callable[[], None],
    ) -> None:
        """Take over the sockets of the connection.

        Args:
            dtls: Connected.
            receive: Called with the packets of one turn of the loop.
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
        """Packets received in this turn of the loop."""
        self._pair: CandidatePair | None = None
        self._socket: SharedSocket | None = None
        for protocol in self._ice._protocols:
            self._take_over(cast(IceProtocol, protocol))
        self.max_segments = 64
        """Packets per send, if the socket accepts so many."""

    @property
    def ended(self) -> bool:
        """Whether the peer closed DTLS."""
        return self._records.ended

    @property
    def blocked(self) -> bool:
        """Whether packets wait for a full socket."""
        if self._socket is not None:
            return self._socket.endpoint.blocked
        return self._single.blocked

    def follow_nomination(self) -> SharedSocket | None:
        """Return the socket of the present pair; None where records cannot be sent in batches.

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
        """Allow or forbid IP fragmentation, for packets cut before the path MTU fell."""
        if self._socket is not None:
            self._socket.endpoint.allow_fragments(allow)

    def send(self, packets: list[bytes]) -> None:
        """Seal packets into records and send them in batches."""
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
        # Without GRO the packets of one turn are still handled together.
        self._arrived += packets
        if len(packets) * segment < len(records):
            # A record without data: OpenSSL may have an answer to it.
            answer = self._records.pending()
            if answer and self._socket is not None and self._pair is not None:
                self._socket.endpoint.send(answer, len(answer), self._pair.remote_addr)
            if self._records.ended:
                self._ice._queue.put_nowait(None)  # ends aiortc's DTLS task

    def _on_batches_end(self) -> None:
        arrived, self._arrived = self._arrived, []
        if arrived:
            self._receive(arrived)
        self._drive()

    async def close(self) -> None:
        """Stop the single packets; aioice closes the sockets."""
        await self._single.close()
