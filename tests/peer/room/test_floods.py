"""A peer that asks without end and takes no answers: what is kept for it is bounded."""

from __future__ import annotations

import asyncio
import json
import sys

import pytest

from peer.channel.chat.protocol import MAX_CONFIRMATIONS, MAX_UNDELIVERED, Chat, Flooded
from peer.config import LinkConfig
from peer.errors import ChannelOverflow, LinkClosed, LinkLost, ProtocolError
from peer.link.connection import SMALL_LOW_WATER
from peer.link.control import Control
from tests.support.links.link_pair import LinkPair, link_pair

# The machines


def test_of_many_pings_the_newest_is_answered_when_there_is_room() -> None:
    machine = Control(LinkConfig(), now=0.0)
    for number in range(10_000):
        machine.receive_message(json.dumps({"t": "ping", "n": number}), 0.0)
        assert machine.messages_to_send(replies=False) == []
    (pong,) = machine.messages_to_send()
    assert json.loads(pong) == {"t": "pong", "n": 9999}
    assert machine.messages_to_send() == []


@pytest.mark.parametrize("number", ["-1", "9007199254740992", "9" * 4000, "1.5", '"1"'])
def test_a_ping_whose_number_is_none_is_not_answered(number: str) -> None:
    machine = Control(LinkConfig(), now=0.0)
    machine.receive_message(f'{{"t":"ping","n":{number}}}', 0.0)
    assert machine.messages_to_send() == []


def test_nothing_follows_the_goodbye() -> None:
    machine = Control(LinkConfig(), now=0.0)
    machine.receive_message('{"t":"ping","n":1}', 0.0)
    machine.bye()
    machine.unread(5)
    assert [json.loads(message)["t"] for message in machine.messages_to_send()] == ["bye"]


def chat_message(number: int) -> str:
    return json.dumps({"t": "message", "id": number, "text": "x", "at": 0})


def test_one_message_repeated_is_confirmed_once_when_there_is_room() -> None:
    machine = Chat()
    for _ in range(10_000):
        machine.receive_message(chat_message(1))
        assert machine.messages_to_send(confirmations=False) == []
    assert len(machine.messages_to_send()) == 1


def test_a_side_that_keeps_to_the_rules_gets_every_confirmation() -> None:
    machine = Chat()
    for number in range(1, MAX_UNDELIVERED + 1):
        machine.receive_message(chat_message(number))
    confirmed = [json.loads(text)["id"] for text in machine.messages_to_send()]
    assert confirmed == list(range(1, MAX_UNDELIVERED + 1))


def test_a_side_that_takes_no_confirmations_breaks_the_rules() -> None:
    machine = Chat()
    for number in range(1, MAX_CONFIRMATIONS + 2):
        machine.receive_message(chat_message(number))
        machine.messages_to_send(confirmations=False)
    events = []
    while event := machine.next_event():
        events.append(event)
    assert events[-1] == Flooded()
    assert len(machine.messages_to_send()) == MAX_CONFIRMATIONS


# A link

ROOMY, SMALL = (
    LinkConfig(engine="peerline"),
    LinkConfig(receive_window=16 * 1024, engine="peerline"),
)


def takes_nothing(pair: LinkPair) -> None:
    """Their side takes nothing out of its receive window any more."""
    theirs = pair.their_connection
    for channel in (theirs.control.channel, theirs.chat_channel):
        channel._raw.consume = lambda: None  # type: ignore[method-assign]


async def flood(pair: LinkPair, channel: str, messages: list[str]) -> int:
    """Send from their side; the most messages that waited at ours to be sent."""
    connection = pair.their_connection
    theirs = connection.chat_channel if channel == "chat" else connection.control.channel
    association = pair.our_connection.connection._engine.association  # type: ignore[attr-defined]
    most = 0
    for at in range(0, len(messages), 500):
        if theirs.closed:
            break
        for message in messages[at : at + 500]:
            theirs.send_now(message)
        await pair.their_connection.connection.flush(5)
        streams = association._queue.streams.values()
        most = max(most, sum(len(stream.messages) for stream in streams))
    return most


async def test_pings_under_a_closed_window_leave_a_bounded_queue() -> None:
    async with link_pair(ROOMY, SMALL) as pair, asyncio.timeout(60):
        takes_nothing(pair)
        most = await flood(pair, "control", ['{"t":"ping","n":1}'] * 4000)
        assert 0 < most <= SMALL_LOW_WATER // 10
        assert pair.our_connection.control.channel.buffered <= SMALL_LOW_WATER + 100


async def test_repeated_chat_messages_under_a_closed_window_leave_a_bounded_queue() -> None:
    async with link_pair(ROOMY, SMALL) as pair, asyncio.timeout(60):
        takes_nothing(pair)
        most = await flood(pair, "chat", [chat_message(1)] * 4000)
        assert 0 < most <= SMALL_LOW_WATER // 10


async def test_chat_messages_under_a_closed_window_end_the_link() -> None:
    async with link_pair(ROOMY, SMALL) as pair, asyncio.timeout(60):
        takes_nothing(pair)
        most = await flood(pair, "chat", [chat_message(1 + n) for n in range(4000)])
        assert most <= SMALL_LOW_WATER // 10 + MAX_CONFIRMATIONS
        with pytest.raises(ProtocolError, match="reads no answers"):
            await pair.ours.wait_closed()
        with pytest.raises(ProtocolError):
            await pair.ours.chat.send("?")
        with pytest.raises((LinkClosed, LinkLost)):
            await pair.theirs.open_channel("?")


@pytest.mark.parametrize("text", ["x", "\N{GRINNING FACE}" + "x" * 60_000, "ü" * 30_000])
async def test_chat_that_nobody_reads_takes_bounded_memory(
    monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setattr("peer.channel.chat.driver.MAX_WAITING", 300)
    monkeypatch.setattr("peer.channel.chat.driver.MAX_WAITING_BYTES", 2 << 20)
    async with link_pair() as pair, asyncio.timeout(60):
        kept = pair.ours.chat._driver._received
        delivered = 0
        # Messages that nobody will read are not confirmed.
        with pytest.raises(TimeoutError):
            while delivered < 400:
                await asyncio.wait_for(pair.theirs.chat.send(text), 0.5)
                delivered += 1
        assert len(kept) <= 300
        assert delivered == len(kept)
        memory = sum(sys.getsizeof(message.text) + sys.getsizeof(message) for message in kept)
        assert memory <= 2 << 20
        for _ in range(delivered):
            await pair.ours.chat.receive()
        with pytest.raises(ChannelOverflow):
            await pair.ours.chat.receive()
