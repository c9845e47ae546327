"""Version 2: many small files in few frames and messages, and what a peer may not make of it."""

from __future__ import annotations

import hashlib
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from peer.transfer.protocol.config import SEGMENT_SIZE, SMALL_CREDIT, TransferConfig
from peer.transfer.protocol.events import Event, Failed, Offered, ReadSegment, Skipped, WriteFile
from peer.transfer.protocol.frames import (
    BlockType,
    serialize_data,
    serialize_pack,
    serialize_packed,
)
from peer.transfer.protocol.manifest import Entry, Manifest
from peer.transfer.protocol.messages import offer_pages
from peer.transfer.protocol.receiver import Receiver, ReceiverState
from peer.transfer.protocol.sender import Sender, SenderState
from tests.support.transfer.machine_pair import TransferPair, content, files

MIB = SEGMENT_SIZE
MANY = {f"{n}": content(n % 90 + 1) for n in range(700)}


def completed(pair: TransferPair) -> bool:
    return pair.sender.state is SenderState.DONE and pair.receiver.state is ReceiverState.DONE


def events(machine: Sender | Receiver) -> list[Event]:
    taken = []
    while (event := machine.next_event()) is not None:
        taken.append(event)
    return taken


@pytest.mark.parametrize("versions", [(1, 1), (1, 2), (2, 1), (2, 2)])
@pytest.mark.parametrize("seed", range(2))
def test_peers_of_any_two_versions_understand_each_other(
    versions: tuple[int, int], seed: int
) -> None:
    contents = {f"{n}": content(n * 7000) for n in range(30)} | {"big": content(3 * MIB + 9)}
    pair = TransferPair(files(contents), contents, seed=seed, versions=versions, duplicates=0.1)
    pair.run()
    assert completed(pair)
    assert pair.disk == contents
    assert ('"t":"file_done"' in "".join(pair.said)) == (min(versions) == 1)


def test_small_files_take_few_frames_and_few_messages() -> None:
    blocks: list[bytes] = []
    pair = TransferPair(files(MANY), MANY, window=32)
    pair.damage = lambda block: blocks.append(block) or block  # type: ignore[func-returns-value]
    pair.run()
    assert completed(pair)
    assert pair.disk == MANY
    assert {block[0] for block in blocks} == {BlockType.PACK}
    assert len(blocks) < 10
    assert len(pair.said) < 30


def test_a_small_file_that_arrives_damaged_comes_again() -> None:
    hits = 0

    def damage(block: bytes) -> bytes:
        nonlocal hits
        hits += 1
        return block[:-1] + bytes([block[-1] ^ 255]) if hits < 3 else block

    pair = TransferPair(files(MANY), MANY, window=32, damage=damage)
    pair.run()
    assert completed(pair)
    assert pair.disk == MANY
    assert sum('"retry"' in text for text in pair.said) == 2


# Credit


def test_a_small_file_takes_little_credit_and_a_part_of_a_large_one_takes_all() -> None:
    contents = MANY | {"big": content(MIB + 1)}
    for version, most in ((1, 2), (2, 2 * MIB // SMALL_CREDIT)):
        sender = Sender(2, files(contents), TransferConfig(read_ahead=100))
        accept = {"t": "accept", "transfer": 2, "window": 2, "version": version}
        sender.receive_message(json.dumps(accept))
        assert sum(isinstance(event, ReadSegment) for event in events(sender)) == most


def offered(entries: list[Entry], *, window: int = 1, version: int = 2) -> Receiver:
    receiver = Receiver(2, TransferConfig(window=window))
    for text in offer_pages(2, Manifest(entries), version=version):
        receiver.receive_message(text)
    assert isinstance(receiver.next_event(), Offered)
    receiver.accept()
    receiver.messages_to_send()
    return receiver


def small(count: int = 1, size: int = 5) -> list[Entry]:
    return [Entry(path=f"f{n}", kind="file", size=size) for n in range(count)]


def packed(file: int, data: bytes = b"hello") -> bytes:
    return serialize_packed(file, hashlib.sha256(data).digest(), data)


def pack(*parts: bytes) -> bytes:
    return serialize_pack(2, parts)


def test_small_files_beyond_the_credit_end_the_transfer() -> None:
    receiver = offered(small(65))
    for n in range(64):
        receiver.receive_block(pack(packed(n)))
    assert not receiver.ended
    receiver.receive_block(pack(packed(64)))
    assert receiver.state is ReceiverState.FAILED


def test_small_files_in_crumbs_take_no_memory_beyond_their_credit() -> None:
    receiver = offered(small(3, 1500), window=1)
    receiver.receive_block(serialize_data(2, 0, 0, b"x"))
    receiver.receive_block(serialize_data(2, 0, 1, b"x"))
    assert not receiver.ended
    receiver.receive_block(serialize_data(2, 0, 2, b"x"))
    assert receiver.state is ReceiverState.FAILED


def test_a_packed_file_does_not_keep_the_frame_that_it_came_in() -> None:
    receiver = offered(small(2), window=1)
    receiver.receive_block(frame := pack(packed(0)))
    (write,) = (event for event in events(receiver) if isinstance(event, WriteFile))
    assert write.parts[0].obj is not frame
    assert len(memoryview(write.parts[0].obj)) == 5


def test_a_finished_file_returns_its_credit() -> None:
    receiver = offered(small(200))
    for n in range(200):
        receiver.receive_block(pack(packed(n)))
        receiver.entry_finished(n)
    assert receiver.files_done == 200


# Hostile senders


def test_a_pack_that_was_seen_before_does_no_harm() -> None:
    receiver = offered(small(2))
    for _ in range(3):
        receiver.receive_block(pack(packed(0)))
    (event,) = events(receiver)
    assert isinstance(event, WriteFile)
    receiver.entry_finished(0)
    receiver.receive_block(pack(packed(0)))
    assert events(receiver) == []
    assert receiver.files_done == 1


def test_a_pack_of_a_file_that_is_held_does_no_harm() -> None:
    from peer.transfer.protocol.events import HeldSegments

    receiver = Receiver(2)
    for text in offer_pages(2, Manifest(small(2))):
        receiver.receive_message(text)
    receiver.next_event()
    digest = hashlib.sha256(b"hello").digest()
    receiver.accept(have={0: HeldSegments(((0, 0),), digest)})
    receiver.receive_block(pack(packed(0)))
    assert [type(event).__name__ for event in events(receiver)] == ["FinishFile"]


@pytest.mark.parametrize(
    "block",
    [
        pack(packed(0, b"longer than it is")),
        pack(packed(0, b"less")),
        pack(packed(1)),
        pack(packed(2)),
        pack(packed(3)),
        pack(packed(0xFFFFFFFF)),
        pack(packed(0))[:-1],
        pack(packed(0)) + b"x",
    ],
)
def test_a_pack_that_does_not_fit_ends_the_transfer(block: bytes) -> None:
    entries = [
        *small(),
        Entry(path="d", kind="dir"),
        Entry(path="big", kind="file", size=MIB + 5),
    ]
    receiver = offered(entries)
    receiver.receive_block(block)
    assert receiver.state is ReceiverState.FAILED
    assert json.loads(receiver.messages_to_send()[-1])["code"] == "protocol"


def test_a_pack_in_version_1_ends_the_transfer() -> None:
    receiver = offered(small(), version=1)
    receiver.receive_block(pack(packed(0)))
    assert receiver.state is ReceiverState.FAILED


def skip(receiver: Receiver, file: int, reason: str = "has vanished") -> None:
    message = {"t": "skip", "transfer": 2, "file": file, "reason": reason}
    receiver.receive_message(json.dumps(message))


def test_a_skipped_file_is_not_counted() -> None:
    receiver = offered(small(2))
    skip(receiver, 1, "\x1b[2J")
    receiver.receive_block(pack(packed(0)))
    receiver.receive_block(pack(packed(1)))
    receiver.entry_finished(0)
    assert Skipped(1, "\\x1b[2J") in events(receiver)
    receiver.folders_set()
    done = json.loads(receiver.messages_to_send()[-1])
    assert (done["t"], done["files"], done["bytes"]) == ("done", 1, 5)


@pytest.mark.parametrize("file", [0, 1, 2, 3, 9])
def test_a_skip_that_does_not_fit_ends_the_transfer(file: int) -> None:
    entries = [*small(3), Entry(path="d", kind="dir")]
    receiver = offered(entries)
    receiver.receive_block(pack(packed(0)))
    receiver.receive_block(pack(packed(1)))
    receiver.entry_finished(1)
    skip(receiver, 2)
    assert not receiver.ended
    skip(receiver, file)
    assert receiver.state is ReceiverState.FAILED


def test_a_skip_of_an_empty_file_or_in_version_1_ends_the_transfer() -> None:
    for receiver in (offered(small(size=0)), offered(small(2), version=1)):
        skip(receiver, 0)
        assert receiver.state is ReceiverState.FAILED


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.integers(0, 5).map(lambda n: pack(packed(n))),
            st.lists(st.integers(0, 5), min_size=1, max_size=4).map(
                lambda several: pack(*map(packed, several))
            ),
            st.binary(max_size=80).map(lambda junk: b"\x04\0\0\0\0\0\0\x02" + junk),
            st.integers(0, 5),
        ),
        max_size=12,
    )
)
def test_no_sequence_of_packs_and_skips_raises(steps: list[bytes | int]) -> None:
    receiver = offered(small(5))
    asked: list[int] = []
    for step in steps:
        if isinstance(step, bytes):
            receiver.receive_block(step)
        else:
            skip(receiver, step)
        for event in events(receiver):
            if isinstance(event, WriteFile):
                asked.append(event.file)
                receiver.entry_finished(event.file)
    assert len(asked) == len(set(asked)) == receiver.files_done


# Hostile receivers


def sending(count: int = 3, window: int = 4) -> Sender:
    sender = Sender(2, Manifest(small(count)))
    sender.messages_to_send()
    accept = {"t": "accept", "transfer": 2, "window": window, "version": 2}
    sender.receive_message(json.dumps(accept))
    for event in events(sender):
        if isinstance(event, ReadSegment):
            sender.segment_read(event.file, event.segment, b"hello")
    return sender


ONE = hashlib.sha256(hashlib.sha256(b"hello").digest()).digest()


def files_done(sender: Sender, *ranges: list[int], digest: str = "") -> None:
    count = sum(last + 1 - first for first, last in ranges)
    digest = digest or hashlib.sha256(ONE * min(count, 9)).hexdigest()
    message = {"t": "files_done", "transfer": 2, "files": ranges, "digest": digest}
    sender.receive_message(json.dumps(message))


def test_files_are_done_in_ranges() -> None:
    sender = sending()
    files_done(sender, [0, 0], [2, 2])
    files_done(sender, [1, 1])
    assert (sender.files_done, sender.bytes_done) == (3, 15)
    sender.receive_message('{"t":"done","transfer":2,"files":3,"bytes":15,"left_out":2}')
    assert sender.state is SenderState.DONE
    assert events(sender)[-1].left_out == 2  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "ranges",
    [[[0, 0], [0, 0]], [[1, 1], [0, 0]], [[1, 0]], [[0, 3]], [[0, 0xFFFFFFFF]], [[9, 9]]],
)
def test_files_that_cannot_be_done_end_the_transfer(ranges: list[list[int]]) -> None:
    sender = sending()
    files_done(sender, *ranges)
    assert sender.state is SenderState.FAILED


def test_files_that_were_not_sent_cannot_be_done() -> None:
    sender = Sender(2, Manifest(small(3)))
    sender.receive_message('{"t":"accept","transfer":2,"window":4,"version":2}')
    files_done(sender, [0, 0])
    assert sender.state is SenderState.FAILED


def test_files_of_another_content_end_as_integrity() -> None:
    sender = sending()
    files_done(sender, [0, 1], digest="0" * 64)
    failed = events(sender)[-1]
    assert isinstance(failed, Failed)
    assert failed.code == "integrity"


def test_a_version_that_was_not_offered_ends_the_transfer() -> None:
    for offered_version, version in ((2, 3), (1, 2)):
        sender = Sender(2, Manifest(small()), version=offered_version)
        accept = {"t": "accept", "transfer": 2, "window": 4, "version": version}
        sender.receive_message(json.dumps(accept))
        assert sender.state is SenderState.FAILED


def test_what_was_sent_is_not_skipped() -> None:
    sender = sending()
    assert not sender.source_lost(0, "has vanished")


def test_a_large_file_is_skipped_as_a_whole() -> None:
    entries = [Entry(path="big", kind="file", size=5 * MIB), *small()]
    sender = Sender(2, Manifest(entries), TransferConfig(read_ahead=3))
    sender.receive_message('{"t":"accept","transfer":2,"window":8,"version":2}')
    lost = 0
    read = []
    while reads := [event for event in events(sender) if isinstance(event, ReadSegment)]:
        for event in reads:
            if event.file == 0:
                assert sender.source_lost(0, "has vanished")
                lost += 1
            else:
                read.append(event.file)
                sender.segment_read(event.file, event.segment, b"hello")
    assert (lost, read, sender.files_skipped, sender.bytes_skipped) == (3, [1], 1, 5 * MIB)
    assert sum('"skip"' in text for text in sender.messages_to_send()) == 1


def test_acks_of_small_files_give_no_credit() -> None:
    sender = sending(200, window=1)
    assert sender.bytes_done == 0
    sender.receive_message('{"t":"ack","transfer":2,"file":0,"segments":[[0,0]]}')
    assert (sender.bytes_done, events(sender)) == (0, [])
    files_done(sender, [0, 0])
    assert sender.bytes_done == 5
