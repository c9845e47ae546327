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

    from .arrivals import Arrivals
    from .channel import Channel, ChannelStats
    from .chat import MessageReceived
    from .chat_line import ChatLine
    from .codes import Code
    from .config import ChannelParameters, EngineName, LinkConfig, Priority, Timeouts
    from .entering import Entering, host, join
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
    from .events import CandidateType, Path, PeerInfo
    from .link import Link
    from .room import Room
    from .transfer import Entry, LeftOut, Manifest, Notable, Notes, Renamed
    from .transfers import IncomingTransfer, OutgoingTransfer, Progress, Stage

_HOME = {
    "Arrivals": "arrivals",
    "CandidateType": "events",
    "Channel": "channel",
    "ChannelClosed": "errors",
    "ChannelError": "errors",
    "ChannelOverflow": "errors",
    "ChannelParameters": "config",
    "ChannelStats": "channel",
    "ChatLine": "chat_line",
    "Code": "codes",
    "CodeError": "errors",
    "CodeSpent": "errors",
    "DiskError": "errors",
    "EngineName": "config",
    "Entering": "entering",
    "Entry": "transfer",
    "ExitCode": "errors",
    "Guessed": "errors",
    "IceConfig": "signaling.ice_servers",
    "IcePolicy": "signaling.ice_servers",
    "IceServer": "signaling.ice_servers",
    "IncomingTransfer": "transfers",
    "IntegrityError": "errors",
    "LeftOut": "transfer",
    "Link": "link",
    "LinkClosed": "errors",
    "LinkConfig": "config",
    "LinkLost": "errors",
    "Manifest": "transfer",
    "MessageReceived": "chat",
    "MessageTooLarge": "errors",
    "NoPath": "errors",
    "Notable": "transfer",
    "Notes": "transfer",
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
    "Renamed": "transfer",
    "Room": "room",
    "ServerRefused": "errors",
    "ServerUnreachable": "errors",
    "Stage": "transfers",
    "Timeouts": "config",
    "TooManyGuesses": "errors",
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
    "Arrivals",
    "CandidateType",
    "Channel",
    "ChannelClosed",
    "ChannelError",
    "ChannelOverflow",
    "ChannelParameters",
    "ChannelStats",
    "ChatLine",
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
    "LinkLost",
    "Manifest",
    "MessageReceived",
    "MessageTooLarge",
    "NoPath",
    "Notable",
    "Notes",
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
    "Renamed",
    "Room",
    "ServerRefused",
    "ServerUnreachable",
    "Stage",
    "Timeouts",
    "TooManyGuesses",
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
    if not home.startswith("signaling."):
        home = f"{__name__}.{home}"
    return getattr(import_module(home), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
