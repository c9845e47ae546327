"""A signaling server for each test of rooms."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from signaling.server import SignalingServer
from tests.support.links.rooms import running_server


@pytest_asyncio.fixture
async def server() -> AsyncIterator[SignalingServer]:
    """A server on the loopback interface."""
    async with running_server() as running:
        yield running
