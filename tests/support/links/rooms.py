"""A signaling server in this process, and two peers that meet on it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import peer
from peer.config import LinkConfig
from peer.link.link import Link
from peer.room.room import Room
from signaling.config import ServerConfig
from signaling.ice_servers import IceConfig
from signaling.limits_config import LimitsConfig
from signaling.server import SignalingServer

__all__ = ["LinkedPair", "linked", "running_server"]


@contextlib.asynccontextmanager
async def running_server(
    ice: IceConfig | None = None, limits: LimitsConfig | None = None
) -> AsyncIterator[SignalingServer]:
    """A server on a free port of the loopback interface."""
    config = ServerConfig(ice=ice or IceConfig(), limits=limits or LimitsConfig())
    async with SignalingServer(config) as server:
        yield server


class LinkedPair:
    """Two rooms with the two ends of one link."""

    def __init__(self, rooms: tuple[Room, Room], links: tuple[Link, Link]) -> None:
        self.rooms = rooms
        self.host, self.guest = links


@contextlib.asynccontextmanager
async def linked(
    ice: IceConfig | None = None, config: LinkConfig | None = None, *, relay_only: bool = False
) -> AsyncIterator[LinkedPair]:
    """Two peers that met by a code."""
    async with (
        running_server(ice) as server,
        peer.host(server.urls[0], name="alice", config=config, relay_only=relay_only) as first,
    ):
        assert first.code is not None
        async with (
            peer.join(
                server.urls[0], first.code, name="bob", config=config, relay_only=relay_only
            ) as second,
            asyncio.timeout(30),
        ):
            links = await asyncio.gather(first.link(), second.link())
            yield LinkedPair((first, second), (links[0], links[1]))
