"""Two ends of a link in one process, without a server between them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

from peer.config import LinkConfig
from peer.link.connection import LinkConnection
from peer.link.link import Link
from peer.rtc import Connection
from peer.types import PeerInfo
from tests.support.links.connections import connect

__all__ = ["LinkPair", "link_pair"]

WORDS = ("acid", "blimp", "copper", "dwarf")


@dataclass
class LinkPair:
    """Both ends, and the connections under them."""

    ours: Link
    theirs: Link
    our_connection: LinkConnection
    their_connection: LinkConnection

    async def vanish(self) -> None:
        """Let the other side's program die without a word: nothing arrives, nothing is sent."""
        ice = self.their_connection.connection._ice
        for protocol in ice._protocols:
            protocol.transport.abort()
        await asyncio.sleep(0)


@contextlib.asynccontextmanager
async def link_pair(
    config: LinkConfig | None = None,
    other: LinkConfig | None = None,
    *,
    make_connection: Callable[[], Connection] | None = None,
    meanwhile: Callable[[Link], Awaitable[object]] | None = None,
) -> AsyncIterator[LinkPair]:
    """Two linked ends, closed at the end.

    Args:
        config: Of our end.
        other: Of their end; None: as ours.
        make_connection: In place of a connection as the configurations say.
        meanwhile: Runs with our end before there is a link at the other end.
    """
    config = config or LinkConfig()

    def maker(config: LinkConfig) -> Callable[[], Connection]:
        return make_connection or (
            lambda: Connection(engine=config.engine, receive_window=config.window)
        )

    connections = (
        LinkConnection(0, maker(config), config),
        LinkConnection(0, maker(other or config), other or config),
    )
    links: list[Link] = []
    try:
        await connect(connections[0].connection, connections[1].connection)
        await asyncio.gather(
            connections[0].control.greet("alice", "test", None),
            connections[1].control.greet("bob", "test", None),
        )
        for connection, name in zip(connections, ("bob", "alice"), strict=True):
            links.append(
                Link(
                    connection,
                    peer=PeerInfo(name, name, "test"),
                    offerer=connection is connections[0],
                    authenticated=True,
                    sas=WORDS,
                    config=config if connection is connections[0] else other or config,
                )
            )
            if meanwhile is not None and len(links) == 1:
                await meanwhile(links[0])
        yield LinkPair(links[0], links[1], *connections)
    finally:
        await asyncio.gather(*(link.close() for link in links))
        await asyncio.gather(*(connection.close() for connection in connections))
