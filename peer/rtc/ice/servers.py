"""Endpoints of STUN and TURN servers, and lookup of their addresses."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import re
import socket
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Literal, Protocol

__all__ = ["Endpoint", "ServerEntry", "endpoints", "in_turn", "look_up"]

MAX_ADDRESSES = 6
"""Addresses of one name that are tried."""
MAX_ENDPOINTS = 8
"""Endpoints of each kind that are asked; browsers warn from five on."""

_URL = re.compile(
    r"(?P<scheme>stun|turn|turns):(?P<host>\[[^\]]+\]|[^:?\[\]]+)(?::(?P<port>\d+))?"
    r"(?:\?transport=(?P<transport>udp|tcp))?",
    re.IGNORECASE,
)


class ServerEntry(Protocol):
    """One entry of the list that the signaling server returns."""

    @property
    def urls(self) -> tuple[str, ...]:
        """URLs (RFC 7064, RFC 7065)."""

    @property
    def username(self) -> str | None:
        """User name for TURN."""

    @property
    def credential(self) -> str | None:
        """Password for TURN."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One address and transport of a STUN or TURN server (RFC 7064, RFC 7065).

    Attributes:
        url: As listed, for people.
    """

    url: str
    kind: Literal["stun", "turn"]
    host: str
    port: int
    transport: Literal["udp", "tcp"] = "udp"
    tls: bool = False
    username: str | None = None
    credential: str | None = field(default=None, repr=False)


def endpoints(servers: Iterable[ServerEntry]) -> tuple[list[Endpoint], list[Endpoint]]:
    """Return the STUN and the TURN endpoints of the listed servers, without duplicates.

    URLs that aioice does not support (`stuns:`, `turns:` over UDP) are omitted.
    """
    found: dict[Literal["stun", "turn"], dict[Endpoint, None]] = {"stun": {}, "turn": {}}
    for server in servers:
        for url in server.urls:
            endpoint = _endpoint(url, server.username, server.credential)
            if endpoint is not None:
                found[endpoint.kind].setdefault(endpoint)
    return list(found["stun"])[:MAX_ENDPOINTS], list(found["turn"])[:MAX_ENDPOINTS]


def _endpoint(url: str, username: str | None, credential: str | None) -> Endpoint | None:
    match = _URL.fullmatch(url)
    if match is None:
        return None
    scheme = match["scheme"].lower()
    host = match["host"].strip("[]")
    tls = scheme == "turns"
    port = int(match["port"] or (5349 if tls else 3478))
    if scheme == "stun":
        return Endpoint(url, "stun", host, port)
    transport = (match["transport"] or ("tcp" if tls else "udp")).lower()
    if tls and transport == "udp":
        return None
    return Endpoint(
        url, "turn", host, port, "tcp" if transport == "tcp" else "udp", tls, username, credential
    )


async def look_up(host: str) -> list[str]:
    """Return the addresses of a host, alternating between families (RFC 8305, 4).

    The system's resolver can block for many seconds when the network is gone. In the event
    loop's own thread pool that would delay `asyncio.run` at exit; hence a daemon thread.

    Raises:
        OSError: The name has no address.
    """
    try:
        return [str(ipaddress.ip_address(host))]
    except ValueError:
        pass
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[list[str]] = loop.create_future()

    def deliver(result: list[str] | OSError) -> None:
        if answer.done():
            return
        if isinstance(result, OSError):
            answer.set_exception(result)
        else:
            answer.set_result(result)

    def work() -> None:
        result: list[str] | OSError
        try:
            infos = socket.getaddrinfo(host, None, type=socket.SOCK_DGRAM)
            result = in_turn(str(info[4][0]) for info in infos)
        except OSError as error:
            result = error
        except UnicodeError:
            result = OSError(f"{host!r} is not a host name")
        # The loop may have been closed meanwhile; then nothing waits for the answer.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(deliver, result)

    threading.Thread(target=work, name=f"look up {host}", daemon=True).start()
    return await answer


def in_turn(addresses: Iterable[str]) -> list[str]:
    """Alternate between address families; return at most `MAX_ADDRESSES` distinct addresses.

    The first one stays the first: the system has sorted them (RFC 6724).
    """
    families: dict[bool, list[str]] = {}
    for address in dict.fromkeys(addresses):
        families.setdefault(":" in address, []).append(address)
    rows = zip_longest(*families.values())
    return [address for row in rows for address in row if address is not None][:MAX_ADDRESSES]
