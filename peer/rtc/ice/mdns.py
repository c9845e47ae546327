"""Resolution of `.local` candidates (RFC 6762).

Browsers hide their local addresses behind random names (draft-ietf-mmusic-mdns-ice-candidates).
aioice can look them up, but with dnspython 2.9.1 and later it cannot parse Chromium's answers,
which compress a name in an NSEC record (RFC 6762, 18.14 allows it), and it asks only once, which
Firefox often misses. This module asks several times, on every interface, and reads only A and AAAA
records.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import socket
import struct
from collections.abc import Iterator, Sequence
from typing import Any

__all__ = ["MdnsResolver", "build_query", "parse_answers"]

logger = logging.getLogger(__name__)

GROUP = "224.0.0.251"
PORT = 5353
QUERY_TIMES = (0.0, 0.25, 0.5, 1.0)
"""Seconds after the start of a lookup at which the question is sent."""
LOOKUP_TIMEOUT = 3.0
MAX_DATAGRAM = 9000
"""Bytes of a message (RFC 6762, 17)."""
MAX_RECORDS = 64
MAX_NAME = 255
"""Bytes of a name (RFC 1035, 2.3.4); a chain of pointers has no more links either."""

TYPE_A = 1
TYPE_AAAA = 28
CLASS_IN = 1


def build_query(name: str, record: int = TYPE_A) -> bytes:
    """Return one question for a multicast answer (RFC 6762, 5.2; RFC 1035, 4)."""
    labels = b"".join(
        bytes([len(label)]) + label.encode("ascii") for label in name.rstrip(".").split(".")
    )
    return struct.pack("!6H", 0, 0, 1, 0, 0, 0) + labels + struct.pack("!BHH", 0, record, CLASS_IN)


def parse_answers(datagram: bytes) -> Iterator[tuple[str, str]]:
    """Yield the (name in lower case, address) pairs of a response.

    A malformed response yields nothing from its first error on.
    """
    if not 12 <= len(datagram) <= MAX_DATAGRAM:
        return
    _, flags, questions, *records = struct.unpack_from("!6H", datagram)
    if not flags & 0x8000 or questions + sum(records) > MAX_RECORDS:
        return
    try:
        position = 12
        for _ in range(questions):
            position = _skip_name(datagram, position) + 4
        for _ in range(sum(records)):
            name, position = _read_name(datagram, position)
            kind, rdclass, _, length = struct.unpack_from("!HHIH", datagram, position)
            position += 10
            data = datagram[position : position + length]
            position += length
            # The top bit of the class asks to flush caches (RFC 6762, 10.2).
            if rdclass & 0x7FFF != CLASS_IN:
                continue
            if kind == TYPE_A and len(data) == 4:
                yield name.lower(), str(ipaddress.IPv4Address(data))
            elif kind == TYPE_AAAA and len(data) == 16:
                yield name.lower(), str(ipaddress.IPv6Address(data))
    except (struct.error, IndexError, ValueError):
        return


def _skip_name(datagram: bytes, position: int) -> int:
    while True:
        length = datagram[position]
        if length == 0:
            return position + 1
        if length >= 0xC0:
            return position + 2
        if length > 63:
            raise ValueError("a label is too long")
        position += 1 + length


def _read_name(datagram: bytes, position: int) -> tuple[str, int]:
    """Read a name, following compression pointers backwards only (RFC 1035, 4.1.4)."""
    end = _skip_name(datagram, position)
    labels: list[str] = []
    limit = position
    for _ in range(MAX_NAME):
        length = datagram[position]
        if length == 0:
            return ".".join(labels), end
        if length >= 0xC0:
            target = ((length & 0x3F) << 8) | datagram[position + 1]
            if target >= limit:
                raise ValueError("a compression pointer points forwards")
            position = limit = target
            continue
        label = datagram[position + 1 : position + 1 + length]
        if length > 63 or sum(map(len, labels)) + length > MAX_NAME:
            break
        labels.append(label.decode("utf-8", "replace"))
        position += 1 + length
    raise ValueError("a name is too long")


class MdnsResolver(asyncio.DatagramProtocol):
    """Resolves names on the local network; the first call opens its socket."""

    def __init__(self, interfaces: Sequence[str]) -> None:
        """Create a resolver for the interfaces with these IPv4 addresses."""
        self._interfaces = [address for address in interfaces if "." in address]
        self._waiters: dict[str, set[asyncio.Future[str]]] = {}
        self._transport: asyncio.DatagramTransport | None = None
        self._opening = asyncio.Lock()
        self._lost: asyncio.Future[None] | None = None
        self._closed = False

    async def resolve(self, name: str) -> str | None:
        """Return the address of a name; None without an answer within `LOOKUP_TIMEOUT`."""
        try:
            await self._open()
        except OSError as error:
            logger.info("mDNS is not available: %s", error)
            return None
        if self._closed:
            return None
        key = name.lower()
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[str] = loop.create_future()
        self._waiters.setdefault(key, set()).add(answer)
        asking = [loop.call_later(delay, self._ask, name) for delay in QUERY_TIMES]
        try:
            async with asyncio.timeout(LOOKUP_TIMEOUT):
                return await answer
        except (TimeoutError, asyncio.InvalidStateError):
            return None
        finally:
            for handle in asking:
                handle.cancel()
            self._waiters.get(key, set()).discard(answer)
            if not self._waiters.get(key):
                self._waiters.pop(key, None)

    async def close(self) -> None:
        """Close the socket; cancel running lookups before."""
        self._closed = True
        async with self._opening:
            if self._transport is not None and self._lost is not None:
                self._transport.close()
                await self._lost
                self._transport = None

    # asyncio.DatagramProtocol

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        """Deliver the addresses of a response to the lookups that wait for them."""
        if not self._waiters:
            return  # the socket stays open, and receives answers to other hosts
        for name, address in parse_answers(data):
            if ipaddress.ip_address(address).is_multicast:
                continue  # checks would be sent to every host
            for waiter in self._waiters.get(name, ()):
                if not waiter.done():
                    waiter.set_result(address)

    def error_received(self, exc: Exception) -> None:
        """Log an error of the socket."""
        logger.debug("mDNS: %s", exc)

    def connection_lost(self, exc: Exception | None) -> None:
        """Report the end of the socket to `close`."""
        if self._lost is not None and not self._lost.done():
            self._lost.set_result(None)

    # private

    async def _open(self) -> None:
        async with self._opening:
            if self._transport is not None or self._closed:
                return
            sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            try:
                sock.setblocking(False)
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if hasattr(socket, "SO_REUSEPORT"):
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
                sock.bind(("", PORT))
                for interface in self._interfaces:
                    membership = socket.inet_aton(GROUP) + socket.inet_aton(interface)
                    with contextlib.suppress(OSError):  # an interface without multicast
                        sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, membership)
                loop = asyncio.get_running_loop()
                self._lost = loop.create_future()
                self._transport, _ = await loop.create_datagram_endpoint(lambda: self, sock=sock)
            except BaseException:
                sock.close()
                raise

    def _ask(self, name: str) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        sock = self._transport.get_extra_info("socket")
        for interface in self._interfaces:
            with contextlib.suppress(OSError):
                sock.setsockopt(
                    socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(interface)
                )
                for record in (TYPE_A, TYPE_AAAA):
                    self._transport.sendto(build_query(name, record), (GROUP, PORT))
