"""Two connections in one process: set-up, channels in every mode, and a clean end."""

from __future__ import annotations

import asyncio
import os
import re

import pytest
from aiortc.rtcdtlstransport import RTCDtlsTransport

from peer.config import ChannelParameters
from peer.errors import (
    ChannelClosed,
    LinkClosed,
    LinkLost,
    NoPath,
    ProtocolError,
    VerificationFailed,
)
from peer.rtc import Connection, ConnectionState
from peer.rtc.ice.mdns import MdnsResolver
from peer.rtc.ice.remote_candidates import MAX_NAMES
from tests.support.links.connections import (
    CONTROL,
    RecordingHandler,
    connect,
    connected_pair,
    recorded,
    unconnected_pair,
)
from tests.support.processes.leftovers import nothing_left_behind


async def test_two_connections_exchange_text_and_bytes() -> None:
    async with connected_pair() as (ours, theirs, _, _):
        for message in ("hello", "", b"\x00\xff", b"", "ünï ☃"):
            ours.channel.send(message)
            assert await theirs.messages.get() == message
            theirs.channel.send(message)
            assert await ours.messages.get() == message


async def test_a_closed_connection_leaves_nothing_behind() -> None:
    async with nothing_left_behind(), connected_pair() as (ours, theirs, _, _):
        ours.channel.send("hello")
        assert await theirs.messages.get() == "hello"


async def test_a_connection_that_only_made_an_offer_leaves_nothing_behind() -> None:
    async with nothing_left_behind():
        connection = Connection()
        connection.create_channel(CONTROL)
        await connection.offer()
        await connection.close()


async def test_a_connection_closed_while_it_connects_leaves_nothing_behind() -> None:
    async with nothing_left_behind():
        offerer, answerer = Connection(), Connection()
        offerer.create_channel(CONTROL)
        answerer.create_channel(CONTROL)
        await answerer.answer(await offerer.offer())
        await asyncio.gather(offerer.close(), answerer.close())


async def test_an_unused_connection_can_be_closed_twice() -> None:
    async with nothing_left_behind():
        connection = Connection()
        await connection.close()
        await connection.close()
        assert connection.state is ConnectionState.ENDED


async def test_each_side_knows_the_certificates_of_both() -> None:
    async with connected_pair() as (_, _, offerer, answerer):
        assert len(offerer.local_fingerprint) == 32
        assert offerer.local_fingerprint == answerer.remote_fingerprint
        assert answerer.local_fingerprint == offerer.remote_fingerprint
        assert offerer.local_fingerprint != answerer.local_fingerprint


async def test_the_path_on_one_machine_is_direct() -> None:
    async with connected_pair() as (_, _, offerer, answerer):
        for connection in (offerer, answerer):
            assert connection.path is not None
            assert connection.path.kind == "direct"
            assert connection.path.local_type == "host"
        assert offerer.path is not None and answerer.path is not None
        assert offerer.path.remote_address == answerer.path.local_address


@pytest.mark.parametrize(
    "parameters",
    [
        ChannelParameters(label="plain"),
        ChannelParameters(label="unordered", ordered=False),
        ChannelParameters(label="retransmits", ordered=False, max_retransmits=3),
        ChannelParameters(label="no-retransmits", max_retransmits=0),
        ChannelParameters(label="lifetime", max_lifetime=0.5),
        ChannelParameters(label="named", protocol="example.1"),
    ],
    ids=lambda parameters: parameters.label,
)
async def test_a_channel_opened_in_band_arrives_with_its_parameters(
    parameters: ChannelParameters,
) -> None:
    async with connected_pair() as (_, _, offerer, answerer):
        incoming = recorded(answerer)
        ours = RecordingHandler(offerer.create_channel(parameters))
        theirs = await incoming.get()
        assert theirs.channel.parameters == parameters
        await ours.opened.wait()
        assert ours.channel.id == theirs.channel.id
        ours.channel.send(b"there")
        assert await theirs.messages.get() == b"there"
        theirs.channel.send("and back")
        assert await ours.messages.get() == "and back"


async def test_a_negotiated_channel_opens_without_telling() -> None:
    parameters = ChannelParameters(label="agreed", id=20)
    async with connected_pair() as (_, _, offerer, answerer):
        ours = RecordingHandler(offerer.create_channel(parameters))
        theirs = RecordingHandler(answerer.create_channel(parameters))
        assert ours.channel.parameters == theirs.channel.parameters == parameters
        ours.channel.send("hello")
        assert await theirs.messages.get() == "hello"
        with pytest.raises(ValueError, match="20"):
            offerer.create_channel(parameters)


async def test_a_large_message_drains_to_the_low_water_mark() -> None:
    async with connected_pair() as (ours, theirs, _, _):
        ours.channel.attach(ours, low_water=1000)
        payload = bytes(range(256)) * 1024
        ours.channel.send(payload)
        assert ours.channel.buffered > 1000
        await ours.drained.wait()
        assert ours.channel.buffered <= 1000
        assert await theirs.messages.get() == payload


async def test_flush_waits_until_all_has_arrived() -> None:
    async with connected_pair() as (ours, theirs, offerer, _):
        for _ in range(20):
            ours.channel.send(bytes(60000))
        await offerer.flush(20)
        assert theirs.messages.qsize() == 20


async def test_flush_gives_up_when_nothing_moves() -> None:
    async with connected_pair() as (ours, _, offerer, answerer):
        for protocol in answerer._ice._protocols:
            protocol.transport.abort()
        ours.channel.send("never acknowledged")
        with pytest.raises(TimeoutError):
            await offerer.flush(0.05)


async def test_closing_a_channel_closes_it_cleanly_on_both_sides() -> None:
    async with connected_pair() as (_, _, offerer, answerer):
        incoming = recorded(answerer)
        ours = RecordingHandler(offerer.create_channel(ChannelParameters(label="short")))
        theirs = await incoming.get()
        await ours.opened.wait()
        ours.channel.close()
        await asyncio.gather(ours.closed.wait(), theirs.closed.wait())
        assert ours.clean is True and theirs.clean is True
        with pytest.raises(ChannelClosed):
            ours.channel.send("too late")


async def test_closing_a_connection_breaks_the_channels_of_the_other_side() -> None:
    async with connected_pair() as (_, theirs, offerer, answerer):
        ended: asyncio.Future[Exception] = asyncio.get_running_loop().create_future()
        answerer.on_ended = ended.set_result
        await offerer.close()
        await theirs.closed.wait()
        assert theirs.clean is False
        assert isinstance(await ended, LinkLost)
        with pytest.raises(LinkLost):
            answerer.create_channel(ChannelParameters(label="late"))


async def test_connected_raises_when_closed_meanwhile() -> None:
    connection = Connection()
    connection.create_channel(CONTROL)
    waiting = asyncio.create_task(connection.connected())
    await asyncio.sleep(0)
    await connection.close()
    with pytest.raises(LinkClosed):
        await waiting


SCTP_INIT = re.compile(r"^a=sctp-init:.*\r\n", re.MULTILINE)
NONSENSE = "a=sctp-init:AQAABA==\r\n"


async def test_the_handshake_is_left_out_when_both_descriptions_propose() -> None:
    """draft-hancke-tsvwg-snap."""
    async with unconnected_pair() as (offerer, answerer, greet):
        offer = await offerer.offer()
        answer = await answerer.answer(offer)
        assert SCTP_INIT.search(offer) and SCTP_INIT.search(answer)
        await greet(answer)


@pytest.mark.parametrize("instead", ["", NONSENSE], ids=["nothing", "nonsense"])
async def test_an_offer_that_proposes_nothing_of_use_is_answered_without(instead: str) -> None:
    async with unconnected_pair() as (offerer, answerer, greet):
        answer = await answerer.answer(SCTP_INIT.sub(instead, await offerer.offer()))
        assert not SCTP_INIT.search(answer)
        await greet(answer)


async def test_an_answer_that_proposes_nonsense_is_refused() -> None:
    """It left its handshake out: there is nothing to fall back on."""
    async with unconnected_pair() as (offerer, answerer, greet):
        answer = await answerer.answer(await offerer.offer())
        with pytest.raises(ProtocolError, match="answer is not valid"):
            await greet(SCTP_INIT.sub(NONSENSE, answer))


async def test_stock_aiortc_is_set_up_with_a_handshake() -> None:
    async with unconnected_pair(answering="aiortc") as (offerer, answerer, greet):
        await greet(await answerer.answer(await offerer.offer()))


async def test_a_swapped_fingerprint_fails_verification() -> None:
    async with nothing_left_behind():
        offerer, answerer = Connection(), Connection()
        offerer.create_channel(CONTROL)
        answerer.create_channel(CONTROL)
        offer = await offerer.offer()
        good = offerer.local_fingerprint.hex(":").upper()
        swapped = "\r\n".join(
            line
            for line in offer.split("\r\n")
            if not line.startswith("a=fingerprint:sha-3")
            and not line.startswith("a=fingerprint:sha-5")
        ).replace(good, f"{offerer.local_fingerprint[0] ^ 0xFF:02X}{good[2:]}")
        await offerer.accept_answer(await answerer.answer(swapped))
        with pytest.raises(VerificationFailed):
            await answerer.connected()
        await asyncio.gather(offerer.close(), answerer.close())


async def test_the_certificate_is_compared_by_ourselves_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """People's words vouch for it: they must not hang on how aiortc reads and compares."""
    monkeypatch.setattr(RTCDtlsTransport, "_validate_peer_identity", lambda self, parameters: None)
    async with nothing_left_behind():
        offerer, answerer = Connection(), Connection()
        offerer.create_channel(CONTROL)
        answerer.create_channel(CONTROL)
        offer = await offerer.offer()
        theirs = offerer.local_fingerprint.hex(":").upper()
        swapped = offer.replace(theirs, os.urandom(32).hex(":").upper())
        await offerer.accept_answer(await answerer.answer(swapped))
        with pytest.raises(VerificationFailed):
            await answerer.connected()
        assert answerer.remote_fingerprint == b""
        await asyncio.gather(offerer.close(), answerer.close())


async def test_the_fingerprint_is_that_of_the_certificate_that_was_shown() -> None:
    async with connected_pair() as (_, _, offerer, answerer):
        assert len(offerer.remote_fingerprint) == 32
        assert offerer.remote_fingerprint == answerer.local_fingerprint
        assert answerer.remote_fingerprint == offerer.local_fingerprint


@pytest.mark.parametrize(
    "text",
    [
        "",
        "v=0\r\n",
        "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\n",
        "v=0\r\nm=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n",
        "m=application x y z\r\na=fingerprint:sha-256 " + ":".join(["AB"] * 32) + "\r\n",
        "x" * 100_000,
    ],
)
async def test_nonsense_is_not_an_offer(text: str) -> None:
    connection = Connection()
    connection.create_channel(CONTROL)
    try:
        with pytest.raises(ProtocolError):
            await connection.answer(text)
    finally:
        await connection.close()


async def test_an_answer_needs_an_offer() -> None:
    offerer, answerer, third = Connection(), Connection(), Connection()
    for connection in (offerer, answerer, third):
        connection.create_channel(CONTROL)
    try:
        answer = await answerer.answer(await offerer.offer())
        with pytest.raises(ProtocolError):
            await third.accept_answer(answer)
    finally:
        await asyncio.gather(offerer.close(), answerer.close(), third.close())


@pytest.mark.parametrize(
    "candidate", ["", "candidate:", "candidate:1 1 udp", "candidate:1 1 udp x y z typ host"]
)
async def test_nonsense_candidates_are_ignored(candidate: str) -> None:
    offerer, answerer = Connection(), Connection()
    ours = RecordingHandler(offerer.create_channel(CONTROL))
    theirs = RecordingHandler(answerer.create_channel(CONTROL))
    answerer.add_candidate(candidate)
    try:
        await connect(offerer, answerer)
        offerer.add_candidate(candidate)
        ours.channel.send("still here")
        assert await theirs.messages.get() == "still here"
    finally:
        await asyncio.gather(offerer.close(), answerer.close())


async def test_names_are_looked_up_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    async def resolve(self: MdnsResolver, name: str) -> str | None:
        asked.append(name)
        return None

    monkeypatch.setattr(MdnsResolver, "resolve", resolve)
    async with unconnected_pair() as (offerer, answerer, _):
        await answerer.answer(await offerer.offer())
        for number in range(3 * MAX_NAMES):
            name = f"{number:08x}-0000-4000-8000-000000000000.local"
            answerer.add_candidate(f"candidate:1 1 udp 1 {name} 9 typ host")
        await asyncio.sleep(0)
        assert len(asked) == MAX_NAMES


async def test_relay_only_without_a_relay_is_no_path() -> None:
    async with nothing_left_behind():
        connection = Connection(policy="relay")
        connection.create_channel(CONTROL)
        with pytest.raises(NoPath, match="TURN"):
            await connection.offer()
        await connection.close()
