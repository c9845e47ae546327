"""What a person types after ``--server``, and what a pasted link says about it."""

from __future__ import annotations

import ipaddress
import ssl
from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

from .exit_status import UsageProblem

__all__ = ["ServerAddress"]

_SCHEMES = {"http": "http", "https": "https", "ws": "http", "wss": "https"}
_SOCKET_PATH = "/v1/ws"


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """Where a signaling server is.

    Attributes:
        page: The page it serves, which a link starts with: ``https://host:8443/``.
    """

    page: str
    scheme_given: bool = True
    """Otherwise `page` has a guess, and `target` leaves it open."""

    @classmethod
    def parse(cls, text: str) -> ServerAddress:
        """Read an address: a host, a host and port, a URL of the page or of the WebSocket.

        Without a scheme it is whatever the server speaks: see `peer.server.websocket.open_first`.

        Raises:
            UsageProblem: It is no address; the text says why.
        """
        typed = text.strip()
        scheme_given = "://" in typed
        if "://" not in typed:
            host = urlsplit(f"//{typed}").hostname or ""
            typed = f"{'http' if _is_loopback(host) else 'https'}://{typed}"
        try:
            parts = urlsplit(typed)
            port = parts.port
        except ValueError as error:
            raise UsageProblem(f"'{text}' is not the address of a server: {error}.") from None
        scheme = _SCHEMES.get(parts.scheme)
        if scheme is None:
            raise UsageProblem(f"'{text}': a server's address starts with https:// or http://.")
        if not parts.hostname or any(char.isspace() for char in typed):
            raise UsageProblem(f"'{text}' is not the address of a server: the host is missing.")
        if parts.username is not None:
            raise UsageProblem(f"'{text}': a server's address carries no user name.")
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        path = parts.path.removesuffix("/").removesuffix(_SOCKET_PATH).removesuffix("/")
        netloc = host if port is None else f"{host}:{port}"
        return cls(urlunsplit((scheme, netloc, f"{path}/", "", "")), scheme_given)

    @property
    def websocket(self) -> str:
        """The WebSocket's URL."""
        scheme = "wss" if self.page.startswith("https:") else "ws"
        return f"{scheme}{self.page[self.page.index(':') : -1]}{_SOCKET_PATH}"

    @property
    def target(self) -> str:
        """What to tell the library: the WebSocket's URL, without a scheme if none was given."""
        return self.websocket if self.scheme_given else self.websocket.partition("://")[2]

    @property
    def host(self) -> str:
        """The host alone, as a person names it."""
        return urlsplit(self.page).hostname or ""

    @property
    def ssl_context(self) -> ssl.SSLContext | None:
        """How to check the server's certificate; None for the usual way.

        Nobody signs certificates for private addresses, so that an embedded server there
        shows one of its own making. It is accepted unseen: TLS then hides no more than
        plain HTTP would, and what two people exchange over the server is sealed and
        authenticated with their code in any case.
        """
        if not self.page.startswith("https:") or not _is_private(self.host):
            return None
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _is_private(host: str) -> bool:
    if host == "localhost" or host.endswith(".local"):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return address.is_private or address.is_loopback or address.is_link_local
