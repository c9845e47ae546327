"""Lines from a pipe, a file and a terminal, with nothing left behind."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from peer.cli.terminal.stdin import LineReader


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reading, writing = os.pipe()
    ends = {reading, writing}
    yield reading, writing
    for end in ends:
        with contextlib.suppress(OSError):
            os.close(end)


async def every(reader: LineReader) -> list[str]:
    lines = []
    while (line := await reader.readline()) is not None:
        lines.append(line)
    return lines


async def test_lines_come_one_by_one_and_the_end_is_none(pipe: tuple[int, int]) -> None:
    os.write(pipe[1], b"one\ntwo\r\n\nlast without end")
    os.close(pipe[1])
    assert await every(LineReader(pipe[0])) == ["one", "two", "", "last without end"]


async def test_letter_cut_in_two_is_put_together(pipe: tuple[int, int]) -> None:
    reader = LineReader(pipe[0])
    waiting = asyncio.ensure_future(reader.readline())
    for byte in "né日\n".encode():
        os.write(pipe[1], bytes([byte]))
        await asyncio.sleep(0)
    assert await waiting == "né日"


async def test_bytes_that_are_no_text_do_not_end_the_input(pipe: tuple[int, int]) -> None:
    os.write(pipe[1], b"a\xffb\n\xe6")
    os.close(pipe[1])
    assert await every(LineReader(pipe[0])) == ["a\ufffdb", "\ufffd"]


async def test_waiting_can_be_cancelled_and_taken_up_again(pipe: tuple[int, int]) -> None:
    threads = threading.active_count()
    reader = LineReader(pipe[0])
    waiting = asyncio.ensure_future(reader.readline())
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    os.write(pipe[1], b"later\n")
    assert await reader.readline() == "later"
    assert threading.active_count() == threads


async def test_regular_file_is_read_although_it_cannot_be_watched(tmp_path: Path) -> None:
    path = tmp_path / "input"
    path.write_bytes(b"one\ntwo")
    descriptor = os.open(path, os.O_RDONLY)
    try:
        assert await every(LineReader(descriptor)) == ["one", "two"]
    finally:
        os.close(descriptor)


async def test_null_device_is_empty() -> None:
    descriptor = os.open(os.devnull, os.O_RDONLY)
    try:
        assert await LineReader(descriptor).readline() is None
    finally:
        os.close(descriptor)


async def test_terminal_is_read_without_making_it_non_blocking() -> None:
    ours, theirs = os.openpty()
    try:
        os.write(ours, b"y\n")
        assert await LineReader(theirs).readline() == "y"
        assert os.get_blocking(theirs)
    finally:
        os.close(ours)
        os.close(theirs)
