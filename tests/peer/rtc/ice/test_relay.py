"""TURN servers that do as they please."""

from __future__ import annotations

import asyncio
import struct

import pytest
from aioice import stun, turn

from peer.rtc.ice.agent import IceProtocol
from peer.rtc.ice.relay import MIN_LIFETIME, TcpClient, UdpClient
from tests.support.links.strangers import attribute, stun_message


async def test_a_lifetime_of_nothing_does_not_keep_the_machine_busy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def answer(
        self: turn.TurnClientMixin, request: stun.Message
    ) -> tuple[stun.Message, tuple[str, int]]:
        response = stun.Message(request.message_method, stun.Class.RESPONSE)
        response.attributes["LIFETIME"] = 0
        return response, ("192.0.2.1", 3478)

    monkeypatch.setattr(turn.TurnClientMixin, "request", answer)
    client = UdpClient(("192.0.2.1", 3478), "a", "b", 600, 500)
    response, _ = await client.request(stun.Message(stun.Method.REFRESH, stun.Class.REQUEST))
    assert response.attributes["LIFETIME"] == MIN_LIFETIME


class Transport(asyncio.Transport):
    """Knows whether it was given up."""

    aborted = False

    def is_closing(self) -> bool:
        return self.aborted

    def abort(self) -> None:
        self.aborted = True


class Heard(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.datagrams: list[bytes] = []

    def datagram_received(self, data: bytes, addr: object) -> None:
        self.datagrams.append(data)


def connected() -> tuple[TcpClient, Heard, Transport]:
    client, heard, transport = (
        TcpClient(("192.0.2.1", 3478), "a", "b", 600, 500),
        Heard(),
        Transport(),
    )
    client.connection_made(transport)
    client.receiver = heard
    client.channel_to_peer[0x4000] = ("198.51.100.1", 5)
    return client, heard, transport


@pytest.mark.parametrize("size", [1, 3, 7, 1000])
def test_a_stream_is_cut_into_messages_however_it_comes(size: int) -> None:
    client, heard, transport = connected()
    stream = b"".join(
        struct.pack("!HH", 0x4000, n) + bytes([n]) * n + bytes(-n % 4) for n in range(1, 50)
    ) + stun_message(attribute(0x0024, b"bad"), kind=0x0017)
    for at in range(0, len(stream), size):
        client.data_received(stream[at : at + size])
    assert heard.datagrams == [bytes([n]) * n for n in range(1, 50)]
    assert not client._stream
    assert not transport.aborted


def test_what_is_not_turn_ends_the_stream() -> None:
    client, heard, transport = connected()
    client.data_received(b"\x80\0\0\0")
    assert transport.aborted
    client.data_received(struct.pack("!HH", 0x4000, 4) + b"late")
    assert heard.datagrams == []


def test_relayed_datagrams_of_any_shape_raise_nothing() -> None:
    client, _, _ = connected()
    client.receiver = object.__new__(IceProtocol)  # nothing is known to it, not even its name
    for data in (b"", b"\0\x01" + bytes(30), stun_message(b""), b"\x16\xfe\xfd" + bytes(20)):
        client.datagram_received(struct.pack("!HH", 0x4000, len(data)) + data, None)
