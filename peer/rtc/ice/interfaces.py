"""Which of this machine's addresses to offer, and in which order."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

import ifaddr

__all__ = ["MAX_HOSTS", "default_interfaces", "interface_names", "is_bridge", "ordered"]

MAX_HOSTS: Final = 16
"""Addresses that are offered; each costs a socket, and checks to each of the other side's."""

_BRIDGES: Final = re.compile(
    r"docker|br-|veth|virbr|vnet|lxc|lxd|incus|cni|cali|flannel|podman|vmnet|vboxnet"
    r"|vEthernet \((?:Default Switch|WSL)|bridge1\d\d"
)
"""How programs that run containers and virtual machines name what they are reached by."""
_ROUTES: Final = Path("/proc/thread-self/net/route")


def interface_names() -> dict[str, str]:
    """The name of the interface of each of this machine's addresses."""
    return {
        ip.ip if isinstance(ip.ip, str) else ip.ip[0]: str(adapter.nice_name)
        for adapter in ifaddr.get_adapters()
        for ip in adapter.ips
    }


def default_interfaces() -> set[str]:
    """The interfaces that default routes of IPv4 lead through, where the system shows them."""
    if sys.platform != "linux":
        return set()
    try:
        rows = [line.split("\t") for line in _ROUTES.read_text(encoding="ascii").splitlines()]
    except (OSError, UnicodeError):
        return set()
    return {row[0] for row in rows[1:] if row[1:2] == ["00000000"]}


def is_bridge(name: str, defaults: Iterable[str]) -> bool:
    """Whether an interface leads to nothing but containers and virtual machines of this machine.

    Where a default route goes through it (a router's `br-lan`, a container's `veth`), it does not.
    """
    return name not in defaults and _BRIDGES.match(name) is not None


def ordered(
    addresses: Iterable[str], names: Mapping[str, str], defaults: set[str]
) -> tuple[list[str], set[str]]:
    """Addresses in the order of preference, at most `MAX_HOSTS`, and those of bridges among them.

    Those that default routes lead through come first, and bridges last: nobody else is behind
    them, and two machines with Docker both have the same address there.
    """

    def rank(address: str) -> int:
        name = names.get(address, "")
        return 0 if name in defaults else 2 if is_bridge(name, defaults) else 1

    chosen = sorted(addresses, key=rank)[:MAX_HOSTS]
    return chosen, {address for address in chosen if rank(address) == 2}
