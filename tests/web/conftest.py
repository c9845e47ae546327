"""A network, a signaling server and a Chromium for each module, a window for each person."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser

from lab.namespaces import own_network
from signaling.assets import page_directory
from signaling.config import ServerConfig
from signaling.server import SignalingServer
from tests.support.browsers.browser import Person, chromium

NewPerson = Callable[..., Awaitable[Person]]


async def connect(person: NewPerson, **options: Any) -> tuple[Person, Person]:
    """Two people, connected by a code: the one that made it, and the one that typed it."""
    anna, ben = await asyncio.gather(person(**options), person(**options))
    await anna.calls_herself("Anna")
    await ben.calls_herself("Ben")
    await ben.type_code(await anna.make_code())
    await anna.is_connected("Ben")
    await ben.is_connected("Anna")
    return anna, ben


@pytest.fixture(scope="module")
def network() -> Iterator[None]:
    """The network of the module's tests."""
    with own_network():
        yield


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(network: None) -> AsyncIterator[SignalingServer]:
    """A signaling server that serves the page."""
    config = ServerConfig(page=page_directory())
    async with SignalingServer(config) as server:
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser(network: None) -> AsyncIterator[Browser]:
    """A Chromium with its default flags."""
    async with chromium() as browser:
        yield browser


@pytest_asyncio.fixture(loop_scope="module")
async def person(browser: Browser, server: SignalingServer) -> AsyncIterator[NewPerson]:
    """Opens the page for one more person; no browser may report an error."""
    people: list[Person] = []

    async def arrive(fragment: str = "", **options: Any) -> Person:
        url = f"http://127.0.0.1:{server.port}"
        people.append(await Person.with_browser(browser, url, fragment=fragment, **options))
        return people[-1]

    yield arrive
    for someone in people:
        await someone.close()
    assert [error for someone in people for error in someone.errors] == []
