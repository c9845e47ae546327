"""All that transfers need of a link (floor 3).

A link provides this, and a test provides it without a network. In the other direction a link calls
`Transfers.receive_message` with each text from its control channel that it does not know itself,
and `Transfers.receive_block` with each binary message from its blocks channel.
"""

from __future__ import annotations

from typing import Protocol

__all__ = ["BlockChannel", "MessageChannel", "TransferPort"]


class MessageChannel(Protocol):
    """Carries text, reliable and in order."""

    async def send(self, message: str, /) -> None:
        """Send a message of at most 48 KiB; waits while too much is buffered.

        Raises:
            PeerError: the link or the channel is gone.
        """


class BlockChannel(Protocol):
    """Carries binary messages, reliable, in any order."""

    async def send(self, message: bytes, /) -> None:
        """Send a message of at most 64 KiB; waits while too much is buffered.

        Raises:
            PeerError: the link or the channel is gone.
        """


class TransferPort(Protocol):
    """A link, seen from its transfers."""

    @property
    def control(self) -> MessageChannel:
        """Where control messages go."""

    @property
    def blocks(self) -> BlockChannel:
        """Where file content goes."""

    @property
    def max_message_size(self) -> int:
        """Bytes of the largest message that the other side accepts; 0 for no limit."""
