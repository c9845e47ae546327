"""The server as a part of somebody's aiohttp application, as docs/howto/embedding.md says."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

import peer
import signaling
from signaling.errors import CloseCode
from signaling.frame_meter import FrameMeter
from signaling.messages import Draining, Ice, IceUpdate
from tests.support.processes.leftovers import nothing_left_behind
from tests.support.servers.clients import ENOUGH, open_client
from tests.support.servers.raw_websocket import open_raw
from tests.support.servers.websocket_frames import PONG, frame

PAGE = (Path(__file__).parents[2] / "docs" / "howto" / "embedding.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


@contextlib.asynccontextmanager
async def running(app: web.Application) -> AsyncIterator[str]:
    async with nothing_left_behind():
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            yield f"http://127.0.0.1:{runner.addresses[0][1]}"
        finally:
            await runner.cleanup()


def mounted(**config: Any) -> web.Application:
    limits = signaling.LimitsConfig(close_timeout=0.1)
    app = web.Application()
    app.add_subapp("/rtc/", signaling.create_app(signaling.ServerConfig(limits=limits, **config)))
    return app


async def get(url: str, **options: Any) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.get(url, **options) as response:
        return response.status, await response.text()


async def test_the_sample_runs_and_two_peers_meet_in_it() -> None:
    names: dict[str, Any] = {"__name__": "sample"}
    exec(compile(BLOCKS[0], "embedding.md", "exec"), names)
    async with running(names["application"]()) as url, asyncio.timeout(3 * ENOUGH):
        assert await get(f"{url}/hello") == (200, "my own application\n")
        for server in (
            f"{url}/peerline/",
            f"{url}/peerline",
            f"{url}/peerline/".replace("http", "ws"),
        ):
            async with peer.host(server) as alice, peer.join(server, code=alice.code) as bob:
                link, other = await asyncio.gather(alice.link(), bob.link())
                assert link.sas == other.sas


async def test_the_sample_of_a_configuration_is_one() -> None:
    names: dict[str, Any] = {"signaling": signaling, "web": web}
    exec(compile(BLOCKS[1], "embedding.md", "exec"), names)
    async with running(names["app"]) as url:
        assert (await get(f"{url}/peerline/", headers={"Host": "app.example.org"}))[0] == 200
        assert (await get(f"{url}/peerline/", headers={"Host": "evil.example"}))[0] == 421


async def test_the_page_is_there_under_the_prefix_with_all_its_files() -> None:
    app = mounted(page=signaling.page_directory())
    async with running(app) as url:
        status, page = await get(f"{url}/rtc/")
        assert status == 200
        for name in re.findall(r'(?:href|src)="([^"#]+)"', page):
            assert not name.startswith("/")
            assert (await get(f"{url}/rtc/{name}"))[0] == 200
        assert (await get(f"{url}/rtc/healthz"))[0] == 200
        assert (await get(f"{url}/page/main.js"))[0] == 404
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"{url}/rtc?x", allow_redirects=False) as response,
        ):
            assert response.status == 308
            assert response.headers["Location"] == "/rtc/"


async def test_it_can_be_the_whole_application() -> None:
    async with running(signaling.create_app()) as url, open_client(url) as alice:
        await alice.join(room="demo")
        assert "<title>" in (await get(url))[1]


async def test_clients_are_told_goodbye_when_the_application_ends() -> None:
    runner = web.AppRunner(mounted(), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/rtc"
    async with open_client(url) as alice:
        await alice.join(room="demo")
        closing = asyncio.create_task(runner.cleanup())
        await alice.expect(Draining)
        assert await alice.closed() == CloseCode.DRAINING
        await closing


async def test_two_of_them_in_one_application_know_nothing_of_each_other() -> None:
    app = mounted()
    app.add_subapp("/two/", signaling.create_app(signaling.ServerConfig()))
    async with (
        running(app) as url,
        open_client(f"{url}/rtc") as alice,
        open_client(f"{url}/two") as bob,
    ):
        await alice.join(room="demo")
        await bob.join(room="demo")
        assert bob.welcome is not None
        assert bob.welcome.peers == ()


async def test_floods_are_bounded_here_too(monkeypatch: pytest.MonkeyPatch) -> None:
    passed = 0
    take = FrameMeter.take

    def counting(self: FrameMeter, now: float) -> bytes:
        nonlocal passed
        data = take(self, now)
        passed += len(data)
        return data

    monkeypatch.setattr(FrameMeter, "take", counting)
    loop = asyncio.get_running_loop()
    async with running(mounted()) as url, open_client(f"{url}/rtc") as alice:
        await alice.join(room="demo")
        async with open_raw(int(url.rpartition(":")[2]), path="/rtc/v1/ws") as raw:
            start, passed = loop.time(), 0
            raw.writer.write(frame(b"", PONG) * 50_000)
            for number in range(20):
                await alice.send(Ice(id=number))
                assert (await alice.expect(IceUpdate)).id == number
            assert passed < 6 * (600 + 200 * (loop.time() - start))
            raw.writer.transport.abort()
