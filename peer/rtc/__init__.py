"""WebRTC, as the rest of Peerline sees it (floor 2): the one seam to aiortc and aioice.

A `Connection` is one RTCPeerConnection, one generation of a link. The engine under its
`DataChannel`s can be exchanged without a change above.
"""

from __future__ import annotations

from .connection import Connection, ConnectionState
from .data_channel import ChannelHandler, ChannelState, DataChannel
from .ice.gathering import GatheringTimes

__all__ = [
    "ChannelHandler",
    "ChannelState",
    "Connection",
    "ConnectionState",
    "DataChannel",
    "GatheringTimes",
]
