"""Addresses to listen on, and the URLs that lead there."""

from __future__ import annotations

import errno
import socket
import ssl

import pytest

from signaling.config import Listener
from signaling.errors import ListenError
from signaling.listeners import bind, is_wildcard, lan_address, url_of

TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)


@pytest.mark.parametrize(
    ("listener", "port", "url"),
    [
        (Listener("127.0.0.1"), 8080, "http://127.0.0.1:8080"),
        (Listener("::1"), 8080, "http://[::1]:8080"),
        (Listener(None), 8080, "http://localhost:8080"),
        (Listener("0.0.0.0"), 80, "http://localhost"),
        (Listener("::", ssl=TLS), 443, "https://localhost"),
        (Listener("example.org", ssl=TLS), 80, "https://example.org:80"),
    ],
)
def test_urls_lead_to_the_listener(listener: Listener, port: int, url: str) -> None:
    assert url_of(listener, port) == url


def test_a_url_can_name_another_address_of_a_listener() -> None:
    assert url_of(Listener(None), 8080, "192.168.1.5") == "http://192.168.1.5:8080"


def test_wildcards_are_known() -> None:
    assert all(is_wildcard(Listener(host)) for host in (None, "", "0.0.0.0", "::"))
    assert not any(is_wildcard(Listener(host)) for host in ("127.0.0.1", "::1", "localhost"))


async def test_every_address_of_a_host_gets_the_same_port() -> None:
    sockets = await bind(Listener(None))
    try:
        assert len({sock.getsockname()[1] for sock in sockets}) == 1
        assert len({sock.family for sock in sockets}) == len(sockets)
        assert not any(sock.getblocking() for sock in sockets)
    finally:
        for sock in sockets:
            sock.close()


async def test_a_machine_without_ipv6_listens_on_ipv4(monkeypatch: pytest.MonkeyPatch) -> None:
    real = socket.socket

    def without_ipv6(family: int, kind: int) -> socket.socket:
        if family == socket.AF_INET6:
            raise OSError(errno.EAFNOSUPPORT, "no IPv6")
        return real(family, kind)

    monkeypatch.setattr(socket, "socket", without_ipv6)
    (sock,) = await bind(Listener(None))
    assert sock.family == socket.AF_INET
    sock.close()
    with pytest.raises(ListenError, match="does not have that address"):
        await bind(Listener("::1"))


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.EADDRINUSE, "another program uses it"),
        (errno.EACCES, "need permission"),
        (errno.EADDRNOTAVAIL, "does not have that address"),
        (errno.ENOBUFS, "buffer"),
    ],
)
async def test_every_refusal_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, number: int, said: str
) -> None:
    def refuse(family: int, kind: int) -> socket.socket:
        raise OSError(number, "as the system says")

    monkeypatch.setattr(socket, "socket", refuse)
    with pytest.raises(ListenError, match=said) as caught:
        await bind(Listener("127.0.0.1", 81))
    assert str(caught.value).startswith("cannot listen on 127.0.0.1, port 81: ")
    assert "\n" not in str(caught.value)


def test_the_lan_address_is_no_loopback() -> None:
    address = lan_address()
    assert address is None or not address.startswith("127.")


def test_a_machine_on_no_network_has_no_lan_address(monkeypatch: pytest.MonkeyPatch) -> None:
    class Unconnected(socket.socket):
        def connect(self, address: object) -> None:
            raise OSError(errno.ENETUNREACH, "no route")

    monkeypatch.setattr(socket, "socket", Unconnected)
    assert lan_address() is None
