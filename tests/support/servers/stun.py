"""STUN servers for tests: one that answers when told to, and one that never does."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any, cast

from aioice import stun

from signaling.ice_servers import IceServer

__all__ = ["StunServer", "running_stun_server"]


class StunServer(asyncio.DatagramProtocol):
    """Answers binding requests with a fixed public address, as a router's outside would be."""

    def __init__(self, public_host: str, answering: bool) -> None:
        self.public_host = public_host
        self.asked = asyncio.Event()
        self.requests: list[tuple[stun.Message, tuple[str, int]]] = []
        self.entry = IceServer(urls=())
        self._answering = answering
        self._transport: asyncio.DatagramTransport | None = None
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)
        self.entry = IceServer(urls=(f"stun:127.0.0.1:{transport.get_extra_info('sockname')[1]}",))

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.set_result(None)

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        self.requests.append((stun.parse_message(data), (addr[0], addr[1])))
        self.asked.set()
        if self._answering:
            self.answer()

    def answer(self) -> None:
        """Answer everything that was asked, and answer at once from now on."""
        self._answering = True
        assert self._transport is not None
        for request, address in self.requests:
            response = stun.Message(
                message_method=stun.Method.BINDING,
                message_class=stun.Class.RESPONSE,
                transaction_id=request.transaction_id,
            )
            response.attributes["XOR-MAPPED-ADDRESS"] = (self.public_host, address[1])
            self._transport.sendto(bytes(response), address)
        self.requests.clear()


@contextlib.asynccontextmanager
async def running_stun_server(
    public_host: str = "192.0.2.1", *, answering: bool = True
) -> AsyncIterator[StunServer]:
    """A STUN server on the loopback interface; without `answering` it is dead until told."""
    transport, server = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: StunServer(public_host, answering), local_addr=("127.0.0.1", 0)
    )
    try:
        yield server
    finally:
        transport.close()
        await server.lost
