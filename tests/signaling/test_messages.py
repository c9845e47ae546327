"""The form of the messages, and inputs that are refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from signaling.errors import BadMessage, ErrorCode
from signaling.ice_servers import IceServer
from signaling.limits_config import MAX_PEERS
from signaling.messages import (
    MAX_DATA_BYTES,
    MAX_MESSAGE_BYTES,
    MAX_META_BYTES,
    MAX_SERVER_MESSAGE_BYTES,
    ClientMessage,
    Error,
    Hello,
    IceOffer,
    PeerInfo,
    Resume,
    ServerMessage,
    Signal,
    SignalFrom,
    SignalKind,
    Welcome,
    parse_client,
    parse_server,
    serialize,
    serialize_bytes,
)
from tests.support.signaling_vectors import VECTORS


def fields(message: ClientMessage | ServerMessage) -> dict[str, Any]:
    return _without_nulls(json.loads(serialize(message)))


def _without_nulls(value: dict[str, Any]) -> dict[str, Any]:
    return {key: item for key, item in value.items() if item is not None}


def signal(**changes: Any) -> dict[str, Any]:
    whole = {"t": "signal", "to": "p", "link": "l", "gen": 0, "kind": "offer", "data": "", "id": 3}
    return whole | changes


@pytest.mark.parametrize("vector", VECTORS["client"], ids=lambda v: v["text"][:40])
def test_client_messages_say_what_the_vectors_say(vector: dict[str, Any]) -> None:
    message = parse_client(vector["text"])
    assert fields(message) == vector["fields"]
    assert parse_client(serialize(message)) == message
    assert parse_client(vector["text"].encode()) == message


@pytest.mark.parametrize("vector", VECTORS["server"], ids=lambda v: v["text"][:40])
def test_server_messages_say_what_the_vectors_say(vector: dict[str, Any]) -> None:
    message = parse_server(vector["text"])
    assert fields(message) == _without_nulls(vector["fields"])
    assert parse_server(serialize_bytes(message)) == message


@pytest.mark.parametrize("vector", VECTORS["bad_client"], ids=lambda v: v["text"][:60])
def test_bad_client_messages_get_the_code_of_the_vectors(vector: dict[str, Any]) -> None:
    with pytest.raises(BadMessage) as caught:
        parse_client(vector["text"])
    assert caught.value.code == vector["code"]
    assert caught.value.id == vector.get("id")
    assert caught.value.message


def test_every_prefix_of_a_message_is_a_bad_message() -> None:
    text = VECTORS["client"][3]["text"].encode()
    for end in range(len(text)):
        with pytest.raises(BadMessage):
            parse_client(text[:end])


@pytest.mark.parametrize(
    "bytes_", [b"\xff\xfe", b'{"t":"hello","room":"\xe9"}', b"\xef\xbb\xbf{}", b"\x00", b"{" * 9]
)
def test_bytes_that_are_no_json_are_a_bad_message(bytes_: bytes) -> None:
    with pytest.raises(BadMessage) as caught:
        parse_client(bytes_)
    assert caught.value.code is ErrorCode.BAD_MESSAGE


def test_a_lone_surrogate_is_a_bad_message() -> None:
    with pytest.raises(BadMessage):
        parse_client('{"t":"hello","room":"\ud800"}')


@pytest.mark.parametrize(
    "text",
    [
        "[" * 60_000,
        '{"t":"hello","room":"demo","unknown":' + "[" * 30_000 + "]" * 30_000 + "}",
        '{"t":"hello","room":"demo","meta":' + '{"a":' * 9_000 + "1" + "}" * 9_000 + "}",
    ],
    ids=["brackets", "lists", "meta"],
)
def test_deep_nesting_is_a_bad_message_and_nothing_worse(text: str) -> None:
    with pytest.raises(BadMessage) as caught:
        parse_client(text)
    assert caught.value.code is ErrorCode.BAD_MESSAGE


def test_deep_nesting_of_an_unknown_field_is_ignored_or_a_bad_message() -> None:
    # Python 3.13 follows objects to this depth, and 3.12 does not.
    text = '{"t":"hello","room":"demo","unknown":' + '{"a":' * 9_000 + "1" + "}" * 9_000 + "}"
    try:
        message = parse_client(text)
    except BadMessage as error:
        assert error.code is ErrorCode.BAD_MESSAGE
    else:
        assert message == parse_client('{"t":"hello","room":"demo"}')


def test_a_message_may_have_just_as_many_bytes_as_told() -> None:
    text = serialize(Hello(room="demo"))
    assert parse_client(text + " " * (MAX_MESSAGE_BYTES - len(text)))
    with pytest.raises(BadMessage) as caught:
        parse_client(text + " " * (MAX_MESSAGE_BYTES - len(text) + 1))
    assert caught.value.code is ErrorCode.TOO_LARGE


def test_the_size_of_a_message_counts_bytes_not_characters() -> None:
    with pytest.raises(BadMessage) as caught:
        parse_client('{"t":"hello","room":"demo","x":"' + "é" * (MAX_MESSAGE_BYTES // 2) + '"}')
    assert caught.value.code is ErrorCode.TOO_LARGE


@pytest.mark.parametrize("character", ["x", "é", "€", "👋"])
def test_data_may_have_48_kib_of_utf8(character: str) -> None:
    width = len(character.encode())
    full = json.dumps(signal(data=character * (MAX_DATA_BYTES // width)), ensure_ascii=False)
    message = parse_client(full)
    assert isinstance(message, Signal)
    assert len(message.data.encode()) == MAX_DATA_BYTES
    over = json.dumps(signal(data=character * (MAX_DATA_BYTES // width) + "x"), ensure_ascii=False)
    with pytest.raises(BadMessage) as caught:
        parse_client(over)
    assert caught.value.code is ErrorCode.TOO_LARGE
    assert caught.value.id == 3


def test_meta_may_have_1_kib_of_json_without_counting_white_space() -> None:
    meta = {"a": "m" * (MAX_META_BYTES - len('{"a":""}'))}
    spaced = json.dumps({"t": "hello", "room": "demo", "meta": meta}, indent=8)
    message = parse_client(spaced)
    assert isinstance(message, Hello)
    assert message.meta == meta


def test_meta_may_be_nested_eight_deep() -> None:
    meta: Any = {"a": 1}
    for _ in range(7):
        meta = {"a": meta}
    assert parse_client(json.dumps({"t": "hello", "room": "demo", "meta": meta}))
    with pytest.raises(BadMessage, match="nested"):
        parse_client(json.dumps({"t": "hello", "room": "demo", "meta": {"a": meta}}))


def test_names_and_rooms_may_have_64_characters_whatever_their_bytes() -> None:
    message = parse_client(json.dumps({"t": "hello", "room": "👋" * 64, "name": "é" * 64}))
    assert isinstance(message, Hello)
    assert (message.room, message.name) == ("👋" * 64, "é" * 64)


def test_joiners_that_scripts_and_emoji_need_are_allowed_in_names() -> None:
    for name in ("👩‍💻", "می‌خواهم"):
        assert parse_client(json.dumps({"t": "hello", "room": "demo", "name": name}))


def test_kind_is_one_of_seven() -> None:
    for kind in SignalKind:
        message = parse_client(json.dumps(signal(kind=kind.value)))
        assert isinstance(message, Signal)
        assert message.kind is kind


def test_error_says_the_place_but_not_the_pattern() -> None:
    with pytest.raises(BadMessage) as caught:
        parse_client('{"t":"hello","room":"demo","name":"\\u0007"}')
    assert "$.name" in caught.value.message
    assert "\\u" not in caught.value.message


def test_secrets_do_not_show_in_repr() -> None:
    secret = "do-not-show"
    ice = IceOffer(servers=(IceServer(("turn:t",), "user", secret),))
    for message in (
        Hello(room="demo", token=secret, resume=Resume(session="s", token=secret, last_seq=0)),
        Welcome(session="s", resume_token=secret, peer="p", room="demo", ice=ice),
    ):
        assert secret not in repr(message)
        assert secret not in str(message)
        assert secret in serialize(message)


def test_welcome_says_null_and_not_nothing() -> None:
    text = serialize(Welcome(session="s", resume_token="t", peer="p", room="demo"))
    assert json.loads(text)["code"] is None
    assert json.loads(text)["resumed"] is False


def test_servers_without_credentials_have_no_such_fields() -> None:
    offer = IceOffer(servers=(IceServer(("stun:s",)),))
    welcome = Welcome(session="s", resume_token="t", peer="p", room="demo", ice=offer)
    # RTCPeerConnection would take null for the text "null".
    assert json.loads(serialize(welcome))["ice"]["servers"] == [{"urls": ["stun:s"]}]


def test_a_relayed_signal_says_from() -> None:
    relayed = SignalFrom(from_="a", to="b", link="l", gen=0, kind=SignalKind.BYE, data="", seq=1)
    assert json.loads(serialize(relayed))["from"] == "a"


def test_the_largest_welcome_is_one_a_client_reads() -> None:
    peers = tuple(
        PeerInfo(peer=f"{n:08x}-00000000", name="👋" * 64, meta={"m": "x" * 1000})
        for n in range(MAX_PEERS)
    )
    text = serialize(Welcome(session="s", resume_token="t", peer="p", room="r", peers=peers))
    assert len(text.encode()) <= MAX_SERVER_MESSAGE_BYTES
    assert parse_server(text)


@pytest.mark.parametrize(
    "text",
    ["", "[]", '{"t":"ok"}', '{"t":"ok","id":"1"}', '{"t":"welcome"}', '{"t":"hello","room":"r"}'],
)
def test_bad_server_messages_are_refused(text: str) -> None:
    with pytest.raises(BadMessage):
        parse_server(text)


@pytest.mark.parametrize("text", VECTORS["bad_server"], ids=lambda text: text[:60])
def test_frames_that_no_client_takes_are_refused(text: str) -> None:
    with pytest.raises(BadMessage):
        parse_server(text)


def test_an_unknown_server_message_is_unsupported_so_that_clients_can_ignore_it() -> None:
    with pytest.raises(BadMessage) as caught:
        parse_server('{"t":"notice","text":"hi"}')
    assert caught.value.code is ErrorCode.UNSUPPORTED


def test_a_server_may_use_error_codes_of_later() -> None:
    message = parse_server('{"t":"error","code":"new","message":"","retryable":false}')
    assert message == Error(code="new", message="", retryable=False)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)
keys = st.sampled_from(sorted({key for v in VECTORS["client"] for key in v["fields"]}))
types = st.sampled_from(
    ["hello", "signal", "ice", "pong", "leave", "ack", "stats", "welcome", "peer"]
)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(keys, json_values, max_size=8), types)
def test_any_json_object_is_a_message_or_a_bad_message(value: dict[str, Any], kind: str) -> None:
    text = json.dumps({**value, "t": kind}, ensure_ascii=False)
    for parse in (parse_client, parse_server):
        try:
            message = parse(text.encode("utf-8", "surrogatepass"))
        except BadMessage as error:
            assert len(error.message) <= 500
        else:
            assert parse(serialize(message)) == message


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200) | st.text(max_size=200))
def test_garbage_is_a_bad_message(garbage: bytes | str) -> None:
    for parse in (parse_client, parse_server):
        with pytest.raises(BadMessage):
            parse(garbage)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(VECTORS["client"] + VECTORS["server"]), st.data())
def test_damaged_messages_are_messages_or_bad_messages(
    vector: dict[str, Any], data: st.DataObject
) -> None:
    raw = bytearray(vector["text"].encode())
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    for parse in (parse_client, parse_server):
        try:
            message = parse(bytes(raw))
        except BadMessage:
            continue
        assert parse(serialize(message)) == message
