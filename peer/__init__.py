"""Direct, authenticated connections between people's machines, in plain asyncio.

::

    import asyncio
    import peer

    async def main() -> None:
        async with peer.host("https://example.org", name="alice") as room:
            print("Tell the other side:", room.code)
            link = await room.link()
            await link.chat.send("hello")
            channel = await link.open_channel("game", ordered=False, max_retransmits=0)
            await channel.send(b"...")

    asyncio.run(main())

Nothing below this package is loaded before it is asked for.
"""

from __future__ import annotations

from importlib import import_module

# Without `typing`, which takes as long to load as the rest of the way to the command's first line.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

    from signaling.ice_servers import IceConfig, IcePolicy, IceServer

    from .channel.async_queue import AsyncQueue
    from .channel.channel import Channel, ChannelStats
    from .channel.chat.protocol import ChatMessage
    from .channel.chat.session import ChatSession
    from .config import ChannelParameters, EngineName, LinkConfig, Priority, Timeouts
    from .errors import (
        ChannelClosed,
        ChannelError,
        ChannelOverflow,
        CodeError,
        CodeSpent,
        DiskError,
        ExitCode,
        Guessed,
        IntegrityError,
        LinkClosed,
        LinkEnded,
        LinkLost,
        MessageTooLarge,
        NoPath,
        PeerError,
        PeerLeft,
        PeerTimeout,
        ProtocolError,
        Refused,
        ServerRefused,
        ServerUnreachable,
        TooManyGuesses,
        TransferBroken,
        TransferCancelled,
        TransferError,
        UnsafeName,
        VerificationFailed,
        WrongCode,
    )
    from .link.link import Link
    from .room.entering import Entering, host, join
    from .room.room import Room
    from .security.codes import Code
    from .transfer.disk import Sources
    from .transfer.engine import IncomingTransfer, OutgoingTransfer, Progress, TransferStage
    from .transfer.protocol import Entry, LeftOut, Manifest, Notable, Notes, Renamed
    from .types import CandidateType, NetworkPath, PeerInfo

_HOME = {
    "AsyncQueue": "channel.async_queue",
    "CandidateType": "types",
    "Channel": "channel.channel",
    "ChannelClosed": "errors",
    "ChannelError": "errors",
    "ChannelOverflow": "errors",
    "ChannelParameters": "config",
    "ChannelStats": "channel.channel",
    "ChatMessage": "channel.chat.protocol",
    "ChatSession": "channel.chat.session",
    "Code": "security.codes",
    "CodeError": "errors",
    "CodeSpent": "errors",
    "DiskError": "errors",
    "EngineName": "config",
    "Entering": "room.entering",
    "Entry": "transfer.protocol",
    "ExitCode": "errors",
    "Guessed": "errors",
    "IceConfig": "signaling.ice_servers",
    "IcePolicy": "signaling.ice_servers",
    "IceServer": "signaling.ice_servers",
    "IncomingTransfer": "transfer.engine",
    "IntegrityError": "errors",
    "LeftOut": "transfer.protocol",
    "Link": "link.link",
    "LinkClosed": "errors",
    "LinkEnded": "errors",
    "LinkConfig": "config",
    "LinkLost": "errors",
    "Manifest": "transfer.protocol",
    "MessageTooLarge": "errors",
    "NetworkPath": "types",
    "NoPath": "errors",
    "Notable": "transfer.protocol",
    "Notes": "transfer.protocol",
    "OutgoingTransfer": "transfer.engine",
    "PeerError": "errors",
    "PeerInfo": "types",
    "PeerLeft": "errors",
    "PeerTimeout": "errors",
    "Priority": "config",
    "Progress": "transfer.engine",
    "ProtocolError": "errors",
    "Refused": "errors",
    "Renamed": "transfer.protocol",
    "Room": "room.room",
    "ServerRefused": "errors",
    "ServerUnreachable": "errors",
    "Sources": "transfer.disk",
    "Timeouts": "config",
    "TooManyGuesses": "errors",
    "TransferBroken": "errors",
    "TransferCancelled": "errors",
    "TransferError": "errors",
    "TransferStage": "transfer.engine",
    "UnsafeName": "errors",
    "VerificationFailed": "errors",
    "WrongCode": "errors",
    "host": "room.entering",
    "join": "room.entering",
}

__all__ = [
    "AsyncQueue",
    "CandidateType",
    "Channel",
    "ChannelClosed",
    "ChannelError",
    "ChannelOverflow",
    "ChannelParameters",
    "ChannelStats",
    "ChatMessage",
    "ChatSession",
    "Code",
    "CodeError",
    "CodeSpent",
    "DiskError",
    "EngineName",
    "Entering",
    "Entry",
    "ExitCode",
    "Guessed",
    "IceConfig",
    "IcePolicy",
    "IceServer",
    "IncomingTransfer",
    "IntegrityError",
    "LeftOut",
    "Link",
    "LinkClosed",
    "LinkConfig",
    "LinkEnded",
    "LinkLost",
    "Manifest",
    "MessageTooLarge",
    "NetworkPath",
    "NoPath",
    "Notable",
    "Notes",
    "OutgoingTransfer",
    "PeerError",
    "PeerInfo",
    "PeerLeft",
    "PeerTimeout",
    "Priority",
    "Progress",
    "ProtocolError",
    "Refused",
    "Renamed",
    "Room",
    "ServerRefused",
    "ServerUnreachable",
    "Sources",
    "Timeouts",
    "TooManyGuesses",
    "TransferBroken",
    "TransferCancelled",
    "TransferError",
    "TransferStage",
    "UnsafeName",
    "VerificationFailed",
    "WrongCode",
    "host",
    "join",
]


def __getattr__(name: str) -> Any:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if not home.startswith("signaling."):
        home = f"{__name__}.{home}"
    return getattr(import_module(home), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
