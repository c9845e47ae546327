"""The page's CPace and sealing in real browsers: each has its own X25519."""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

ROOT = Path(__file__).resolve().parents[2]
PAGE = '<!doctype html><title>check</title><script type="module" src="/check.js"></script>'

pytestmark = pytest.mark.browser


def find(*names: str) -> str:
    found = next(filter(None, map(shutil.which, names)), None)
    if found is None:
        pytest.fail(f"this test needs a real browser: apt-get install {names[0]}")
    return found


def chromium(profile: Path, url: str) -> list[str]:
    sandbox = [] if os.geteuid() else ["--no-sandbox"]  # it refuses to run as root
    flags = ["--headless", "--disable-gpu", "--no-first-run", f"--user-data-dir={profile}"]
    return [find("chromium", "chromium-browser", "google-chrome-stable"), *flags, *sandbox, url]


def firefox(profile: Path, url: str) -> list[str]:
    (profile / "user.js").write_text(
        'user_pref("datareporting.policy.dataSubmissionEnabled", false);\n'
        'user_pref("browser.shell.checkDefaultBrowser", false);\n'
    )
    return [
        find("firefox-esr", "firefox"),
        "--headless",
        "--no-remote",
        "--profile",
        f"{profile}",
        url,
    ]


@pytest.mark.parametrize("browser", [chromium, firefox], ids=lambda browser: browser.__name__)
async def test_golden_vectors_hold_in_the_browser(browser: Any, tmp_path: Path) -> None:
    result: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()

    async def index(request: web.Request) -> web.Response:
        return web.Response(text=PAGE, content_type="text/html")

    async def script(request: web.Request) -> web.FileResponse:
        return web.FileResponse(Path(__file__).with_name("crypto_check.js"))

    async def report(request: web.Request) -> web.Response:
        if not result.done():
            result.set_result(await request.json())
        return web.Response()

    app = web.Application()
    app.add_routes(
        [
            web.get("/", index),
            web.get("/check.js", script),
            web.post("/result", report),
            web.static("/web", ROOT / "web"),
            web.static("/vectors", ROOT / "tests" / "vectors"),
        ]
    )
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
        process = await asyncio.create_subprocess_exec(
            *browser(tmp_path, url),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            async with asyncio.timeout(90):
                reported = await result
        finally:
            os.killpg(process.pid, 9)
            await process.wait()
    finally:
        await runner.cleanup()
    assert reported["differences"] == []
    assert reported["compared"] > 150
