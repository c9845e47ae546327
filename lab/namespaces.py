"""Network namespaces: networks of their own, for a thread or for the programs that a test starts.

`own_network` moves the calling thread, and what it starts, into a fresh network. Browsers need one:
they offer no candidate without a default route, and never a loopback address. The network is a
small LAN with both ends of a veth pair, an address on one of them, and the default route through
it. Browsers behave there as by default, mDNS names included, and no packet leaves the computer.

`loopback_only` makes a named namespace, and `python_in` runs a program in it.

All of it needs root and the `ip` command.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import secrets
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Final

__all__ = [
    "LAN_ADDRESS",
    "Network",
    "has_default_route",
    "loopback_only",
    "own_network",
    "python_in",
    "run",
    "set_loopback_mtu",
]

LAN_ADDRESS: Final = "10.7.0.1"

_ROOT: Final = Path(__file__).resolve().parents[1]
_CLONE_NEWNET: Final = 0x40000000
_OWN_NAMESPACE: Final = "/proc/thread-self/ns/net"
_LAN: Final = (
    "link add va type veth peer name vb",
    # An automatic IPv6 address would arrive a second later, and browsers abort what they are
    # loading when the network changes.
    "link set va addrgenmode none",
    "link set vb addrgenmode none",
    f"address add {LAN_ADDRESS}/24 dev va",
    "link set vb up",
    "link set va up",
    "route add default dev va",
)


class Network:
    """Kinds of networks that `own_network` makes."""

    LAN: Final = "lan"
    """An address, multicast and a default route, without any other host."""
    LOOPBACK_ONLY: Final = "loopback only"
    """No interface but `lo`."""


def has_default_route() -> bool:
    """Return whether this thread's network has a default route (IPv4)."""
    table = Path("/proc/thread-self/net/route").read_text(encoding="ascii")
    return any(line.split("\t")[1:2] == ["00000000"] for line in table.splitlines()[1:])


@contextlib.contextmanager
def own_network(kind: str = Network.LAN) -> Iterator[bool]:
    """Move this thread to a fresh network, and back at the end.

    Where the kernel forbids that (it takes root), the computer's own network serves as a LAN, and
    `False` is yielded.

    Raises:
        RuntimeError: It is forbidden, and the computer's own network is not of that kind.
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
            # The namespace ends with the last process and socket in it.
            if libc.setns(before, _CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "cannot return to the computer's network")
    finally:
        os.close(before)


def set_loopback_mtu(size: int) -> None:
    """Set the MTU of `lo` in this thread's network, in bytes of IP packets."""
    _ip(f"link set lo mtu {size}")


def _ip(command: str) -> None:
    done = subprocess.run(["ip", *command.split()], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"ip {command}: {done.stderr.strip()}")


async def run(*command: str) -> None:
    """Run a command.

    Raises:
        RuntimeError: It failed.
    """
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)}: {output.decode(errors='replace')}")


@contextlib.asynccontextmanager
async def loopback_only() -> AsyncIterator[str]:
    """Make a namespace that has no interface but `lo`; yield its name.

    Raises:
        RuntimeError: This process may not make a namespace.
    """
    name = f"peerline-test-{secrets.token_hex(4)}"
    await run("ip", "netns", "add", name)
    try:
        await run("ip", "-n", name, "link", "set", "lo", "up")
        yield name
    finally:
        await run("ip", "netns", "delete", name)


@contextlib.asynccontextmanager
async def python_in(
    namespace: str, program: str, *arguments: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a Python program in a namespace; its output can be read from the process."""
    process = await asyncio.create_subprocess_exec(
        "ip",
        "netns",
        "exec",
        namespace,
        sys.executable,
        "-c",
        program,
        *arguments,
        cwd=_ROOT,
        env={**os.environ, "PYTHONPATH": str(_ROOT)},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()
