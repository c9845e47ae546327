"""The interface that a link offers to its transfers (floor 3).

A link provides it, and a test provides it without a network. In the other direction, a link calls
`Transfers.receive_message` with each text of its control channel that it does not handle itself,
and `Transfers.receive_block` with each binary message of its blocks channel.
"""

from __future__ import annotations

from typing import Protocol

__all__ = ["BlockChannel", "MessageChannel", "TransferPort"]


class MessageChannel(Protocol):
    """Carries text, reliably and in order."""

    async def send(self, message: str, /) -> None:
        """Send a message of at most 48 KiB; waits while too much is buffered.

        Raises:
            PeerError: The link or the channel is closed.
        """


class BlockChannel(Protocol):
    """Carries binary messages, reliably, in any order."""

    async def send(self, message: bytes, /) -> None:
        """Send a message of at most 64 KiB; waits while too much is buffered.

        Raises:
            PeerError: The link or the channel is closed.
        """


class TransferPort(Protocol):
    """A link, as its transfers see it."""

    @property
    def control(self) -> MessageChannel:
        """Channel of control messages."""

    @property
    def blocks(self) -> BlockChannel:
        """Channel of file content."""

    @property
    def max_message_size(self) -> int:
        """Bytes of the largest message that the other side accepts; 0 for no limit."""
