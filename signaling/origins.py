"""The web pages that may open a connection (floor 1).

A browser names the page's origin in every WebSocket handshake (RFC 6455, 10.2) and lets any page of
the web connect anywhere; the server has to refuse foreign ones. Programs other than browsers send
no Origin and do not need one.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

__all__ = ["origin_is_allowed"]

_DEFAULT_PORTS: Final = {"http": ":80", "https": ":443"}


def origin_is_allowed(origin: str | None, host: str | None, allowed: Iterable[str]) -> bool:
    """Whether a page of `origin` may connect.

    It may if it came from the very host and port that it connects to, or if it is listed. The
    scheme does not count: behind a proxy that ends TLS the server sees `http` where the page says
    `https`.

    Args:
        origin: The Origin header, `https://example.org:8443`; None if there was none.
        host: The Host header, `example.org:8443`.
        allowed: Further origins, as a browser writes them; `*` for any.
    """
    if origin is None:
        return True
    origin = origin.lower()
    for other in allowed:
        if other == "*" or other.lower().rstrip("/") == origin:
            return True
    scheme, separator, authority = origin.partition("://")
    default = _DEFAULT_PORTS.get(scheme)
    if not separator or not authority or default is None or not host:
        return False
    return authority.removesuffix(default) == host.lower().removesuffix(default)
