"""One datagram a system call: everywhere, and where the kernel refuses batches."""

from __future__ import annotations

import socket
from typing import cast

from .batch import Address


class PlainSocket:
    """A `BatchSocket` of batch size 1."""

    max_segments = 1

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    def send(self, data: bytes | memoryview, segment: int, address: Address) -> None:
        """See `BatchSocket.send`."""
        self._sock.sendto(data, address)

    def receive(self, buffer: memoryview) -> tuple[int, int, Address]:
        """See `BatchSocket.receive`."""
        length, address = self._sock.recvfrom_into(buffer)
        return length, length, cast(Address, address)

    def allow_fragments(self, allow: bool) -> None:
        """See `BatchSocket.allow_fragments`."""

    def fileno(self) -> int:
        """See `BatchSocket.fileno`."""
        return self._sock.fileno()

    def getsockname(self) -> Address:
        """See `BatchSocket.getsockname`."""
        return cast(Address, self._sock.getsockname())

    def close(self) -> None:
        """See `BatchSocket.close`."""
        self._sock.close()
