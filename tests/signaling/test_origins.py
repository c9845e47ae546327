"""Which web pages may connect."""

from __future__ import annotations

import pytest

from signaling.origins import origin_is_allowed


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        (None, "example.org"),
        (None, None),
        ("http://localhost:8080", "localhost:8080"),
        ("https://example.org", "example.org"),
        ("https://example.org", "example.org:443"),
        ("http://example.org:80", "example.org"),
        ("https://Example.ORG:8443", "example.org:8443"),
        ("http://[::1]:8080", "[::1]:8080"),
        ("https://192.168.1.5:8443", "192.168.1.5:8443"),
    ],
)
def test_programs_and_the_servers_own_page_may_connect(
    origin: str | None, host: str | None
) -> None:
    assert origin_is_allowed(origin, host, ())


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("https://evil.example", "example.org"),
        ("https://example.org.evil.example", "example.org"),
        ("https://evilexample.org", "example.org"),
        ("https://example.org:8443", "example.org"),
        ("http://example.org:443", "example.org"),
        ("https://example.org:80", "example.org"),
        ("http://localhost:3000", "localhost:8080"),
        ("http://127.0.0.1:8080", "localhost:8080"),
        ("null", "example.org"),
        ("", "example.org"),
        ("file://", ""),
        ("https://", ""),
        ("https://example.org", None),
        ("https://example.org@evil.example", "evil.example"),
        ("https://example.org/", "example.org"),
        ("chrome-extension://example.org", "example.org"),
        ("example.org", "example.org"),
    ],
)
def test_pages_of_other_origins_may_not(origin: str, host: str | None) -> None:
    assert not origin_is_allowed(origin, host, ())
    assert not origin_is_allowed(origin, host, ("https://app.example.net",))


def test_listed_origins_may_connect_exactly_as_listed() -> None:
    allowed = ("https://App.example.net/", "null")
    assert origin_is_allowed("https://app.example.net", "example.org", allowed)
    assert origin_is_allowed("null", "example.org", allowed)
    assert not origin_is_allowed("http://app.example.net", "example.org", allowed)
    assert not origin_is_allowed("https://app.example.net:8443", "example.org", allowed)
    assert not origin_is_allowed("https://x.app.example.net", "example.org", allowed)


def test_a_star_allows_all() -> None:
    assert origin_is_allowed("https://anything.example", "example.org", ("*",))
