"""UDP segmentation offload (GSO) and coalesced receive (GRO), Linux 4.18 and 5.0.

One system call, one walk through the network stack, dozens of packets: on loopback this alone
divides the CPU time of a transfer by three. The names are not in Python's `socket`; the numbers
are those of ``linux/udp.h`` and ``linux/in.h``.
"""

from __future__ import annotations

import contextlib
import errno
import socket
import sys
from struct import Struct
from typing import cast

from .batched_socket import Address, SegmentationRefused

SOL_UDP = 17
UDP_SEGMENT = 103
UDP_GRO = 104

MAX_SEGMENTS = 64
"""``UDP_MAX_SEGMENTS`` of the kernels before 6.9."""

IP_MTU_DISCOVER = 10
IPV6_MTU_DISCOVER = 23
PMTUDISC_DONT = 0
PMTUDISC_PROBE = 3
"""Set "don't fragment" but ignore the kernel's path MTU, because the association probes itself."""

IP_RECVERR = 11
IPV6_RECVERR = 25
MAX_ERRORS = 64
"""Errors of the queue that one call reads."""

_REFUSALS = {errno.EIO, errno.EOPNOTSUPP, errno.ENOPROTOOPT}

_SEGMENT = Struct("=H")
_ERROR = Struct("=IB")
"""``sock_extended_err``: the error and its origin, 2 for ICMP, 3 for ICMPv6."""
_REFUSED = ((errno.ECONNREFUSED, 2), (errno.ECONNREFUSED, 3))
_ERROR_SPACE = 512
_CONTROL_SPACE = socket.CMSG_SPACE(4)


class SegmentingSocket:
    """A `BatchSocket` that sends with ``UDP_SEGMENT`` and receives with ``UDP_GRO``.

    When the kernel or a device refuses a segmented send (no checksum offload, an odd tunnel),
    `max_segments` becomes 1 for good. ``EINVAL`` concerns the one batch: older kernels say
    so of segments that have become too large for the interface, where later ones say ``EMSGSIZE``.
    """

    max_segments = MAX_SEGMENTS

    def __init__(self, sock: socket.socket) -> None:
        """Take `sock` over.

        Raises:
            OSError: The kernel knows neither GSO nor GRO.
        """
        sock.getsockopt(SOL_UDP, UDP_SEGMENT)
        sock.setsockopt(SOL_UDP, UDP_GRO, 1)
        self._sock = sock
        self._refused = False

    def send(self, data: bytes | memoryview, segment: int, address: Address) -> None:
        """Send datagrams with ``UDP_SEGMENT``.

        Raises:
            SegmentationRefused: The kernel refused the batch.
        """
        if len(data) <= segment:
            self._sock.sendto(data, address)
            return
        control = [(SOL_UDP, UDP_SEGMENT, _SEGMENT.pack(segment))]
        try:
            self._sock.sendmsg([data], control, 0, address)
        except OSError as error:
            if error.errno in _REFUSALS:
                self._refused = True
                self.max_segments = 1
            elif error.errno != errno.EINVAL:
                raise
            raise SegmentationRefused(error.errno, "no batch of these") from error

    def receive(self, buffer: memoryview) -> tuple[int, int, Address]:
        """Receive a run of datagrams with ``UDP_GRO``."""
        length, control, _flags, address = self._sock.recvmsg_into([buffer], _CONTROL_SPACE)
        segment = length
        for level, kind, value in control:
            if level == SOL_UDP and kind == UDP_GRO:
                segment = int.from_bytes(value[:4], sys.byteorder)
        return length, segment, cast(Address, address)

    def allow_fragments(self, allow: bool) -> None:
        """Allow or forbid IP fragmentation; the kernel never fragments segments of a batch."""
        set_fragments(self._sock, allow)
        self.max_segments = 1 if allow or self._refused else MAX_SEGMENTS

    def report_refusals(self) -> None:
        """Start to report refusals through the socket's error queue."""
        level, option = self._errors
        self._sock.setsockopt(level, option, 1)

    def refusals(self) -> list[Address]:
        """Return refused destinations; other errors in the queue are dropped."""
        refused: list[Address] = []
        for _ in range(MAX_ERRORS):
            try:
                _, control, _, address = self._sock.recvmsg(1, _ERROR_SPACE, socket.MSG_ERRQUEUE)
            except OSError:
                break
            for level, kind, value in control:
                if (level, kind) == self._errors and _ERROR.unpack_from(value) in _REFUSED:
                    refused.append(cast(Address, address))
        return refused

    @property
    def _errors(self) -> tuple[int, int]:
        if self._sock.family == socket.AF_INET6:
            return socket.IPPROTO_IPV6, IPV6_RECVERR
        return socket.IPPROTO_IP, IP_RECVERR

    def fileno(self) -> int:
        """Return the descriptor."""
        return self._sock.fileno()

    def getsockname(self) -> Address:
        """Return the socket's own address."""
        return cast(Address, self._sock.getsockname())

    def close(self) -> None:
        """Close the socket."""
        self._sock.close()


def set_fragments(sock: socket.socket, allow: bool) -> None:
    """Allow or forbid fragmentation of packets of `sock`; probing requires that it is forbidden."""
    if sock.family == socket.AF_INET6:
        level, option = socket.IPPROTO_IPV6, IPV6_MTU_DISCOVER
    else:
        level, option = socket.IPPROTO_IP, IP_MTU_DISCOVER
    with contextlib.suppress(OSError):
        sock.setsockopt(level, option, PMTUDISC_DONT if allow else PMTUDISC_PROBE)
