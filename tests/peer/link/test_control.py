"""The control channel: hello, life, goodbye, in virtual time."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from peer.config import LinkConfig
from peer.errors import LinkClosed
from peer.link.control import ByeReceived, Control, HelloReceived, OtherMessage, PeerSilent
from peer.link.control_channel import error_of_goodbye

CONFIG = LinkConfig(ping_interval=5.0, lost_after=15.0)


def control() -> Control:
    return Control(CONFIG, now=0.0)


def sent(machine: Control) -> list[dict[str, object]]:
    return [json.loads(message) for message in machine.messages_to_send()]


def test_hello_says_who_we_are() -> None:
    machine = control()
    machine.hello("alice", "peerline/0.1.0 python", None)
    assert sent(machine) == [
        {"t": "hello", "version": 1, "name": "alice", "agent": "peerline/0.1.0 python"}
    ]


def test_hello_of_an_open_link_reveals_its_nonce() -> None:
    machine = control()
    machine.hello("alice", "a", "AAAA")
    assert sent(machine)[0]["reveal"] == "AAAA"


def test_the_other_sides_hello_is_told_once() -> None:
    machine = control()
    for _ in range(2):
        machine.receive_message('{"t":"hello","version":1,"name":"bob","agent":"page"}', 0.0)
    assert machine.next_event() == HelloReceived("bob", "page", None)
    assert machine.next_event() is None


def test_a_newer_version_may_say_more() -> None:
    machine = control()
    machine.receive_message('{"t":"hello","version":2,"name":"bob","agent":"x","new":[1]}', 0.0)
    assert machine.next_event() == HelloReceived("bob", "x", None)


def test_long_names_are_cut() -> None:
    machine = control()
    machine.receive_message(json.dumps({"t": "hello", "version": 1, "name": "x" * 1000}), 0.0)
    hello = machine.next_event()
    assert isinstance(hello, HelloReceived)
    assert len(hello.name) == 64


def test_a_ping_is_answered_with_its_number() -> None:
    machine = control()
    machine.receive_message('{"t":"ping","n":7}', 0.0)
    assert sent(machine) == [{"t": "pong", "n": 7}]


def test_silence_is_broken_by_a_ping_every_interval() -> None:
    machine = control()
    assert machine.get_timer() == 5.0
    machine.handle_timer(4.9)
    assert sent(machine) == []
    machine.handle_timer(5.0)
    assert sent(machine) == [{"t": "ping", "n": 1}]
    assert machine.get_timer() == 10.0
    machine.handle_timer(10.0)
    assert sent(machine) == [{"t": "ping", "n": 2}]


def test_anything_that_arrives_puts_the_ping_off() -> None:
    machine = control()
    machine.heard(4.0)
    assert machine.get_timer() == 9.0
    machine.receive_message("nonsense", 8.0)
    assert machine.get_timer() == 13.0


def test_the_other_side_is_lost_after_long_silence() -> None:
    machine = control()
    for now in (5.0, 10.0):
        machine.handle_timer(now)
        assert machine.next_event() is None
    assert machine.get_timer() == 15.0
    machine.handle_timer(15.0)
    assert machine.next_event() == PeerSilent(15.0)
    assert machine.get_timer() is None


def test_a_machine_that_slept_asks_before_it_gives_up() -> None:
    machine = control()
    machine.handle_timer(3600.0)
    assert machine.next_event() is None
    assert sent(machine) == [{"t": "ping", "n": 1}]
    machine.handle_timer(3605.0)
    assert machine.next_event() == PeerSilent(15.0)


def test_an_answer_after_the_sleep_keeps_the_link() -> None:
    machine = control()
    machine.handle_timer(3600.0)
    machine.receive_message('{"t":"pong","n":1}', 3600.1)
    machine.handle_timer(3605.1)
    assert machine.next_event() is None


def test_the_round_trip_is_that_of_the_last_answered_ping() -> None:
    machine = control()
    assert machine.round_trip is None
    machine.handle_timer(5.0)
    machine.receive_message('{"t":"pong","n":99}', 5.1)
    assert machine.round_trip is None
    machine.receive_message('{"t":"pong","n":1}', 5.25)
    assert machine.round_trip == pytest.approx(0.25)


def test_bye_is_the_last_message_and_ends_the_timers() -> None:
    machine = control()
    machine.bye("done", "See you.")
    machine.bye()
    assert sent(machine) == [{"t": "bye", "code": "done", "message": "See you."}]
    assert machine.get_timer() is None


@pytest.mark.parametrize("code", ["", "x" * 65, "No Path", "a\\u202e", "\\u001b[2J", "1"])
def test_a_code_that_is_no_word_is_no_code(code: str) -> None:
    machine = control()
    machine.receive_message(f'{{"t":"bye","code":"{code}","message":"\\u001b[2J"}}', 0.0)
    assert machine.next_event() == ByeReceived("bye", r"\x1b[2J")


def test_the_other_side_does_not_say_that_we_have_closed_the_link() -> None:
    error = error_of_goodbye("closed", "")
    assert isinstance(error, LinkClosed)
    assert error.code == "bye"


def test_the_other_sides_bye_is_told() -> None:
    machine = control()
    machine.receive_message('{"t":"bye","code":"done","message":"See you."}', 0.0)
    machine.receive_message('{"t":"ping","n":1}', 0.0)
    assert machine.next_event() == ByeReceived("done", "See you.")
    assert machine.next_event() is None
    assert sent(machine) == []


@pytest.mark.parametrize("text", ['{"t":"offer","transfer":0}', '{"t":"something new"}'])
def test_what_is_not_ours_is_passed_on_as_it_came(text: str) -> None:
    machine = control()
    machine.receive_message(text, 0.0)
    assert machine.next_event() == OtherMessage(text)


@settings(max_examples=200, deadline=None)
@given(
    st.text(max_size=80)
    | st.binary(max_size=40)
    | st.sampled_from(
        [
            '{"t":"hello"}',
            '{"t":"hello","version":0}',
            '{"t":"ping","n":"x"}',
            '{"t":"ping","n":1e400}',
            '{"t":"bye","code":5}',
            '{"t":5}',
            "[" * 5000,
            '"\\ud800"',
            "x" * 70_000,
        ]
    )
)
def test_no_message_raises(message: str | bytes) -> None:
    machine = control()
    machine.receive_message(message, 1.0)
    while machine.next_event() is not None:
        pass
    assert machine.get_timer() == 6.0
