"""Rates, as pure machines: the clock is an argument (floor 1)."""

from __future__ import annotations

import ipaddress
from collections import OrderedDict, deque
from typing import Final

__all__ = ["AddressRates", "Budget", "ErrorBudget", "TokenBucket", "address_key", "is_loopback"]


class TokenBucket:
    """At most `burst` at once and `rate` a second in the long run.

    Args:
        rate: tokens a second, more than 0.
        burst: the bucket's size; it starts full.
        now: seconds, monotonic.
    """

    __slots__ = ("_at", "_burst", "_rate", "_tokens")

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self._rate = rate
        self._burst = burst
        self._tokens = burst
        self._at = now

    def take(self, now: float) -> float:
        """Take one token; 0.0 if there was one, else the seconds until there will be."""
        self._fill(now)
        # The slack is for rounding: whoever waited just as long as told gets its token.
        if self._tokens >= 1.0 - 1e-9:
            self._tokens -= 1.0
            return 0.0
        return (1.0 - self._tokens) / self._rate

    def take_up_to(self, wanted: int, now: float) -> int:
        """Take as many whole tokens as there are, at most `wanted`; say how many."""
        self._fill(now)
        taken = min(wanted, int(self._tokens + 1e-9))
        self._tokens -= taken
        return taken

    def give_back(self, tokens: int) -> None:
        """Put back what was taken and not used."""
        self._tokens = min(self._burst, self._tokens + tokens)

    def wait_for(self, tokens: float, now: float) -> float:
        """Seconds until there are so many tokens, the bucket's size at most; 0.0 if there are."""
        self._fill(now)
        missing = min(tokens, self._burst) - self._tokens
        return missing / self._rate if missing > 1e-9 else 0.0

    def is_full(self, now: float) -> bool:
        """Whether forgetting this bucket would change nothing."""
        self._fill(now)
        return self._tokens >= self._burst

    def _fill(self, now: float) -> None:
        self._tokens = min(self._burst, self._tokens + max(0.0, now - self._at) * self._rate)
        self._at = max(self._at, now)


class AddressRates:
    """One bucket per address, `tokens` each in every `period`; full buckets are forgotten.

    However many addresses somebody has, no more than `capacity` buckets are kept. When so many
    are in use at once, the one unused for longest is given up: to be limited too little is better
    than to be out of memory.

    Args:
        tokens: at once, and in every period.
        period: seconds.
    """

    def __init__(self, tokens: int, period: float = 60.0, *, capacity: int = 100_000) -> None:
        self._burst = tokens
        self._rate = tokens / period
        self._capacity = capacity
        self._buckets: OrderedDict[str, TokenBucket] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, key: str, now: float) -> float:
        """Take one token of `key`; 0.0 if there was one, else seconds until there will be."""
        bucket = self._buckets.get(key)
        if bucket is None:
            self._forget(now)
            bucket = TokenBucket(self._rate, self._burst, now)
            self._buckets[key] = bucket
        self._buckets.move_to_end(key)
        return bucket.take(now)

    def wait(self, key: str, now: float) -> float:
        """Seconds until `take` will have a token for `key`, without taking one."""
        bucket = self._buckets.get(key)
        return 0.0 if bucket is None else bucket.wait_for(1.0, now)

    def _forget(self, now: float) -> None:
        # The front of the order was unused for longest, so it is the first to be full again.
        while self._buckets:
            key, bucket = next(iter(self._buckets.items()))
            if len(self._buckets) < self._capacity and not bucket.is_full(now):
                return
            del self._buckets[key]


_SMALL: Final = 64 * 1024


class Budget:
    """Bytes that may wait for or from all clients together.

    While more wait than that, a client may have no more than 64 KiB of them: those who behave are
    not touched when others do not.

    Args:
        limit: bytes.

    Attributes:
        used: bytes that wait now; kept by the users of the budget.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.used = 0

    def has_room(self, one: int) -> bool:
        """Whether one client's share may be so many bytes."""
        return one <= _SMALL or self.used < self._limit


class ErrorBudget:
    """So many errors within a sliding window are forgiven, not one more."""

    __slots__ = ("_errors", "_times", "_window")

    def __init__(self, errors: int, window: float) -> None:
        self._errors = errors
        self._window = window
        self._times: deque[float] = deque()

    def spend(self, now: float) -> bool:
        """Note an error; False when it is the one too many."""
        while self._times and self._times[0] <= now - self._window:
            self._times.popleft()
        self._times.append(now)
        return len(self._times) < self._errors


_UNKNOWN: Final = "unknown"


def address_key(address: str | None) -> str:
    """Say whom to count an address with.

    An IPv4 address counts alone (also as `::ffff:192.0.2.1`), an IPv6 address with its /64,
    because whoever has one has them all.
    """
    ip = _parse(address)
    if ip is None:
        return _UNKNOWN
    if isinstance(ip, ipaddress.IPv4Address) or ip.is_loopback:
        return str(ip)
    return str(ipaddress.IPv6Network((int(ip) >> 64 << 64, 64)))


def is_loopback(address: str | None) -> bool:
    """Whether the address belongs to this machine's own programs."""
    ip = _parse(address)
    return ip is not None and ip.is_loopback


def _parse(address: str | None) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        # A scope (`fe80::1%eth0`) says which of our interfaces, not who.
        ip = ipaddress.ip_address((address or "").partition("%")[0])
    except ValueError:
        return None
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        return ip.ipv4_mapped
    return ip
