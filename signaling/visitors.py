"""Connections that are not WebSockets, or not yet (floor 1).

Each occupies a descriptor and some memory, and its client has proved nothing. So there is a bounded
number of places, few of them for one address; when all are taken, the connection without a request
for the longest time gives way. An honest client needs its place for milliseconds.
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
        gives_way: The visitor to abort for it, if any.
    """

    is_welcome: bool
    gives_way: int | None = None


class Visitors:
    """All connections that are not WebSockets.

    Args:
        places: For all of them together.
        per_address: For one address (an IPv6 one counts with its /64).
        per_minute: New connections from one address.
        spare_loopback: Programs of this machine are bounded only together with all others.
    """

    def __init__(
        self, places: int, per_address: int, per_minute: int, *, spare_loopback: bool
    ) -> None:
        self._places = places
        self._limit = per_address
        self._rates = AddressRates(per_minute)
        self._spare_loopback = spare_loopback
        # Ordered by the time of the last request, or of the arrival.
        self._visitors: OrderedDict[int, str] = OrderedDict()
        self._per_address: Counter[str] = Counter()

    def __len__(self) -> int:
        """Number of visitors."""
        return len(self._visitors)

    def arrives(self, number: int, address: str | None, now: float) -> Arrival:
        """Take a new connection; `number` names it from now on."""
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
        """Note a whole request: other visitors give way first."""
        if number in self._visitors:
            self._visitors.move_to_end(number)

    def leaves(self, number: int) -> None:
        """Forget a connection that ended or became a WebSocket. Idempotent."""
        key = self._visitors.pop(number, None)
        if key is None:
            return
        self._per_address[key] -= 1
        if not self._per_address[key]:
            del self._per_address[key]
