"""Errors of the local user and of the peer.

* :exc:`LocalProtocolError`: misuse by the caller; the only exception that leaves this package.
* :exc:`RemoteProtocolError`: a violation by the peer; it becomes an ABORT and an event.

  * :exc:`Malformed`: bytes that do not parse; the packet is discarded silently.
"""

from __future__ import annotations

from peer.errors import PeerError

__all__ = ["LocalProtocolError", "Malformed", "RemoteProtocolError"]


class LocalProtocolError(PeerError):
    """The state or the limits of the association do not allow the call."""


class RemoteProtocolError(Exception):
    """The peer violated the protocol in a way that ends the association."""

    def __init__(self, message: str, cause: bytes = b"") -> None:
        super().__init__(message)
        self.cause = cause
        """Serialised error causes for the ABORT (RFC 9260, 3.3.10)."""


class Malformed(RemoteProtocolError):
    """Bytes that do not parse."""
