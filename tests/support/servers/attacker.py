"""A signaling server in an attacker's hands: a real one, behind a proxy that meddles."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence

import aiohttp
from aiohttp import web

from signaling.messages import (
    MAX_SERVER_MESSAGE_BYTES,
    SUBPROTOCOL,
    WEBSOCKET_PATH,
    ServerMessage,
    SignalFrom,
    parse_server,
    serialize,
)
from tests.support.links.rooms import running_server

__all__ = ["Attack", "Deliver", "attacked_server", "on_signals"]

Deliver = Callable[[ServerMessage], None]
"""Sends a message to one client, as if the server had."""
Attack = Callable[[ServerMessage, Deliver], None]
"""Decides what a client gets in place of a message of the real server."""


def on_signals(tamper: Callable[[SignalFrom], Sequence[SignalFrom]]) -> Attack:
    """An attack on signals alone."""

    def attack(message: ServerMessage, deliver: Deliver) -> None:
        if isinstance(message, SignalFrom):
            for changed in tamper(message):
                deliver(changed)
        else:
            deliver(message)

    return attack


@contextlib.asynccontextmanager
async def attacked_server(attack: Attack) -> AsyncIterator[str]:
    """Run the server; what it says passes through `attack`. Yields its URL."""
    async with running_server() as server, aiohttp.ClientSession() as session:

        async def handle(request: web.Request) -> web.WebSocketResponse:
            inside = web.WebSocketResponse(protocols=(SUBPROTOCOL,))
            await inside.prepare(request)
            async with session.ws_connect(
                f"{server.urls[0].rstrip('/')}{WEBSOCKET_PATH}",
                protocols=(SUBPROTOCOL,),
                max_msg_size=MAX_SERVER_MESSAGE_BYTES,
            ) as outside:
                await carry(inside, outside, attack)
            return inside

        application = web.Application()
        application.router.add_get(WEBSOCKET_PATH, handle)
        runner = web.AppRunner(application, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        try:
            host, port = runner.addresses[0][:2]
            yield f"http://{host}:{port}"
        finally:
            await runner.cleanup()


async def carry(
    inside: web.WebSocketResponse, outside: aiohttp.ClientWebSocketResponse, attack: Attack
) -> None:
    """Carry frames both ways until either end closes."""

    async def outward() -> None:
        async for frame in inside:
            await outside.send_str(frame.data)
        await outside.close()

    async def inward() -> None:
        async for frame in outside:
            waiting: list[ServerMessage] = []
            attack(parse_server(frame.data), waiting.append)
            for message in waiting:
                await inside.send_str(serialize(message))
        await inside.close(code=outside.close_code or 1000)

    with contextlib.suppress(ConnectionError):
        await asyncio.gather(outward(), inward())
