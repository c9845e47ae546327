"""The server on which two people meet: a given one, an own one, or one on the network."""

from __future__ import annotations

import asyncio
import logging
import shlex
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from peer.config import LinkConfig
from peer.errors import ServerUnreachable
from peer.security.codes import Code
from peer.security.pasted import server_of
from peer.server.address import ServerAddress

from .exit_status import UsageProblem
from .local_server import registry
from .server_addresses import parse_server, tls_context

if TYPE_CHECKING:
    from peer.config import EngineName
    from peer.room.room import Room
    from signaling.ice_servers import IceConfig

    from .local_server.embedded import EmbeddedServer
    from .options import ReachFlags

__all__ = ["Invitation", "Reach", "invite", "join", "locate"]

logger = logging.getLogger(__name__)

_LAN_PATIENCE = 3.0
"""Seconds to wait for an answer of the sender on the local network."""
_CONNECT_PATIENCE = 1.5
"""Seconds to connect to each of its addresses."""
_MOST_ADDRESSES = 8
"""Addresses of an announcement that are tried; anybody can announce."""
_LONGEST_ANSWER = 4096
"""Bytes of an answer that are read."""
_NUMBER_ATTEMPTS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """Checked values of the flags that `options.reaching` adds."""

    server: ServerAddress | None
    """None: an own server, or one found on the network."""
    name: str
    lan: bool
    relay_only: bool
    host_candidates: bool
    """Whether the other side gets the addresses of this machine."""
    engine: EngineName | None
    """Implementation of data channels; None: Peerline's own."""
    ice: IceConfig | None
    """Replaces the ICE servers from the signaling server; None keeps those."""

    @classmethod
    def from_flags(cls, flags: ReachFlags) -> Reach:
        """Check the values of the flags.

        Raises:
            UsageProblem: The address of the server is not valid.
            IceConfigError: The ICE file is not valid.
        """
        return cls(
            server=parse_server(flags.server) if flags.server else None,
            name=flags.name or "",
            lan=flags.lan,
            relay_only=flags.relay_only,
            host_candidates=not flags.no_host_candidates,
            engine=flags.engine,
            ice=_read_ice(flags.ice_config),
        )

    def room_arguments(self, server: ServerAddress) -> dict[str, Any]:
        """Arguments that `peer.host` and `peer.join` have in common."""
        return {
            "server": server.target,
            "name": self.name,
            "ice": self.ice,
            "relay_only": self.relay_only,
            "ssl": tls_context(server),
            "config": LinkConfig(engine=self.engine, host_candidates=self.host_candidates),
        }


@dataclass(frozen=True, slots=True)
class Invitation:
    """A room that waits for the other side, and ways to invite them."""

    room: Room
    code: Code
    page: str
    """Beginning of the link."""
    embedded: EmbeddedServer | None
    """The own server; None if one was given."""

    def command(self, verb: str) -> str:
        """Return the command for the other side to type.

        It lacks the code, which the command asks for, so that the code does not appear in the list
        of processes or in the history of the shell.
        """
        line = f"peerline {verb}"
        if self.embedded:
            return line
        return f"{line} --server {shlex.quote(self.page.removesuffix('/'))}"

    @property
    def link(self) -> str:
        """The link that opens the page with the code."""
        return self.code.link(self.page)


@asynccontextmanager
async def invite(reach: Reach, *, words: int, port: int) -> AsyncIterator[Invitation]:
    """Open a code room on the given server, or on one in this process.

    Args:
        reach: The command's flags.
        words: Number of words in the code.
        port: Port of the own server; 0 takes a free one.

    Raises:
        PeerError: The server cannot be reached, or refuses.
    """
    async with AsyncExitStack() as stack:
        if reach.server is not None:
            room = await stack.enter_async_context(_host(reach, reach.server, words))
            assert room.code is not None
            yield Invitation(room, room.code, room.server, None)
            return
        from signaling.ice_servers import IceConfig

        from .local_server.embedded import embedded_server

        # One network needs no STUN, so no outside server learns of the connection.
        own = await stack.enter_async_context(
            embedded_server(use_lan=reach.lan, port=port, ice=reach.ice or IceConfig())
        )
        address = ServerAddress.parse(own.url)
        for _ in range(_NUMBER_ATTEMPTS):
            room = await stack.enter_async_context(_host(reach, address, words))
            assert room.code is not None
            try:
                await own.announce(room.code.number)
                break
            except registry.NumberTaken:
                logger.info("number %s is taken on this network", room.code.number)
                # This room stays open and unused, so that its number is not allocated again.
        else:
            raise ServerUnreachable("Every number for a code is taken on this network.")
        yield Invitation(room, room.code, own.page, own)


async def locate(reach: Reach, text: str) -> tuple[Code, ServerAddress]:
    """Read a code or a link, and find the server that its room is on.

    Raises:
        CodeError: The text is neither a code nor a link.
        ServerUnreachable: No server was given, and none on this network has that room.
    """
    code = Code.parse(text)
    named = server_of(text)
    if named is not None:
        # On another server the number belongs to another code, which a try would spend.
        return code, parse_server(named)
    if reach.server is not None:
        return code, reach.server
    here = _on_this_machine(code.number)
    if here is not None and await _answers(here.port):
        return code, _local(here)
    found = await _on_the_network(code.number) if reach.lan else None
    if found is None and here is not None:
        # It does not answer, but it is the only candidate; connecting will show the reason.
        found = _local(here)
    if found is None:
        where = "on this network" if reach.lan else "on this machine"
        raise ServerUnreachable(
            f"Nobody {where} is waiting with the code {code}. Is the other side's command "
            "still running? Two people on different networks both need the same --server."
        )
    return code, found


def join(reach: Reach, server: ServerAddress, **where: Any) -> AbstractAsyncContextManager[Room]:
    """Join the room that `where` names (`code=`, or `room=` and `password=`)."""
    import peer

    return peer.join(**reach.room_arguments(server), **where)


def _host(reach: Reach, server: ServerAddress, words: int) -> AbstractAsyncContextManager[Room]:
    import peer

    return peer.host(**reach.room_arguments(server), words=words)


def _on_this_machine(number: str) -> registry.Entry | None:
    folder = registry.runtime_folder()
    return registry.find(folder, number) if folder else None


def _local(entry: registry.Entry) -> ServerAddress:
    return ServerAddress.parse(f"http://127.0.0.1:{entry.port}")


async def _answers(port: int) -> bool:
    """Return whether a signaling server on this machine answers, beside having the port.

    A stopped server does not answer, nor does one in another network namespace or in a container
    that shares the folder of entries.
    """
    request = f"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n"
    try:
        async with asyncio.timeout(_CONNECT_PATIENCE):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                writer.write(request.encode())
                answer = await reader.read(_LONGEST_ANSWER)
            finally:
                writer.close()
    except OSError as error:  # a timeout is one, too
        logger.info("the server on port %d of this machine does not answer: %r", port, error)
        return False
    return answer.startswith(b"HTTP/1.1 200 ")


async def _on_the_network(number: str) -> ServerAddress | None:
    from .local_server import lan

    announced = await lan.find(number, timeout=_LAN_PATIENCE)
    if announced is None:
        return None
    for address in announced.addresses[:_MOST_ADDRESSES]:
        try:
            async with asyncio.timeout(_CONNECT_PATIENCE):
                _, writer = await asyncio.open_connection(address, announced.port)
        except OSError as error:  # a timeout is one, too
            logger.info("%s port %d does not answer: %s", address, announced.port, error)
            continue
        writer.close()
        host = f"[{address}]" if ":" in address else address
        return ServerAddress.parse(f"http://{host}:{announced.port}")
    return None


def _read_ice(path: Path | None) -> IceConfig | None:
    if path is None:
        return None
    from signaling.assets import read_ice_config

    try:
        return read_ice_config(path)
    except UnicodeDecodeError:
        raise UsageProblem(f"{path} is not a text file.") from None
