"""Against the SCTP of stock aiortc, in one process, over a pipe that may lose packets."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Callable
from typing import Any

import pytest
from aiortc import RTCSctpCapabilities, RTCSctpTransport

from peer.sctp import (
    Association,
    AssociationEnded,
    DataChannelClosed,
    DataChannelMessage,
    DataChannelOpened,
    Event,
    SctpConfig,
    decode_payload,
)

pytestmark = pytest.mark.interop


class _Ice:
    role = "controlling"


class _Pipe:
    """Stands in for aiortc's DTLS transport, with our association at its other end."""

    state = "connected"
    _role = "server"

    def __init__(self, loss: float) -> None:
        self.transport = _Ice()
        self.association = Association(SctpConfig(), random=os.urandom)
        self.events: list[Event] = []
        self._loss = loss
        self._random = random.Random(5)
        self._receiver: Any = None
        self._wake = asyncio.Event()
        self._news = asyncio.Condition()

    def _register_data_receiver(self, receiver: Any) -> None:
        self._receiver = receiver

    def _unregister_data_receiver(self, receiver: Any) -> None:
        self._receiver = None

    async def _send_data(self, data: bytes) -> None:
        if self._random.random() >= self._loss:
            self.association.receive_datagram(data, self.now())
            self._wake.set()

    @staticmethod
    def now() -> float:
        return asyncio.get_running_loop().time()

    async def run(self) -> None:
        """Drive the association for ever."""
        association = self.association
        while True:
            self._wake.clear()
            now = self.now()
            association.handle_timer(now)
            while packets := association.datagrams_to_send(now):
                for packet in packets:
                    if self._receiver is not None and self._random.random() >= self._loss:
                        await self._receiver._handle_data(packet)
            async with self._news:
                while (event := association.next_event()) is not None:
                    self.events.append(event)
                    if isinstance(event, DataChannelMessage):
                        association.consume(event.stream_id, event.size)
                self._news.notify_all()
            timer = association.get_timer()
            delay = None if timer is None else max(0.0, timer - self.now())
            try:
                async with asyncio.timeout(delay):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until the events so far satisfy a condition."""
        self._wake.set()
        async with asyncio.timeout(60), self._news:
            await self._news.wait_for(condition)

    def of(self, kind: type[Event]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]


@pytest.mark.parametrize(("loss", "initiate"), [(0.0, True), (0.0, False), (0.05, True)])
async def test_stock_aiortc_echoes_every_message_and_closes(loss: float, initiate: bool) -> None:
    pipe = _Pipe(loss)
    stock = RTCSctpTransport(pipe)  # type: ignore[arg-type]  # a stand-in for the DTLS transport

    @stock.on("datachannel")
    def on_channel(channel: Any) -> None:
        channel.on("message", channel.send)

    async with asyncio.TaskGroup() as tasks:
        driver = tasks.create_task(pipe.run())
        association = pipe.association
        if initiate:
            association.connect(pipe.now())
        await stock.start(RTCSctpCapabilities(65536), 5000)
        messages: list[str | bytes] = [os.urandom(n) for n in (1, 1160, 1161, 30_000, 65_536)]
        messages += ["", b"", "text"]
        for round_ in range(2):  # the second round uses the stream ids again
            # Used again at once, but not when the answer that frees the id may have been lost.
            ids = (0, 2) if not loss else (4 * round_, 4 * round_ + 2)
            ordered = association.open_channel("ordered", stream_id=ids[0])
            unordered = association.open_channel("unordered", ordered=False, stream_id=ids[1])
            for message in messages:
                association.send_message(ordered, message, pipe.now())
                association.send_message(unordered, message, pipe.now())
            count = 2 * len(messages) * (round_ + 1)
            await pipe.until(lambda n=count: len(pipe.of(DataChannelMessage)) == n)  # type: ignore[misc]
            echoed = pipe.of(DataChannelMessage)[-2 * len(messages) :]
            for stream_id in (ordered, unordered):
                got = [decode_payload(m.ppid, m.data) for m in echoed if m.stream_id == stream_id]
                if stream_id == ordered:
                    assert got == messages
                assert sorted(map(repr, got)) == sorted(map(repr, messages))
            assert len(pipe.of(DataChannelOpened)) == 2 * round_ + 2
            association.close_channel(ordered)
            association.close_channel(unordered)
            closed = 2 * round_ + 2
            await pipe.until(lambda n=closed: len(pipe.of(DataChannelClosed)) == n)  # type: ignore[misc]
        await stock.stop()
        await pipe.until(lambda: bool(pipe.of(AssociationEnded)) or loss > 0)
        driver.cancel()
