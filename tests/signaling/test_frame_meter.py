"""Frames pass unchanged, in order, and no faster than they may."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from signaling.frame_meter import FrameMeter
from tests.support.servers.websocket_frames import CONTINUATION, PING, PONG, TEXT, frame

MANY = 1e9

frames = st.tuples(
    st.sampled_from([0, 1, 2, 125, 126, 127, 1000, 65_535, 65_536]),
    st.sampled_from([CONTINUATION, TEXT, PING, PONG]),
    st.booleans(),
    st.booleans(),
)


@settings(deadline=None)
@given(st.lists(frames, max_size=6), st.lists(st.integers(1, 5000), min_size=1))
def test_what_passes_is_what_came_in_whatever_the_pieces(
    parts: list[tuple[int, int, bool, bool]], sizes: list[int]
) -> None:
    stream = b"".join(
        frame(bytes(length), opcode, fin=fin, mask=mask) for length, opcode, fin, mask in parts
    )
    meter, passed, position = FrameMeter(MANY, MANY, MANY, 0.0), b"", 0
    while position < len(stream):
        size = sizes[position % len(sizes)]
        meter.receive(stream[position : position + size])
        passed += meter.take(0.0)
        position += size
    assert passed == stream
    assert meter.held == 0
    assert meter.wait(0.0) is None


@settings(deadline=None)
@given(st.binary(max_size=3000), st.floats(1, 100), st.integers(20, 10_000))
def test_any_bytes_pass_in_the_end(stream: bytes, rate: float, bytes_: int) -> None:
    meter, now, passed = FrameMeter(rate, rate, bytes_, 0.0), 0.0, b""
    meter.receive(stream)
    while True:
        passed += meter.take(now)
        wait = meter.wait(now)
        if wait is None:
            break
        assert wait > 0
        now += wait
    # The held bytes are the beginning of a header.
    assert stream.startswith(passed)
    assert len(stream) - len(passed) == meter.held < 14


def test_no_more_frames_pass_than_may() -> None:
    meter = FrameMeter(10, 40, MANY, 0.0)
    one = frame(b"", PONG)
    meter.receive(one * 100_000)
    assert len(meter.take(0.0)) == 40 * len(one)
    assert meter.take(0.0) == b""
    assert meter.wait(0.0) == 1.0
    assert len(meter.take(1.0)) == 10 * len(one)
    assert len(meter.take(1000.0)) == 40 * len(one)


def test_fragments_count_as_frames() -> None:
    meter = FrameMeter(10, 2, MANY, 0.0)
    start, more = frame(b"{", fin=False), frame(b" ", CONTINUATION, fin=False)
    meter.receive(start + more * 3)
    assert meter.take(0.0) == start + more


def test_no_more_bytes_pass_than_may() -> None:
    meter = FrameMeter(MANY, MANY, 1000, 0.0)
    whole = frame(bytes(3000))
    meter.receive(whole)
    assert len(meter.take(0.0)) == 1000
    assert meter.wait(0.0) == 0.25
    assert len(meter.take(1.0)) == 1000
    assert len(meter.take(2.0)) == 1000
    assert len(meter.take(3.0)) == len(whole) - 3000


def test_a_frame_of_any_announced_length_is_no_trouble() -> None:
    meter = FrameMeter(MANY, MANY, MANY, 0.0)
    meter.receive(b"\x81\xff" + b"\xff" * 8 + b"mask" + b"data")
    assert len(meter.take(0.0)) == 18
    meter.receive(b"more")
    assert meter.take(0.0) == b"more"
