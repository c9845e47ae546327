"""PROTOCOL.md says what the code does."""

from __future__ import annotations

import json
import re
from pathlib import Path

import msgspec
import pytest

from signaling import messages
from signaling.errors import CloseCode, ErrorCode, Reconnect, reconnect_after
from signaling.limits_config import LimitsConfig
from signaling.messages import LeaveReason, SignalKind, parse_client, parse_server

TEXT = (Path(messages.__file__).parent / "PROTOCOL.md").read_text(encoding="utf-8")
STRUCTS = [
    item
    for item in vars(messages).values()
    if isinstance(item, type)
    and issubclass(item, msgspec.Struct)
    and item.__module__ == messages.__name__
    and not item.__name__.startswith("_")
]


def test_every_code_and_word_is_in_the_tables() -> None:
    for close in CloseCode:
        assert re.search(rf"^\|.*\b{close.value}\b", TEXT, re.MULTILINE), close
    for error in ErrorCode:
        assert re.search(rf"^\|.*`{error.value}`", TEXT, re.MULTILINE), error
    for word in (*SignalKind, *LeaveReason):
        assert f"`{word.value}`" in TEXT


@pytest.mark.parametrize("struct", STRUCTS, ids=lambda struct: struct.__name__)
def test_every_message_and_field_is_described(struct: type[msgspec.Struct]) -> None:
    tag = struct.__struct_config__.tag
    if tag is not None:
        assert f"| `{tag}` |" in TEXT
    for name in struct.__struct_encode_fields__:
        assert re.search(rf"`[^`\n]*\b{name}\b[^`\n]*`", TEXT), name


def test_the_example_can_be_parsed() -> None:
    lines = re.findall(r"^([AB][<>]) (\{.*\})$", TEXT, re.MULTILINE)
    assert len(lines) == 12
    parsed = 0
    for way, text in lines:
        if ", …" in text:
            continue
        json.loads(text)
        text = text.replace("…", "x")
        if way[1] == ">":
            parse_client(text)
        else:
            parse_server(text)
        parsed += 1
    assert parsed == 11


def test_the_defaults_are_those_it_tells() -> None:
    limits = LimitsConfig()
    for said in (
        f"{limits.messages_per_second:.0f} messages a second, {limits.burst} at once",
        (
            f"{limits.joins_per_minute} `hello`s a minute per address, "
            f"{limits.code_joins_per_minute} of them with a number"
        ),
        f"{limits.missed_codes_per_hour} numbers an hour per address that led into no room",
        (
            f"per address {limits.connections_per_address} WebSockets, "
            f"{limits.connections_per_address} other connections at a time and "
            f"{limits.visits_per_minute} a minute, and {limits.requests_per_minute} HTTP requests"
        ),
        f"complete within {limits.request_timeout:.0f} s",
        f"the next on the same connection within {limits.idle_timeout:.0f} s",
        f"more than it may for {limits.error_window:.0f} s",
        f"has {limits.peers_per_room} places",
        f"`hello` MUST come within {limits.hello_timeout:.0f} s",
        f"waits {limits.close_timeout:.0f} s",
    ):
        assert said in re.sub(r"\s+", " ", TEXT)


@pytest.mark.parametrize(
    ("codes", "then"),
    [
        ((1000, 4000, 4003, 4010, 4099), Reconnect.NEVER),
        ((1001, 1006, 1011, 4100, 4102, 4199, 4300, 0), Reconnect.BACK_OFF),
        ((4200, 4299), Reconnect.AT_ONCE),
    ],
)
def test_the_hundreds_say_what_to_do_after_a_close(codes: tuple[int, ...], then: Reconnect) -> None:
    for code in codes:
        assert reconnect_after(code) is then
