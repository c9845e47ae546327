"""A UDP socket that aioice and the data path share: STUN goes to the one, DTLS to the other.

aioice's socket belongs to an asyncio transport that hands over one datagram at a time. It is
taken over by public calls only: its descriptor duplicated, the transport closed, and this put in
the transport's place, so that connectivity checks and consent (RFC 7675) go on as before.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from typing import Any

from peer.udp import Address, UdpEndpoint, open_batch_socket

from .demultiplexing import are_records, is_records
from .ice.agent import IceProtocol

__all__ = ["SharedSocket"]


class SharedSocket(asyncio.DatagramTransport):
    """Stands in for the transport of one `ice.IceProtocol`."""

    def __init__(
        self,
        protocol: IceProtocol,
        *,
        on_records: Callable[[memoryview, int], None],
        on_batches_end: Callable[[], None],
        on_writable: Callable[[], None],
    ) -> None:
        """Take the socket of `protocol` over.

        Args:
            protocol: Of the nominated pair; gets all that is not DTLS.
            on_records: Called with DTLS datagrams of equal length (the last may be shorter) in
                one buffer that is reused after the call, and that length.
            on_batches_end: See `UdpEndpoint`.
            on_writable: See `UdpEndpoint`.

        Raises:
            NotImplementedError: The event loop cannot watch descriptors.
            OSError: The descriptor cannot be duplicated.
        """
        loop = asyncio.get_running_loop()
        before = protocol.transport
        own = before.get_extra_info("socket")
        sock = socket.socket(own.family, own.type, own.proto, fileno=os.dup(own.fileno()))
        self._protocol = protocol
        self._on_records = on_records
        batched = open_batch_socket(sock)
        try:
            self.endpoint = UdpEndpoint(
                batched,
                loop,
                on_batch=self._on_batch,
                on_batches_end=on_batches_end,
                on_writable=on_writable,
                on_error=protocol.error_received,
                on_refused=lambda address: protocol.refused(address),
            )
        except NotImplementedError:
            batched.close()
            raise
        super().__init__({"socket": sock, "sockname": sock.getsockname()})
        # From here on the old transport must neither read nor tell its protocol that it ended.
        before.set_protocol(asyncio.DatagramProtocol())
        before.close()
        protocol.transport = self

    def _on_batch(self, data: memoryview, segment: int, address: Address) -> None:
        """Cut a batch into records of the other side and what `IceProtocol` may take."""
        known = self._protocol.receiver.knows(address)
        if known and are_records(data, segment):
            self._on_records(data, segment)
            return
        for at in range(0, len(data), segment):
            datagram = data[at : at + segment]
            if known and is_records(datagram):
                self._on_records(datagram, len(datagram))
            elif datagram[0] < 20:
                self._protocol.datagram_received(datagram.tobytes(), address)

    # For aioice

    def sendto(self, data: bytes | bytearray | memoryview, addr: Any = None) -> None:
        """See `asyncio.DatagramTransport.sendto`."""
        self.endpoint.send(bytes(data), len(data), addr)

    def is_closing(self) -> bool:
        """See `asyncio.BaseTransport.is_closing`."""
        return self.endpoint.closed

    def close(self) -> None:
        """Close the socket; the protocol hears of it in the loop's next turn."""
        if not self.endpoint.closed:
            self.endpoint.close()
            asyncio.get_running_loop().call_soon(self._protocol.connection_lost, None)

    def abort(self) -> None:
        """See `asyncio.DatagramTransport.abort`."""
        self.close()
