"""The server's side of TLS (floor 2)."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

from .errors import ConfigError

__all__ = ["server_context", "unsent"]


class _Encrypted(Exception):
    pass


def server_context(certificate: Path, key: Path | None = None) -> ssl.SSLContext:
    """Load a certificate (with its chain) and its key, both PEM.

    Args:
        certificate: File of the certificate.
        key: File of its key; None if it is in the certificate's file.

    Raises:
        ConfigError: With a sentence for people.
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)

    def ask_nobody() -> str:
        # Without this, OpenSSL asks on the terminal.
        raise _Encrypted

    for path in (certificate, key):
        if path is not None:
            try:
                path.read_bytes()
            except OSError as error:
                raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    try:
        context.load_cert_chain(certificate, key, password=ask_nobody)
    except _Encrypted:
        raise ConfigError(f"{key or certificate}: the key has a passphrase; remove it") from None
    except ssl.SSLError as error:
        names = str(certificate) if key is None else f"{certificate} and {key}"
        if error.reason == "KEY_VALUES_MISMATCH":
            raise ConfigError(f"{names} do not belong together") from None
        what = "is not a PEM certificate with its key" if key is None else "are not PEM files"
        raise ConfigError(f"{names} {what}") from None
    return context


def unsent(transport: asyncio.Transport) -> int:
    """Number of bytes that wait to be sent, with or without TLS.

    asyncio's transport over TLS cannot tell after it was closed twice (by aiohttp, and here).
    """
    try:
        return transport.get_write_buffer_size()
    except AttributeError:
        return 0
