"""Detection that this host has lost the source address of a connection."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable

__all__ = ["AddressWatch", "is_own"]

INTERVAL = 0.5
"""Seconds between two checks, some 20 microseconds each."""
GONE_FOR = 2.0
"""Seconds for which a missing address is waited for: it may disappear while a lease is renewed, and
the connection survives that."""


def is_own(address: str) -> bool:
    """Return whether a socket can be bound to an address, so that it is one of this host."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((address, 0))
        except OSError as error:
            return error.errno != errno.EADDRNOTAVAIL
    return True


class AddressWatch:
    """Checks at intervals; stops after it has reported the loss."""

    def __init__(
        self,
        address: Callable[[], str | None],
        on_gone: Callable[[str], None],
        check: Callable[[str], bool] = is_own,
    ) -> None:
        """Start to check.

        Args:
            address: Returns the address in use; None while there is nothing to watch.
            on_gone: Called once, with the address.
            check: Returns whether an address is one of this host.
        """
        self._loop = asyncio.get_running_loop()
        self._address = address
        self._on_gone = on_gone
        self._check = check
        self._gone: tuple[str, float] | None = None
        """The missing address, and since when."""
        self._timer = self._loop.call_later(INTERVAL, self._look)

    def close(self) -> None:
        """Stop to check."""
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
