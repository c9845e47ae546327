"""A receiver against hostile senders: nothing is written, kept or raised that should not be."""

from __future__ import annotations

import hashlib
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from peer.transfer.protocol.config import SEGMENT_SIZE, TransferConfig
from peer.transfer.protocol.events import (
    Completed,
    Event,
    Failed,
    FinishFile,
    Offered,
    WriteFile,
    WriteSegment,
)
from peer.transfer.protocol.frames import data_frames, serialize_data, serialize_segment
from peer.transfer.protocol.manifest import Entry, Manifest
from peer.transfer.protocol.messages import offer_pages
from peer.transfer.protocol.receiver import Receiver, ReceiverState
from tests.support.transfer.machine_pair import content, files

MIB = SEGMENT_SIZE
DATA = content(2 * MIB + 100)


def offered(manifest: Manifest, window: int = 4) -> Receiver:
    receiver = Receiver(2, TransferConfig(window=window))
    for text in offer_pages(2, manifest):
        receiver.receive_message(text)
    return receiver


def receiving(manifest: Manifest | None = None, window: int = 4) -> Receiver:
    receiver = offered(manifest or files({"file": DATA}), window)
    assert isinstance(receiver.next_event(), Offered)
    receiver.accept()
    receiver.messages_to_send()
    return receiver


def events(receiver: Receiver) -> list[Event]:
    taken = []
    while (event := receiver.next_event()) is not None:
        taken.append(event)
    return taken


def broke_the_protocol(receiver: Receiver, about: str = "") -> bool:
    (event,) = events(receiver)
    assert isinstance(event, Failed)
    assert not event.remote
    assert about in event.message
    (text,) = receiver.messages_to_send()
    message = json.loads(text)
    assert (message["t"], message["code"]) == ("cancel", "protocol")
    return event.code == "protocol" and receiver.state is ReceiverState.FAILED


def segment(file: int, number: int, data: bytes = DATA) -> list[bytes]:
    part = data[number * MIB : (number + 1) * MIB]
    digest = hashlib.sha256(part).digest()
    head = serialize_segment(2, file, number * MIB, len(part), digest)
    return [head, *data_frames(2, file, number * MIB, part, 65536)]


def offer(**changes: object) -> str:
    message: dict[str, object] = {
        "t": "offer",
        "transfer": 2,
        "files": 1,
        "bytes": 5,
        "entries": [{"path": "a", "kind": "file", "size": 5}],
    }
    return json.dumps(message | changes)


@pytest.mark.parametrize(
    ("text", "about"),
    [
        (offer(bytes=6), "totals"),
        (offer(files=2), "totals"),
        (offer(files=0), "totals"),
        (offer(entries=[]), "empty page"),
        (offer(entries=[{"path": "a", "kind": "file"}]), "size"),
        (offer(entries=[{"path": "a", "kind": "dir", "size": 5}]), "size"),
        (offer(entries=[{"path": "a", "kind": "link"}]), "target"),
        (
            offer(entries=[{"path": p, "kind": "file", "size": 2**53 - 1} for p in "ab"]),
            "sum up",
        ),
        ('{"t":"offer_more","transfer":2,"entries":[]}', "before the offer"),
        ('{"t":"accept","transfer":2,"window":1}', "only a receiver sends"),
        ('{"t":"done","transfer":2,"files":0,"bytes":0}', "only a receiver sends"),
        (offer(files=-1), "malformed"),
        ("nonsense", "malformed"),
    ],
)
def test_an_offer_that_does_not_add_up_ends_the_transfer(text: str, about: str) -> None:
    receiver = Receiver(2)
    receiver.receive_message(text)
    assert broke_the_protocol(receiver, about)


def test_a_second_offer_ends_the_transfer() -> None:
    receiver = Receiver(2)
    receiver.receive_message(offer(more=True))
    receiver.receive_message(offer())
    assert broke_the_protocol(receiver, "offered twice")


def test_a_page_after_the_last_ends_the_transfer() -> None:
    receiver = offered(files({"a": DATA}))
    events(receiver)
    receiver.receive_message(
        '{"t":"offer_more","transfer":2,"entries":[{"path":"b","kind":"dir"}]}'
    )
    assert broke_the_protocol(receiver)


def test_blocks_before_the_acceptance_end_the_transfer() -> None:
    receiver = offered(files({"file": DATA}))
    events(receiver)
    receiver.receive_block(segment(0, 0)[0])
    assert broke_the_protocol(receiver, "a block while offered")


def test_blocks_beyond_the_credit_end_the_transfer() -> None:
    receiver = receiving(window=2)
    for number in range(2):
        receiver.receive_block(segment(0, number)[1])
    assert receiver.state is ReceiverState.RECEIVING
    receiver.receive_block(segment(0, 2)[1])
    assert broke_the_protocol(receiver, "beyond the granted window")


def test_a_written_segment_returns_its_credit() -> None:
    receiver = receiving(window=1)
    for number in range(3):
        for block in segment(0, number):
            receiver.receive_block(block)
        event = receiver.next_event()
        assert isinstance(event, WriteSegment)
        receiver.segment_written(0, number)
        assert json.loads(receiver.messages_to_send()[0])["segments"] == [[number, number]]
    assert isinstance(receiver.next_event(), FinishFile)


def test_acks_of_neighbours_are_joined() -> None:
    receiver = receiving()
    for number in (2, 0, 1):
        for block in segment(0, number):
            receiver.receive_block(block)
    for number in (2, 0):
        receiver.segment_written(0, number)
    assert json.loads(receiver.messages_to_send()[0])["segments"] == [[0, 0], [2, 2]]
    receiver.segment_written(0, 1)
    assert json.loads(receiver.messages_to_send()[0])["segments"] == [[1, 1]]


def test_a_file_that_was_left_unfinished_counts_against_the_window() -> None:
    # Nobody may leave thousands of files open here by finishing all but one segment of each.
    contents = {f"f{n}": DATA for n in range(4)}
    receiver = receiving(files(contents), window=2)
    for file in range(3):
        for block in segment(file, 1):
            receiver.receive_block(block)
        receiver.segment_written(file, 1)
        if file < 2:
            events(receiver)
            receiver.messages_to_send()
    assert broke_the_protocol(receiver, "too many files")


@pytest.mark.parametrize(
    ("block", "about"),
    [
        (serialize_data(2, 1, 0, b"x"), "outside file"),
        (serialize_data(2, 0xFFFFFFFF, 0, b"x"), "outside file"),
        (serialize_data(2, 0, len(DATA), b"x"), "outside file"),
        (serialize_data(2, 0, 2**64 - 1, b"x"), "outside file"),
        (serialize_data(2, 0, len(DATA) - 1, b"xx"), "crosses the end"),
        (serialize_data(2, 0, MIB - 1, b"xx"), "crosses the end"),
        (serialize_segment(2, 0, 1, MIB - 1, bytes(32)), "other bounds"),
        (serialize_segment(2, 0, 0, MIB - 1, bytes(32)), "other bounds"),
        (serialize_segment(2, 0, 0, 2**32 - 1, bytes(32)), "other bounds"),
        (serialize_segment(2, 0, 2 * MIB, MIB, bytes(32)), "other bounds"),
        (b"\x02", "malformed"),
    ],
)
def test_blocks_out_of_place_end_the_transfer(block: bytes, about: str) -> None:
    receiver = receiving()
    receiver.receive_block(block)
    assert broke_the_protocol(receiver, about)


def test_blocks_for_a_folder_end_the_transfer() -> None:
    manifest = Manifest.of(Entry(path="d", kind="dir"))
    receiver = receiving(manifest)
    events(receiver)
    receiver.receive_block(serialize_data(2, 0, 0, b"x"))
    assert broke_the_protocol(receiver, "outside file")


def test_overlapping_blocks_end_the_transfer() -> None:
    receiver = receiving()
    receiver.receive_block(segment(0, 0)[0])
    step = 60_000
    for start in range(0, MIB - step, step):
        receiver.receive_block(serialize_data(2, 0, start, bytes(step)))
    # as many bytes as are missing, but over some that are there
    missing = MIB - MIB // step * step
    receiver.receive_block(serialize_data(2, 0, 1, bytes(missing)))
    assert broke_the_protocol(receiver, "overlap")


def test_more_bytes_than_a_segment_holds_end_the_transfer() -> None:
    receiver = receiving()
    for start in range(0, MIB, 1000):
        receiver.receive_block(serialize_data(2, 0, start, bytes(min(60_000, MIB - start))))
        if receiver.ended:
            break
    assert broke_the_protocol(receiver, "overlap")


def test_a_segment_in_crumbs_ends_the_transfer() -> None:
    receiver = receiving()
    for start in range(1025):
        receiver.receive_block(serialize_data(2, 0, start, b"x"))
    assert broke_the_protocol(receiver, "too many blocks")


def test_two_digests_for_a_segment_end_the_transfer() -> None:
    receiver = receiving()
    receiver.receive_block(serialize_segment(2, 0, 0, MIB, bytes(32)))
    receiver.receive_block(serialize_segment(2, 0, 0, MIB, bytes(32)))
    assert receiver.state is ReceiverState.RECEIVING
    receiver.receive_block(serialize_segment(2, 0, 0, MIB, bytes(31) + b"x"))
    assert broke_the_protocol(receiver, "second digest")


def test_blocks_of_what_is_written_already_are_ignored() -> None:
    receiver = receiving(files({"file": DATA[:100], "other": DATA}))
    for block in segment(0, 0, DATA[:100]):
        receiver.receive_block(block)
    for block in segment(0, 0, DATA[:100]) * 2:
        receiver.receive_block(block)
    receiver.entry_finished(0)
    for block in segment(0, 0, DATA[:100]) * 2:
        receiver.receive_block(block)
    assert receiver.state is ReceiverState.RECEIVING
    assert [type(event) for event in events(receiver)] == [WriteFile]


def test_segments_are_passed_on_without_a_copy() -> None:
    receiver = receiving()
    blocks = segment(0, 0)
    for block in blocks:
        receiver.receive_block(block)
    event = receiver.next_event()
    assert isinstance(event, WriteSegment)
    assert all(part.obj is block for part, block in zip(event.parts, blocks[1:], strict=True))
    assert b"".join(event.parts) == DATA[:MIB]
    assert event.digest == hashlib.sha256(DATA[:MIB]).digest()


def test_nothing_matters_after_the_end() -> None:
    receiver = receiving(files({"file": b"x"}))
    for block in segment(0, 0, b"x"):
        receiver.receive_block(block)
    receiver.entry_finished(0)
    receiver.folders_set()
    assert isinstance(events(receiver)[-1], Completed)
    receiver.messages_to_send()
    receiver.receive_block(b"")
    receiver.receive_block(segment(0, 0)[0])
    receiver.receive_message("nonsense")
    receiver.receive_message('{"t":"cancel","transfer":2,"code":"late"}')
    receiver.cancel()
    receiver.disk_failed("late")
    receiver.segment_written(0, 0)
    receiver.entry_finished(0)
    receiver.folders_set()
    assert (events(receiver), receiver.messages_to_send()) == ([], [])
    assert receiver.state is ReceiverState.DONE


def test_what_the_sender_says_is_made_safe_to_print() -> None:
    receiver = receiving()
    receiver.receive_message(
        json.dumps({"t": "cancel", "transfer": 2, "code": "x\x1b", "message": "\x1b[2Jgone\u202e"})
    )
    assert events(receiver) == [Failed("x\\x1b", "\\x1b[2Jgone\\u202e", remote=True)]
    assert receiver.messages_to_send() == []


@settings(max_examples=150, deadline=None)
@given(st.lists(st.one_of(st.text(max_size=80), st.binary(max_size=80)), max_size=8))
def test_garbage_never_raises(garbage: list[str | bytes]) -> None:
    receiver = receiving()
    for thing in garbage:
        if isinstance(thing, bytes):
            receiver.receive_block(thing)
        else:
            receiver.receive_message(thing)
    assert not [event for event in events(receiver) if not isinstance(event, Failed)]


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.builds(
            serialize_data,
            st.just(2),
            st.integers(0, 2),
            st.integers(0, 3 * MIB),
            st.integers(1, 60_000).map(bytes),
        )
        | st.builds(
            serialize_segment,
            st.just(2),
            st.integers(0, 2),
            st.sampled_from([0, MIB, 2 * MIB]),
            st.sampled_from([MIB, 100, 0]),
            st.just(bytes(32)),
        ),
        max_size=40,
    )
)
def test_well_formed_blocks_anywhere_leave_only_whole_segments(blocks: list[bytes]) -> None:
    receiver = receiving(window=2)
    for block in blocks:
        receiver.receive_block(block)
    for event in events(receiver):
        if isinstance(event, WriteSegment):
            length = receiver.manifest.segment_length(event.file, event.segment)
            assert sum(map(len, event.parts)) == length
            assert event.digest == bytes(32)
            receiver.segment_damaged(event.file, event.segment)
    assert receiver.bytes_done == 0


def test_a_damaged_segment_keeps_its_credit_and_is_asked_for_three_times() -> None:
    receiver = receiving(window=1)
    for attempt in range(4):
        for block in segment(0, 0):
            receiver.receive_block(block)
        assert isinstance(receiver.next_event(), WriteSegment)
        receiver.segment_damaged(0, 0)
        if attempt < 3:
            (text,) = receiver.messages_to_send()
            assert json.loads(text) == {"t": "retry", "transfer": 2, "file": 0, "segment": 0}
    (event,) = events(receiver)
    assert isinstance(event, Failed)
    assert event.code == "integrity"
