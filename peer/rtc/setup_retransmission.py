"""Earlier retransmission of STUN requests and DTLS flights while a connection is set up.

OpenSSL retransmits a DTLS flight after 1 s and aioice a STUN request after 0.5 s, as their RFCs
require without knowledge of the path: one lost packet then takes longer than the rest of the
set-up. This module sends the same datagrams again after 100 ms. The peer sees a path that
duplicates: STUN answers the same request again (RFC 8489, 6.3.1), DTLS drops a record that it has
seen (RFC 6347, 4.1.2.6).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from aioice import stun
from aioice.ice import StunProtocol
from aiortc import RTCIceTransport

__all__ = ["FlightRetransmitter", "retransmit_requests"]

FIRST = 0.1
"""Seconds until the first retransmission; the interval doubles each time."""
FLIGHT_RETRANSMISSIONS = 5
REQUEST_RETRANSMISSIONS = 2
"""aioice itself starts after 0.5 s."""
PACE = 0.02
"""Additional seconds per outstanding request, so that many candidates do not flood the path."""
_CHANGE_CIPHER_SPEC, _HANDSHAKE = 20, 22
"""Content types of the records in flights (RFC 6347, 4.1)."""


class FlightRetransmitter:
    """Retransmits our last DTLS flight until an answer shows that it arrived."""

    def __init__(self, transport: RTCIceTransport) -> None:
        """Intercept the datagrams of the handshake.

        Args:
            transport: The ICE transport under DTLS.
        """
        self._loop = asyncio.get_running_loop()
        self._ice = transport._connection
        self._send_on = transport._send
        self._receive_on = self._ice.data_received
        self._flight = b""
        self._heard = b""
        self._retransmissions = 0
        self._timer: asyncio.TimerHandle | None = None
        transport._send = self._send
        self._ice.data_received = self._data_received  # type: ignore[method-assign]

    def stop(self) -> None:
        """Stop: the flight has arrived, or the connection is over."""
        self._flight = b""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def _send(self, data: bytes) -> None:
        await self._send_on(data)
        if data[0] in (_CHANGE_CIPHER_SPEC, _HANDSHAKE):
            self.stop()
            self._flight = data
            self._retransmissions = 0
            self._timer = self._loop.call_later(FIRST, self._retransmit)

    def _data_received(self, data: bytes, component: int) -> None:
        if data != self._heard:
            self._heard = data
            self.stop()
        elif self._flight and self._retransmissions < FLIGHT_RETRANSMISSIONS:
            self._retransmit()  # the peer retransmits: our flight was lost
        self._receive_on(data, component)

    def _retransmit(self) -> None:
        pair = self._ice._nominated.get(1)
        if pair is None or pair.protocol.transport.is_closing():
            self.stop()
            return
        pair.protocol.transport.sendto(self._flight, pair.remote_addr)
        self._retransmissions += 1
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._retransmissions < FLIGHT_RETRANSMISSIONS:
            self._timer = self._loop.call_later(
                FIRST * (1 << self._retransmissions), self._retransmit
            )


def retransmit_requests(protocol: StunProtocol) -> None:
    """Retransmit the requests of a protocol to STUN and TURN servers and to the peer."""
    protocol.request = _Requests(protocol)  # type: ignore[method-assign]


class _Requests:
    """Replaces `StunProtocol.request`."""

    def __init__(self, protocol: StunProtocol) -> None:
        self._protocol = protocol
        self._request: Callable[..., Awaitable[tuple[stun.Message, tuple[str, int]]]]
        self._request = protocol.request

    async def __call__(
        self,
        request: stun.Message,
        addr: tuple[str, int],
        integrity_key: bytes | None = None,
        retransmissions: int | None = None,
    ) -> tuple[stun.Message, tuple[str, int]]:
        loop = asyncio.get_running_loop()
        pace = FIRST + PACE * len(self._protocol.transactions)
        timers = [
            loop.call_later(pace * ((2 << n) - 1), self._retransmit, request, addr)
            for n in range(REQUEST_RETRANSMISSIONS)
        ]
        try:
            return await self._request(request, addr, integrity_key, retransmissions)
        finally:
            for timer in timers:
                timer.cancel()

    def _retransmit(self, request: stun.Message, addr: tuple[str, int]) -> None:
        if not self._protocol.transport.is_closing():
            self._protocol.send_stun(request, addr)
