"""Sender and receiver against each other, over a pipe that shuffles and repeats blocks."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from peer.transfer.protocol.config import SEGMENT_SIZE, TransferConfig
from peer.transfer.protocol.events import (
    Accepted,
    Completed,
    Declined,
    Failed,
    HeldSegments,
    Offered,
)
from peer.transfer.protocol.frames import BlockType
from peer.transfer.protocol.manifest import Entry, Manifest
from peer.transfer.protocol.messages import Accept, Done, FileDone, Have, parse_message
from peer.transfer.protocol.receiver import Receiver, ReceiverState
from peer.transfer.protocol.sender import Sender, SenderState
from tests.support.transfer.machine_pair import TransferPair, content, files

VECTORS = json.loads(
    (Path(__file__).parents[3] / "vectors" / "transfer.json").read_text(encoding="utf-8")
)
MIB = SEGMENT_SIZE


def completed(pair: TransferPair) -> bool:
    return pair.sender.state is SenderState.DONE and pair.receiver.state is ReceiverState.DONE


@pytest.mark.parametrize("size", [0, 1, MIB - 1, MIB, MIB + 1, 3 * MIB + 12345])
@pytest.mark.parametrize("seed", range(3))
def test_a_file_arrives_whole_whatever_the_order_of_its_blocks(size: int, seed: int) -> None:
    contents = {"file": content(size)}
    pair = TransferPair(files(contents), contents, seed=seed, duplicates=0.1)
    pair.run()
    assert pair.disk == contents
    assert completed(pair)
    assert pair.sender_events[-1] == pair.receiver_events[-1] == Completed(1, size)
    assert pair.sender.bytes_done == pair.receiver.bytes_done == size


@pytest.mark.parametrize("seed", range(3))
def test_many_files_folders_and_links_arrive(seed: int) -> None:
    contents = {f"a/{n}": content(n * 40_000) for n in range(40)}
    entries = [Entry(path="a/link", kind="link", target="3"), Entry(path="a", kind="dir")]
    manifest = Manifest([*entries, *files(contents), Entry(path="empty", kind="dir")])
    pair = TransferPair(manifest, contents, seed=seed, duplicates=0.1)
    pair.run()
    assert completed(pair)
    assert pair.disk == contents
    assert set(pair.made) == {entry.path for entry in manifest}
    assert pair.made[-1] == "a/link", "links come when nothing can be written through them"
    assert (pair.sender.files_done, pair.receiver.files_done) == (40, 40)


@pytest.mark.parametrize(
    "entry",
    [
        Entry(path="d", kind="dir"),
        Entry(path="d", kind="file", size=0),
        Entry(path="d/x", kind="link", target="y"),
    ],
    ids=lambda entry: entry.kind,
)
def test_a_transfer_without_any_content_completes(entry: Entry) -> None:
    pair = TransferPair(Manifest.of(entry), {})
    pair.run()
    assert completed(pair)
    assert pair.made == [entry.path]


@pytest.mark.parametrize("version", [1, 2])
def test_the_machines_say_what_the_golden_transcript_says(version: int) -> None:
    contents = {"a/hello.txt": b"hello"}
    golden = VECTORS[f"transcript_{version}"]
    offer = golden[0]["message"]
    manifest = Manifest(Entry(**entry) for entry in offer["entries"])
    pair = TransferPair(manifest, contents, window=32, versions=(version, 2))
    sent: list[bytes] = []
    pair.damage = lambda block: sent.append(block) or block  # type: ignore[func-returns-value]
    pair.run()
    assert [json.loads(text) for text in pair.said] == [
        step["message"] for step in golden if "message" in step
    ]
    assert sorted(block.hex() for block in sent) == sorted(
        step["block"] for step in golden if "block" in step
    )


def test_a_large_offer_comes_in_pages() -> None:
    contents = {f"folder/file number {n}": b"" for n in range(3000)}
    pair = TransferPair(files(contents), contents)
    pair.run()
    assert completed(pair)
    assert sum('"t":"offer_more"' in text for text in pair.said) > 1
    assert pair.disk == contents


def test_no_more_than_the_window_is_in_flight() -> None:
    contents = {"file": content(9 * MIB)}
    pair = TransferPair(files(contents), contents, window=3)
    pair.run()
    assert completed(pair)
    per_segment = 1 + 17
    assert pair.most_blocks <= 3 * per_segment


def test_the_sender_reads_no_further_ahead_than_it_may() -> None:
    manifest = files({"file": content(9 * MIB)})
    sender = Sender(2, manifest, TransferConfig(read_ahead=2))
    sender.receive_message('{"t":"accept","transfer":2,"window":8}')
    assert sender.next_event() == Accepted(0)
    assert sender.next_event() is not None
    assert sender.next_event() is not None
    assert sender.next_event() is None
    sender.segment_read(0, 0, content(MIB))
    assert sender.next_event() is None, "the first segment still waits to be sent"
    assert len(sender.blocks_to_send()) == 18
    assert sender.next_event() is not None


def test_frames_respect_a_smaller_message_size() -> None:
    contents = {"file": content(MIB)}
    pair = TransferPair(files(contents), contents, config=TransferConfig(max_frame=16384))
    biggest = 0

    def measure(block: bytes) -> bytes:
        nonlocal biggest
        biggest = max(biggest, len(block))
        return block

    pair.damage = measure
    pair.run()
    assert completed(pair)
    assert 16000 < biggest <= 16384


def test_a_decline_reaches_the_sender() -> None:
    pair = TransferPair(files({"x": b"1"}), {"x": b"1"}, accept=False)
    pair.run()
    assert isinstance(pair.receiver_events[-1], Offered)
    pair.receiver.decline("no_space", "There is\x1b no room.")
    pair.run()
    assert pair.sender_events == [Declined("no_space", "There is\\x1b no room.")]
    assert pair.receiver.state is ReceiverState.DECLINED


def test_unsafe_names_are_declined_without_asking() -> None:
    pair = TransferPair(files({"../x": b"1"}), {"../x": b"1"})
    pair.run()
    (event,) = pair.sender_events
    assert isinstance(event, Declined)
    assert event.code == "unsafe_name"
    assert "../x" in event.message
    assert pair.receiver_events == [event]


def test_an_unknown_kind_of_entry_is_declined_as_unsupported() -> None:
    receiver = Receiver(2)
    receiver.receive_message(
        '{"t":"offer","transfer":2,"files":0,"bytes":0,'
        '"entries":[{"path":"x","kind":"stream","size":4}]}'
    )
    event = receiver.next_event()
    assert isinstance(event, Declined)
    assert event.code == "unsupported"


@pytest.mark.parametrize("steps", [1, 3, 20, 60])
@pytest.mark.parametrize("side", ["sender", "receiver"])
def test_either_side_can_cancel_at_any_time(side: str, steps: int) -> None:
    contents = {"file": content(6 * MIB)}
    pair = TransferPair(files(contents), contents, seed=steps)
    for _ in range(steps):
        pair.step()
    machine = pair.sender if side == "sender" else pair.receiver
    machine.cancel("cancelled", "Enough.")
    pair.run()
    ours, theirs = pair.sender_events[-1], pair.receiver_events[-1]
    if side == "receiver":
        ours, theirs = theirs, ours
    assert ours == Failed("cancelled", "Enough.", remote=False)
    assert theirs == Failed("cancelled", "Enough.", remote=True)
    assert pair.disk == {}


def test_a_damaged_segment_is_asked_for_again() -> None:
    contents = {"file": content(2 * MIB + 10)}
    hits = 0

    def damage(block: bytes) -> bytes:
        nonlocal hits
        if block[0] == BlockType.DATA and hits < 3:
            hits += 1
            return block[:-1] + bytes([block[-1] ^ 1])
        return block

    pair = TransferPair(files(contents), contents, damage=damage)
    pair.run()
    assert hits == 3
    assert completed(pair)
    assert pair.disk == contents
    assert any('"retry"' in text for text in pair.said)


def test_a_segment_that_is_damaged_every_time_ends_as_integrity() -> None:
    contents = {"file": content(MIB)}

    def damage(block: bytes) -> bytes:
        return block[:-1] + bytes([block[-1] ^ 1]) if block[0] == BlockType.DATA else block

    pair = TransferPair(files(contents), contents, damage=damage)
    pair.run()
    assert sum('"retry"' in text for text in pair.said) == 3
    assert isinstance(pair.receiver_events[-1], Failed)
    assert isinstance(pair.sender_events[-1], Failed)
    assert pair.receiver_events[-1].code == pair.sender_events[-1].code == "integrity"
    assert pair.disk == {}


def test_a_source_that_shrinks_ends_as_changed() -> None:
    contents = {"file": content(2 * MIB)}
    pair = TransferPair(files(contents), {"file": content(MIB + 5)})
    pair.run()
    for event in (pair.sender_events[-1], pair.receiver_events[-1]):
        assert isinstance(event, Failed)
        assert event.code == "changed"
        assert "file" in event.message


def test_a_source_that_differs_when_read_again_ends_as_changed() -> None:
    sender = Sender(2, files({"file": bytes(5)}))
    sender.receive_message('{"t":"accept","transfer":2,"window":8}')
    sender.segment_read(0, 0, b"first")
    sender.blocks_to_send()
    sender.receive_message('{"t":"retry","transfer":2,"file":0,"segment":0}')
    sender.segment_read(0, 0, b"other")
    assert sender.state is SenderState.FAILED
    assert '"changed"' in sender.messages_to_send()[-1]


def test_a_disk_error_ends_both_sides() -> None:
    contents = {"file": content(2 * MIB)}
    pair = TransferPair(files(contents), contents)
    for _ in range(5):
        pair.step()
    pair.receiver.disk_failed("The disk is full.")
    pair.run()
    assert pair.sender_events[-1] == Failed("disk", "The disk is full.", remote=True)


def digests(data: bytes, first: int, last: int) -> bytes:
    return b"".join(
        hashlib.sha256(data[n * MIB : (n + 1) * MIB]).digest() for n in range(first, last + 1)
    )


@pytest.mark.parametrize("seed", range(3))
def test_what_the_receiver_has_does_not_travel_again(seed: int) -> None:
    contents = {"a": content(5 * MIB + 7), "b": content(2 * MIB), "c": content(10)}
    have = {
        0: HeldSegments(
            ((1, 2), (5, 5)), digests(contents["a"], 1, 2) + digests(contents["a"], 5, 5)
        ),
        1: HeldSegments(((0, 1),), digests(contents["b"], 0, 1)),
    }
    pair = TransferPair(files(contents), contents, seed=seed, duplicates=0.1, have=have)
    pair.run()
    assert completed(pair)
    assert pair.disk == contents
    assert pair.reads == [(0, 0), (0, 3), (0, 4), (2, 0)]
    assert Accepted(4 * MIB + 7) in pair.sender_events
    assert pair.sender.bytes_done == pair.receiver.bytes_done == 7 * MIB + 17


def test_the_digest_of_a_resumed_file_covers_what_was_there() -> None:
    data = content(3 * MIB)
    pair = TransferPair(
        files({"a": data}),
        {"a": data},
        have={0: HeldSegments(((1, 1),), digests(data, 1, 1))},
        versions=(2, 1),
    )
    pair.run()
    (done,) = [m for m in map(parse_message, pair.said) if isinstance(m, FileDone)]
    assert done.digest == hashlib.sha256(digests(data, 0, 2)).hexdigest()


def test_a_long_list_of_what_is_there_comes_in_pages() -> None:
    size = 5000 * MIB
    manifest = Manifest.of(Entry(path="big", kind="file", size=size))
    receiver = Receiver(2)
    sender = Sender(2, manifest)
    for text in sender.messages_to_send():
        receiver.receive_message(text)
    every_other = tuple((n, n) for n in range(0, 5000, 2))
    receiver.accept(8, {0: HeldSegments(every_other, bytes(32 * len(every_other)))})
    messages = receiver.messages_to_send()
    kinds = [type(parse_message(text)) for text in messages]
    assert kinds == [Have, Have, Accept]
    for text in messages:
        sender.receive_message(text)
    assert sender.next_event() == Accepted(2500 * MIB)
    assert sender.bytes_done == receiver.bytes_done == 2500 * MIB


@pytest.mark.parametrize("ranges", [((1, 0),), ((0, 2),), ((1, 1), (0, 0)), ((0, 1), (1, 1))])
def test_a_journal_that_does_not_fit_the_file_is_the_callers_error(
    ranges: tuple[tuple[int, int], ...],
) -> None:
    receiver = Receiver(2)
    for text in Sender(2, files({"a": content(2 * MIB)})).messages_to_send():
        receiver.receive_message(text)
    with pytest.raises(ValueError, match="held"):
        receiver.accept(8, {0: HeldSegments(ranges, bytes(32 * 4))})


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.integers(0, 2 * MIB + 100_000), min_size=1, max_size=6),
    st.integers(0, 2**32),
    st.integers(1, 6),
)
def test_any_files_arrive_through_any_window(sizes: list[int], seed: int, window: int) -> None:
    contents = {f"f{n}": content(size) for n, size in enumerate(sizes)}
    pair = TransferPair(files(contents), contents, seed=seed, window=window, duplicates=0.05)
    pair.run()
    assert completed(pair)
    assert pair.disk == contents


def test_the_receiver_reports_totals_at_the_end() -> None:
    contents = {"a": content(10), "b": content(20)}
    pair = TransferPair(files(contents), contents)
    pair.run()
    (done,) = [m for m in map(parse_message, pair.said) if isinstance(m, Done)]
    assert (done.files, done.bytes) == (2, 30)
