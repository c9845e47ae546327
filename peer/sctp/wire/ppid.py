"""Payload protocol identifiers of WebRTC (RFC 8831, 8).

SCTP cannot carry a message of no bytes, so an empty string or an empty binary message is one
zero byte under an identifier of its own. The "partial" identifiers are deprecated but named by
the RFC, and old browsers sent them.
"""

from __future__ import annotations

import enum

__all__ = ["Ppid", "decode_payload", "encode_payload"]


class Ppid(enum.IntEnum):
    """Payload protocol identifiers of WebRTC messages."""

    DCEP = 50
    STRING = 51
    BINARY_PARTIAL = 52
    BINARY = 53
    STRING_PARTIAL = 54
    STRING_EMPTY = 56
    BINARY_EMPTY = 57


_EMPTY = b"\0"


def encode_payload(message: str | bytes) -> tuple[int, bytes]:
    """Return the identifier and the bytes that carry ``message``."""
    if isinstance(message, str):
        data = message.encode()
        return (Ppid.STRING, data) if data else (Ppid.STRING_EMPTY, _EMPTY)
    return (Ppid.BINARY, message) if message else (Ppid.BINARY_EMPTY, _EMPTY)


def decode_payload(ppid: int, data: bytes, *, errors: str = "strict") -> str | bytes:
    """Return the message that ``data`` carries.

    Args:
        ppid: Payload protocol identifier.
        data: Its payload.
        errors: Treatment of a string that is not UTF-8, as for ``bytes.decode``.

    Raises:
        UnicodeDecodeError: A string is not UTF-8, and ``errors`` is "strict".
    """
    if ppid in (Ppid.STRING, Ppid.STRING_PARTIAL):
        return data.decode(errors=errors)
    if ppid == Ppid.STRING_EMPTY:
        return ""
    return b"" if ppid == Ppid.BINARY_EMPTY else data
