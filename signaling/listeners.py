"""Sockets to listen on, and their URLs (floor 2)."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from collections.abc import Sequence
from typing import Any, Final

from .config import Listener
from .errors import ListenError

__all__ = ["bind", "is_wildcard", "lan_address", "url_of"]

_WILDCARDS: Final = ("", "0.0.0.0", "::")
# With port 0 and several addresses, the port that the system chose for the first may be in use on
# the second; then both are chosen anew.
_ATTEMPTS: Final = 8
_NOT_HERE: Final = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)


async def bind(listener: Listener) -> list[socket.socket]:
    """Open the sockets of a listener: one for each address of its host, on one port.

    Raises:
        ListenError: With a sentence for people.
    """
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(
            listener.host or None,
            listener.port,
            type=socket.SOCK_STREAM,
            flags=socket.AI_PASSIVE,
        )
    except (OSError, UnicodeError):
        raise ListenError(f"cannot listen on {listener.host}: no such address") from None
    # Some hosts files list names twice.
    addresses = list(dict.fromkeys((family, address) for family, _, _, _, address in found))
    for attempt in range(_ATTEMPTS):
        try:
            return _bind_all(addresses, listener.port)
        except OSError as error:
            if listener.port == 0 and error.errno == errno.EADDRINUSE and attempt < _ATTEMPTS - 1:
                continue
            raise ListenError(_sentence(listener, error)) from None
    raise AssertionError("unreachable")


def _bind_all(addresses: Sequence[tuple[int, tuple[Any, ...]]], port: int) -> list[socket.socket]:
    sockets: list[socket.socket] = []
    refusal: OSError | None = None
    try:
        for family, address in addresses:
            try:
                sockets.append(_bind_one(family, (address[0], port, *address[2:])))
            except OSError as error:
                # `localhost` may be ::1, too, on a machine without IPv6.
                if error.errno not in _NOT_HERE:
                    raise
                refusal = error
            else:
                port = sockets[-1].getsockname()[1]
        if not sockets:
            raise refusal or OSError(errno.EADDRNOTAVAIL, os.strerror(errno.EADDRNOTAVAIL))
    except OSError:
        for sock in sockets:
            sock.close()
        raise
    return sockets


def _bind_one(family: int, address: tuple[Any, ...]) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        if os.name == "posix":
            # Not on Windows, where it would let two programs have the same port.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(address)
        sock.listen(512)
        sock.setblocking(False)
    except OSError:
        sock.close()
        raise
    return sock


def _sentence(listener: Listener, error: OSError) -> str:
    where = f"{listener.host or 'all addresses'}, port {listener.port}"
    if error.errno == errno.EADDRINUSE:
        return f"cannot listen on {where}: another program uses it; choose another --port"
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"cannot listen on {where}: ports below 1024 need permission; choose another --port"
    if error.errno in _NOT_HERE:
        return f"cannot listen on {where}: this machine does not have that address"
    return f"cannot listen on {where}: {os.strerror(error.errno or 0)}"


def url_of(listener: Listener, port: int, host: str | None = None) -> str:
    """The URL that reaches a listener; `host` names another of its addresses."""
    name = host or listener.host or ""
    if name in _WILDCARDS:
        name = "localhost"
    if ":" in name:
        name = f"[{name}]"
    scheme, default = ("http", 80) if listener.ssl is None else ("https", 443)
    return f"{scheme}://{name}" if port == default else f"{scheme}://{name}:{port}"


def is_wildcard(listener: Listener) -> bool:
    """Whether the listener accepts connections on every interface."""
    return (listener.host or "") in _WILDCARDS


def lan_address() -> str | None:
    """The address under which other machines most likely reach this one, or None."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            # This sends nothing and asks the routing table only. RFC 5737: an address for examples.
            sock.connect(("192.0.2.1", 9))
        except OSError:
            return None
        address: str = sock.getsockname()[0]
    return None if address.startswith("127.") or address == "0.0.0.0" else address
