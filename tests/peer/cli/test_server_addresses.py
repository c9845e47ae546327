"""The rules of the command for a server's address, beyond those of `peer.server.address`."""

from __future__ import annotations

import ssl

import pytest

from peer.cli.exit_status import UsageProblem
from peer.cli.server_addresses import parse_server, tls_context


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("https://", "the host is missing"),
        ("https://me:secret@example.org", "carries no user name"),
    ],
)
def test_an_invalid_address_is_a_usage_error(typed: str, said: str) -> None:
    with pytest.raises(UsageProblem, match=said):
        parse_server(typed)


@pytest.mark.parametrize(
    "url",
    ["https://192.168.1.5:4433", "https://127.0.0.1:1", "https://desk.local", "https://[fe80::1]"],
)
def test_self_signed_certificates_are_accepted_on_private_addresses_alone(url: str) -> None:
    context = tls_context(parse_server(url))
    assert context is not None
    assert context.verify_mode is ssl.CERT_NONE


@pytest.mark.parametrize(
    "url",
    ["https://example.org", "https://8.8.8.8", "http://192.168.1.5", "https://local.example.org"],
)
def test_certificates_of_public_servers_are_checked_as_usual(url: str) -> None:
    assert tls_context(parse_server(url)) is None
