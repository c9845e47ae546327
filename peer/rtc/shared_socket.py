"""A UDP socket that aioice and the packet transport share: STUN for one, DTLS for the other.

aioice's socket belongs to an asyncio transport that delivers one datagram at a time. `SharedSocket`
takes it over by public calls only: it duplicates the descriptor, closes the transport and takes its
place, so that connectivity checks and consent (RFC 7675) continue.
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
    """Replaces the transport of one `IceProtocol`; `endpoint` sends DTLS records."""

    def __init__(
        self,
        protocol: IceProtocol,
        *,
        on_records: Callable[[memoryview, int], None],
        on_batches_end: Callable[[], None],
        on_writable: Callable[[], None],
    ) -> None:
        """Take over the socket of `protocol`.

        Args:
            protocol: Receives all datagrams but DTLS.
            on_records: Called with DTLS datagrams of equal length (the last may be shorter) in
                one buffer that is reused after the call, and that length.
            on_batches_end: As of `UdpEndpoint`.
            on_writable: As of `UdpEndpoint`.

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
        # The old transport must neither read nor report its end to the protocol.
        before.set_protocol(asyncio.DatagramProtocol())
        before.close()
        protocol.transport = self

    def _on_batch(self, data: memoryview, segment: int, address: Address) -> None:
        """Divide a batch into records of the peer and datagrams for `IceProtocol`."""
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
        """Send one datagram."""
        self.endpoint.send(bytes(data), len(data), addr)

    def is_closing(self) -> bool:
        """Return whether the socket is closed."""
        return self.endpoint.closed

    def close(self) -> None:
        """Close the socket; the protocol is notified in the next turn of the loop."""
        if not self.endpoint.closed:
            self.endpoint.close()
            asyncio.get_running_loop().call_soon(self._protocol.connection_lost, None)

    def abort(self) -> None:
        """Close the socket."""
        self.close()
