"""The list of STUN and TURN servers: what is right, and where it is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from signaling.ice_servers import (
    IceConfig,
    IceConfigError,
    IceServer,
    check_ice_url,
    parse_ice_config,
)

ROOT = Path(__file__).resolve().parents[2]


def problems(text: str) -> list[str]:
    with pytest.raises(IceConfigError) as caught:
        parse_ice_config(text, source="ice.yaml")
    assert str(caught.value).count("\n") == len(caught.value.problems) - 1
    return str(caught.value).splitlines()


def test_the_file_that_comes_with_peerline_is_right() -> None:
    text = (ROOT / "stun-config.yaml").read_text()
    config = parse_ice_config(text, source="stun-config.yaml")
    assert config.policy == "all"
    assert len(config.servers) >= 1


def test_the_example_in_its_comment_is_right() -> None:
    lines = (ROOT / "stun-config.yaml").read_text().splitlines()
    example = "\n".join(line[4:] for line in lines if line.startswith("#   "))
    config = parse_ice_config(example, source="example")
    assert config.servers[1].credential == "secret"


def test_everything_that_may_be_listed() -> None:
    text = """
ice_servers:
  - urls: stun:stun.example.org
  - urls:
      - turn:192.0.2.1:3478?transport=udp
      - turns:[2001:db8::1]:443?transport=tcp
    username: alice
    credential: "0123"
  - {urls: ["STUNS:a_b.example:1"]}
ice_transport_policy: relay
"""
    assert parse_ice_config(text, source="f") == IceConfig(
        (
            IceServer(("stun:stun.example.org",)),
            IceServer(
                ("turn:192.0.2.1:3478?transport=udp", "turns:[2001:db8::1]:443?transport=tcp"),
                "alice",
                "0123",
            ),
            IceServer(("STUNS:a_b.example:1",)),
        ),
        "relay",
    )


def test_json_is_read_too() -> None:
    assert parse_ice_config('{"ice_servers": [{"urls": "stun:a"}]}', source="f").servers == (
        IceServer(("stun:a",)),
    )


def test_no_servers_at_all_is_fine() -> None:
    assert parse_ice_config("ice_servers: []", source="f") == IceConfig()


def test_every_wrong_field_is_named_with_its_place_and_line() -> None:
    text = """\
ice_servers:
  - urls: stun://stun.example.org
  - urls:
      - turn:turn.example.org:99999
      - 5
    username: 123
  - url: stun:a
  - stun:b
ice_transport_policy: relayed
colour: red
"""
    found = problems(text)
    assert [line.split(": ")[0:2] for line in found] == [
        ["ice.yaml:10", "colour"],
        ["ice.yaml:2", "ice_servers[0].urls"],
        ["ice.yaml:4", "ice_servers[1].urls[0]"],
        ["ice.yaml:5", "ice_servers[1].urls[1]"],
        ["ice.yaml:6", "ice_servers[1].username"],
        ["ice.yaml:7", "ice_servers[2].url"],
        ["ice.yaml:7", "ice_servers[2].urls"],
        ["ice.yaml:8", "ice_servers[3]"],
        ["ice.yaml:9", "ice_transport_policy"],
    ]
    assert "did you mean `urls`?" in found[5]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ("# only a comment\n", "is empty"),
        ("[]", "must be a mapping"),
        ("just text", "must be a mapping"),
        ("ice_servers:\n", "must be a list"),
        ("ice_servers: stun:a\n", "must be a list"),
        ("ice_transport_policy: all", "ice_servers: is missing"),
        ("ice_servers: [", "is not YAML"),
        ("ice_servers: []\n---\nx: 1", "is not YAML"),
        ("\tice_servers: []", "is not YAML"),
        ("ice_servers: []\nice_servers: []", "given twice"),
        ("ice_servers: [{urls: []}]", "at least one URL"),
        ("ice_servers: [{urls: ''}]", "is empty"),
        ("ice_servers: [{urls: {a: b}}]", "must be text"),
        ("ice_servers: [{urls: no}]", "between quotes"),
        ("ice_servers: [{urls: 'turn:a'}]", "username: is missing"),
        ("ice_servers: [{urls: 'turn:a', username: u}]", "credential: is missing"),
        ("ice_servers: [{urls: 'turn:a', username: u, credential: 0123}]", "between quotes"),
        ('ice_servers: [{urls: "stun:a\\nb"}]', "control characters"),
        ("ice_servers: []\nice_transport_policy: relay", "at least one turn"),
        ("ice_servers: []\nice_transport_policy: [all]", "must be text"),
        (f"ice_servers: [{'{urls: stun:a},' * 40}]", "more than 32 servers"),
        (f"ice_servers: [{{urls: [{'stun:a,' * 40}]}}]", "more than 16 URLs"),
        (f"ice_servers: [{{urls: 'stun:{'a' * 600}'}}]", "longer than"),
        ("[" * 1200, "nested too deeply"),
    ],
)
def test_what_is_wrong_is_said(text: str, said: str) -> None:
    assert any(said in line for line in problems(text))


@pytest.mark.parametrize(
    "url",
    [
        "stun:stun.l.google.com:19302",
        "stun:localhost",
        "stun:192.0.2.1",
        "stun:[::1]:3478",
        "stuns:example.org.",
        "turn:example.org:1?transport=udp",
        "turns:example.org:65535?transport=TCP",
    ],
)
def test_right_urls(url: str) -> None:
    assert check_ice_url(url) is None


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http:example.org", "scheme"),
        ("example.org:3478", "not a URL"),
        ("example.org", "not a URL"),
        ("stun:", "host is missing"),
        ("stun:a b", "host must be"),
        ("stun:-a", "host must be"),
        ("stun:a..b", "host must be"),
        ("stun:[::1", "not a URL"),
        ("stun:[fe80::zz]", "IPv6"),
        ("stun:a:0", "port"),
        ("stun:a:65536", "port"),
        ("stun:a:", "port"),
        ("stun:a:+5", "port"),
        ("stun:a:٣", "port"),
        ("stun:a/b", "not a URL"),
        ("stun:a?transport=udp", "only turn"),
        ("turn:a?transport=sctp", "transport=udp"),
        ("turn:a?x=1", "transport=udp"),
        ("turn:user@host", "user name"),
        ("stun://a:1", "//"),
    ],
)
def test_wrong_urls_are_explained(url: str, said: str) -> None:
    problem = check_ice_url(url)
    assert problem is not None
    assert said in problem


def test_credentials_show_in_no_error_and_no_repr() -> None:
    found = problems("ice_servers: [{urls: 'stun://x', username: u, credential: \"qua\\ax\"}]")
    assert not any("qua" in line for line in found)
    assert "hidden" not in repr(IceConfig((IceServer(("turn:a",), "u", "hidden"),)))


@settings(max_examples=150, deadline=None)
@given(
    st.text(max_size=80)
    | st.lists(
        st.sampled_from(
            [
                "ice_servers:",
                " - urls: ",
                "stun:a",
                "turn:b",
                "\n",
                "[",
                "]",
                "{",
                "}",
                "&a",
                "*a",
                "ice_transport_policy: ",
                "relay",
                "'",
                '"',
                ": ",
                "#",
                "? ",
                "!!binary ",
                "<<: ",
            ]
        ),
        max_size=14,
    ).map("".join)
)
def test_any_text_is_a_configuration_or_explained(text: str) -> None:
    try:
        config = parse_ice_config(text, source="f")
    except IceConfigError as error:
        assert error.problems
    else:
        assert all(check_ice_url(url) is None for server in config.servers for url in server.urls)
