"""The address of a signaling server, in each form in which people write it (floor 1)."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, urlsplit, urlunsplit

from peer.errors import ServerUnreachable
from signaling.messages import WEBSOCKET_PATH

__all__ = ["ServerAddress", "host_and_port", "is_loopback"]

_PAGE_SCHEMES: Final = {"http": "http", "https": "https", "ws": "http", "wss": "https"}


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """Where a signaling server is.

    Attributes:
        page: URL of the page that the server offers, such as `https://host:8443/`.
        scheme_given: Whether the scheme of `page` was written; otherwise it is a guess: TLS, or
            none on this machine.
    """

    page: str
    scheme_given: bool = True

    @classmethod
    def parse(cls, text: str) -> ServerAddress:
        """Read a host, a host and port, or a URL of the page or of the WebSocket.

        Raises:
            ServerUnreachable: The text is not an address; the message says why.
        """
        typed = text.strip()
        scheme_given = "://" in typed
        try:
            if not scheme_given:
                host = urlsplit(f"//{typed}").hostname or ""
                typed = f"{'http' if is_loopback(host) else 'https'}://{typed}"
            parts = urlsplit(typed)
            port = parts.port
        except ValueError as error:
            raise ServerUnreachable(f"'{text}' is not the address of a server: {error}.") from None
        scheme = _PAGE_SCHEMES.get(parts.scheme)
        if scheme is None:
            raise ServerUnreachable(
                f"'{text}': the address of a server starts with https:// or http://."
            )
        if not parts.hostname or any(map(str.isspace, parts.netloc)):
            raise ServerUnreachable(
                f"'{text}' is not the address of a server: the host is missing."
            )
        user = f"{parts.netloc.rpartition('@')[0]}@" if "@" in parts.netloc else ""
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        netloc = f"{user}{host}" if port is None else f"{user}{host}:{port}"
        path = parts.path.removesuffix("/").removesuffix(WEBSOCKET_PATH).rstrip("/")
        path = quote(path, safe="/%:@!$&'()*+,;=~")
        return cls(urlunsplit((scheme, netloc, f"{path}/", "", "")), scheme_given)

    @property
    def websocket(self) -> str:
        """URL of the WebSocket."""
        return f"ws{self.page.removeprefix('http').removesuffix('/')}{WEBSOCKET_PATH}"

    @property
    def websockets(self) -> tuple[str, ...]:
        """URLs of the WebSocket to try in turn: without a scheme first with TLS, then plain.

        On this machine, where nobody is in between, plain is enough.
        """
        if self.scheme_given or not self.websocket.startswith("wss:"):
            return (self.websocket,)
        return (self.websocket, f"ws{self.websocket.removeprefix('wss')}")

    @property
    def target(self) -> str:
        """The address as `peer.host` and `peer.join` take it: without a scheme that is a guess."""
        return self.websocket if self.scheme_given else self.websocket.partition("://")[2]

    @property
    def host(self) -> str:
        """The host alone, as a person names it."""
        return urlsplit(self.page).hostname or ""

    @property
    def user(self) -> str | None:
        """The user name, if the address has one."""
        return urlsplit(self.page).username


def host_and_port(url: str) -> str:
    """Return host and port of a URL, without user name and password."""
    return urlsplit(url).netloc.rpartition("@")[2]


def is_loopback(host: str) -> bool:
    """Whether a host is this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
