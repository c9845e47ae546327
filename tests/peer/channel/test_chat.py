"""The chat: delivery, repetition, bounds, and text that a terminal must not obey."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from peer.channel.chat.protocol import (
    MAX_TEXT,
    MAX_UNDELIVERED,
    Chat,
    ChatMessage,
    Delivered,
)


def exchange(one: Chat, other: Chat) -> None:
    while (ours := one.messages_to_send()) + (theirs := other.messages_to_send()):
        for text in ours:
            other.receive_message(text)
        for text in theirs:
            one.receive_message(text)


def test_a_message_arrives_and_its_delivery_comes_back() -> None:
    alice, bob = Chat(), Chat()
    sent = alice.send("Grüße 👩‍💻", at=1_700_000_000_000)
    exchange(alice, bob)
    assert bob.next_event() == ChatMessage(1, "Grüße 👩‍💻", 1_700_000_000_000)
    assert bob.next_event() is None
    assert alice.next_event() == Delivered(sent)
    assert alice.undelivered == ()


def test_both_sides_count_for_themselves() -> None:
    alice, bob = Chat(), Chat()
    assert [alice.send("a", at=0), alice.send("b", at=0), bob.send("c", at=0)] == [1, 2, 1]
    exchange(alice, bob)
    assert [bob.next_event(), bob.next_event(), bob.next_event()] == [
        ChatMessage(1, "a", 0),
        ChatMessage(2, "b", 0),
        Delivered(1),
    ]


def test_a_repeated_message_is_confirmed_again_and_shown_once() -> None:
    bob = Chat()
    for _ in range(2):
        bob.receive_message('{"t":"message","id":7,"text":"hi","at":0}')
        assert [json.loads(text) for text in bob.messages_to_send()] == [
            {"t": "delivered", "id": 7}
        ]
    assert bob.next_event() == ChatMessage(7, "hi", 0)
    assert bob.next_event() is None


def test_what_the_other_side_does_not_take_is_refused_and_leaves_no_gap() -> None:
    alice = Chat()
    with pytest.raises(ValueError, match="the other side 1000"):
        alice.send("\x01" * 900, at=0, limit=1000)
    assert alice.messages_to_send() == []
    assert alice.send("short", at=0, limit=1000) == 1
    assert alice.undelivered == (1,)


def test_what_was_not_confirmed_goes_out_again_on_a_new_connection() -> None:
    alice, bob = Chat(), Chat()
    for text in ("one", "two", "three"):
        alice.send(text, at=0)
    first, *_lost = alice.messages_to_send()
    bob.receive_message(first)
    alice.receive_message(bob.messages_to_send()[0])
    alice.connection_replaced()
    exchange(alice, bob)
    received = []
    while event := bob.next_event():
        assert isinstance(event, ChatMessage)
        received.append(event.text)
    assert received == ["one", "two", "three"]
    assert alice.undelivered == ()


def test_an_unasked_delivery_is_ignored() -> None:
    alice = Chat()
    alice.receive_message('{"t":"delivered","id":1}')
    assert alice.next_event() is None


def test_the_longest_text_passes_and_one_byte_more_does_not() -> None:
    alice, bob = Chat(), Chat()
    alice.send("é" * (MAX_TEXT // 2), at=0)
    alice.send("\x00" * MAX_TEXT, at=0)  # six bytes each in JSON
    exchange(alice, bob)
    for _ in range(2):
        event = bob.next_event()
        assert isinstance(event, ChatMessage)
        assert len(event.text.encode()) == MAX_TEXT
    with pytest.raises(ValueError, match="at most"):
        alice.send("é" * (MAX_TEXT // 2) + "x", at=0)


@pytest.mark.parametrize("text", ["", "\ud800"])
def test_what_is_no_text_is_not_sent(text: str) -> None:
    with pytest.raises(ValueError, match="message"):
        Chat().send(text, at=0)


def test_messages_without_confirmation_do_not_pile_up() -> None:
    alice = Chat()
    for _ in range(MAX_UNDELIVERED):
        alice.send("x", at=0)
    with pytest.raises(ValueError, match="confirmed"):
        alice.send("x", at=0)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "nonsense",
        '{"t":"typing"}',
        '{"t":"message"}',
        '{"t":"message","id":0,"text":"x","at":0}',
        '{"t":"message","id":1,"text":"","at":0}',
        '{"t":"message","id":1,"text":7,"at":0}',
        '{"t":"message","id":1,"text":"\\ud800","at":0}',
        '{"t":"message","id":9007199254740992,"text":"x","at":0}',
        json.dumps({"t": "message", "id": 1, "text": "x" * (MAX_TEXT + 1), "at": 0}),
        json.dumps({"t": "message", "id": 1, "text": "é" * (MAX_TEXT // 2 + 1), "at": 0}),
        '{"t":"message","x":' + "[" * 100_000,
        " " * 1_000_000,
        b"\xff\xfe",
    ],
    ids=lambda text: repr(text[:50]),
)
def test_what_is_malformed_is_dropped_without_an_answer(text: str | bytes) -> None:
    bob = Chat()
    bob.receive_message(text)
    assert (bob.messages_to_send(), bob.next_event()) == ([], None)
    bob.receive_message('{"t":"message","id":1,"text":"still here","at":0,"future":1}')
    assert bob.next_event() == ChatMessage(1, "still here", 0)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=200))
def test_garbage_never_raises(text: str) -> None:
    Chat().receive_message(text)


@settings(max_examples=200, deadline=None)
@given(st.text(min_size=1, max_size=200).filter(lambda text: text.isascii() or text.isprintable()))
def test_any_text_arrives_as_it_was_written(text: str) -> None:
    alice, bob = Chat(), Chat()
    alice.send(text, at=0)
    exchange(alice, bob)
    assert bob.next_event() == ChatMessage(1, text, 0)
