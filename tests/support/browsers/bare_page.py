"""A page in a real browser that has nothing but RTCPeerConnection, and does what a test says."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Final

import pytest
from aiohttp import web

from tests.support.browsers.browser import find_chromium
from tests.support.stacks.remote import Remote

__all__ = ["BROWSERS", "BarePage", "bare_page"]

_PAGE: Final = (
    '<!doctype html><title>bare</title><script type="module" src="/bare_page.js"></script>'
)
_PREFERENCES: Final = """
user_pref("datareporting.policy.dataSubmissionEnabled", false);
user_pref("browser.shell.checkDefaultBrowser", false);
"""

_SCRIPTS = {
    "/bare_page.js": Path(__file__).with_name("bare_page.js"),
    "/verbs.mjs": Path(__file__).parents[1] / "stacks" / "verbs.mjs",
}


class BarePage(Remote):
    """The page, once it has come."""

    def __init__(self, browser: str) -> None:
        super().__init__()
        self.browser = browser
        self.ready = asyncio.Event()
        self._socket: web.WebSocketResponse

    async def _send(self, call: str) -> None:
        await self._socket.send_str(call)

    async def converse(self, request: web.Request) -> web.WebSocketResponse:
        """The page has come."""
        self._socket = web.WebSocketResponse()
        await self._socket.prepare(request)
        self.ready.set()
        async for message in self._socket:
            self.replied(message.data)
        self.gone("the browser is gone")
        return self._socket


def _chromium_without_handshake(profile: Path, url: str) -> list[str]:
    # Later versions will do so unasked: no SCTP handshake, but a=sctp-init in the descriptions.
    return [*_chromium(profile, url), "--enable-features=WebRtcSctpSnap"]


def _chromium(profile: Path, url: str) -> list[str]:
    sandbox = [] if os.geteuid() else ["--no-sandbox"]  # it refuses to work for root
    flags = ["--headless", "--disable-gpu", "--no-first-run", f"--user-data-dir={profile}"]
    return [find_chromium(), *flags, *sandbox, url]


def _firefox(profile: Path, url: str) -> list[str]:
    found = shutil.which("firefox-esr") or shutil.which("firefox")
    if found is None:
        pytest.fail("this test needs a real Firefox: apt-get install firefox-esr")
    (profile / "user.js").write_text(_PREFERENCES)
    return [found, "--headless", "--no-remote", "--profile", str(profile), url]


BROWSERS: Final[dict[str, Callable[[Path, str], list[str]]]] = {
    "chromium": _chromium,
    "chromium without handshake": _chromium_without_handshake,
    "firefox": _firefox,
}


@contextlib.asynccontextmanager
async def bare_page(browser: str, profile: Path) -> AsyncIterator[BarePage]:
    """A browser with its default settings that shows the page.

    Args:
        browser: One of `BROWSERS`.
        profile: An empty folder for it.
    """
    page = BarePage(browser)

    async def index(request: web.Request) -> web.Response:
        return web.Response(text=_PAGE, content_type="text/html")

    async def script(request: web.Request) -> web.FileResponse:
        return web.FileResponse(_SCRIPTS[request.path])

    app = web.Application()
    app.add_routes(
        [
            web.get("/", index),
            web.get("/bare_page.js", script),
            web.get("/verbs.mjs", script),
            web.get("/socket", page.converse),
        ]
    )
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    try:
        # 127.0.0.1 is a secure context: there is crypto.subtle.
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        process = await asyncio.create_subprocess_exec(
            *BROWSERS[browser](profile, f"http://127.0.0.1:{runner.addresses[0][1]}/"),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            async with asyncio.timeout(60):
                await page.ready.wait()
            yield page
        finally:
            with contextlib.suppress(ProcessLookupError):  # it may have crashed
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
    finally:
        await runner.cleanup()
