"""Finding an embedded server on the local network: multicast DNS, one service per room.

The instance is named after the room's number (``7._peerline._tcp.local.``), so that a
receiver asks for exactly the one it was told, and two rooms of one number cannot coexist
on a network. The announcement is a hint and not to be believed: whoever answers still has
to know the code's words.
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
"""Seconds to wait for somebody who announces our number already; a LAN answers in a tenth."""


@dataclass(frozen=True, slots=True)
class Announcement:
    """Where on the local network the server of a room is."""

    number: str
    """Number of the room."""
    addresses: tuple[str, ...]
    """IP addresses, best first."""
    port: int
    """Plain HTTP: other commands, which do not need a certificate."""
    tls_port: int | None
    """HTTPS: browsers."""


def local_addresses() -> tuple[str, ...]:
    """Return this machine's addresses on its networks, the default route's first, IPv6 last.

    Loopback is left out, and link-local IPv6: such an address needs a zone, which no link can
    carry.
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
    # 169.254.x.x is what a machine gives itself where nobody hands out addresses.
    usable.sort(key=lambda each: (each.version, str(each) != first, each.is_link_local))
    return tuple(dict.fromkeys(map(str, usable)))


@asynccontextmanager
async def announce(announcement: Announcement) -> AsyncIterator[None]:
    """Announce a room on the local network for as long as the context lasts.

    Raises:
        NumberTaken: Somebody else on the network announces that number.
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
        # Our own question in place of the library's three probes (RFC 6762 section 8.1),
        # which take over a second: the person waits for the code meanwhile.
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
        number: Of the room.
        timeout: Seconds to wait for an answer.

    Returns:
        Where it is; None when nobody answers, or there is no network to ask.
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
    """Speak multicast DNS on the networks of these addresses.

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
    """Return what an answer says; None when it makes no sense or is of another version."""
    if properties.get("v") != _VERSION or not port or not addresses:
        return None
    tls = properties.get("tls") or ""
    tls_port = int(tls) if tls.isascii() and tls.isdigit() and 0 < int(tls) < 65536 else None
    return Announcement(number, tuple(addresses), port, tls_port)


def _default_route() -> str | None:
    """Return the address from which this machine talks to the world; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # RFC 5737: an address of documentation
        except OSError:
            return None
        address = probe.getsockname()[0]
    return str(address)
