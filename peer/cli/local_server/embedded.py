"""The signaling server inside ``send`` and ``chat``, for when no ``--server`` is given.

It speaks plain HTTP for other commands (what they exchange is sealed with the code) and
for pages on this machine, and HTTPS for browsers elsewhere on the local network.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from . import lan, registry
from .lan import Announcement

if TYPE_CHECKING:
    import ssl

    from signaling.ice_servers import IceConfig

    from .tls import Certificate

__all__ = ["EmbeddedServer", "embedded_server"]

logger = logging.getLogger(__name__)

_LOOPBACK = "127.0.0.1"


@dataclass(slots=True)
class EmbeddedServer:
    """A running server, and the ways to it."""

    port: int
    """Plain HTTP."""
    tls_port: int | None
    """HTTPS; None when this machine is on no network, or the network is not wanted."""
    addresses: tuple[str, ...]
    """This machine's addresses on its networks, best first; empty: loopback alone."""
    certificate: Certificate | None
    _stack: AsyncExitStack
    announced: bool = False
    """Other machines of the network can find it by the room's number."""

    @property
    def url(self) -> str:
        """Where this process reaches it."""
        return f"http://{_LOOPBACK}:{self.port}"

    @property
    def page(self) -> str:
        """What the link starts with: HTTPS on the network, else plain HTTP on this machine."""
        if self.tls_port is None or not self.addresses:
            return f"http://localhost:{self.port}"
        first = self.addresses[0]
        return f"https://{f'[{first}]' if ':' in first else first}:{self.tls_port}"

    async def announce(self, number: str) -> None:
        """Make the room findable by its number, on this machine and on its networks.

        Raises:
            NumberTaken: The number leads somewhere else already.
        """
        folder = registry.runtime_folder()
        async with AsyncExitStack() as attempt:
            if folder is not None:
                attempt.enter_context(registry.publish(folder, number, self.port))
            if self.addresses:
                try:
                    await attempt.enter_async_context(
                        lan.announce(Announcement(number, self.addresses, self.port, self.tls_port))
                    )
                    self.announced = True
                except OSError as error:
                    logger.info("not announced on the local network: %s", error)
            self._stack.push_async_exit(attempt.pop_all())


@asynccontextmanager
async def embedded_server(
    *, use_lan: bool, port: int, ice: IceConfig
) -> AsyncIterator[EmbeddedServer]:
    """Run a signaling server in this process for as long as the context lasts.

    Args:
        use_lan: Listen on the machine's networks, not on loopback alone.
        port: Of plain HTTP; 0 takes a free one.
        ice: The STUN and TURN servers that peers are told.

    Raises:
        OSError: The port is taken.
    """
    from signaling.assets import page_directory
    from signaling.config import Listener, ServerConfig
    from signaling.descriptors import raise_descriptor_limit
    from signaling.server import SignalingServer

    raise_descriptor_limit()

    addresses = lan.local_addresses() if use_lan else ()
    secure = _secure(addresses) if addresses else None
    # On every interface: being found on the network is the purpose.
    host: str | None = _LOOPBACK
    if addresses:
        # None is IPv6, too.
        host = None if any(":" in address for address in addresses) else "0.0.0.0"
    listeners = [Listener(host, port)]
    if secure:
        listeners.append(Listener(host, 0, secure[1]))
    folder = registry.runtime_folder()
    config = ServerConfig(
        listeners=tuple(listeners),
        ice=ice,
        page=page_directory(),
        # A web page must not reach the rooms of this machine by a name of its own.
        host_names=_own_names(addresses),
        taken_numbers=frozenset(registry.numbers(folder) if folder else ()),
    )
    async with SignalingServer(config) as server, AsyncExitStack() as stack:
        ports = server.ports
        yield EmbeddedServer(
            port=ports[0],
            tls_port=ports[1] if secure else None,
            addresses=addresses,
            certificate=secure[0] if secure else None,
            _stack=stack,
        )


def _own_names(addresses: tuple[str, ...]) -> tuple[str, ...]:
    """What this machine is called on its networks, beside `localhost`."""
    name = socket.gethostname().lower()
    short = name.partition(".")[0]
    return (*addresses, *dict.fromkeys([name, short, f"{name}.local", f"{short}.local"]))


def _secure(addresses: tuple[str, ...]) -> tuple[Certificate, ssl.SSLContext] | None:
    """Return the certificate and TLS settings; None if they cannot be kept on this machine."""
    import platformdirs

    from signaling.tls import server_context

    from .tls import ensure_certificate

    names = [*addresses, _LOOPBACK, "localhost", f"{socket.gethostname().lower()}.local"]
    folder = platformdirs.user_data_path("peerline", appauthor=False) / "tls"
    try:
        certificate = ensure_certificate(folder, names)
    except OSError as error:
        logger.info("no certificate, so no page for other machines: %s", error)
        return None
    return certificate, server_context(certificate.certificate, certificate.key)
