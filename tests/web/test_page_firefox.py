"""The page's modules in real Firefox, with its default settings, against Python."""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import signal
from pathlib import Path
from urllib.parse import urlencode

import pytest

import peer
from signaling.assets import page_directory
from signaling.config import Listener, ServerConfig
from signaling.server import SignalingServer
from tests.support.waiting import until

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

PREFERENCES = """
user_pref("datareporting.policy.dataSubmissionEnabled", false);
user_pref("browser.shell.checkDefaultBrowser", false);
"""
HTML = '<!doctype html><title>probe</title><script type="module" src="/probe.js"></script>'


def find_firefox() -> str:
    found = shutil.which("firefox-esr") or shutil.which("firefox")
    if found is None:
        pytest.fail("this test needs a real Firefox: apt-get install firefox-esr")
    return found


def make_page(folder: Path) -> Path:
    """The page's modules, and a window that uses them."""
    page = folder / "page"
    shutil.copytree(page_directory(), page)
    shutil.copy(Path(__file__).with_name("firefox_probe.js"), page / "probe.js")
    (page / "probe.html").write_text(HTML)
    return page


async def open_firefox(folder: Path, url: str) -> asyncio.subprocess.Process:
    profile = folder / "profile"
    profile.mkdir()
    (profile / "user.js").write_text(PREFERENCES)
    return await asyncio.create_subprocess_exec(
        *(find_firefox(), "--headless", "--no-remote", "--profile", str(profile), url),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )


async def somebody_came(server: SignalingServer) -> None:
    await until(lambda: server.rooms > 0, seconds=60)


async def hear(link: peer.Link, what: str) -> str:
    """The rest of the next chat message, after its beginning `what`."""
    text = (await link.chat.receive()).text
    assert text.startswith(f"{what} "), text
    return text.removeprefix(f"{what} ")


@pytest.mark.parametrize("firefox_first", [True, False], ids=["firefox_offers", "python_offers"])
async def test_a_file_goes_to_firefox_and_back(
    network: None, tmp_path: Path, firefox_first: bool
) -> None:
    source = tmp_path / "né w.bin"
    source.write_bytes(os.urandom(3_000_000))
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    saved = tmp_path / "saved"
    saved.mkdir()
    config = ServerConfig(listeners=(Listener("127.0.0.1", 0),), page=make_page(tmp_path))
    async with SignalingServer(config) as server:
        url = f"http://127.0.0.1:{server.port}"
        probe = f"{url}/probe.html#{urlencode({'room': 'demo', 'password': 'sesame'})}"
        firefox = await open_firefox(tmp_path, probe) if firefox_first else None
        try:
            if firefox_first:
                await somebody_came(server)
            async with peer.join(url, room="demo", password="sesame", name="py") as room:
                firefox = firefox or await open_firefox(tmp_path, probe)
                link = await asyncio.wait_for(room.link(), 60)
                assert link.authenticated
                await server.close()  # the page has loaded the worker that writes files
                await (await link.send_files([source])).done()
                assert await hear(link, "notice") == "null"  # there is a disk
                assert await hear(link, "digest") == digest
                assert await hear(link, "path") == "direct"
                incoming = await anext(aiter(link.transfers()))
                await incoming.accept(saved)
                await incoming.done()
        finally:
            if firefox is not None:
                os.killpg(firefox.pid, signal.SIGKILL)
                await firefox.wait()
    back = saved / "back né w.bin"
    assert hashlib.sha256(back.read_bytes()).hexdigest() == digest
