"""The engines that are measured, with one face: `Side`.

``peerline`` (our association), ``aiortc`` (as shipped), ``wrtc`` (libwebrtc, from PyPI) and
``chromium`` (Debian's, headless, driven by playwright).
"""

from __future__ import annotations

import asyncio
import importlib
import os
import shutil
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page, Playwright

    from peer.rtc import DataChannel

__all__ = ["ENGINES", "Side", "open_side"]

ENGINES = ("peerline", "aiortc", "wrtc", "chromium")
HIGH_WATER = 4 << 20
LOW_WATER = 1 << 20


class Side(Protocol):
    """Interface of an engine to the measurements. Channels are numbered from 0."""

    async def offer(self) -> str: ...
    async def answer(self, sdp: str) -> str: ...
    async def accept(self, sdp: str) -> None: ...
    async def opened(self) -> None: ...
    async def send(self, channel: int, message: bytes) -> None: ...
    async def close(self) -> None: ...


OnMessage = Callable[[int, bytes], None]


class AiortcSide:
    """aiortc, or wrtc through its aiortc-like face."""

    def __init__(self, module: Any, channels: int, on_message: OnMessage) -> None:
        self._sdp_type = module.RTCSessionDescription
        self._pc = module.RTCPeerConnection()
        self._channels: list[Any] = []
        self._open = [asyncio.Event() for _ in range(channels)]
        self._low = [asyncio.Event() for _ in range(channels)]
        for index in range(channels):
            channel = self._pc.createDataChannel(f"c{index}", negotiated=True, id=index)
            channel.bufferedAmountLowThreshold = LOW_WATER
            channel.on("open", self._open[index].set)
            channel.on("bufferedamountlow", self._low[index].set)
            channel.on("message", lambda data, index=index: on_message(index, data))
            self._channels.append(channel)

    async def offer(self) -> str:
        await self._pc.setLocalDescription(await self._pc.createOffer())
        return await self._complete()

    async def answer(self, sdp: str) -> str:
        await self._pc.setRemoteDescription(self._sdp_type(sdp=sdp, type="offer"))
        await self._pc.setLocalDescription(await self._pc.createAnswer())
        return await self._complete()

    async def _complete(self) -> str:
        async with asyncio.timeout(10):
            while self._pc.iceGatheringState != "complete":  # noqa: ASYNC110  (wrtc has no event)
                await asyncio.sleep(0.001)
        return str(self._pc.localDescription.sdp)

    async def accept(self, sdp: str) -> None:
        await self._pc.setRemoteDescription(self._sdp_type(sdp=sdp, type="answer"))

    async def opened(self) -> None:
        for channel, event in zip(self._channels, self._open, strict=True):
            if channel.readyState != "open":
                await event.wait()

    async def send(self, channel: int, message: bytes) -> None:
        raw = self._channels[channel]
        if raw.bufferedAmount > HIGH_WATER:
            self._low[channel].clear()
            if raw.bufferedAmount > LOW_WATER:
                await self._low[channel].wait()
        raw.send(message)

    async def close(self) -> None:
        await self._pc.close()


class PeerlineSide:
    """Our own connection."""

    def __init__(self, channels: int, on_message: OnMessage) -> None:
        from peer.config import ChannelParameters
        from peer.rtc import Connection

        self._connection = Connection()
        self._channels = []
        self._low = [asyncio.Event() for _ in range(channels)]
        for index in range(channels):
            channel = self._connection.create_channel(
                ChannelParameters(label=f"c{index}", id=index)
            )
            handler = _Handler(channel, index, on_message, self._low[index])
            channel.attach(handler, low_water=LOW_WATER)
            self._channels.append(channel)

    async def offer(self) -> str:
        return await self._connection.offer()

    async def answer(self, sdp: str) -> str:
        return await self._connection.answer(sdp)

    async def accept(self, sdp: str) -> None:
        await self._connection.accept_answer(sdp)

    async def opened(self) -> None:
        await self._connection.connected()

    async def send(self, channel: int, message: bytes) -> None:
        raw = self._channels[channel]
        if raw.buffered > HIGH_WATER:
            self._low[channel].clear()
            if raw.buffered > LOW_WATER:
                await self._low[channel].wait()
        raw.send(message)

    async def close(self) -> None:
        await self._connection.close()


class _Handler:
    def __init__(
        self, channel: DataChannel, index: int, on_message: OnMessage, low: asyncio.Event
    ) -> None:
        self._channel = channel
        self._index = index
        self._on_message = on_message
        self._low = low

    def channel_opened(self) -> None: ...

    def channel_received(self, message: str | bytes) -> None:
        self._on_message(self._index, message)  # type: ignore[arg-type]  # we send bytes only
        self._channel.consume()

    def channel_drained(self) -> None:
        self._low.set()

    def channel_closed(self, clean: bool) -> None: ...


class ChromiumSide:
    """A page in a real browser.

    Received bytes are counted there and reported every few milliseconds: a call for each message
    would cost more than the message. Its CPU time is not ours to see.
    """

    def __init__(self, channels: int, on_message: OnMessage) -> None:
        self._count = channels
        self._on_message = on_message
        self._playwright: Playwright | None = None
        self._browser: Browser | None = None
        self._page: Page | None = None

    async def _started(self) -> Page:
        if self._page is None:
            from playwright.async_api import async_playwright

            program = shutil.which("chromium") or shutil.which("chromium-browser")
            if program is None:
                raise RuntimeError("there is no Chromium: apt-get install chromium")
            self._playwright = await async_playwright().start()
            sandbox = () if os.geteuid() else ("--no-sandbox",)
            # Without a name that only multicast DNS could resolve: there is nobody to ask here.
            hosts = "--disable-features=WebRtcHideLocalIpsWithMdns"
            self._browser = await self._playwright.chromium.launch(
                executable_path=program, args=[*sandbox, hosts]
            )
            self._page = await self._browser.new_page()
            await self._page.expose_function("arrived", self._arrived)
            await self._page.evaluate(_PAGE, self._count)
        return self._page

    def _arrived(self, messages: list[tuple[int, int, str]]) -> None:
        for channel, size, head in messages:
            self._on_message(channel, head.encode().ljust(size, b"\0"))

    async def _describe(self, how: str, sdp: str = "") -> str:
        return str(await (await self._started()).evaluate(f"sdp => {how}(sdp)", sdp))

    async def offer(self) -> str:
        return await self._describe("offer")

    async def answer(self, sdp: str) -> str:
        return await self._describe("answer", sdp)

    async def accept(self, sdp: str) -> None:
        await self._describe("accept", sdp)

    async def opened(self) -> None:
        await (await self._started()).evaluate("() => opened")

    async def send(self, channel: int, message: bytes) -> None:
        head = message[:16].rstrip(b"\0").decode()
        await (await self._started()).evaluate(
            "([c, head, size]) => send(c, head, size)", [channel, head, len(message)]
        )

    async def close(self) -> None:
        if self._browser is not None and self._playwright is not None:
            await self._browser.close()
            await self._playwright.stop()


_PAGE = """count => {
  const pc = new RTCPeerConnection(), channels = [], waiting = [];
  const tell = () => { if (waiting.length) arrived(waiting.splice(0)); };
  setInterval(tell, 5);
  for (let id = 0; id < count; id++) {
    const channel = pc.createDataChannel('c' + id, {negotiated: true, id});
    channel.binaryType = 'arraybuffer';
    channel.bufferedAmountLowThreshold = 1 << 20;
    channel.onmessage = event => {
      const head = new TextDecoder().decode(event.data.slice(0, 16)).split('\\0')[0];
      waiting.push([id, event.data.byteLength, head]);
      if (head) tell();
    };
    channels.push(channel);
  }
  window.opened = Promise.all(channels.map(c => new Promise(done => { c.onopen = done; })));
  const described = async make => {
    await pc.setLocalDescription(await make);
    while (pc.iceGatheringState != 'complete') await new Promise(done => setTimeout(done, 1));
    return pc.localDescription.sdp;
  };
  window.offer = () => described(pc.createOffer());
  window.accept = sdp => pc.setRemoteDescription({type: 'answer', sdp});
  window.answer = async sdp => {
    await pc.setRemoteDescription({type: 'offer', sdp});
    return described(pc.createAnswer());
  };
  window.send = async (id, head, size) => {
    const channel = channels[id], message = new Uint8Array(size);
    new TextEncoder().encodeInto(head, message);
    if (channel.bufferedAmount > 4 << 20)
      await new Promise(done => { channel.onbufferedamountlow = done; });
    channel.send(message);
  };
}"""


def open_side(engine: str, channels: int, on_message: OnMessage) -> Side:
    """Make one side of a measurement."""
    if engine == "peerline":
        return PeerlineSide(channels, on_message)
    if engine == "chromium":
        return ChromiumSide(channels, on_message)
    module = importlib.import_module("webrtc.aiortc" if engine == "wrtc" else "aiortc")
    return AiortcSide(module, channels, on_message)
