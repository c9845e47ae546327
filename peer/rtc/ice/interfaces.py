"""Selection and order of this host's addresses for candidates."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

import ifaddr

__all__ = ["MAX_HOSTS", "default_interfaces", "interface_names", "is_bridge", "ordered"]

MAX_HOSTS: Final = 16
"""Addresses that are offered; each costs a socket, and checks to each address of the peer."""

_BRIDGES: Final = re.compile(
    r"docker|br-|veth|virbr|vnet|lxc|lxd|incus|cni|cali|flannel|podman|vmnet|vboxnet"
    r"|vEthernet \((?:Default Switch|WSL)|bridge1\d\d"
)
"""Names of interfaces of programs that run containers and virtual machines."""
_ROUTES: Final = Path("/proc/thread-self/net/route")


def interface_names() -> dict[str, str]:
    """Return the interface name of each address of this host."""
    return {
        ip.ip if isinstance(ip.ip, str) else ip.ip[0]: str(adapter.nice_name)
        for adapter in ifaddr.get_adapters()
        for ip in adapter.ips
    }


def default_interfaces() -> set[str]:
    """Return the interfaces of IPv4 default routes, where the system shows them."""
    if sys.platform != "linux":
        return set()
    try:
        rows = [line.split("\t") for line in _ROUTES.read_text(encoding="ascii").splitlines()]
    except (OSError, UnicodeError):
        return set()
    return {row[0] for row in rows[1:] if row[1:2] == ["00000000"]}


def is_bridge(name: str, defaults: Iterable[str]) -> bool:
    """Return whether an interface leads only to containers and virtual machines of this host.

    An interface with a default route (a router's `br-lan`, a container's `veth`) leads elsewhere.
    """
    return name not in defaults and _BRIDGES.match(name) is not None


def ordered(
    addresses: Iterable[str], names: Mapping[str, str], defaults: set[str]
) -> tuple[list[str], set[str]]:
    """Return at most `MAX_HOSTS` addresses by preference, and those of bridges among them.

    Interfaces of default routes come first, and bridges last: no other host is behind them, and two
    hosts with Docker have the same address there.
    """

    def rank(address: str) -> int:
        name = names.get(address, "")
        return 0 if name in defaults else 2 if is_bridge(name, defaults) else 1

    chosen = sorted(addresses, key=rank)[:MAX_HOSTS]
    return chosen, {address for address in chosen if rank(address) == 2}
