"""Losses that a connection survives, and evidence that it is lost."""

from __future__ import annotations

import asyncio
import re
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Self

import pytest
import pytest_asyncio

from lab.lossy_relay import LossyRelay
from lab.namespaces import LAN_ADDRESS, own_network
from peer.config import ENGINES, EngineName
from peer.errors import LinkLost, PeerError
from peer.rtc import Connection
from peer.rtc.ice import address_watch
from peer.rtc.ice.address_watch import AddressWatch, is_own
from tests.support.links.connections import CONTROL, RecordingHandler, connect
from tests.support.servers.coturn import Coturn, running_coturn

_CANDIDATE = re.compile(r"^a=(?:candidate:.*|end-of-candidates)\r?\n", re.MULTILINE)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("peer.rtc.ice.agent.CONSENT_INTERVAL", 0.1)
    monkeypatch.setattr(address_watch, "INTERVAL", 0.02)


@pytest.mark.parametrize("engine", ENGINES)
async def test_a_nat_that_gives_the_offerer_another_address_costs_a_moment(
    engine: EngineName,
) -> None:
    """The answerer sees the offerer move, and follows it since its checks nominate."""
    path = LossyRelay()
    offerer, answerer = Connection(engine=engine), Connection(engine=engine)
    ours = RecordingHandler(offerer.create_channel(CONTROL))
    theirs = RecordingHandler(answerer.create_channel(CONTROL))
    try:
        # The offerer's own addresses are not told: there is one way only.
        answer = await answerer.answer(_CANDIDATE.sub("", await offerer.offer()))
        await offerer.accept_answer(await path.rewrite(answer, "theirs"))
        async with asyncio.timeout(20):
            await asyncio.gather(offerer.connected(), answerer.connected())
            before = answerer.path
            path.rebind()
            theirs.channel.send("do you hear me")  # only to the new address
            assert await ours.messages.get() == "do you hear me"
            ours.channel.send("yes")
            assert await theirs.messages.get() == "yes"
            assert before is not None
            assert answerer.path is not None
            assert answerer.path.remote_address != before.remote_address
    finally:
        await asyncio.gather(offerer.close(), answerer.close())
        await path.close()


class Ends:
    """Two connections and the errors they end with."""

    def __init__(self, *, servers: tuple[object, ...] = (), policy: str = "all") -> None:
        self.connections = [
            Connection(servers, policy=policy)  # type: ignore[arg-type]
            for _ in range(2)
        ]
        self.handlers = [RecordingHandler(c.create_channel(CONTROL)) for c in self.connections]
        self.errors: asyncio.Queue[PeerError] = asyncio.Queue()
        for connection in self.connections:
            connection.on_ended = self.errors.put_nowait

    async def __aenter__(self) -> Self:
        await connect(*self.connections)
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.gather(*(connection.close() for connection in self.connections))


def ip(command: str) -> None:
    subprocess.run(["ip", *command.split()], check=True, capture_output=True)


def test_an_address_that_is_gone_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(address_watch, "GONE_FOR", 0.2)

    async def story() -> None:
        async with Ends() as ends, asyncio.timeout(10):
            ip(f"address del {LAN_ADDRESS}/24 dev va")
            error = await ends.errors.get()
            assert isinstance(error, LinkLost)
            assert f"no longer has the network address {LAN_ADDRESS}" in str(error)

    with own_network() as own, asyncio.Runner() as runner:
        assert own
        runner.run(story())


def test_an_address_that_comes_back_soon_costs_nothing() -> None:
    async def story() -> None:
        async with Ends() as ends, asyncio.timeout(10):
            noticed = asyncio.Event()
            observer = ends.connections[0]._watch
            assert observer is not None

            def check(address: str) -> bool:
                if not is_own(address):
                    noticed.set()
                return is_own(address)

            observer._check = check
            ip(f"address del {LAN_ADDRESS}/24 dev va")
            await noticed.wait()
            ip(f"address add {LAN_ADDRESS}/24 dev va")
            for handler, other in (ends.handlers, reversed(ends.handlers)):
                handler.channel.send("still here")
                assert await other.messages.get() == "still here"
            assert ends.errors.empty()

    with own_network() as own, asyncio.Runner() as runner:
        assert own
        runner.run(story())


def test_an_interface_that_is_down_for_a_moment_costs_nothing() -> None:
    async def story() -> None:
        async with Ends() as ends, asyncio.timeout(10):
            ip("link set va down")
            ends.handlers[0].channel.send("still here")
            ip("link set va up")
            assert await ends.handlers[1].messages.get() == "still here"
            assert ends.errors.empty()

    with own_network() as own, asyncio.Runner() as runner:
        assert own
        runner.run(story())


def test_only_own_addresses_are_own() -> None:
    assert is_own("127.0.0.1")
    assert not is_own("192.0.2.1")
    assert not is_own("2001:db8::1")


async def test_the_watch_forgives_what_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(address_watch, "INTERVAL", 0.001)
    monkeypatch.setattr(address_watch, "GONE_FOR", 0.0)
    gone: asyncio.Queue[str] = asyncio.Queue()
    answers = iter([True, False, True, False, True, False, False])
    observer = AddressWatch(lambda: "192.0.2.1", gone.put_nowait, lambda address: next(answers))
    async with asyncio.timeout(10):
        assert await gone.get() == "192.0.2.1"
    assert next(answers, None) is None
    observer.close()


@pytest_asyncio.fixture
async def coturn(tmp_path: Path) -> AsyncIterator[Coturn]:
    async with running_coturn(tmp_path) as server:
        yield server


@pytest.mark.turn
async def test_a_turn_server_that_is_gone_is_told_at_once(coturn: Coturn) -> None:
    """UDP: the system of its machine says so, and the other side answers no more."""
    async with Ends(servers=(coturn.entry(),), policy="relay") as ends, asyncio.timeout(15):
        await coturn.kill()
        error = await ends.errors.get()
        assert isinstance(error, LinkLost)
        assert "The TURN server that relayed the connection has stopped answering." in str(error)


async def test_a_closed_port_is_no_proof_by_itself() -> None:
    """The ICMP message may be anybody's: the other side, which still answers, is believed."""
    async with Ends() as ends:
        ice = ends.connections[0]._ice
        protocol = ice._nominated[1].protocol
        asked = asyncio.Event()
        request = protocol.request

        async def ask(*arguments: Any, **settings: Any) -> Any:
            result = await request(*arguments, **settings)
            asked.set()
            return result

        protocol.request = ask  # type: ignore[method-assign]
        ice.doubt(protocol, "forged")
        async with asyncio.timeout(10):
            await asked.wait()
        ends.handlers[0].channel.send("still here")
        assert await ends.handlers[1].messages.get() == "still here"
        assert ends.errors.empty()


def test_a_program_that_is_gone_is_noticed_at_once() -> None:
    """Its system says that the port is closed, and no check is answered."""

    async def story() -> None:
        async with Ends() as ends, asyncio.timeout(10):
            for protocol in ends.connections[1]._ice._protocols:
                protocol.transport.endpoint.close()  # type: ignore[attr-defined]
            error = await ends.errors.get()
            assert isinstance(error, LinkLost)
            assert "The program at the other end has stopped." in str(error)

    with asyncio.Runner() as runner:  # uvloop cannot tell
        runner.run(story())
