"""Connections that are no WebSockets, or not yet (floor 1).

They cost a descriptor and some memory each, and nothing has been asked of whoever opens them. So
they have places of their own, few of them for one address; when all are taken, the one that has
asked for nothing for longest gives way. A client that means it needs its place for milliseconds.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from dataclasses import dataclass

from .rate_limit import AddressRates, address_key, is_loopback

__all__ = ["Arrival", "Visitors"]


@dataclass(frozen=True, slots=True)
class Arrival:
    """The decision about a new connection.

    Attributes:
        is_welcome: Whether the newcomer may stay.
        gives_way: The visitor that is cut for it, if any.
    """

    is_welcome: bool
    gives_way: int | None = None


class Visitors:
    """Everybody who is connected and has no WebSocket.

    Args:
        places: for all of them together.
        per_address: for one address (an IPv6 one counts with its /64).
        per_minute: new connections from one address.
        spare_loopback: this machine's own programs are bounded together only.
    """

    def __init__(
        self, places: int, per_address: int, per_minute: int, *, spare_loopback: bool
    ) -> None:
        self._places = places
        self._limit = per_address
        self._rates = AddressRates(per_minute)
        self._spare_loopback = spare_loopback
        # By the time of the last request, those without one by their arrival.
        self._visitors: OrderedDict[int, str] = OrderedDict()
        self._per_address: Counter[str] = Counter()

    def __len__(self) -> int:
        """How many there are."""
        return len(self._visitors)

    def arrives(self, number: int, address: str | None, now: float) -> Arrival:
        """Somebody connected; `number` names the connection from now on."""
        key = address_key(address)
        is_spared = self._spare_loopback and is_loopback(address)
        if not is_spared and (
            self._per_address[key] >= self._limit or self._rates.take(key, now) > 0
        ):
            return Arrival(False)
        gives_way = None
        if len(self._visitors) >= self._places:
            gives_way = next(iter(self._visitors))
            self.leaves(gives_way)
        self._visitors[number] = key
        self._per_address[key] += 1
        return Arrival(True, gives_way)

    def asks(self, number: int) -> None:
        """A whole request came: others give way first."""
        if number in self._visitors:
            self._visitors.move_to_end(number)

    def leaves(self, number: int) -> None:
        """A connection ended, or became a WebSocket. Twice is once."""
        key = self._visitors.pop(number, None)
        if key is None:
            return
        self._per_address[key] -= 1
        if not self._per_address[key]:
            del self._per_address[key]
