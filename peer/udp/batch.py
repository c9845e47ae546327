"""The face that every kind of batched socket has."""

from __future__ import annotations

from typing import Protocol, TypeAlias, runtime_checkable

Address: TypeAlias = tuple[str, int] | tuple[str, int, int, int]
"""An IPv4 ``(host, port)`` or IPv6 ``(host, port, flow, scope)`` socket address."""

MAX_DATAGRAM = 65507
"""Largest UDP payload over IPv4, bytes; also the bound for one batch."""


class SegmentationRefused(OSError):
    """The kernel took no batch; nothing was sent, and one by one it can be.

    `max_segments` is 1 from now on where it will never take one.
    """


class BatchSocket(Protocol):
    """A non-blocking UDP socket that moves runs of equally long datagrams."""

    max_segments: int
    """Datagrams that `send` takes in one call; 1 where the kernel has no batches."""

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
        """Whether IP may fragment what is sent; ignored where the system has no such choice."""

    def fileno(self) -> int:
        """The descriptor, for the event loop."""

    def getsockname(self) -> Address:
        """The socket's own address."""

    def close(self) -> None:
        """Give the descriptor back."""


@runtime_checkable
class ReportingSocket(Protocol):
    """A `BatchSocket` that can tell which destinations refused what was sent to them."""

    def report_refusals(self) -> None:
        """Begin to; from now on the descriptor is readable while there is something to tell."""

    def refusals(self) -> list[Address]:
        """Destinations whose machine says that the port is closed, since the last call."""
