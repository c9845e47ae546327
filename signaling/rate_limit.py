"""Rate limits as state machines: the time is an argument (floor 1)."""

from __future__ import annotations

import ipaddress
from collections import OrderedDict, deque
from typing import Final

__all__ = ["AddressRates", "Budget", "ErrorBudget", "TokenBucket", "address_key", "is_loopback"]


class TokenBucket:
    """At most `burst` at once and `rate` a second in the long run.

    Args:
        rate: Tokens per second, more than 0.
        burst: Size of the bucket, which starts full.
        now: Seconds, monotonic.
    """

    __slots__ = ("_at", "_burst", "_rate", "_tokens")

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self._rate = rate
        self._burst = burst
        self._tokens = burst
        self._at = now

    def take(self, now: float) -> float:
        """Take one token; returns 0.0, or the seconds until there is a token."""
        self._fill(now)
        # The slack is for rounding: a caller that waited exactly as told gets its token.
        if self._tokens >= 1.0 - 1e-9:
            self._tokens -= 1.0
            return 0.0
        return (1.0 - self._tokens) / self._rate

    def take_up_to(self, wanted: int, now: float) -> int:
        """Take the whole tokens that there are, at most `wanted`, and return their number."""
        self._fill(now)
        taken = min(wanted, int(self._tokens + 1e-9))
        self._tokens -= taken
        return taken

    def give_back(self, tokens: int) -> None:
        """Return tokens that were not used."""
        self._tokens = min(self._burst, self._tokens + tokens)

    def wait_for(self, tokens: float, now: float) -> float:
        """Seconds until there are so many tokens (at most the bucket's size); 0.0: there are."""
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

    No more than `capacity` buckets are kept, however many addresses a client has. When all are in
    use, the one unused for the longest time is dropped: a limit that is too lenient is better than
    a lack of memory.

    Args:
        tokens: Tokens at once, and in every period.
        period: Seconds.
    """

    def __init__(self, tokens: int, period: float = 60.0, *, capacity: int = 100_000) -> None:
        self._burst = tokens
        self._rate = tokens / period
        self._capacity = capacity
        self._buckets: OrderedDict[str, TokenBucket] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, key: str, now: float) -> float:
        """Take one token of `key`; returns 0.0, or the seconds until there is a token."""
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
        # The first in order is unused for the longest time, so it is the first to be full.
        while self._buckets:
            key, bucket = next(iter(self._buckets.items()))
            if len(self._buckets) < self._capacity and not bucket.is_full(now):
                return
            del self._buckets[key]


_SMALL: Final = 64 * 1024


class Budget:
    """Bytes that may wait for or from all clients together.

    Beyond the bound, each client may have 64 KiB: clients that behave are not affected by those
    that do not.

    Args:
        limit: Bytes.

    Attributes:
        used: Bytes that wait now; the users of the budget update it.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.used = 0

    def has_room(self, one: int) -> bool:
        """Whether one client's share may be so many bytes."""
        return one <= _SMALL or self.used < self._limit


class ErrorBudget:
    """A number of errors within a sliding window that is tolerated."""

    __slots__ = ("_errors", "_times", "_window")

    def __init__(self, errors: int, window: float) -> None:
        self._errors = errors
        self._window = window
        self._times: deque[float] = deque()

    def spend(self, now: float) -> bool:
        """Count an error; False when it exceeds the budget."""
        while self._times and self._times[0] <= now - self._window:
            self._times.popleft()
        self._times.append(now)
        return len(self._times) < self._errors


_UNKNOWN: Final = "unknown"


def address_key(address: str | None) -> str:
    """Return the key under which an address is counted.

    An IPv4 address counts alone (also as `::ffff:192.0.2.1`), an IPv6 address with its /64,
    because a client that has one of them has all.
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
        # A scope (`fe80::1%eth0`) names one of our interfaces, not the client.
        ip = ipaddress.ip_address((address or "").partition("%")[0])
    except ValueError:
        return None
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        return ip.ipv4_mapped
    return ip
