"""The page of a server that is a part of another application, under a prefix."""

from __future__ import annotations

import asyncio

import pytest
from aiohttp import web
from playwright.async_api import Browser

import signaling
from tests.support.browsers.browser import Person

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]


async def test_two_people_meet_under_a_prefix(browser: Browser) -> None:
    app = web.Application()
    app.add_subapp("/tools/peerline/", signaling.create_app())
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/tools/peerline"
    anna, ben = await asyncio.gather(
        Person.with_browser(browser, url), Person.with_browser(browser, url)
    )
    try:
        await ben.type_code(await anna.make_code())
        await anna.is_connected()
        await ben.is_connected()
        assert anna.page.url.startswith(f"{url}/")
        assert [*anna.errors, *ben.errors] == []
    finally:
        await anna.close()
        await ben.close()
        await runner.cleanup()
