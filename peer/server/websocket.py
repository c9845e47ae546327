"""The WebSocket to a signaling server: through redirections and proxies, with reasons (floor 2)."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import socket
import ssl as ssl_module
from collections.abc import Sequence
from urllib.parse import urljoin, urlsplit
from urllib.request import getproxies, proxy_bypass

from aiohappyeyeballs import start_connection
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import (
    ConnectionClosed,
    InvalidHandshake,
    InvalidMessage,
    InvalidProxy,
    InvalidProxyStatus,
    InvalidStatus,
    InvalidURI,
    ProxyError,
    WebSocketException,
)
from websockets.http11 import Response
from websockets.typing import Subprotocol
from websockets.uri import parse_uri

from peer.errors import ServerUnreachable
from signaling.messages import MAX_SERVER_MESSAGE_BYTES, SUBPROTOCOL

from .address import host_and_port

__all__ = [
    "CLOSE_TIMEOUT",
    "open_first",
    "open_socket",
]

logger = logging.getLogger(__name__)

CLOSE_TIMEOUT = 2.0
"""Seconds for saying goodbye."""
TLS_PATIENCE = 4.0
"""Seconds for an answer over TLS, where that is a guess."""
MAX_WAITING = 64
"""Messages that wait to be taken before no more are read from the network."""
MAX_REDIRECTS = 5
HAPPY_EYEBALLS = 0.25
"""Seconds after which the next of a host's addresses is tried as well (RFC 8305, 5)."""


async def open_first(
    urls: Sequence[str], ssl: ssl_module.SSLContext | None
) -> tuple[ClientConnection, str]:
    """Connect to the first address that a server answers at; bound it with `asyncio.timeout`.

    To a server that speaks TLS nobody talks without it: a certificate that is not trusted, or any
    answer that came by TLS, is the end. One that stands in between can pretend that there is no
    TLS, as ever where a person has not asked for it; what the peers say to each other is sealed.

    Args:
        urls: From `ServerAddress.websockets`.
        ssl: For `wss:`; None checks certificates as usual.

    Returns:
        The connection, and its address.

    Raises:
        ServerUnreachable: Nothing there answers, or not as a signaling server.
    """
    for url in urls[:-1]:
        try:
            async with asyncio.timeout(TLS_PATIENCE):
                return await open_socket(url, ssl), url
        except TimeoutError as error:
            logger.info("%s does not answer over TLS: %r", host_and_port(url), error)
        except ServerUnreachable as error:
            if not _has_no_tls(error.__cause__):
                raise
            logger.info("%s", error)
    return await open_socket(urls[-1], ssl), urls[-1]


def _has_no_tls(error: BaseException | None) -> bool:
    """Whether a connection failed before anything came by TLS."""
    if isinstance(error, ssl_module.SSLCertVerificationError):
        return False
    silent = isinstance(error, InvalidMessage) and isinstance(error.__cause__, EOFError)
    return silent or isinstance(error, OSError)


async def open_socket(url: str, ssl: ssl_module.SSLContext | None) -> ClientConnection:
    """Connect to a server; bound it with `asyncio.timeout`.

    Args:
        url: The WebSocket's.
        ssl: For `wss:`; None checks certificates as usual.

    Raises:
        ServerUnreachable: Nothing there answers, or not as a signaling server.
    """
    try:
        return await _connect(url, ssl)
    # A malformed address may show late, as a ValueError; a proxy may need a library that is not
    # installed.
    except (WebSocketException, OSError, ValueError, ImportError) as error:
        # Those about an address quote it, and with it a password.
        quotes = not isinstance(error, OSError | InvalidHandshake | ConnectionClosed)
        raise ServerUnreachable(_reason(url, error)) from None if quotes else error


class _Connect(connect):
    """Leaves redirections to `_connect`: servers name `https:` where this knows `wss:` alone."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


async def _connect(url: str, ssl: ssl_module.SSLContext | None) -> ClientConnection:
    """Open the WebSocket, where the server or its redirections say.

    Raises:
        WebSocketException: The other end, or a proxy on the way, is not such a server.
        OSError: Nothing answers, or not over TLS as it should (`ssl.SSLError`).
        ValueError: This is no address.
        ImportError: The proxy on the way needs a library that is not installed.
    """
    redirects = 0
    while True:
        proxied = _takes_proxy(url)
        sock = None if proxied else await _dial(url)
        try:
            return await _Connect(
                url,
                subprotocols=[Subprotocol(SUBPROTOCOL)],
                compression=None,
                user_agent_header="peerline",
                proxy=True if proxied else None,
                sock=sock,
                open_timeout=None,  # the caller's
                ping_interval=None,  # the server's heartbeat serves both
                close_timeout=CLOSE_TIMEOUT,
                max_size=MAX_SERVER_MESSAGE_BYTES,
                max_queue=MAX_WAITING,
                ssl=(ssl or True) if url.startswith("wss:") else None,
            )
        except InvalidStatus as error:
            target = _redirection(url, error.response)
            redirects += 1
            if target is None or redirects > MAX_REDIRECTS:
                raise
            url = target


async def _dial(url: str) -> socket.socket:
    """Connect to whichever of a server's addresses answers first.

    Not by `loop.create_connection`: that of uvloop tries one after the other, and that of asyncio
    fails under eager tasks before Python 3.12.8 and 3.13.1.

    Raises:
        InvalidURI: This is no address.
        OSError: None answers.
        UnicodeError: The host name is not valid.
    """
    uri = parse_uri(url)
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(uri.host, uri.port, type=socket.SOCK_STREAM)
    return await start_connection(found, happy_eyeballs_delay=HAPPY_EYEBALLS)


def _redirection(url: str, response: Response) -> str | None:
    """Where an answer sends us: never from TLS to none."""
    locations = response.headers.get_all("Location")
    if response.status_code // 100 != 3 or not locations:
        return None
    target = urljoin(url, locations[0])
    if target.startswith(("http:", "https:")):
        target = target.replace("http", "ws", 1)
    allowed = ("wss://",) if url.startswith("wss:") else ("ws://", "wss://")
    return target if target.startswith(allowed) else None


def _takes_proxy(url: str) -> bool:
    """Whether this machine's settings have a proxy for it; none leads to our own network."""
    host = urlsplit(url).hostname or ""
    try:
        near = not ipaddress.ip_address(host).is_global
    except ValueError:
        near = host == "localhost" or host.endswith((".localhost", ".local"))
    return not near and not proxy_bypass(host_and_port(url)) and bool(getproxies().keys() - {"no"})


def _reason(url: str, error: Exception) -> str:
    server = host_and_port(url)
    match error:
        case InvalidProxyStatus():
            status = error.response.status_code
            return f"The proxy does not lead to the server {server} (it answers {status})."
        case ProxyError():
            return f"The proxy on the way to the server {server} does not work as a proxy."
        case InvalidProxy():
            return "The proxy in this machine's settings needs an address such as http://host:port."
        case ImportError():
            return "The proxy in this machine's settings speaks SOCKS: that needs python-socks."
        case InvalidStatus() if error.response.status_code in (429, 503):
            return f"The server {server} takes no more connections now: try again later."
        case InvalidStatus() if error.response.status_code == 421:
            return f"The server does not answer to the name {server}: use its address."
        case InvalidStatus():
            status = error.response.status_code
            return f"There is no Peerline server at {server} (it answers {status})."
        case InvalidMessage(__cause__=EOFError()):
            return f"The server {server} cannot be reached."
        case InvalidHandshake():
            return f"There is no Peerline server at {server} (it speaks something else)."
        case ssl_module.SSLCertVerificationError():
            return f"The certificate of the server {server} is not trusted."
        case ssl_module.SSLError():
            return f"The server {server} does not speak TLS as it should."
        case ValueError() if _takes_proxy(url):
            return f"The address of the server {server}, or of this machine's proxy, is not valid."
        case InvalidURI() | ValueError():
            return f"{server!r} is not the address of a server."
        case _:
            way = " through this machine's proxy" if _takes_proxy(url) else ""
            return f"The server {server} cannot be reached{way}."
