"""libwebrtc, Chrome's WebRTC, as the peer at the other end (PyPI `wrtc`)."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from peer.config import ChannelParameters, EngineName
from peer.rtc import Connection
from tests.support.links.connections import CONTROL, RecordingHandler, recorded

__all__ = ["Foreign", "ForeignChannel", "Meeting", "meeting"]


class ForeignChannel:
    """One of libwebrtc's data channels, with what it has heard."""

    def __init__(self, raw: Any) -> None:
        self.raw = raw
        self.messages: asyncio.Queue[str | bytes] = asyncio.Queue()
        self.opened = asyncio.Event()
        self.closed = asyncio.Event()
        raw.on("open", self.opened.set)
        raw.on("message", self.messages.put_nowait)
        raw.on("close", self.closed.set)
        if raw.readyState == "open":
            self.opened.set()


class Foreign:
    """A connection of libwebrtc's, or of a library with the same names."""

    def __init__(self, library: Any = None) -> None:
        """Creates an unconnected connection.

        Args:
            library: Instead of libwebrtc: aiortc, whose names libwebrtc's binding has.
        """
        if library is None:
            # Loading it takes a while and is of no use to any other test.
            import webrtc.aiortc as library

        self._library = library
        self.pc = library.RTCPeerConnection(library.RTCConfiguration(iceServers=[]))
        self.incoming: asyncio.Queue[ForeignChannel] = asyncio.Queue()
        self.pc.on("datachannel", lambda raw: self.incoming.put_nowait(ForeignChannel(raw)))

    def create_channel(self, parameters: ChannelParameters) -> ForeignChannel:
        lifetime = parameters.max_lifetime
        return ForeignChannel(
            self.pc.createDataChannel(
                parameters.label,
                ordered=parameters.ordered,
                maxRetransmits=parameters.max_retransmits,
                maxPacketLifeTime=None if lifetime is None else round(lifetime * 1000),
                protocol=parameters.protocol,
                negotiated=parameters.id is not None,
                id=parameters.id,
            )
        )

    async def offer(self) -> str:
        await self.pc.setLocalDescription(await self.pc.createOffer())
        return self._description()

    async def answer(self, offer: str) -> str:
        await self._take(offer, "offer")
        await self.pc.setLocalDescription(await self.pc.createAnswer())
        return self._description()

    async def accept_answer(self, answer: str) -> None:
        await self._take(answer, "answer")

    def _description(self) -> str:
        description = self.pc.localDescription
        assert description is not None
        return str(description.sdp)

    async def _take(self, sdp: str, kind: str) -> None:
        description = self._library.RTCSessionDescription(sdp=sdp, type=kind)
        await self.pc.setRemoteDescription(description)


@dataclass
class Meeting:
    """Our connection, libwebrtc's, and the channel both opened beforehand."""

    ours: Connection
    foreign: Foreign
    control: RecordingHandler
    foreign_control: ForeignChannel
    incoming: asyncio.Queue[RecordingHandler]

    async def channel(
        self, parameters: ChannelParameters, *, opened_by_us: bool
    ) -> tuple[RecordingHandler, ForeignChannel]:
        """A channel that one side opens and the other is told of, or that both open."""
        if parameters.id is not None:
            ours = RecordingHandler(self.ours.create_channel(parameters))
            theirs = self.foreign.create_channel(parameters)
        elif opened_by_us:
            ours = RecordingHandler(self.ours.create_channel(parameters))
            theirs = await self.foreign.incoming.get()
        else:
            theirs = self.foreign.create_channel(parameters)
            ours = await self.incoming.get()
        await asyncio.gather(ours.opened.wait(), theirs.opened.wait())
        return ours, theirs


@contextlib.asynccontextmanager
async def meeting(*, we_offer: bool, engine: EngineName) -> AsyncIterator[Meeting]:
    """We and libwebrtc, connected."""
    ours, foreign = Connection(engine=engine), Foreign()
    control = RecordingHandler(ours.create_channel(CONTROL))
    foreign_control = foreign.create_channel(CONTROL)
    incoming = recorded(ours)
    try:
        async with asyncio.timeout(60):
            if we_offer:
                await ours.accept_answer(await foreign.answer(await ours.offer()))
            else:
                await foreign.accept_answer(await ours.answer(await foreign.offer()))
            await ours.connected()
            await foreign_control.opened.wait()
            yield Meeting(ours, foreign, control, foreign_control, incoming)
    finally:
        await asyncio.gather(ours.close(), foreign.pc.close())
