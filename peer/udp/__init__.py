"""Datagrams in batches: many packets a system call where the kernel can, one where it cannot.

`open_batch_socket` wraps a bound UDP socket; `UdpEndpoint` drives it from an asyncio or uvloop
event loop. Nothing here knows what the datagrams mean.
"""

from __future__ import annotations

from .batched_socket import Address, BatchSocket, open_batch_socket
from .endpoint import UdpEndpoint

__all__ = ["Address", "BatchSocket", "UdpEndpoint", "open_batch_socket"]
