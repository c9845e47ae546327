"""Links: chat, channels, and each way in which one can end."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from peer.channel.channel import Channel
from peer.config import ENGINES, EngineName, LinkConfig, Timeouts
from peer.errors import LinkClosed, LinkLost, PeerTimeout, ProtocolError
from peer.link.connection import CONTROL, LinkConnection
from peer.link.link import Link
from peer.rtc import Connection, ConnectionState
from peer.transfer.engine import TransferStage
from tests.support.links.connections import connect
from tests.support.links.link_pair import link_pair
from tests.support.processes.leftovers import nothing_left_behind
from tests.support.waiting import until

QUICK = LinkConfig(ping_interval=0.02, lost_after=0.2, timeouts=Timeouts(hello=0.2, close=0.5))


def own_engine() -> Connection:
    """A connection with our SCTP, whatever the environment says: aiortc's knows no priorities."""
    return Connection(engine="peerline")


@pytest.mark.parametrize(("engine", "largest"), [("peerline", 16 << 20), ("aiortc", 256 << 10)])
async def test_the_two_ends_know_each_other(engine: EngineName, largest: int) -> None:
    async with link_pair(LinkConfig(engine=engine)) as pair:
        assert pair.ours.peer.name == "bob"
        assert pair.theirs.peer.name == "alice"
        assert pair.ours.offerer and not pair.theirs.offerer
        assert pair.ours.path is not None and pair.ours.path.kind == "direct"
        assert pair.ours.max_message_size == pair.theirs.max_message_size == largest
        assert "bob" in repr(pair.ours)


async def test_a_chat_message_returns_when_it_has_arrived() -> None:
    async with link_pair() as pair:
        await pair.ours.chat.send("ünï ☃\nsecond line")
        message = await pair.theirs.chat.receive()
        assert message.text == "ünï ☃\nsecond line"
        assert message.id == 1


async def test_a_chat_message_passes_a_transfer(tmp_path: Path) -> None:
    """RFC 8831, 6.4: the transfer waits behind what people wait for."""
    source = tmp_path / "film.mkv"
    source.write_bytes(bytes(24 << 20))
    async with link_pair(make_connection=own_engine) as pair, asyncio.timeout(60):
        outgoing = await pair.ours.send_files(source)
        incoming = await anext(pair.theirs.transfers())
        await incoming.accept(tmp_path / "there")
        async for progress in outgoing.updates(interval=0):
            if progress.bytes_done:
                break
        await pair.ours.chat.send("It is on its way.")
        await pair.theirs.chat.send("Good.")
        assert outgoing.progress.stage is incoming.progress.stage is TransferStage.RUNNING
        assert (await pair.theirs.chat.receive()).text == "It is on its way."
        assert (await pair.ours.chat.receive()).text == "Good."
        await asyncio.gather(outgoing.done(), incoming.done())


async def test_chat_goes_both_ways_at_once_and_in_order() -> None:
    async with link_pair() as pair:
        texts = [str(number) for number in range(20)]
        await asyncio.gather(
            *(pair.ours.chat.send(text) for text in texts),
            *(pair.theirs.chat.send(text) for text in texts),
        )
        for chat in (pair.ours.chat, pair.theirs.chat):
            assert [(await chat.receive()).text for _ in texts] == texts


@pytest.mark.parametrize("text", ["", "x" * 65537, "\ud800"])
async def test_a_chat_message_that_cannot_be_is_refused(text: str) -> None:
    async with link_pair() as pair:
        with pytest.raises(ValueError, match="message"):
            await pair.ours.chat.send(text)
        await pair.ours.chat.send("still works")


async def test_closing_ends_everything_on_both_sides_in_order() -> None:
    async with nothing_left_behind(), link_pair() as pair:
        chat = asyncio.create_task(anext(pair.theirs.chat, None))
        channels = asyncio.create_task(anext(pair.theirs.channels(), None))
        await pair.ours.close("done", "See you.")
        await pair.theirs.wait_closed()
        await pair.ours.wait_closed()
        assert await chat is None
        assert await channels is None
        assert pair.ours.closed and pair.theirs.closed
        for link in (pair.ours, pair.theirs):
            with pytest.raises(LinkClosed):
                await link.chat.send("too late")
            with pytest.raises(LinkClosed):
                await link.open_channel("too late")
        with pytest.raises(LinkClosed, match="The other side closed the link: See you") as caught:
            await pair.theirs.chat.receive()
        assert caught.value.code == "done"


async def test_what_was_sent_before_closing_arrives() -> None:
    async with link_pair() as pair, asyncio.timeout(30):
        channel = await pair.ours.open_channel("bulk")
        theirs = await anext(pair.theirs.channels())
        for _ in range(20):
            channel.send_now(bytes(60_000))
        await pair.ours.close()
        assert [len(message) async for message in theirs] == [60_000] * 20


async def test_both_sides_may_close_at_once() -> None:
    async with nothing_left_behind(), link_pair() as pair:
        await asyncio.gather(pair.ours.close(), pair.theirs.close(), pair.ours.close())
        await pair.ours.wait_closed()
        await pair.theirs.wait_closed()


async def test_leaving_the_block_closes_the_link() -> None:
    async with link_pair() as pair:
        async with pair.ours:
            pass
        await pair.theirs.wait_closed()


async def test_a_vanished_peer_is_noticed_by_its_silence() -> None:
    async with nothing_left_behind(), link_pair(QUICK) as pair, asyncio.timeout(10):
        await pair.vanish()
        with pytest.raises(LinkLost, match="has not answered for") as caught:
            await pair.ours.wait_closed()
        assert not isinstance(caught.value, LinkClosed)
        with pytest.raises(LinkLost):
            await pair.ours.chat.send("nobody there")
        with pytest.raises(LinkLost):
            await anext(pair.ours.channels())


async def test_a_message_that_waits_for_its_delivery_is_told_of_the_loss() -> None:
    async with link_pair(QUICK) as pair, asyncio.timeout(10):
        await pair.vanish()
        with pytest.raises(LinkLost):
            await pair.ours.chat.send("hello?")


async def test_pings_keep_an_idle_link_and_measure_its_round_trip() -> None:
    config = LinkConfig(ping_interval=0.01, lost_after=5.0)
    async with link_pair(config) as pair:
        await until(lambda: pair.ours.round_trip is not None)
        assert pair.ours.round_trip is not None
        assert 0 < pair.ours.round_trip < 5.0
        assert not pair.ours.closed


async def test_a_connection_that_breaks_without_goodbye_is_a_lost_link() -> None:
    async with link_pair() as pair:
        await pair.their_connection.connection.close()
        with pytest.raises(LinkLost) as caught:
            await pair.ours.wait_closed()
        assert not isinstance(caught.value, LinkClosed)
        assert pair.our_connection.connection.state is ConnectionState.ENDED


async def test_closing_does_not_wait_for_ever_for_a_vanished_peer() -> None:
    config = LinkConfig(timeouts=Timeouts(close=0.1))
    async with nothing_left_behind(), link_pair(config) as pair, asyncio.timeout(20):
        await pair.vanish()
        pair.our_connection.chat_channel.send_now("never acknowledged")
        await pair.ours.close()
        await pair.ours.wait_closed()


async def test_somebody_who_waits_for_the_end_is_called_once() -> None:
    called: list[str] = []
    async with link_pair() as pair:
        pair.ours.add_done_callback(lambda: called.append("before"))
        await pair.ours.close()
        pair.ours.add_done_callback(lambda: called.append("after"))
    assert called == ["before", "after"]


@pytest.mark.parametrize("engine", ENGINES)
async def test_channel_that_comes_before_the_link_is_there_with_what_it_brought(
    engine: EngineName,
) -> None:
    """Nothing orders two channels: a hello that is lost arrives after what was opened behind it."""
    opened: list[Channel] = []

    async def open_early(link: Link) -> None:
        channel = await link.open_channel("early")
        await channel.send("first")
        await link._connection.connection.flush(20)
        opened.append(channel)

    async with (
        asyncio.timeout(30),
        link_pair(LinkConfig(engine=engine), meanwhile=open_early) as pair,
    ):
        channel = await anext(pair.theirs.channels())
        assert channel.label == "early"
        assert await channel.receive() == "first"
        await channel.send("second")
        assert await opened[0].receive() == "second"


async def test_channels_that_nobody_asks_for_are_refused_beyond_a_bound(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("peer.link.connection.MAX_WAITING_CHANNELS", 2)
    async with link_pair() as pair, asyncio.timeout(20):
        channels = [await pair.ours.open_channel(str(number)) for number in range(3)]
        await channels[2].wait_closed()
        assert not channels[0].closed
        assert len(pair.theirs.channels()) == 2


async def test_channels_that_nobody_asks_for_hold_a_bounded_amount() -> None:
    careful = LinkConfig(receive_limit=500_000, engine="peerline")
    async with link_pair(None, careful) as pair, asyncio.timeout(20):
        for _ in range(3):
            channel = await pair.ours.open_channel("brought, and gone")
            for _ in range(4):
                await channel.send(bytes(50_000))
            await channel.close()
        refused = await pair.ours.open_channel("one too many")
        await refused.wait_closed()
        assert len(pair.theirs.channels()) == 3
        async for message in await anext(pair.theirs.channels()):
            assert message == bytes(50_000)
        await pair.ours.open_channel("there is room again")
        labels = [(await anext(pair.theirs.channels())).label for _ in range(3)]
        assert labels[-1] == "there is room again"


# The hello


async def greeting(first: str | None, config: LinkConfig = QUICK) -> None:
    """Greet somebody who says `first` instead of hello."""
    connection, other = LinkConnection(0, Connection, config), Connection()
    raw = other.create_channel(CONTROL)
    try:
        await connect(connection.connection, other)
        if first is not None:
            raw.send(first)
        await connection.control.greet("alice", "test", None)
    finally:
        await asyncio.gather(connection.close(), other.close())


async def test_a_side_that_never_says_hello_is_a_timeout_that_says_so() -> None:
    with pytest.raises(PeerTimeout) as caught:
        await greeting(None)
    assert caught.value.stage == "hello"


async def test_something_else_before_hello_breaks_the_protocol() -> None:
    with pytest.raises(ProtocolError):
        await greeting('{"t":"offer","transfer":0}', LinkConfig())


async def test_a_goodbye_instead_of_hello_is_a_closed_link() -> None:
    with pytest.raises(LinkClosed, match="busy") as caught:
        await greeting('{"t":"bye","code":"busy","message":"I am busy."}', LinkConfig())
    assert caught.value.code == "busy"
