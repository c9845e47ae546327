"""Binary frames: the golden ones, cut, damaged, garbage."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from peer.transfer.protocol.config import BYTES_PER_FRAME, MAX_FRAME, MIN_FRAME, SEGMENT_SIZE
from peer.transfer.protocol.digest import FileDigest, segment_digest
from peer.transfer.protocol.frames import (
    HEADER_SIZE,
    PACKED_HEADER_SIZE,
    BadFrame,
    DataFrame,
    PackFrame,
    SegmentFrame,
    data_frames,
    parse_frame,
    serialize_data,
    serialize_pack,
    serialize_packed,
    serialize_segment,
)

VECTORS = json.loads(
    (Path(__file__).parents[3] / "vectors" / "transfer.json").read_text(encoding="utf-8")
)


@pytest.mark.parametrize("case", VECTORS["frames"], ids=lambda case: case["name"])
def test_golden_frames_are_read_and_written(case: dict[str, Any]) -> None:
    data = bytes.fromhex(case["hex"])
    frame = parse_frame(data)
    assert frame is not None
    if isinstance(frame, PackFrame):
        assert (case["type"], case["transfer"]) == (4, frame.transfer)
        packed = [[each.file, each.digest.hex(), each.content.hex()] for each in frame.files]
        assert packed == case["files"]
        parts = [serialize_packed(one.file, one.digest, one.content) for one in frame.files]
        assert serialize_pack(frame.transfer, parts) == data
        return
    where = (case["transfer"], case["file"], case["offset"])
    assert (frame.transfer, frame.file, frame.offset) == where
    if isinstance(frame, SegmentFrame):
        assert case["type"] == 1
        assert (frame.length, frame.digest.hex()) == (case["length"], case["digest"])
        assert serialize_segment(*where, frame.length, frame.digest) == data
    else:
        assert case["type"] == 2
        assert frame.payload.hex() == case["payload"]
        assert serialize_data(*where, frame.payload) == data


@pytest.mark.parametrize("case", VECTORS["ignored_frames"], ids=lambda case: case["name"])
def test_frames_of_an_unknown_type_are_none_of_ours(case: dict[str, Any]) -> None:
    assert parse_frame(bytes.fromhex(case["hex"])) is None


@pytest.mark.parametrize("case", VECTORS["bad_frames"], ids=lambda case: case["name"])
def test_malformed_frames_are_named(case: dict[str, Any]) -> None:
    with pytest.raises(BadFrame):
        parse_frame(bytes.fromhex(case["hex"]))


@pytest.mark.parametrize("case", VECTORS["frames"], ids=lambda case: case["name"])
def test_no_cut_of_a_frame_passes_as_the_frame(case: dict[str, Any]) -> None:
    data = bytes.fromhex(case["hex"])
    for length in range(len(data)):
        try:
            frame = parse_frame(data[:length])
        except BadFrame:
            continue
        if isinstance(frame, PackFrame):  # a pack may end after any of its files
            sizes = [PACKED_HEADER_SIZE + len(packed.content) for packed in frame.files]
            assert sum(sizes) == length - HEADER_SIZE
            continue
        assert isinstance(frame, DataFrame)
        assert len(frame.payload) == length - HEADER_SIZE


def test_a_frame_over_64_kib_is_malformed_and_names_its_transfer() -> None:
    assert parse_frame(serialize_data(2, 0, 0, bytes(MAX_FRAME - HEADER_SIZE))) is not None
    with pytest.raises(BadFrame) as caught:
        parse_frame(serialize_data(2, 0, 0, bytes(MAX_FRAME - HEADER_SIZE + 1)))
    assert caught.value.transfer == 2


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=120))
def test_garbage_is_read_or_refused_and_nothing_else(data: bytes) -> None:
    try:
        frame = parse_frame(data)
    except BadFrame:
        return
    if isinstance(frame, DataFrame):
        assert (
            serialize_data(frame.transfer, frame.file, frame.offset, frame.payload)[4:]
            == (data[4:])
        )


@pytest.mark.parametrize("case", VECTORS["cuts"], ids=lambda case: str(case["length"]))
def test_a_segment_is_cut_into_equal_parts(case: dict[str, Any]) -> None:
    frames = data_frames(2, 1, SEGMENT_SIZE, bytes(case["length"]), case["max_frame"])
    parts = []
    for data in frames:
        assert len(data) <= case["max_frame"]
        frame = parse_frame(data)
        assert isinstance(frame, DataFrame)
        parts.append([frame.offset - SEGMENT_SIZE, len(frame.payload)])
    assert parts == case["parts"]


@settings(max_examples=100, deadline=None)
@given(st.integers(1, SEGMENT_SIZE), st.integers(MIN_FRAME, MAX_FRAME))
def test_a_cut_loses_nothing_and_stays_within_the_bounds(length: int, max_frame: int) -> None:
    data = bytes(length)
    frames = data_frames(2, 0, 0, data, max_frame)
    assert len(frames) <= -(-len(data) // BYTES_PER_FRAME)
    assert all(len(frame) <= max_frame for frame in frames)
    assert sum(len(frame) - HEADER_SIZE for frame in frames) == length


def content(size: int) -> bytes:
    """The files that the golden digests are of."""
    return bytes((7 * i + i // 251) % 256 for i in range(size))


@pytest.mark.parametrize("case", VECTORS["digests"], ids=lambda case: str(case["size"]))
def test_golden_digests(case: dict[str, Any]) -> None:
    data = content(case["size"])
    segments = [
        segment_digest([data[start : start + SEGMENT_SIZE]])
        for start in range(0, len(data), SEGMENT_SIZE)
    ]
    digest = FileDigest()
    for segment in reversed(range(len(segments))):
        digest.add(segment, segments[segment])
    assert digest.digest() == bytes.fromhex(case["digest"])
    assert len(digest) == len(segments)


def test_a_segment_hashes_the_same_however_it_was_cut() -> None:
    data = content(1000)
    assert segment_digest([data]) == segment_digest([data[:1], memoryview(data)[1:999], data[999:]])


def test_a_file_with_an_unknown_segment_has_no_digest() -> None:
    digest = FileDigest()
    digest.add(0, bytes(32))
    digest.add(1, None)
    assert digest.digest() is None
    assert 1 in digest
    assert 2 not in digest
