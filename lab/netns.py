"""A network of its own for the tests that need one with an address and a route.

Browsers offer no candidate at all without a default route, and no loopback address ever. So the
tests that connect browsers run in a network namespace with a small LAN: both ends of a veth pair,
an address on one of them, and the default route through it. Browsers behave there with their
default flags, mDNS names included, and nothing leaves the machine.

Entering a namespace concerns the calling thread alone and what it starts: sockets it opens, threads
and processes it creates.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

__all__ = ["LAN_ADDRESS", "Network", "has_default_route", "own_network", "set_loopback_mtu"]

LAN_ADDRESS: Final = "10.7.0.1"

_CLONE_NEWNET: Final = 0x40000000
_OWN_NAMESPACE: Final = "/proc/thread-self/ns/net"
_LAN: Final = (
    "link add va type veth peer name vb",
    # No IPv6 address by itself: it would come a second later, and browsers break off what they
    # are loading when the network changes.
    "link set va addrgenmode none",
    "link set vb addrgenmode none",
    f"address add {LAN_ADDRESS}/24 dev va",
    "link set vb up",
    "link set va up",
    "route add default dev va",
)


class Network:
    """What `own_network` may be asked for."""

    LAN: Final = "lan"
    """An address, multicast and a default route, but nobody else."""
    LOOPBACK_ONLY: Final = "loopback only"
    """No interface but `lo`."""


def has_default_route() -> bool:
    """Whether this thread's network has a default route (IPv4)."""
    table = Path("/proc/thread-self/net/route").read_text(encoding="ascii")
    return any(line.split("\t")[1:2] == ["00000000"] for line in table.splitlines()[1:])


@contextlib.contextmanager
def own_network(kind: str = Network.LAN) -> Iterator[bool]:
    """Move this thread to a fresh network, and back at the end.

    Where the kernel does not allow that (it takes root), the machine's own network has to do;
    `False` is yielded then.

    Raises:
        RuntimeError: not allowed, and the machine's own network is not of that kind.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    before = os.open(_OWN_NAMESPACE, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if libc.unshare(_CLONE_NEWNET) != 0:
            reason = os.strerror(ctypes.get_errno())
            if kind != Network.LAN or not has_default_route():
                raise RuntimeError(f"no network for this test ({reason}); run it as root")
            yield False
            return
        try:
            _ip("link set lo up")
            if kind == Network.LAN:
                for command in _LAN:
                    _ip(command)
            yield True
        finally:
            # The namespace goes away with the last process and socket in it.
            if libc.setns(before, _CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "cannot go back to the machine's network")
    finally:
        os.close(before)


def set_loopback_mtu(size: int) -> None:
    """Let `lo` of this thread's network carry IP packets of so many bytes."""
    _ip(f"link set lo mtu {size}")


def _ip(command: str) -> None:
    done = subprocess.run(["ip", *command.split()], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"ip {command}: {done.stderr.strip()}")
