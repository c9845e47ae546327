"""Allocations on TURN servers (RFC 8656), with aioice's clients.

What a server or a peer behind it sends is looked at before aioice reads it, as on our own sockets.
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
"""Seconds that giving an allocation back to a TURN server may take (a dead one never answers)."""
HEAD_START = 0.1
"""Seconds that an address of a server gets before the next one is tried beside it."""
MIN_LIFETIME = 30
"""Seconds of an allocation, whatever the server says."""
MAX_MESSAGE = 65535
"""Bytes of a STUN message of a server, which may carry a whole datagram."""

_FRAME = Struct("!HH")


class _Client:
    """What both kinds of clients do otherwise than aioice's."""

    async def delete(self) -> None:
        """Give the allocation back within a bounded time, also to a dead server."""
        try:
            async with asyncio.timeout(DELETE_TIMEOUT):
                await super().delete()  # type: ignore[misc]  # of the aioice class mixed in
        except TimeoutError:
            logger.info("the TURN server did not confirm the end of the allocation")

    async def request(self, request: stun.Message) -> tuple[stun.Message, tuple[str, int]]:
        """Ask the server; a lifetime of nothing would have it asked again without a pause."""
        result: tuple[stun.Message, tuple[str, int]] = await super().request(request)  # type: ignore[misc]
        attributes = result[0].attributes
        if "LIFETIME" in attributes:
            attributes["LIFETIME"] = max(attributes["LIFETIME"], MIN_LIFETIME)
        return result

    def abandon(self) -> None:
        """Give back what the server may have granted meanwhile, without waiting for an answer."""
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
        """Take what claims to be the server's; raises nothing, whatever it is."""
        data = cast(bytes, data)
        if not (len(data) >= 4 and turn.is_channel_data(data)) and not is_stun(data, MAX_MESSAGE):
            return
        try:
            super().datagram_received(data, addr)  # type: ignore[misc]
        except Exception:
            # The seam between strangers and aioice, as in `ice.IceProtocol`.
            logger.debug("aioice cannot take what a TURN server sent", exc_info=True)


class UdpClient(_Client, turn.TurnClientUdpProtocol):
    """A client that talks to its server over UDP."""

    def error_received(self, exc: Exception) -> None:
        """The system says that the server's port is closed."""
        receiver = self.receiver
        if isinstance(exc, ConnectionRefusedError) and isinstance(receiver, IceProtocol):
            receiver.receiver.doubt(
                receiver, "The TURN server that relayed the connection has stopped answering."
            )


class TcpClient(_Client, turn.TurnClientTcpProtocol):
    """A client that talks to its server over TCP or TLS."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self._stream = bytearray()

    def data_received(self, data: bytes) -> None:
        """Cut the stream into messages (RFC 8656 section 12.5, RFC 8489 section 6.2.2)."""
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
    """aioice's transport over an allocation, with the method of transports that it lacks."""

    def __init__(self, client: UdpClient | TcpClient) -> None:
        super().__init__(client)
        self.carrier = client.transport
        self._was_closed = False

    def is_closing(self) -> bool:
        """See `asyncio.BaseTransport.is_closing`."""
        return self._was_closed or self.carrier.is_closing()

    def close(self) -> None:
        """See `aioice.turn.TurnTransport.close`."""
        self._was_closed = True
        super().close()


async def allocate(endpoint: Endpoint, ice: IceConnection) -> IceProtocol:
    """Get an allocation on a TURN server, through whichever of its addresses answers first.

    Raises:
        OSError: the server cannot be reached, or its answer lacks what it must have.
        aioice.stun.TransactionError: it refuses, or does not answer.
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
        # A refusal, or another server was faster: neither a socket nor an allocation may stay.
        inner.abandon()
        carrier.close()
        raise
    return protocol
