"""Allocations on TURN servers (RFC 8656), with aioice's clients.

Datagrams of a server, or of a peer behind it, are checked before aioice reads them.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from functools import partial
from struct import Struct
from typing import Any, cast

from aioice import stun, turn

from peer.rtc.demultiplexing import is_stun

from .agent import IceConnection, IceProtocol
from .racing import race
from .servers import Endpoint, look_up

__all__ = ["RelayTransport", "allocate"]

logger = logging.getLogger(__name__)

DELETE_TIMEOUT = 1.0
"""Time limit for deleting an allocation, seconds; a dead server never answers."""
HEAD_START = 0.1
"""Head start of an address of a server before the next one is tried, seconds."""
MIN_LIFETIME = 30
"""Lower bound for the lifetime of an allocation, seconds."""
MAX_MESSAGE = 65535
"""Bytes of a STUN message of a server, which may contain a whole datagram."""

_FRAME = Struct("!HH")


class _Client:
    """Differences of both kinds of clients from aioice's."""

    async def delete(self) -> None:
        """Delete the allocation within a time limit."""
        try:
            async with asyncio.timeout(DELETE_TIMEOUT):
                await super().delete()  # type: ignore[misc]  # of the aioice class mixed in
        except TimeoutError:
            logger.info("the TURN server did not confirm the end of the allocation")

    async def request(self, request: stun.Message) -> tuple[stun.Message, tuple[str, int]]:
        """Send a request; raise a zero lifetime, which would cause refreshes without pause."""
        result: tuple[stun.Message, tuple[str, int]] = await super().request(request)  # type: ignore[misc]
        attributes = result[0].attributes
        if "LIFETIME" in attributes:
            attributes["LIFETIME"] = max(attributes["LIFETIME"], MIN_LIFETIME)
        return result

    def abandon(self) -> None:
        """Delete an allocation that the server may have granted, without waiting for an answer."""
        client = cast(turn.TurnClientMixin, self)
        if client.integrity_key is None or client.refresh_task is not None:
            return
        request = stun.Message(message_method=stun.Method.REFRESH, message_class=stun.Class.REQUEST)
        request.attributes["LIFETIME"] = 0
        request.attributes["USERNAME"] = client.username
        request.attributes["NONCE"] = client.nonce
        request.attributes["REALM"] = client.realm
        request.add_message_integrity(client.integrity_key)
        client._send(bytes(request))

    def datagram_received(self, data: bytes | str, addr: Any) -> None:
        """Process a datagram from the address of the server, without raising."""
        data = cast(bytes, data)
        if not (len(data) >= 4 and turn.is_channel_data(data)) and not is_stun(data, MAX_MESSAGE):
            return
        try:
            super().datagram_received(data, addr)  # type: ignore[misc]
        except Exception:
            # The boundary between strangers and aioice, as in `IceProtocol`.
            logger.debug("aioice cannot take what a TURN server sent", exc_info=True)


class UdpClient(_Client, turn.TurnClientUdpProtocol):
    """A client over UDP."""

    def error_received(self, exc: Exception) -> None:
        """Handle an ICMP port unreachable of the server."""
        receiver = self.receiver
        if isinstance(exc, ConnectionRefusedError) and isinstance(receiver, IceProtocol):
            receiver.receiver.doubt(
                receiver, "The TURN server that relayed the connection has stopped answering."
            )


class TcpClient(_Client, turn.TurnClientTcpProtocol):
    """A client over TCP or TLS."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self._stream = bytearray()

    def data_received(self, data: bytes) -> None:
        """Cut the stream into messages (RFC 8656, 12.5; RFC 8489, 6.2.2)."""
        self._stream += data
        at = 0
        while len(self._stream) - at >= _FRAME.size and not self.transport.is_closing():
            kind, length = _FRAME.unpack_from(self._stream, at)
            if kind >= 0x8000:
                logger.info("a TURN server sends something else than TURN")
                self.transport.abort()
                return
            header = 4 if kind >= 0x4000 else 20
            end = at + header + length + -length % 4
            if len(self._stream) < end:
                break
            self.datagram_received(bytes(self._stream[at:end]), self.server)
            at = end
        del self._stream[:at]


class RelayTransport(turn.TurnTransport):
    """aioice's transport over an allocation, with `is_closing`, which it lacks."""

    def __init__(self, client: UdpClient | TcpClient) -> None:
        super().__init__(client)
        self.carrier = client.transport
        self._was_closed = False

    def is_closing(self) -> bool:
        """Return whether the allocation or its carrier is closed."""
        return self._was_closed or self.carrier.is_closing()

    def close(self) -> None:
        """Close, and delete the allocation."""
        self._was_closed = True
        super().close()


async def allocate(endpoint: Endpoint, ice: IceConnection) -> IceProtocol:
    """Return an allocation on a TURN server, through the first of its addresses that answers.

    Raises:
        OSError: The server cannot be reached, or its answer is incomplete.
        aioice.stun.TransactionError: It refuses, or does not answer.
    """
    addresses = await look_up(endpoint.host)
    return await race(
        [(HEAD_START, partial(_allocate_at, endpoint, address, ice)) for address in addresses],
        foreseen=(OSError, stun.TransactionError),
        discard=lambda protocol: protocol.transport.close(),
    )


async def _allocate_at(endpoint: Endpoint, host: str, ice: IceConnection) -> IceProtocol:
    loop = asyncio.get_running_loop()
    address = (host, endpoint.port)

    def client(kind: type[UdpClient | TcpClient]) -> UdpClient | TcpClient:
        return kind(
            address,
            username=endpoint.username,
            password=endpoint.credential,
            lifetime=turn.DEFAULT_ALLOCATION_LIFETIME,
            channel_refresh_time=turn.DEFAULT_CHANNEL_REFRESH_TIME,
        )

    carrier: asyncio.BaseTransport
    inner: UdpClient | TcpClient
    if endpoint.transport == "tcp":
        context = ssl.create_default_context() if endpoint.tls else None
        carrier, inner = await loop.create_connection(
            lambda: client(TcpClient),
            *address,
            ssl=context,
            server_hostname=endpoint.host if endpoint.tls else None,
        )
    else:
        carrier, inner = await loop.create_datagram_endpoint(
            lambda: client(UdpClient), remote_addr=address
        )
        carrier.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_RCVBUF, turn.UDP_SOCKET_BUFFER_SIZE
        )
    try:
        protocol = IceProtocol(ice)
        await RelayTransport(inner)._connect(protocol)
    except BaseException:
        # Refused, or another server was faster: release the socket and the allocation.
        inner.abandon()
        carrier.close()
        raise
    return protocol
