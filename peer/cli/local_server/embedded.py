"""The signaling server inside `send` and `chat`, used without `--server`.

It serves plain HTTP to other commands (their signals are sealed with the code) and to pages on this
machine, and HTTPS to browsers elsewhere on the local network.
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
    """A running server, and its addresses."""

    port: int
    """Port of plain HTTP."""
    tls_port: int | None
    """Port of HTTPS; None without a network, or if the network is not used."""
    addresses: tuple[str, ...]
    """Addresses of this machine on its networks, best first; empty: loopback only."""
    certificate: Certificate | None
    _stack: AsyncExitStack
    announced: bool = False
    """Whether other machines can find it by the number of the room."""

    @property
    def url(self) -> str:
        """URL for this process."""
        return f"http://{_LOOPBACK}:{self.port}"

    @property
    def page(self) -> str:
        """Beginning of the link: HTTPS on the network, or plain HTTP on this machine."""
        if self.tls_port is None or not self.addresses:
            return f"http://localhost:{self.port}"
        first = self.addresses[0]
        return f"https://{f'[{first}]' if ':' in first else first}:{self.tls_port}"

    async def announce(self, number: str) -> None:
        """Make the room findable by its number, on this machine and on its networks.

        Raises:
            NumberTaken: The number is in use already.
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
        use_lan: Listen on the networks of this machine, too, not only on loopback.
        port: Port of plain HTTP; 0 takes a free one.
        ice: STUN and TURN servers for the peers.

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
    # Every interface, so that other machines can connect.
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
        # Otherwise a web page could reach the server by a name of its own (DNS rebinding).
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
    """Return the names of this machine on its networks, beside `localhost`."""
    name = socket.gethostname().lower()
    short = name.partition(".")[0]
    return (*addresses, *dict.fromkeys([name, short, f"{name}.local", f"{short}.local"]))


def _secure(addresses: tuple[str, ...]) -> tuple[Certificate, ssl.SSLContext] | None:
    """Return the certificate and TLS settings; None if they cannot be stored."""
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
