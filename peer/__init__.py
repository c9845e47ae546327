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

    from .channel import Channel
    from .chat import MessageReceived
    from .codes import Code
    from .config import ChannelParameters, LinkConfig, Priority, Timeouts
    from .entering import Entering, host, join
    from .errors import (
        ChannelClosed,
        ChannelError,
        ChannelOverflow,
        CodeError,
        DiskError,
        ExitCode,
        IntegrityError,
        LinkClosed,
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
        TransferBroken,
        TransferCancelled,
        TransferError,
        UnsafeName,
        VerificationFailed,
        WrongCode,
    )
    from .events import Path, PeerInfo
    from .link import Link
    from .room import Room
    from .transfers import IncomingTransfer, OutgoingTransfer, Progress

_HOME = {
    "Channel": "channel",
    "ChannelClosed": "errors",
    "ChannelError": "errors",
    "ChannelOverflow": "errors",
    "ChannelParameters": "config",
    "Code": "codes",
    "CodeError": "errors",
    "DiskError": "errors",
    "Entering": "entering",
    "ExitCode": "errors",
    "IncomingTransfer": "transfers",
    "IntegrityError": "errors",
    "Link": "link",
    "LinkClosed": "errors",
    "LinkConfig": "config",
    "LinkLost": "errors",
    "MessageReceived": "chat",
    "MessageTooLarge": "errors",
    "NoPath": "errors",
    "OutgoingTransfer": "transfers",
    "Path": "events",
    "PeerError": "errors",
    "PeerInfo": "events",
    "PeerLeft": "errors",
    "PeerTimeout": "errors",
    "Priority": "config",
    "Progress": "transfers",
    "ProtocolError": "errors",
    "Refused": "errors",
    "Room": "room",
    "ServerRefused": "errors",
    "ServerUnreachable": "errors",
    "Timeouts": "config",
    "TransferBroken": "errors",
    "TransferCancelled": "errors",
    "TransferError": "errors",
    "UnsafeName": "errors",
    "VerificationFailed": "errors",
    "WrongCode": "errors",
    "host": "entering",
    "join": "entering",
}

__all__ = [
    "Channel",
    "ChannelClosed",
    "ChannelError",
    "ChannelOverflow",
    "ChannelParameters",
    "Code",
    "CodeError",
    "DiskError",
    "Entering",
    "ExitCode",
    "IncomingTransfer",
    "IntegrityError",
    "Link",
    "LinkClosed",
    "LinkConfig",
    "LinkLost",
    "MessageReceived",
    "MessageTooLarge",
    "NoPath",
    "OutgoingTransfer",
    "Path",
    "PeerError",
    "PeerInfo",
    "PeerLeft",
    "PeerTimeout",
    "Priority",
    "Progress",
    "ProtocolError",
    "Refused",
    "Room",
    "ServerRefused",
    "ServerUnreachable",
    "Timeouts",
    "TransferBroken",
    "TransferCancelled",
    "TransferError",
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
    return getattr(import_module(f"{__name__}.{home}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
