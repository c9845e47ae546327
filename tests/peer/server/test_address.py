"""Every form of a server's address leads to one page and one WebSocket."""

from __future__ import annotations

import pytest

from peer.errors import ServerUnreachable
from peer.server.address import ServerAddress


@pytest.mark.parametrize(
    ("typed", "page", "websocket"),
    [
        ("example.org", "https://example.org/", "wss://example.org/v1/ws"),
        ("example.org:8443", "https://example.org:8443/", "wss://example.org:8443/v1/ws"),
        ("https://example.org/", "https://example.org/", "wss://example.org/v1/ws"),
        ("https://Example.org", "https://example.org/", "wss://example.org/v1/ws"),
        ("wss://example.org/v1/ws", "https://example.org/", "wss://example.org/v1/ws"),
        ("https://example.org/peer/", "https://example.org/peer/", "wss://example.org/peer/v1/ws"),
        ("https://h/under/here/#7-acid-acid", "https://h/under/here/", "wss://h/under/here/v1/ws"),
        ("http://h/a b/é%20", "http://h/a%20b/%C3%A9%20/", "ws://h/a%20b/%C3%A9%20/v1/ws"),
        ("ws://10.0.0.1:80", "http://10.0.0.1:80/", "ws://10.0.0.1:80/v1/ws"),
        ("localhost:8080", "http://localhost:8080/", "ws://localhost:8080/v1/ws"),
        ("127.0.0.1:8080", "http://127.0.0.1:8080/", "ws://127.0.0.1:8080/v1/ws"),
        ("http://[::1]:8080", "http://[::1]:8080/", "ws://[::1]:8080/v1/ws"),
        ("http://me:pass@h:1", "http://me:pass@h:1/", "ws://me:pass@h:1/v1/ws"),
        (" https://example.org/?x=1 ", "https://example.org/", "wss://example.org/v1/ws"),
    ],
)
def test_any_form_leads_to_the_page_and_the_websocket(
    typed: str, page: str, websocket: str
) -> None:
    address = ServerAddress.parse(typed)
    assert address.page == page
    assert address.websocket == websocket
    assert ServerAddress.parse(websocket).page == page


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("ftp://example.org", "starts with https:// or http://"),
        ("://", "starts with https:// or http://"),
        ("https://", "the host is missing"),
        ("", "the host is missing"),
        ("https://example.org:99999", "is not the address of a server"),
        ("http://host:x", "is not the address of a server"),
        ("[", "is not the address of a server"),
        ("two words", "is not the address"),
    ],
)
def test_an_invalid_address_is_refused(typed: str, said: str) -> None:
    with pytest.raises(ServerUnreachable, match=said):
        ServerAddress.parse(typed)


@pytest.mark.parametrize(
    ("typed", "urls"),
    [
        ("example.org", ("wss://example.org/v1/ws", "ws://example.org/v1/ws")),
        (" 10.0.0.1:80/x ", ("wss://10.0.0.1:80/x/v1/ws", "ws://10.0.0.1:80/x/v1/ws")),
        ("[fd66::1]:8080", ("wss://[fd66::1]:8080/v1/ws", "ws://[fd66::1]:8080/v1/ws")),
        ("localhost:8080", ("ws://localhost:8080/v1/ws",)),
        ("peer.localhost", ("ws://peer.localhost/v1/ws",)),
        ("127.1.2.3:8080", ("ws://127.1.2.3:8080/v1/ws",)),
        ("[::1]", ("ws://[::1]/v1/ws",)),
        ("http://example.org", ("ws://example.org/v1/ws",)),
        ("wss://example.org", ("wss://example.org/v1/ws",)),
    ],
)
def test_without_a_scheme_tls_comes_first_except_on_this_machine(
    typed: str, urls: tuple[str, ...]
) -> None:
    assert ServerAddress.parse(typed).websockets == urls


def test_the_target_leaves_a_guessed_scheme_out() -> None:
    assert ServerAddress.parse("example.org:8443").target == "example.org:8443/v1/ws"
    assert ServerAddress.parse("http://example.org").target == "ws://example.org/v1/ws"
