"""Which names in a Host header are the server's own."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signaling.hosts import HostNames, host_of, is_host_name

OWN = HostNames(["192.168.1.5", "Desk.local", "fe80::5%eth0", "2001:db8::5"])


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "localhost:8080",
        "LOCALHOST.:8080",
        "localhost:",
        "127.0.0.1:1",
        "127.8.9.1",
        "[::1]:8080",
        "[0:0:0:0:0:0:0:1]",
        "[::ffff:7f00:1]",
        "192.168.1.5",
        "[::ffff:192.168.1.5]:80",
        "desk.local",
        "desk.LOCAL.:65535",
        "[fe80::5]",
        "[fe80::5%eth0]:8080",
        "[::1%25lo]",
        "[2001:DB8:0::5]:8080",
        "10.0.0.7:8080",  # where the connection ends
    ],
)
def test_own_names_and_addresses_are_accepted(host: str) -> None:
    assert OWN.accepts(host, "10.0.0.7")


@pytest.mark.parametrize(
    "host",
    [
        None,
        "",
        ":8080",
        "evil.example",
        "evil.example:8080",
        "localhost.evil.example",
        "evil.localhost",
        "xlocalhost",
        "localhost..",
        ".localhost",
        "127.0.0.1.evil.example",
        "127.0.0.1.nip.io:8080",
        "desk.local.evil.example",
        "desk",
        "192.168.1.6",
        "10.0.0.8",
        "0.0.0.0:8080",
        "[::]:8080",
        "[::2]",
        "[::1",
        "::1",
        "[127.0.0.1]",
        "[::1]evil",
        "localhost:80:80",
        "localhost:65536",
        "localhost:-1",
        "localhost:8080@evil.example",
        "user@localhost",
        "localhost, evil.example",
        "localhost/",
        "localhost evil.example",
        "localhost\tevil",
        "127.1",
        "2130706433",
        "0x7f000001",
        "127.0.0.01",
        "lоcalhost",  # a Cyrillic letter
        "localhost\u3002",
        "a" * 70_000,
    ],
)
def test_other_names_are_not(host: str | None) -> None:
    assert not OWN.accepts(host, "10.0.0.7")
    assert not OWN.accepts(host, None)


def test_without_a_list_every_name_will_do() -> None:
    for host in (None, "", "evil.example"):
        assert HostNames(None).accepts(host, None)


def test_with_an_empty_list_there_are_loopback_and_the_address_of_the_connection() -> None:
    own = HostNames([])
    assert own.accepts("localhost", "192.0.2.1")
    assert own.accepts("192.0.2.1", "::ffff:192.0.2.1")
    assert own.accepts("[fe80::1]", "fe80::1%eth0")
    assert not own.accepts("192.0.2.2", "192.0.2.1")
    assert not own.accepts("example.org", "192.0.2.1")


@given(st.text(max_size=40) | st.text(alphabet="localhst.127:[]@%0", max_size=30))
def test_what_is_accepted_is_the_same_name_to_everybody(text: str) -> None:
    if HostNames([]).accepts(text, None):
        host = host_of(text)
        assert host == "localhost" or host == "::1" or (host and host.startswith("127."))


def test_options_are_names_without_a_port() -> None:
    for name in ("example.org", "192.0.2.1", "2001:db8::1", "localhost"):
        assert is_host_name(name)
    for name in ("", "example.org:80", "https://example.org", "[::1]", "a b", "*"):
        assert not is_host_name(name)
