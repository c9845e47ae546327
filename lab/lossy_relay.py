"""A UDP relay that loses and reorders datagrams between two WebRTC stacks of a test.

Both sides get the relay's address in place of each other's. To either, the packets of the
other come from addresses that were never announced: peer-reflexive candidates, as behind a NAT.
"""

from __future__ import annotations

import asyncio
import random
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import cast

from lab.link import Link

__all__ = ["LossyRelay"]

_CANDIDATE = re.compile(
    r"^a=candidate:(?P<f>\S+) 1 (?P<t>udp) (?P<p>\d+) (?P<ip>\S+) (?P<port>\d+) typ host.*$",
    re.IGNORECASE | re.MULTILINE,
)
_ANY_CANDIDATE = re.compile(r"^a=candidate:[^\r\n]*\r?\n", re.MULTILINE)

Address = tuple[str, int]

_SUPPORTED = frozenset({"loss", "reorder", "reorder_delay", "mtu"})


@dataclass(eq=False, slots=True)
class LossyRelay:
    """A relay with one link for both directions, and counters."""

    link: Link = field(default_factory=Link)
    """`mtu` counts UDP payload bytes."""
    drop: Callable[[bytes, str], bool] = lambda data, whose: False
    """Selects datagrams to drop; called with datagram and destination, "ours" or "theirs"."""
    seed: int = 1
    lost: int = 0
    overtaken: int = 0
    disturbed: Counter[str] = field(default_factory=Counter)
    """Datagrams that were lost or held back, by whom they went to."""
    largest: dict[str, int] = field(default_factory=dict)
    """Bytes of the largest forwarded datagram, by destination."""
    _fronts: list[asyncio.DatagramTransport] = field(default_factory=list)
    _random: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self.link.require("LossyRelay", _SUPPORTED)
        self._random = random.Random(self.seed)

    def change(self, **fields: float | None) -> None:
        """Change fields of the link for the datagrams that come from now on."""
        self.link = replace(self.link, **fields)  # type: ignore[arg-type]
        self.link.require("LossyRelay", _SUPPORTED)

    async def rewrite(self, sdp: str, whose: str) -> str:
        """Put this relay's addresses in place of the host candidates of a description."""
        lines = []
        for found in _CANDIDATE.finditer(sdp):
            ip, port = found["ip"], int(found["port"])
            if ":" in ip or ip.endswith(".local"):
                continue
            transport = await _open((ip, 0), _Front(self, (ip, port), whose))
            self._fronts.append(transport)
            port = transport.get_extra_info("sockname")[1]
            lines.append(f"a=candidate:{found['f']} 1 udp {found['p']} {ip} {port} typ host\r\n")
        assert lines, "no candidate that the relay could stand in for"
        first = _ANY_CANDIDATE.search(sdp)
        assert first is not None
        head, tail = sdp[: first.start()], sdp[first.start() :]
        return head + "".join(lines) + _ANY_CANDIDATE.sub("", tail)

    def carry(self, out: asyncio.DatagramTransport, data: bytes, to: Address, whose: str) -> None:
        """Forward a datagram, or drop it."""
        link = self.link
        if out.is_closing() or (link.mtu is not None and len(data) > link.mtu):
            return
        if self._random.random() < link.loss or self.drop(data, whose):
            self.lost += 1
            self.disturbed[whose] += 1
            return
        self.largest[whose] = max(self.largest.get(whose, 0), len(data))
        if self._random.random() < link.reorder:
            self.overtaken += 1
            self.disturbed[whose] += 1
            asyncio.get_running_loop().call_later(link.reorder_delay, _send, out, data, to)
        else:
            out.sendto(data, to)

    def rebind(self) -> None:
        """Use new source addresses from now on, as a NAT does that has lost its mappings."""
        for transport in self._fronts:
            protocol = transport.get_protocol()
            assert isinstance(protocol, _Front)
            protocol.rebind()

    async def close(self) -> None:
        """Close every socket."""
        for transport in self._fronts:
            protocol = transport.get_protocol()
            assert isinstance(protocol, _Front)
            protocol.close()
        await asyncio.sleep(0)  # transports close in the next turn


def _send(out: asyncio.DatagramTransport, data: bytes, to: Address) -> None:
    if not out.is_closing():
        out.sendto(data, to)


async def _open(address: Address, protocol: asyncio.DatagramProtocol) -> asyncio.DatagramTransport:
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: protocol, local_addr=address)
    return transport


class _Front(asyncio.DatagramProtocol):
    """Stands for one address, with a socket of its own for each sender."""

    def __init__(self, relay: LossyRelay, target: Address, whose: str) -> None:
        self._relay = relay
        self._target = target
        self._whose = whose
        self._backs: dict[Address, asyncio.DatagramTransport | list[bytes]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.transport: asyncio.DatagramTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: Address) -> None:
        back = self._backs.get(addr)
        if isinstance(back, list):
            back.append(data)
        elif back is not None:
            self._relay.carry(back, data, self._target, self._whose)
        else:
            self._backs[addr] = [data]
            task = asyncio.create_task(self._open(addr))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _open(self, addr: Address) -> None:
        transport = await _open((self._target[0], 0), _Back(self, addr))
        waiting = self._backs[addr]
        self._backs[addr] = transport
        assert isinstance(waiting, list)
        for data in waiting:
            self._relay.carry(transport, data, self._target, self._whose)

    def answer(self, data: bytes, addr: Address) -> None:
        """Forward a datagram of the target to the sender that it answers."""
        whose = "ours" if self._whose == "theirs" else "theirs"
        self._relay.carry(self.transport, data, addr, whose)

    def rebind(self) -> None:
        for back in self._backs.values():
            if not isinstance(back, list):
                back.close()
        self._backs.clear()

    def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        self.rebind()
        self.transport.close()


class _Back(asyncio.DatagramProtocol):
    """Receives the target's datagrams for one sender."""

    def __init__(self, front: _Front, addr: Address) -> None:
        self._front = front
        self._addr = addr

    def datagram_received(self, data: bytes, addr: Address) -> None:
        self._front.answer(data, self._addr)
