"""Server addresses that a person types, and the check of their certificates."""

from __future__ import annotations

import ipaddress
import ssl

from peer.errors import ServerUnreachable
from peer.server.address import ServerAddress

from .exit_status import UsageProblem

__all__ = ["parse_server", "tls_context"]


def parse_server(text: str) -> ServerAddress:
    """Read the address of a server from an option or a pasted link.

    Raises:
        UsageProblem: The text is not an address; the message says why.
    """
    try:
        address = ServerAddress.parse(text)
    except ServerUnreachable as error:
        raise UsageProblem(str(error)) from None
    if address.user is not None:
        raise UsageProblem(f"'{text}': the address of a server carries no user name.")
    return address


def tls_context(address: ServerAddress) -> ssl.SSLContext | None:
    """Return how to check the certificate of a server; None for the usual way.

    No authority signs certificates for private addresses, so an embedded server there shows a
    self-signed one. It is accepted unseen: TLS then hides no more than plain HTTP would, and the
    signals that two people exchange over the server are sealed and authenticated with their code
    in any case.
    """
    if not address.page.startswith("https:") or not _is_private(address.host):
        return None
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _is_private(host: str) -> bool:
    if host == "localhost" or host.endswith(".local"):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return address.is_private or address.is_loopback or address.is_link_local
