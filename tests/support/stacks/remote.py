"""Another WebRTC stack in another process, and our connection to it through a lossy relay.

The other stack does what `verbs.mjs` offers. It is told our candidates alone, and in their place
the relay's: we know nothing of where it is until its checks come, as with a peer behind a NAT.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import itertools
import json
import random
import re
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest

from lab.lossy_relay import LossyRelay
from peer.config import ChannelParameters
from peer.errors import ChannelClosed
from peer.rtc import Connection
from tests.support.links.connections import CONTROL, RecordingHandler, recorded

__all__ = ["ETHERNET", "Meeting", "Pair", "Remote", "described", "digest_of", "meeting", "pieces"]

ETHERNET = 1472
"""UDP payload bytes of a packet of 1500."""
_CANDIDATE = re.compile(r"^a=(?:candidate:.*|end-of-candidates)\r?\n", re.MULTILINE)


class Remote(ABC):
    """The verbs of `verbs.mjs`, called from here."""

    def __init__(self) -> None:
        self.tells_modes = True
        """Whether it knows the reliability of channels that were opened here."""
        self._numbers = itertools.count()
        self._calls: dict[int, asyncio.Future[Any]] = {}

    @abstractmethod
    async def _send(self, call: str) -> None: ...

    async def call(self, verb: str, **arguments: Any) -> Any:
        """Have the other stack do something, and wait for what it says.

        Raises:
            RuntimeError: It threw, or is gone.
        """
        number = next(self._numbers)
        answer = self._calls[number] = asyncio.get_running_loop().create_future()
        try:
            await self._send(json.dumps({"id": number, "verb": verb, **arguments}))
            return await answer
        finally:
            del self._calls[number]

    def replied(self, reply: str) -> None:
        """It has answered a call."""
        said = json.loads(reply)
        answer = self._calls.get(said["id"])
        if answer is None or answer.done():
            return  # nobody waits for it any longer
        if "error" in said:
            answer.set_exception(RuntimeError(said["error"]))
        else:
            answer.set_result(said["result"])

    def gone(self, reason: str) -> None:
        """There will be no more replies."""
        for answer in self._calls.values():
            if not answer.done():
                answer.set_exception(RuntimeError(reason))

    async def create(self, parameters: ChannelParameters) -> int:
        """The key of a new channel of its own."""
        options: dict[str, Any] = {"ordered": parameters.ordered, "protocol": parameters.protocol}
        if parameters.max_retransmits is not None:
            options["maxRetransmits"] = parameters.max_retransmits
        if parameters.max_lifetime is not None:
            options["maxPacketLifeTime"] = _milliseconds(parameters)
        if parameters.id is not None:
            options |= {"negotiated": True, "id": parameters.id}
        key: int = await self.call("create", label=parameters.label, options=options)
        return key


def _milliseconds(parameters: ChannelParameters) -> int | None:
    return None if parameters.max_lifetime is None else round(parameters.max_lifetime * 1000)


def described(message: str | bytes) -> list[Any]:
    """A received message as the other stack reports it: type, bytes and digest."""
    payload = message.encode() if isinstance(message, str) else message
    kind = "text" if isinstance(message, str) else "bytes"
    return [kind, len(payload), hashlib.sha256(payload).hexdigest()]


def pieces(seed: int, size: int, count: int) -> list[bytes]:
    """Bytes that are the same for the same seed."""
    source = random.Random(seed)
    return [source.randbytes(size) for _ in range(count)]


async def digest_of(handler: RecordingHandler, size: int) -> str:
    """The digest of the next so many bytes that arrive here."""
    hashed, count = hashlib.sha256(), 0
    while count < size:
        message = await handler.messages.get()
        handler.channel.consume()
        assert isinstance(message, bytes)
        hashed.update(message)
        count += len(message)
    return hashed.hexdigest()


@dataclass
class Pair:
    """Both ends of a channel: ours, and the key of the other stack's."""

    ours: RecordingHandler
    remote: Remote
    key: int

    async def call(self, verb: str, **arguments: Any) -> Any:
        return await self.remote.call(verb, key=self.key, **arguments)

    async def come_back(self, *messages: str | bytes) -> None:
        """Messages that are sent arrive over there, and what it sends back here."""
        for message in messages:
            self.ours.channel.send(message)
        heard = [await self.call("echo") for _ in messages]
        back = [await self.ours.messages.get() for _ in messages]
        for _ in messages:
            self.ours.channel.consume()
        sent = list(messages)
        digests = [described(message) for message in sent]
        if not self.ours.channel.parameters.ordered:
            for any_order in (heard, back, digests, sent):
                any_order.sort(key=repr)
        assert heard == digests
        assert back == sent

    async def count(self, by_us: bool, numbers: range, size: int) -> None:
        """One side sends numbers, each in a message of so many bytes."""
        if by_us:
            for number in numbers:
                self.ours.channel.send(str(number).ljust(size))
        else:
            await self.call("count", first=numbers.start, count=len(numbers), size=size)

    async def send_and_close(self, by_us: bool, size: int) -> None:
        """One side sends messages of so many bytes and closes at once; everything arrives."""
        await self.count(by_us, range(10), size)
        if not by_us:
            await self.call("flushed")
        assert await self.close(by_us) == list(range(10))
        with pytest.raises(ChannelClosed):
            self.ours.channel.send("too late")

    async def close(self, by_us: bool) -> list[int]:
        """One side closes; the numbers that had come to the other, or come yet."""
        if by_us:
            self.ours.channel.close()
        else:
            await self.call("close")
        theirs: list[int] = await self.call("counted")
        await self.ours.closed.wait()
        assert self.ours.clean is True
        messages = self.ours.messages
        return theirs if by_us else [int(messages.get_nowait()) for _ in range(messages.qsize())]


@dataclass
class Meeting:
    """We and the other stack, connected, and the channel both opened beforehand."""

    ours: Connection
    remote: Remote
    control: Pair
    incoming: asyncio.Queue[RecordingHandler]
    path: LossyRelay
    descriptions: tuple[str, str]
    """Offer and answer."""

    async def channel(self, parameters: ChannelParameters, *, opened_by_us: bool) -> Pair:
        """A channel that one side opens and the other is told of, or that both open."""
        if opened_by_us or parameters.id is not None:
            ours = RecordingHandler(self.ours.create_channel(parameters))
            key = await (
                self.remote.call("taken")
                if parameters.id is None
                else self.remote.create(parameters)
            )
        else:
            key = await self.remote.create(parameters)
            ours = await self.incoming.get()
        pair = Pair(ours, self.remote, key)
        seen = await pair.call("opened")
        await ours.opened.wait()
        expected = {
            "label": parameters.label,
            "protocol": parameters.protocol,
            "ordered": parameters.ordered,
            "maxRetransmits": parameters.max_retransmits,
            "maxPacketLifeTime": _milliseconds(parameters),
            "negotiated": parameters.id is not None,
            "id": ours.channel.id,
        }
        if opened_by_us and not self.remote.tells_modes:
            for mode in ("ordered", "maxRetransmits", "maxPacketLifeTime"):
                del seen[mode], expected[mode]
        assert seen == expected
        assert ours.channel.parameters == parameters
        return pair

    async def channels(self, modes: Sequence[ChannelParameters]) -> list[Pair]:
        """A channel of each mode opened by either side; of agreed numbers, one for both."""
        pairs = [
            await self.channel(parameters, opened_by_us=opened_by_us)
            for parameters in modes
            for opened_by_us in ((True, False) if parameters.id is None else (True,))
        ]
        assert len({pair.ours.channel.id for pair in (self.control, *pairs)}) == len(pairs) + 1
        return pairs

    async def stream_both_ways(self, size: int, count: int) -> None:
        """So many pieces of so many bytes, both ways at once, arrive whole."""
        sent = pieces(2, size, count)
        collected = asyncio.create_task(self.control.call("collect", size=size * count))
        streamed = asyncio.create_task(self.control.call("stream", count=count, size=size))
        for piece in sent:
            self.control.ours.channel.send(piece)
        assert await digest_of(self.control.ours, size * count) == await streamed
        assert await collected == hashlib.sha256(b"".join(sent)).hexdigest()

    async def outlive(self, lifetime: float) -> None:
        """Of our messages none arrives that has outlived its lifetime, and later ones do.

        Args:
            lifetime: In seconds.
        """
        brief = ChannelParameters(label="brief", max_lifetime=lifetime)
        pairs = [
            await self.channel(parameters, opened_by_us=True)
            for parameters in (brief, replace(brief, ordered=False))
        ]
        await self.while_cut_off(
            2 * lifetime, *(pair.count(True, range(20), 1000) for pair in pairs)
        )
        # A single message may grow old, too, on a machine that stands still for that long.
        for number in range(20, 30):
            for pair in pairs:
                await pair.count(True, range(number, number + 1), 1000)
            await self.control.come_back(f"behind {number}")
        for pair in pairs:
            came = await pair.close(True)
            assert came
            assert min(came) >= 20

    def opened_here(self, parameters: ChannelParameters) -> RecordingHandler:
        """A channel that we alone open."""
        return RecordingHandler(self.ours.create_channel(parameters))

    async def while_cut_off(self, seconds: float, *sending: Awaitable[None]) -> None:
        """Nothing gets through while messages are sent, nor for so many seconds after.

        When it returns, whatever waited for the path's return has been sent.
        """
        self.path.change(loss=1.0)
        await asyncio.gather(*sending)
        await asyncio.sleep(seconds)  # for what was sent to grow old
        self.path.change(loss=0.0)
        await self.control.come_back("again")


@contextlib.asynccontextmanager
async def meeting(
    remote: Remote, we_offer: bool, path: LossyRelay, settings: dict[str, Any] | None = None
) -> AsyncIterator[Meeting]:
    """We and another stack, connected through a relay.

    Args:
        remote: The process of the other stack.
        we_offer: Whether our side makes the offer.
        path: The relay.
        settings: Of the other stack's RTCPeerConnection.
    """
    ours = Connection()
    control = RecordingHandler(ours.create_channel(CONTROL))
    incoming = recorded(ours)
    try:
        # Retransmission timers of other stacks back off to ten seconds and more under loss.
        async with asyncio.timeout(100):
            await remote.call("begin", settings=settings or {})
            pair = Pair(control, remote, await remote.create(CONTROL))
            if we_offer:
                offer = await path.rewrite(await ours.offer(), "ours")
                answer = await remote.call("answer", sdp=offer)
                await ours.accept_answer(_CANDIDATE.sub("", answer))
            else:
                offer = await remote.call("offer")
                answer = await ours.answer(_CANDIDATE.sub("", offer))
                await remote.call("accept", sdp=await path.rewrite(answer, "ours"))
            await ours.connected()
            await pair.call("opened")
            assert ours.path is not None and ours.path.remote_type == "prflx"
            yield Meeting(ours, remote, pair, incoming, path, (offer, answer))
            await remote.call("leave")
    finally:
        await ours.close()
        await path.close()
