"""Discovery of an embedded server on the local network: multicast DNS, one service for each room.

The instance is named after the number of the room (`7._peerline._tcp.local.`), so a receiver asks
for one room, and two rooms with one number cannot coexist on a network. An announcement is a hint
that is not trusted: its sender must still know the words of the code.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import secrets
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from signaling.messages import WEBSOCKET_PATH

from .registry import NumberTaken

if TYPE_CHECKING:
    from zeroconf.asyncio import AsyncZeroconf

__all__ = ["Announcement", "announce", "find", "local_addresses"]

logger = logging.getLogger(__name__)

_TYPE = "_peerline._tcp.local."
_VERSION = "1"
_PROBE = 0.35
"""Seconds to wait for another announcement of the number; a LAN answers in a tenth of that."""


@dataclass(frozen=True, slots=True)
class Announcement:
    """Address of the server of a room on the local network."""

    number: str
    """Number of the room."""
    addresses: tuple[str, ...]
    """IP addresses, best first."""
    port: int
    """Port of plain HTTP, for other commands."""
    tls_port: int | None
    """Port of HTTPS, for browsers."""


def local_addresses() -> tuple[str, ...]:
    """Return the addresses of this machine, that of the default route first, IPv6 last.

    Loopback and link-local IPv6 are left out: a link cannot carry the zone that the latter needs.
    """
    import ifaddr

    found = [
        # An IPv6 address comes with its flow and its zone.
        ipaddress.ip_address(each.ip if isinstance(each.ip, str) else each.ip[0])
        for adapter in ifaddr.get_adapters()
        for each in adapter.ips
    ]
    first = _default_route()
    usable = [
        address
        for address in found
        if not (address.is_loopback or (address.version == 6 and address.is_link_local))
    ]
    # 169.254.x.x is self-assigned on a network without DHCP.
    usable.sort(key=lambda each: (each.version, str(each) != first, each.is_link_local))
    return tuple(dict.fromkeys(map(str, usable)))


@asynccontextmanager
async def announce(announcement: Announcement) -> AsyncIterator[None]:
    """Announce a room on the local network for as long as the context lasts.

    Raises:
        NumberTaken: Another machine announces that number.
        OSError: This machine has no network that carries multicast.
    """
    from zeroconf import Error
    from zeroconf.asyncio import AsyncServiceInfo

    info = AsyncServiceInfo(
        _TYPE,
        f"{announcement.number}.{_TYPE}",
        parsed_addresses=list(announcement.addresses),
        port=announcement.port,
        properties={"v": _VERSION, "path": WEBSOCKET_PATH, "tls": str(announcement.tls_port or "")},
        server=f"peerline-{secrets.token_hex(4)}.local.",
    )
    zeroconf = _open(announcement.addresses)
    try:
        # One question instead of the three probes of the library (RFC 6762, 8.1),
        # which take over a second while the person waits for the code.
        taken = AsyncServiceInfo(_TYPE, info.name)
        if await taken.async_request(zeroconf.zeroconf, _PROBE * 1000):
            raise NumberTaken(announcement.number)
        try:
            sent = asyncio.ensure_future(
                await zeroconf.async_register_service(info, cooperating_responders=True)
            )
        except Error as error:
            raise OSError(f"cannot announce on the local network: {error}") from error
        try:
            yield
        finally:
            sent.cancel()
            await asyncio.gather(sent, return_exceptions=True)
            await (await zeroconf.async_unregister_service(info))
    finally:
        await zeroconf.async_close()


async def find(number: str, *, timeout: float) -> Announcement | None:
    """Ask the local network for the server of a room.

    Args:
        number: Number of the room.
        timeout: Seconds to wait for an answer.

    Returns:
        The address; None without an answer or a network.
    """
    from zeroconf import Error
    from zeroconf.asyncio import AsyncServiceInfo

    addresses = local_addresses()
    if not addresses:
        return None
    try:
        zeroconf = _open(addresses)
    except OSError as error:
        logger.debug("no multicast here: %s", error)
        return None
    try:
        info = AsyncServiceInfo(_TYPE, f"{number}.{_TYPE}")
        if not await info.async_request(zeroconf.zeroconf, timeout * 1000):
            return None
        return _parse(number, info.parsed_addresses(), info.port, info.decoded_properties)
    except (OSError, Error) as error:
        logger.debug("asking the local network failed: %s", error)
        return None
    finally:
        await zeroconf.async_close()


def _open(addresses: Sequence[str]) -> AsyncZeroconf:
    """Open multicast DNS on the networks of these addresses.

    Raises:
        OSError: None of them carries multicast.
    """
    from zeroconf import IPVersion
    from zeroconf.asyncio import AsyncZeroconf

    fours = [address for address in addresses if ":" not in address]
    sixes = [address for address in addresses if ":" in address]
    if not fours:
        return AsyncZeroconf(interfaces=sixes, ip_version=IPVersion.V6Only)
    if sixes:
        try:
            return AsyncZeroconf(interfaces=[*fours, *sixes], ip_version=IPVersion.All)
        except (OSError, RuntimeError) as error:
            logger.info("no multicast over IPv6: %s", error)
    return AsyncZeroconf(interfaces=fours, ip_version=IPVersion.V4Only)


def _parse(
    number: str,
    addresses: Sequence[str],
    port: int | None,
    properties: dict[str, str | None],
) -> Announcement | None:
    """Parse an answer; None if it is malformed or of another version."""
    if properties.get("v") != _VERSION or not port or not addresses:
        return None
    tls = properties.get("tls") or ""
    tls_port = int(tls) if tls.isascii() and tls.isdigit() and 0 < int(tls) < 65536 else None
    return Announcement(number, tuple(addresses), port, tls_port)


def _default_route() -> str | None:
    """Return the source address of the default route; no packet is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # RFC 5737: an address of documentation
        except OSError:
            return None
        address = probe.getsockname()[0]
    return str(address)
