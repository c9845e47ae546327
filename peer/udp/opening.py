"""Which kind of batched socket there is on this system."""

from __future__ import annotations

import contextlib
import socket
import sys

from .batch import BatchSocket
from .fallback import PlainSocket

__all__ = ["open_batch_socket"]

BUFFER_SIZE = 4 << 20
"""What is asked of the kernel for each direction, bytes. The default (212 KB) holds some 90
packets and overflows at the first burst."""


def open_batch_socket(sock: socket.socket) -> BatchSocket:
    """Wrap a bound UDP socket (which is then owned by the result) in the best kind there is."""
    sock.setblocking(False)
    _enlarge_buffers(sock)
    if sys.platform == "linux":
        from .linux import SegmentingSocket, set_fragments

        set_fragments(sock, False)
        with contextlib.suppress(OSError):
            return SegmentingSocket(sock)
    return PlainSocket(sock)


def _enlarge_buffers(sock: socket.socket) -> None:
    """Ask for `BUFFER_SIZE` both ways; past the system's limit only a privileged process gets it.

    ``SO_SNDBUFFORCE`` (32) and ``SO_RCVBUFFORCE`` (33) are Linux's and have no name in `socket`.
    """
    for plain, force in ((socket.SO_SNDBUF, 32), (socket.SO_RCVBUF, 33)):
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, plain, BUFFER_SIZE)
        if sys.platform == "linux":
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, force, BUFFER_SIZE)
