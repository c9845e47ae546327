"""Datagrams in batches (floor 2).

A system call moves many packets where the kernel supports it, and one elsewhere.

`open_batch_socket` wraps a bound UDP socket; `UdpEndpoint` drives it from an asyncio or uvloop
event loop. This package does not look into the datagrams.
"""

from __future__ import annotations

from .batched_socket import Address, BatchSocket, open_batch_socket
from .endpoint import UdpEndpoint

__all__ = ["Address", "BatchSocket", "UdpEndpoint", "open_batch_socket"]
