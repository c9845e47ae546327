"""The messages of the page without a server, a network, https, or space on the disk."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from playwright.async_api import Browser, expect

from lab.namespaces import LAN_ADDRESS, Network, own_network
from signaling.assets import page_directory
from signaling.config import Listener, ServerConfig
from signaling.server import SignalingServer
from tests.support.browsers.browser import Person, chromium
from tests.web.conftest import NewPerson, connect

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]


# The page asked for its disk when it was loaded; this is its stored answer.
DISK_IS_THERE = "import('/client/transfer/disk/sink.js').then(({ canUseDisk }) => canUseDisk())"
SIZES_ON_DISK = """async () => {
  const sizes = [];
  const root = await navigator.storage.getDirectory();
  for await (const folder of (await root.getDirectoryHandle('peerline')).values())
    for await (const file of folder.values()) sizes.push((await file.getFile()).size);
  return sizes;
}"""


def config(host: str = "127.0.0.1", port: int = 0) -> ServerConfig:
    """A server with the page."""
    return ServerConfig(listeners=(Listener(host, port),), page=page_directory())


async def test_a_server_that_went_away_can_be_tried_again(browser: Browser) -> None:
    async with SignalingServer(config()) as server:
        port = server.port
        anna = await Person.with_browser(browser, f"http://127.0.0.1:{port}")
        ben = await Person.with_browser(browser, f"http://127.0.0.1:{port}")
        await anna.make_code()
    # Two digits: the new server's first code has one digit, so this code is unused.
    await ben.type_code("77-guitar-ocean")
    for someone in (anna, ben):
        await someone.sees_failure("The signaling server")
    # The browser reports a refused WebSocket on its console; the page tells the person.
    assert [error for error in [*anna.errors, *ben.errors] if "WebSocket" not in error] == []
    async with SignalingServer(config(port=port)):
        await anna.button("Try again").click()
        await expect(anna.page.get_by_label("Your code")).to_be_visible()
        await ben.button("Try again").click()
        await ben.sees_failure("Nobody is waiting with this code")
        await anna.close()
        await ben.close()


async def test_a_session_outlives_the_server_that_made_it(browser: Browser, tmp_path: Path) -> None:
    async with SignalingServer(config()) as server:
        url = f"http://127.0.0.1:{server.port}"
        anna = await Person.with_browser(browser, url)
        ben = await Person.with_browser(browser, url)
        await ben.type_code(await anna.make_code())
        await anna.is_connected()
        await ben.is_connected()
        assert await ben.page.evaluate(DISK_IS_THERE)
    path = tmp_path / "without.bin"
    path.write_bytes(bytes(range(256)) * 20_000)
    for _ in range(2):
        await anna.choose(path)
        await expect(ben.offer).to_contain_text("without.bin")
        assert "memory" not in await ben.offer.inner_text()
        await ben.accepts()
        _, saved = await ben.gets_download()
        assert saved.read_bytes() == path.read_bytes()
    assert await ben.page.evaluate(SIZES_ON_DISK) == [path.stat().st_size] * 2
    await anna.close()
    await ben.close()


async def test_plain_http_across_the_network_is_explained(browser: Browser) -> None:
    async with SignalingServer(config(host=LAN_ADDRESS)) as server:
        ben = await Person.with_browser(
            browser, f"http://{LAN_ADDRESS}:{server.port}", fragment="7-guitar-ocean"
        )
        await ben.sees_failure("This page was opened over plain http")
        await ben.sees("https://")
        await ben.close()


async def test_files_that_do_not_fit_are_declined_with_the_reason(
    person: NewPerson, tmp_path: Path
) -> None:
    anna, ben = await connect(person)
    await ben.page.evaluate(
        "StorageManager.prototype.estimate = async () => ({ quota: 30_000_000, usage: 0 })"
    )
    path = tmp_path / "large.bin"
    with path.open("wb") as file:
        file.truncate(40_000_000)
    await anna.choose(path)
    await ben.accepts()
    await ben.sees_transfer("large.bin", "These files need 40 MB")
    await expect(ben.offer).to_be_hidden()
    await anna.sees_transfer("large.bin", "The other side has not enough free space")


async def test_a_browser_without_a_disk_says_so_and_uses_memory(
    person: NewPerson, tmp_path: Path
) -> None:
    anna, ben = await person(), await person()
    await ben.page.add_init_script("delete StorageManager.prototype.getDirectory;")
    await ben.page.reload()
    await ben.type_code(await anna.make_code())
    await ben.is_connected()
    path = tmp_path / "memory.bin"
    path.write_bytes(bytes(range(256)) * 10_000)
    await anna.choose(path)
    await expect(ben.offer).to_contain_text("stay in memory until you save them")
    await ben.accepts()
    _, saved = await ben.gets_download()
    assert hashlib.sha256(saved.read_bytes()).digest() == hashlib.sha256(path.read_bytes()).digest()
    await ben.sees_transfer("memory.bin", "stay in memory until you save them")


async def test_a_device_without_a_network_is_told_so() -> None:
    with own_network(Network.LOOPBACK_ONLY):
        async with SignalingServer(config()) as server, chromium() as browser:
            url = f"http://127.0.0.1:{server.port}"
            anna = await Person.with_browser(browser, url)
            ben = await Person.with_browser(browser, url)
            await ben.type_code(await anna.make_code())
            for someone in (anna, ben):
                heading = someone.heading("This device has no network route")
                await expect(heading).to_be_visible(timeout=60_000)
                await someone.sees("Connect both devices to the same network")


async def test_two_windows_meet_where_there_is_only_loopback() -> None:
    # Browsers do not use loopback addresses by default, and show addresses only to pages that may
    # use the microphone.
    with own_network(Network.LOOPBACK_ONLY):
        flag = "--allow-loopback-in-peer-connection"
        async with SignalingServer(config()) as server, chromium(flag) as browser:
            url = f"http://127.0.0.1:{server.port}"
            anna, ben = [
                await Person.with_browser(browser, url, permissions=["microphone"])
                for _ in range(2)
            ]
            await ben.type_code(await anna.make_code())
            await anna.is_connected()
            await ben.is_connected()
