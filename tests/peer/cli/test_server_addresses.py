"""What people type after --server."""

from __future__ import annotations

import ssl

import pytest

from peer.cli.exit_status import UsageProblem
from peer.cli.server_addresses import ServerAddress


@pytest.mark.parametrize(
    ("typed", "page", "websocket"),
    [
        ("example.org", "https://example.org/", "wss://example.org/v1/ws"),
        ("example.org:8443", "https://example.org:8443/", "wss://example.org:8443/v1/ws"),
        ("https://example.org/", "https://example.org/", "wss://example.org/v1/ws"),
        ("wss://example.org/v1/ws", "https://example.org/", "wss://example.org/v1/ws"),
        ("https://example.org/peer/", "https://example.org/peer/", "wss://example.org/peer/v1/ws"),
        ("ws://10.0.0.1:80", "http://10.0.0.1:80/", "ws://10.0.0.1:80/v1/ws"),
        ("localhost:8080", "http://localhost:8080/", "ws://localhost:8080/v1/ws"),
        ("127.0.0.1:8080", "http://127.0.0.1:8080/", "ws://127.0.0.1:8080/v1/ws"),
        ("http://[::1]:8080", "http://[::1]:8080/", "ws://[::1]:8080/v1/ws"),
        (" https://example.org/?x=1 ", "https://example.org/", "wss://example.org/v1/ws"),
    ],
)
def test_address_is_completed(typed: str, page: str, websocket: str) -> None:
    address = ServerAddress.parse(typed)
    assert address.page == page
    assert address.websocket == websocket


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("ftp://example.org", "starts with https:// or http://"),
        ("https://", "the host is missing"),
        ("", "the host is missing"),
        ("https://example.org:99999", "is not the address of a server"),
        ("https://me:secret@example.org", "carries no user name"),
        ("two words", "is not the address"),
    ],
)
def test_what_is_no_address_is_explained(typed: str, said: str) -> None:
    with pytest.raises(UsageProblem, match=said):
        ServerAddress.parse(typed)


@pytest.mark.parametrize(
    "url",
    ["https://192.168.1.5:4433", "https://127.0.0.1:1", "https://desk.local", "https://[fe80::1]"],
)
def test_self_made_certificates_are_accepted_on_private_addresses_alone(url: str) -> None:
    context = ServerAddress.parse(url).ssl_context
    assert context is not None
    assert context.verify_mode is ssl.CERT_NONE


@pytest.mark.parametrize(
    "url",
    ["https://example.org", "https://8.8.8.8", "http://192.168.1.5", "https://local.example.org"],
)
def test_certificates_of_public_servers_are_checked_as_usual(url: str) -> None:
    assert ServerAddress.parse(url).ssl_context is None


def test_scheme_that_was_not_typed_is_left_to_what_the_server_speaks() -> None:
    assert ServerAddress.parse("example.org:8443").target == "example.org:8443/v1/ws"
    assert ServerAddress.parse("http://example.org").target == "ws://example.org/v1/ws"
