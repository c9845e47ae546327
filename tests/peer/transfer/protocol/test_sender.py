"""A sender against hostile receivers."""

from __future__ import annotations

import hashlib
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from peer.transfer.protocol.config import SEGMENT_SIZE, TransferConfig
from peer.transfer.protocol.events import (
    Accepted,
    Completed,
    Event,
    Failed,
    FileConfirmed,
    ReadSegment,
)
from peer.transfer.protocol.manifest import Entry, Manifest
from peer.transfer.protocol.sender import Sender, SenderState
from tests.support.transfer.machine_pair import content, files

MIB = SEGMENT_SIZE
DATA = content(2 * MIB + 100)
EMPTY = hashlib.sha256().hexdigest()


def digest(data: bytes) -> str:
    return hashlib.sha256(
        b"".join(hashlib.sha256(data[n : n + MIB]).digest() for n in range(0, len(data), MIB))
    ).hexdigest()


def say(sender: Sender, **message: object) -> None:
    sender.receive_message(json.dumps(message | {"transfer": 2}))


def sending(manifest: Manifest | None = None, window: int = 4, **accept: object) -> Sender:
    sender = Sender(2, manifest or files({"file": DATA}), TransferConfig(read_ahead=8))
    sender.messages_to_send()
    say(sender, t="accept", window=window, **accept)
    return sender


def events(sender: Sender) -> list[Event]:
    taken = []
    while (event := sender.next_event()) is not None:
        taken.append(event)
    return taken


def serve(sender: Sender, data: bytes = DATA) -> list[tuple[int, int]]:
    """Answer every ReadSegment; return which they were."""
    read = []
    while reads := [event for event in events(sender) if isinstance(event, ReadSegment)]:
        for event in reads:
            read.append((event.file, event.segment))
            part = data[event.offset : event.offset + event.length]
            sender.segment_read(event.file, event.segment, part)
        sender.blocks_to_send()
    return read


def failed(sender: Sender, code: str = "protocol", about: str = "") -> bool:
    event = events(sender)[-1]
    assert isinstance(event, Failed)
    assert about in event.message
    assert sender.blocks_to_send() == []
    (text,) = sender.messages_to_send()
    message = json.loads(text)
    assert (message["t"], message["code"]) == ("cancel", code)
    return event.code == code and sender.state is SenderState.FAILED


@pytest.mark.parametrize(
    "message",
    [
        {"t": "ack", "file": 0, "segments": [[0, 0]]},
        {"t": "retry", "file": 0, "segment": 0},
        {"t": "file_done", "file": 0, "digest": EMPTY},
        {"t": "done", "files": 1, "bytes": len(DATA)},
        {"t": "offer", "files": 0, "bytes": 0, "entries": []},
        {"t": "accept", "window": 0},
        {"t": "accept", "window": 1, "have": {"0": [[0, 3]]}},
        {"t": "accept", "window": 1, "have": {"0": [[1, 0]]}},
        {"t": "accept", "window": 1, "have": {"0": [[0, 1], [1, 2]]}},
        {"t": "accept", "window": 1, "have": {"1": [[0, 0]]}},
        {"t": "have", "have": {"0": [[2, 2], [0, 0]]}},
    ],
    ids=json.dumps,
)
def test_answers_that_do_not_fit_an_offer_end_the_transfer(message: dict[str, object]) -> None:
    sender = Sender(2, files({"file": DATA}))
    sender.messages_to_send()
    say(sender, **message)
    assert failed(sender)


@pytest.mark.parametrize(
    "message",
    [
        {"t": "decline", "code": "refused"},
        {"t": "have", "have": {"0": [[0, 0]]}},
        {"t": "ack", "file": 0, "segments": [[0, 3]]},
        {"t": "ack", "file": 0, "segments": [[1, 0]]},
        {"t": "ack", "file": 1, "segments": [[0, 0]]},
        {"t": "file_done", "file": 0, "digest": digest(DATA)},
        {"t": "file_done", "file": 9, "digest": EMPTY},
        {"t": "done", "files": 1, "bytes": len(DATA)},
        {"t": "offer_more", "entries": []},
        {"t": "ack", "file": 0, "segments": "all"},
    ],
    ids=json.dumps,
)
def test_answers_that_do_not_fit_a_running_transfer_end_it(message: dict[str, object]) -> None:
    sender = sending()
    serve(sender)
    say(sender, **message)
    assert failed(sender)


def test_an_ack_of_unreal_width_costs_nothing() -> None:
    manifest = Manifest.of(Entry(path="huge", kind="file", size=2**53 - 1))
    sender = sending(manifest)
    say(sender, t="ack", file=0, segments=[[0, 2**33 - 2]] * 1000)
    assert failed(sender, about="more segments")


def test_segments_go_out_in_order_and_within_the_window() -> None:
    sender = sending(files({"a": DATA, "empty": b"", "b": DATA[:5]}), window=2)
    assert serve(sender) == [(0, 0), (0, 1)]
    say(sender, t="ack", file=0, segments=[[1, 1]])
    assert serve(sender) == [(0, 2)]
    say(sender, t="ack", file=0, segments=[[0, 0], [2, 2]])
    assert serve(sender) == [(2, 0)]


def test_repeated_acks_give_no_credit() -> None:
    sender = sending(window=1)
    assert serve(sender) == [(0, 0)]
    for _ in range(3):
        say(sender, t="ack", file=0, segments=[[0, 0]])
    assert serve(sender) == [(0, 1)]
    assert sender.bytes_done == MIB


def test_an_ack_of_what_was_never_sent_gives_no_credit() -> None:
    sender = sending(window=1)
    assert serve(sender) == [(0, 0)]
    say(sender, t="ack", file=0, segments=[[1, 2]])
    assert serve(sender) == []
    assert sender.bytes_done == 0


def test_a_second_accept_is_ignored() -> None:
    sender = sending(window=1)
    say(sender, t="accept", window=100)
    assert serve(sender) == [(0, 0)]


def test_a_segment_is_sent_again_three_times_at_most() -> None:
    sender = sending()
    serve(sender)
    for _ in range(3):
        say(sender, t="retry", file=0, segment=1)
        assert serve(sender) == [(0, 1)]
    say(sender, t="retry", file=0, segment=1)
    assert failed(sender, "integrity")


def test_a_retry_of_what_is_not_in_flight_is_ignored() -> None:
    sender = sending()
    serve(sender)
    say(sender, t="ack", file=0, segments=[[0, 0]])
    say(sender, t="retry", file=0, segment=0)
    assert serve(sender) == []
    assert sender.state is SenderState.SENDING


def test_a_segment_acknowledged_while_it_is_read_again_is_not_sent_again() -> None:
    sender = sending()
    serve(sender)
    say(sender, t="retry", file=0, segment=0)
    say(sender, t="ack", file=0, segments=[[0, 0]])
    assert serve(sender) == [(0, 0)]
    assert sender.blocks_to_send() == []
    assert sender.state is SenderState.SENDING


def test_another_digest_at_the_receivers_ends_as_integrity() -> None:
    sender = sending()
    serve(sender)
    say(sender, t="ack", file=0, segments=[[0, 2]])
    say(sender, t="file_done", file=0, digest=EMPTY)
    assert failed(sender, "integrity")


def test_done_with_other_totals_ends_the_transfer() -> None:
    sender = sending()
    serve(sender)
    say(sender, t="ack", file=0, segments=[[0, 2]])
    say(sender, t="file_done", file=0, digest=digest(DATA))
    say(sender, t="done", files=1, bytes=1)
    assert failed(sender, about="totals")


def test_the_sender_is_done_only_with_the_receivers_word() -> None:
    sender = sending(files({"a": DATA, "empty": b""}))
    serve(sender)
    say(sender, t="ack", file=0, segments=[[0, 2]])
    say(sender, t="file_done", file=1, digest=EMPTY)
    say(sender, t="file_done", file=0, digest=digest(DATA))
    say(sender, t="file_done", file=0, digest=digest(DATA))
    assert events(sender) == [FileConfirmed(1), FileConfirmed(0)]
    assert not sender.ended
    say(sender, t="done", files=2, bytes=len(DATA))
    assert events(sender) == [Completed(2, len(DATA))]
    assert sender.state is SenderState.DONE


def test_nothing_matters_after_the_end() -> None:
    sender = sending()
    sender.cancel()
    events(sender)
    sender.messages_to_send()
    sender.receive_message("nonsense")
    say(sender, t="accept", window=4)
    sender.segment_read(0, 0, DATA[:MIB])
    sender.disk_failed("late")
    sender.source_changed(0)
    assert (events(sender), sender.messages_to_send(), sender.blocks_to_send()) == ([], [], [])


def test_a_receiver_that_holds_everything_needs_no_content() -> None:
    sender = sending(have={"0": [[0, 2]]})
    assert events(sender) == [Accepted(len(DATA))]
    say(sender, t="file_done", file=0, digest="0" * 64)
    say(sender, t="done", files=1, bytes=len(DATA))
    assert sender.state is SenderState.DONE


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "t": st.sampled_from(
                    ["accept", "have", "ack", "retry", "file_done", "done", "decline", "cancel"]
                )
            },
            optional={
                "window": st.integers(0, 5),
                "file": st.integers(0, 2),
                "segment": st.integers(0, 3),
                "segments": st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=3),
                "have": st.dictionaries(
                    st.sampled_from("012"),
                    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=3),
                    max_size=2,
                ),
                "digest": st.sampled_from([EMPTY, digest(DATA), "x"]),
                "files": st.integers(0, 3),
                "bytes": st.just(len(DATA)),
                "code": st.text(max_size=5),
            },
        ),
        max_size=12,
    )
)
def test_no_sequence_of_answers_raises_or_completes_by_itself(
    messages: list[dict[str, object]],
) -> None:
    sender = Sender(2, files({"a": DATA, "b": DATA[:7]}), TransferConfig(read_ahead=8))
    for message in messages:
        say(sender, **message)
        for event in events(sender):
            if isinstance(event, ReadSegment):
                part = DATA[event.offset : event.offset + event.length]
                sender.segment_read(event.file, event.segment, part)
        sender.blocks_to_send()
    if sender.state is SenderState.DONE:
        confirmed = {str(m.get("file")) for m in messages if m["t"] == "file_done"}
        assert confirmed >= {"0", "1"}
