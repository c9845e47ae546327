"""Datagrams in batches: many packets a system call where the kernel can, one where it cannot.

`open_batch_socket` wraps a bound UDP socket; `UdpEndpoint` drives it from an asyncio or uvloop
event loop. Nothing here knows what the datagrams mean.
"""

from __future__ import annotations

from .batch import Address, BatchSocket
from .endpoint import UdpEndpoint
from .opening import open_batch_socket

__all__ = ["Address", "BatchSocket", "UdpEndpoint", "open_batch_socket"]
