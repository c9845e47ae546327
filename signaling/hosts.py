"""The names that a server answers to: the defence against DNS rebinding (floor 1).

A web page can make its own name resolve to an address of this machine. For the browser the server
then has the page's origin, and a check of the Origin header does not help: both Origin and Host
name the page. Only that name is not one of the server's. An address cannot be made to lead
elsewhere, so the server's own addresses are safe.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from typing import Final, TypeAlias

__all__ = ["HostNames", "host_of", "is_host_name"]

_IP: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

# RFC 3986, 3.2.2, as far as browsers use it: an address in brackets, or a name or IPv4
# address, in ASCII (others travel as punycode); then an optional port. A zone
# (`%eth0`) names an interface of the client. No user.
_AUTHORITY: Final = re.compile(
    r"(?:\[([0-9A-Fa-f:.]+)(?:%[A-Za-z0-9._~-]+)?\]|([A-Za-z0-9._-]+))(?::([0-9]{0,5}))?"
)
_MAX_NAME: Final = 255


def host_of(authority: str | None) -> str | None:
    """Return the host of a Host header (`example.org:8443`) in a form that can be compared.

    Lower case, without the final dot of a full name; addresses as `ipaddress` writes them, IPv4
    addresses inside IPv6 ones as IPv4.

    Returns:
        None when the header is missing or invalid.
    """
    if authority is None or len(authority) > _MAX_NAME + 8:
        return None
    match = _AUTHORITY.fullmatch(authority)
    if match is None or int(match[3] or 0) > 65535:
        return None
    if match[1] is not None:
        ip = _parse(match[1]) if ":" in match[1] else None
        return None if ip is None else str(ip)
    ip = _parse(match[2])
    if ip is not None:
        return str(ip)
    name = match[2].lower().removesuffix(".")
    return name if name and not name.startswith(".") else None


def is_host_name(text: str) -> bool:
    """Whether `text` is a host name or an address (IPv6 without brackets), and no port."""
    return _parse(text) is not None or (host_of(text) is not None and ":" not in text)


class HostNames:
    """The names and addresses that a server answers to.

    Args:
        names: Host names and addresses beside the machine's loopback ones; None for any name.
    """

    def __init__(self, names: Iterable[str] | None) -> None:
        self._names = None if names is None else frozenset(filter(None, map(_canonical, names)))

    def accepts(self, authority: str | None, local: str | None) -> bool:
        """Whether a request is for this server.

        Args:
            authority: The Host header; None if it is missing.
            local: The server's own address on this connection, which is a valid host, too.
        """
        if self._names is None:
            return True
        host = host_of(authority)
        if host is None:
            return False
        if host == "localhost" or host in self._names:
            return True
        ip = _parse(host)
        return ip is not None and (ip.is_loopback or ip == _parse((local or "").partition("%")[0]))


def _canonical(name: str) -> str | None:
    ip = _parse(name.partition("%")[0])
    return str(ip) if ip is not None else host_of(name)


def _parse(text: str) -> _IP | None:
    try:
        ip = ipaddress.ip_address(text)
    except ValueError:
        return None
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        return ip.ipv4_mapped
    return ip
