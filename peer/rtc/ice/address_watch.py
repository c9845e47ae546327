"""Noticing that the address a connection leaves this machine from is no longer its own."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable

__all__ = ["AddressWatch", "is_own"]

INTERVAL = 0.5
"""Seconds between two looks, some 20 microseconds each."""
GONE_FOR = 2.0
"""Seconds after which an address that has gone is not waited for: it may be taken away and given
back when a lease is renewed, and the connection survives that."""


def is_own(address: str) -> bool:
    """Whether an address is one of this machine: whether a socket can be bound to it."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((address, 0))
        except OSError as error:
            return error.errno != errno.EADDRNOTAVAIL
    return True


class AddressWatch:
    """Looks from time to time; ends by itself once it has told that the address is gone."""

    def __init__(
        self,
        address: Callable[[], str | None],
        on_gone: Callable[[str], None],
        check: Callable[[str], bool] = is_own,
    ) -> None:
        """Begin.

        Args:
            address: Tells the address in use; None while there is none to watch.
            on_gone: Told the address, once.
            check: Whether an address is one of ours.
        """
        self._loop = asyncio.get_running_loop()
        self._address = address
        self._on_gone = on_gone
        self._check = check
        self._gone: tuple[str, float] | None = None
        """What was missing at first, and since when."""
        self._timer = self._loop.call_later(INTERVAL, self._look)

    def close(self) -> None:
        """Look no more."""
        self._timer.cancel()

    def _look(self) -> None:
        self._timer = self._loop.call_later(INTERVAL, self._look)
        address, now = self._address(), self._loop.time()
        if address is None or self._check(address):
            self._gone = None
        elif self._gone is None or self._gone[0] != address:
            self._gone = address, now
        elif now - self._gone[1] >= GONE_FOR:
            self.close()
            self._on_gone(address)
