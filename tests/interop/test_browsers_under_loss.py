"""Against real Chromium and real Firefox over a path that loses and reorders packets.

Either browser is told our candidates alone, and in their place the relay's: we know nothing of
where it is until its checks come, as with a browser behind a NAT.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import random
import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio

from peer.config import ChannelParameters
from peer.errors import ChannelClosed
from peer.rtc import Connection
from tests.support.bare_page import BROWSERS, BarePage, bare_page
from tests.support.connections import CONTROL, RecordingHandler, recorded
from tests.support.lossy import LossyPath
from tests.support.netns import own_network

pytestmark = [
    pytest.mark.interop,
    pytest.mark.browser,
    pytest.mark.asyncio(loop_scope="module"),
]

ETHERNET = 1472
"""UDP payload bytes of a packet of 1500."""
SIZES = (0, 1, 1200, 16_384, 65_536, 262_144)
PIECE, PIECES = 16_384, 128
MANY = 300
MODES = (
    ChannelParameters(label="plain", protocol="example.1"),
    ChannelParameters(label="unordered", ordered=False),
    ChannelParameters(label="negotiated", id=20),
)
_CANDIDATE = re.compile(r"^a=(?:candidate:.*|end-of-candidates)\r?\n", re.MULTILINE)


@pytest.fixture(scope="module")
def network() -> Iterator[None]:
    with own_network():
        yield


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=BROWSERS)
async def page(
    request: pytest.FixtureRequest, network: None, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[BarePage]:
    async with bare_page(request.param, tmp_path_factory.mktemp("profile")) as page:
        yield page


def digest_in_browser(message: str | bytes) -> list[Any]:
    """What the page says of a message that it got."""
    payload = message.encode() if isinstance(message, str) else message
    kind = "text" if isinstance(message, str) else "bytes"
    return [kind, len(payload), hashlib.sha256(payload).hexdigest()]


@dataclass
class Pair:
    """Both ends of a channel: ours, and the key of the browser's."""

    ours: RecordingHandler
    page: BarePage
    key: int

    async def call(self, verb: str, **arguments: Any) -> Any:
        return await self.page.call(verb, key=self.key, **arguments)

    async def come_back(self, *messages: str | bytes) -> None:
        """Messages that are sent arrive in the browser, and what it sends back here."""
        for message in messages:
            self.ours.channel.send(message)
        heard = [await self.call("echo") for _ in messages]
        back = [await self.ours.messages.get() for _ in messages]
        for _ in messages:
            self.ours.channel.consume()
        sent = list(messages)
        digests = [digest_in_browser(message) for message in sent]
        if not self.ours.channel.parameters.ordered:
            for any_order in (heard, back, digests, sent):
                any_order.sort(key=repr)
        assert heard == digests
        assert back == sent

    async def numbers_until_closed(self, by_us: bool, count: int, size: int) -> list[int]:
        """One side sends so many numbers and closes at once; which of them came."""
        channel, messages = self.ours.channel, self.ours.messages
        if by_us:
            for number in range(count):
                channel.send(str(number).ljust(size))
            channel.close()
        else:
            await self.call("count", count=count, size=size)
            await self.call("close")
        theirs: list[int] = await self.call("counted")
        await self.ours.closed.wait()
        assert self.ours.clean is True
        return theirs if by_us else [int(messages.get_nowait()) for _ in range(messages.qsize())]


@dataclass
class Meeting:
    """We and a browser, connected, and the channel both opened beforehand."""

    ours: Connection
    page: BarePage
    control: Pair
    incoming: asyncio.Queue[RecordingHandler]

    async def channel(self, parameters: ChannelParameters, *, opened_by_us: bool) -> Pair:
        """A channel that one side opens and the other is told of, or that both open."""
        if opened_by_us or parameters.id is not None:
            ours = RecordingHandler(self.ours.create_channel(parameters))
            key = await (
                self.page.call("taken") if parameters.id is None else create(self.page, parameters)
            )
        else:
            key = await create(self.page, parameters)
            ours = await self.incoming.get()
        pair = Pair(ours, self.page, key)
        seen = await pair.call("opened")
        await ours.opened.wait()
        assert seen == {
            "label": parameters.label,
            "protocol": parameters.protocol,
            "ordered": parameters.ordered,
            "maxRetransmits": parameters.max_retransmits,
            "negotiated": parameters.id is not None,
            "id": ours.channel.id,
        }
        assert ours.channel.parameters == parameters
        return pair


async def create(page: BarePage, parameters: ChannelParameters) -> int:
    options: dict[str, Any] = {"ordered": parameters.ordered, "protocol": parameters.protocol}
    if parameters.max_retransmits is not None:
        options["maxRetransmits"] = parameters.max_retransmits
    if parameters.id is not None:
        options |= {"negotiated": True, "id": parameters.id}
    key: int = await page.call("create", label=parameters.label, options=options)
    return key


@contextlib.asynccontextmanager
async def meeting(page: BarePage, we_offer: bool, path: LossyPath) -> AsyncIterator[Meeting]:
    """We and a browser, connected through a relay."""
    ours = Connection(engine="peerline")
    control = RecordingHandler(ours.create_channel(CONTROL))
    incoming = recorded(ours)
    try:
        async with asyncio.timeout(50):
            await page.call("begin")
            pair = Pair(control, page, await create(page, CONTROL))
            if we_offer:
                offer = await path.rewrite(await ours.offer(), "ours")
                answer = await page.call("answer", sdp=offer)
                await ours.accept_answer(_CANDIDATE.sub("", answer))
            else:
                offer = await page.call("offer")
                answer = await ours.answer(_CANDIDATE.sub("", offer))
                await page.call("accept", sdp=await path.rewrite(answer, "ours"))
            await ours.connected()
            await pair.call("opened")
            assert ours.path is not None and ours.path.remote_type == "prflx"
            yield Meeting(ours, page, pair, incoming)
            await page.call("leave")
    finally:
        await ours.close()
        await path.close()


def pieces(seed: int) -> list[bytes]:
    source = random.Random(seed)
    return [source.randbytes(PIECE) for _ in range(PIECES)]


async def digest_of(handler: RecordingHandler, size: int) -> str:
    hashed, count = hashlib.sha256(), 0
    while count < size:
        message = await handler.messages.get()
        handler.channel.consume()
        assert isinstance(message, bytes)
        hashed.update(message)
        count += len(message)
    return hashed.hexdigest()


both_offers = pytest.mark.parametrize(
    "we_offer", [True, False], ids=["we offer", "the browser offers"]
)


@both_offers
async def test_messages_of_every_size_arrive_on_channels_of_every_mode(
    page: BarePage, we_offer: bool
) -> None:
    path = LossyPath(loss=0.02, reorder=0.02, mtu=ETHERNET)
    async with meeting(page, we_offer, path) as met:
        assert met.ours.max_message_size >= 262_144
        source = random.Random(1)
        await met.control.come_back(*map(source.randbytes, SIZES))
        await met.control.come_back(*("☃" * (size // 3) for size in SIZES))
        pairs = [
            await met.channel(parameters, opened_by_us=opened_by_us)
            for parameters in MODES
            for opened_by_us in ((True, False) if parameters.id is None else (True,))
        ]
        assert len({pair.ours.channel.id for pair in pairs} | {CONTROL.id}) == 6
        await asyncio.gather(
            *(pair.come_back("ünï ☃", b"", source.randbytes(65_536), "") for pair in pairs)
        )


@both_offers
async def test_streams_arrive_whole_both_ways_at_once(page: BarePage, we_offer: bool) -> None:
    path = LossyPath(loss=0.02, reorder=0.02, mtu=ETHERNET)
    sent = pieces(2)
    async with meeting(page, we_offer, path) as met:
        collected = asyncio.create_task(met.control.call("collect", size=PIECE * PIECES))
        streamed = asyncio.create_task(met.control.call("stream", count=PIECES, size=PIECE))
        for piece in sent:
            met.control.ours.channel.send(piece)
        got = await digest_of(met.control.ours, PIECE * PIECES)
        assert got == await streamed
        assert await collected == hashlib.sha256(b"".join(sent)).hexdigest()
    assert path.lost > 20 and path.overtaken > 20  # it was as bad as that


@both_offers
async def test_messages_that_are_not_sent_again_are_lost_alone(
    page: BarePage, we_offer: bool
) -> None:
    path = LossyPath(reorder=0.02, mtu=ETHERNET)
    async with meeting(page, we_offer, path) as met:
        for ordered in (True, False):
            once = ChannelParameters(label="once", ordered=ordered, max_retransmits=0)
            ours = await met.channel(once, opened_by_us=False)
            theirs = await met.channel(once, opened_by_us=True)
            path.loss = 0.05
            came = await asyncio.gather(
                ours.numbers_until_closed(True, MANY, 1000),
                theirs.numbers_until_closed(False, MANY, 1000),
            )
            path.loss = 0.0
            for numbers in came:
                assert 2 * MANY // 3 < len(numbers) < MANY
                assert len(set(numbers)) == len(numbers)
                assert not ordered or numbers == sorted(numbers)
        await met.control.come_back("still here")


@both_offers
async def test_closing_from_either_side_brings_what_was_sent_and_frees_the_number(
    page: BarePage, we_offer: bool
) -> None:
    path = LossyPath(loss=0.02, reorder=0.02, mtu=ETHERNET)
    async with meeting(page, we_offer, path) as met:
        agreed, told = ChannelParameters(label="again", id=30), ChannelParameters(label="told")

        async def use_twice(parameters: ChannelParameters, opened_by_us: bool) -> int:
            ids = set()
            for by_us in (True, False):
                pair = await met.channel(parameters, opened_by_us=opened_by_us)
                ids.add(pair.ours.channel.id)
                assert await pair.numbers_until_closed(by_us, 20, PIECE) == list(range(20))
                with pytest.raises(ChannelClosed):
                    pair.ours.channel.send("too late")
            return len(ids)

        # Both browsers take the lowest number that is free; we, one that has rested.
        numbers = await asyncio.gather(
            use_twice(agreed, True), use_twice(told, True), use_twice(told, False)
        )
        assert list(numbers) == [1, 2, 1]
