"""Two connections over IPv6 alone: the pair, what its headers take, and the packets that fit."""

from __future__ import annotations

import asyncio
import re

from lab.namespaces import Network, own_network, set_loopback_mtu
from peer.rtc import Connection
from peer.rtc.dtls.packet_transport import BatchedPacketTransport
from peer.rtc.engines.association import AssociationTransport
from tests.support.links.connections import CONTROL, RecordingHandler
from tests.support.processes.leftovers import nothing_left_behind

_IPV4 = re.compile(r"^a=candidate:\S+ \d+ \S+ \d+ \d+\.[^\r\n]*\r?\n", re.MULTILINE)
ETHERNET = 1500
HEADERS = 40 + 8 + 37
"""Bytes of IPv6 (RFC 8200, 3), UDP and a DTLS 1.2 record with GCM."""
LARGEST = 1412
"""The largest SCTP packet of those that path MTU discovery tries which fits; 1424 does not."""


async def _connect(offerer: Connection, answerer: Connection) -> None:
    """Neither is told an IPv4 address of the other."""
    answer = await answerer.answer(_IPV4.sub("", await offerer.offer()))
    await offerer.accept_answer(_IPV4.sub("", answer))
    await asyncio.gather(offerer.connected(), answerer.connected())


async def _packets_of(transport: AssociationTransport, size: int) -> None:
    """Wait until the association sends packets of this size."""
    found = asyncio.Event()

    def look() -> None:
        if transport.association is not None and transport.association.datagram_size == size:
            found.set()

    transport.on_heard = look
    look()
    await found.wait()


async def _meet() -> None:
    async with nothing_left_behind(), asyncio.timeout(30):
        ends = [Connection(engine="peerline") for _ in range(2)]
        try:
            ours, theirs = (RecordingHandler(end.create_channel(CONTROL)) for end in ends)
            await _connect(*ends)
            for end in ends:
                assert end.path is not None
                assert end.path.kind == "direct"
                assert end.path.local_address.startswith("[::1]:")
                assert end.path.remote_address.startswith("[::1]:")
                transport = end._engine
                assert isinstance(transport, AssociationTransport)
                assert isinstance(transport._packet_transport, BatchedPacketTransport)
                assert transport._packet_transport.is_ipv6
                assert transport.association is not None
                assert transport.association._config.overhead == HEADERS
            message = bytes(range(256)) * 4096
            for _ in range(2):  # with packets of the first size, then with those that fit
                ours.channel.send(message)
                assert await theirs.messages.get() == message
                assert isinstance(ends[0]._engine, AssociationTransport)
                await _packets_of(ends[0]._engine, LARGEST)
        finally:
            await asyncio.gather(*(end.close() for end in ends))


def test_a_connection_over_ipv6_fills_its_packets_and_no_more() -> None:
    """RFC 8899, 3: the packet size leaves room for the longer header."""
    assert LARGEST + HEADERS <= ETHERNET < 1424 + HEADERS
    with own_network(Network.LOOPBACK_ONLY), asyncio.Runner() as runner:
        set_loopback_mtu(ETHERNET)
        runner.run(_meet())
