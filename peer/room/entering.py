"""Entering rooms: `host` and `join` (floor 3).

The modules of a room take a third of a second to load. A thread loads them when a room is entered:
the event loop of the program continues meanwhile, and calling `host` or `join` costs nothing.
"""

from __future__ import annotations

import asyncio
import os
import ssl as ssl_module
from collections.abc import Callable, Coroutine, Generator
from importlib import import_module
from types import ModuleType, TracebackType
from typing import TYPE_CHECKING, Any

from peer.config import LinkConfig
from peer.errors import ServerUnreachable
from peer.security.codes import DEFAULT_WORDS, RANDOM_BYTES, Code, make_words
from peer.text import fit_name

if TYPE_CHECKING:
    from signaling.ice_servers import IceConfig

    from .room import Room

__all__ = ["Entering", "host", "join"]


class Entering(Coroutine[Any, Any, "Room"]):
    """A room that is about to be entered: await it, or use it in `async with`, once.

        async with peer.host(server) as room:      # closed at the end of the block
            ...

        room = await peer.host(server)             # closed by `await room.close()`

    It is a coroutine: tasks and timeouts take it, too. Cancelled on the way, it leaves nothing
    behind, here or on the server.
    """

    def __init__(self, enter: Callable[[], Coroutine[Any, Any, Room]]) -> None:
        """Enter by a coroutine function; `host` and `join` make one."""
        self._enter = enter
        self._begun: Coroutine[Any, Any, Room] | None = None
        self._room: Room | None = None

    def _begin(self) -> Coroutine[Any, Any, Room]:
        if self._begun is None:  # only now, so that one that is dropped needs no awaiting
            self._begun = self._enter()
        return self._begun

    def __await__(self) -> Generator[Any, Any, Room]:
        return self._begin().__await__()

    def send(self, value: Any) -> Any:
        """Go on; event loops do this."""
        return self._begin().send(value)

    def throw(self, *error: Any) -> Any:
        """Go on with an exception; event loops do this."""
        return self._begin().throw(*error)

    def close(self) -> None:
        """Give it up where it stands; event loops do this."""
        if self._begun is not None:
            self._begun.close()

    async def __aenter__(self) -> Room:
        self._room = await self._begin()
        return self._room

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._room is not None:
            await self._room.close()


def host(
    server: str,
    *,
    name: str = "",
    words: int = DEFAULT_WORDS,
    ice: IceConfig | None = None,
    relay_only: bool = False,
    ssl: ssl_module.SSLContext | None = None,
    config: LinkConfig | None = None,
) -> Entering:
    """Open a code room on a server, for one other side to join with its code.

    Await the result, or use it in `async with`.

    Args:
        server: URL of the server, or of its page. Without a scheme it is whatever the server
            speaks: TLS first, and plain on this machine.
        name: Our name, as others see it.
        words: Number of secret words in the code.
        ice: STUN and TURN servers to use in place of the server's.
        relay_only: Show and use nothing but addresses of TURN servers.
        ssl: For `https:` servers with a certificate of their own; None checks as usual.
        config: Of the link.

    Raises:
        ServerUnreachable: Nothing there answers.
        ServerRefused: The server does not want to.
        PeerTimeout: The server does not answer in time.
    """
    settings = config or LinkConfig()

    async def enter() -> Room:
        await _loading("peer.room.room")
        from peer.link.guess_budget import Budget
        from peer.server.client import SignalingClient
        from signaling.messages import Hello

        from .room import Room

        secret = make_words(os.urandom(RANDOM_BYTES), words)
        hello = Hello(code=True, name=fit_name(name) or None)
        client = await SignalingClient.join(server, hello, ssl=ssl, timeout=settings.timeouts.join)
        if client.welcome.code is None:
            await client.close()
            raise ServerUnreachable("The server gave a room without a number.")
        code = Code(client.welcome.code, secret)
        return Room(
            client,
            code=code,
            password=code.password,
            budget=Budget.of_new_code(),
            name=fit_name(name),
            ice=ice,
            relay_only=relay_only,
            config=settings,
        )

    return Entering(enter)


def join(
    server: str,
    code: Code | str | None = None,
    *,
    room: str | None = None,
    password: str | None = None,
    name: str = "",
    ice: IceConfig | None = None,
    relay_only: bool = False,
    ssl: ssl_module.SSLContext | None = None,
    config: LinkConfig | None = None,
) -> Entering:
    """Join a room on a server: a code room by its code, or a named room.

    Await the result, or use it in `async with`.

    Args:
        server: URL of the server, or of its page. Without a scheme it is whatever the server
            speaks: TLS first, and plain on this machine.
        code: As the other side said it, in whatever form `Code.parse` takes.
        room: Name of a room, instead of a code.
        password: Of the named room. Without one, links are encrypted but not authenticated.
        name: Our name, as others see it.
        ice: STUN and TURN servers to use in place of the server's.
        relay_only: Show and use nothing but addresses of TURN servers.
        ssl: For `https:` servers with a certificate of their own; None checks as usual.
        config: Of the links.

    Raises:
        CodeError: The code is not valid.
        ServerUnreachable: Nothing there answers.
        ServerRefused: The server does not let us in, or there is no such code.
        PeerTimeout: The server does not answer in time.
        ValueError: Neither or both of code and room, or a password for a code.
    """
    if (code is None) is (room is None) or (code is not None and password is not None):
        raise ValueError("give a code, or a room and perhaps its password")
    settings = config or LinkConfig()

    async def enter() -> Room:
        await _loading("peer.room.room")
        from peer.link.guess_budget import Budget
        from peer.security.cpace import password_bytes
        from peer.server.address import host_and_port
        from peer.server.client import SignalingClient
        from signaling.messages import Hello

        from .room import Room

        known = Code.parse(code) if isinstance(code, str) else code
        if known is not None:
            hello = Hello(code=known.number, name=fit_name(name) or None)
            secret: bytes | None = known.password
        else:
            hello = Hello(room=room, name=fit_name(name) or None)
            secret = None if password is None else password_bytes(password)
        # The room will want it next, and loading takes as long as several round trips do.
        _loading("peer.link.setup")
        client = await SignalingClient.join(server, hello, ssl=ssl, timeout=settings.timeouts.join)
        if known is not None:
            budget = Budget.of_code(known.password)
        else:
            budget = Budget.of_room(host_and_port(client.page).lower(), room or "", secret or b"")
        return Room(
            client,
            code=known,
            password=secret,
            budget=budget,
            name=fit_name(name),
            ice=ice,
            relay_only=relay_only,
            config=settings,
        )

    return Entering(enter)


def _loading(module: str) -> asyncio.Future[ModuleType]:
    """Load a module in a thread."""
    loop = asyncio.get_running_loop()
    return loop.run_in_executor(None, import_module, module)
