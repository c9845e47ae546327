"""Batched UDP sockets: their interface, the plain one, and the choice for this system."""

from __future__ import annotations

import contextlib
import socket
import sys
from typing import Protocol, TypeAlias, cast, runtime_checkable

__all__ = [
    "Address",
    "BatchSocket",
    "PlainSocket",
    "ReportingSocket",
    "SegmentationRefused",
    "open_batch_socket",
]

Address: TypeAlias = tuple[str, int] | tuple[str, int, int, int]
"""An IPv4 ``(host, port)`` or IPv6 ``(host, port, flow, scope)`` socket address."""

MAX_DATAGRAM = 65507
"""Largest UDP payload over IPv4, bytes; also the bound for one batch."""

BUFFER_SIZE = 4 << 20
"""Requested socket buffer of each direction, bytes. The default (212 KB) holds some 90 packets and
overflows at the first burst."""


class SegmentationRefused(OSError):
    """The kernel refused a batch; nothing was sent, and single datagrams can be.

    `max_segments` is 1 from now on if it will never accept one.
    """


class BatchSocket(Protocol):
    """A non-blocking UDP socket for runs of equally long datagrams."""

    max_segments: int
    """Datagrams per call of `send`; 1 where the kernel has no batches."""

    def send(self, data: bytes | memoryview, segment: int, address: Address) -> None:
        """Send `data` as datagrams of `segment` bytes each, the last one may be shorter.

        At most `max_segments` of them and `MAX_DATAGRAM` bytes in all.

        Raises:
            BlockingIOError: The socket is full; nothing of `data` was sent.
            SegmentationRefused: Not as a batch; send again, one by one.
            OSError: The kernel refused it for good (message too long, unreachable ...).
        """

    def receive(self, buffer: memoryview) -> tuple[int, int, Address]:
        """Receive one datagram, or a run of equally long ones of one sender, into `buffer`.

        Args:
            buffer: At least 65536 bytes.

        Returns:
            Bytes received, bytes of each datagram (the last may be shorter), the sender.

        Raises:
            BlockingIOError: Nothing to receive.
            OSError: An error the kernel noted earlier, such as an unreachable port.
        """

    def allow_fragments(self, allow: bool) -> None:
        """Allow or forbid IP fragmentation; ignored where the system has no such option."""

    def fileno(self) -> int:
        """Return the descriptor, for the event loop."""

    def getsockname(self) -> Address:
        """Return the socket's own address."""

    def close(self) -> None:
        """Close the socket."""


@runtime_checkable
class ReportingSocket(Protocol):
    """A `BatchSocket` that reports destinations whose port is closed."""

    def report_refusals(self) -> None:
        """Start to report; the descriptor is readable while there are refusals."""

    def refusals(self) -> list[Address]:
        """Return the destinations with an ICMP port unreachable since the last call."""


class PlainSocket:
    """A `BatchSocket` of batch size 1."""

    max_segments = 1

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    def send(self, data: bytes | memoryview, segment: int, address: Address) -> None:
        """Send one datagram."""
        self._sock.sendto(data, address)

    def receive(self, buffer: memoryview) -> tuple[int, int, Address]:
        """Receive one datagram."""
        length, address = self._sock.recvfrom_into(buffer)
        return length, length, cast(Address, address)

    def allow_fragments(self, allow: bool) -> None:
        """Do nothing: the system has no such option."""

    def fileno(self) -> int:
        """Return the descriptor."""
        return self._sock.fileno()

    def getsockname(self) -> Address:
        """Return the socket's own address."""
        return cast(Address, self._sock.getsockname())

    def close(self) -> None:
        """Close the socket."""
        self._sock.close()


def open_batch_socket(sock: socket.socket) -> BatchSocket:
    """Wrap a bound UDP socket, which the result then owns, in the best available kind."""
    sock.setblocking(False)
    _enlarge_buffers(sock)
    if sys.platform == "linux":
        from .linux import SegmentingSocket, set_fragments

        set_fragments(sock, False)
        with contextlib.suppress(OSError):
            return SegmentingSocket(sock)
    return PlainSocket(sock)


def _enlarge_buffers(sock: socket.socket) -> None:
    """Request `BUFFER_SIZE` both ways; only a privileged process exceeds the system's limit.

    ``SO_SNDBUFFORCE`` (32) and ``SO_RCVBUFFORCE`` (33) are Linux's and have no name in `socket`.
    """
    for plain, force in ((socket.SO_SNDBUF, 32), (socket.SO_RCVBUF, 33)):
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, plain, BUFFER_SIZE)
        if sys.platform == "linux":
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, force, BUFFER_SIZE)
