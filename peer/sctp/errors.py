"""
What goes wrong, and whose fault it is.

* :exc:`LocalProtocolError`: our caller's misuse. The only exception that leaves this package.
* :exc:`RemoteProtocolError`: the peer's. Stays inside: it becomes an ABORT and an event.

  * :exc:`Malformed`: bytes that cannot be parsed; the packet is discarded silently
"""

from __future__ import annotations

from peer.errors import PeerError

__all__ = ["LocalProtocolError", "Malformed", "RemoteProtocolError"]


class LocalProtocolError(PeerError):
    """The caller asked for something that the association's state or limits do not allow."""


class RemoteProtocolError(Exception):
    """The peer broke the protocol in a way that ends the association."""

    def __init__(self, message: str, cause: bytes = b"") -> None:
        super().__init__(message)
        self.cause = cause
        """Error causes to put into the ABORT (RFC 9260, 3.3.10), serialised."""


class Malformed(RemoteProtocolError):
    """Bytes that are not what they claim to be."""
