"""Transfers of files over a link (floor 3): joins machines, disk and channels.

A link makes one `Transfers`, with a `TransferPort`, and passes on the messages of its channels. A
program gets `OutgoingTransfer` from `Transfers.send` and `IncomingTransfer` by iterating over
`Transfers`.
"""

from __future__ import annotations

from .incoming import IncomingTransfer
from .outgoing import OutgoingTransfer
from .port import BlockChannel, MessageChannel, TransferPort
from .progress import Progress, TransferStage
from .transfers import Transfers

__all__ = [
    "BlockChannel",
    "IncomingTransfer",
    "MessageChannel",
    "OutgoingTransfer",
    "Progress",
    "TransferPort",
    "TransferStage",
    "Transfers",
]
