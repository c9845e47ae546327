"""The chat's terminal: what comes in appears above the input line and does not tear it."""

from __future__ import annotations

import asyncio
import io
import os
import sys
from pathlib import Path

import pytest

from peer.cli.commands.chat.faces import LineFace
from peer.cli.terminal.screen import Screen
from peer.cli.terminal.stdin import LineReader
from tests.support.processes.terminal import Terminal, clean_environment

FACE = """
import asyncio, sys
from peer.cli.commands.chat.faces import TerminalFace

async def main():
    async with TerminalFace(["/send", "/quit"]) as face:
        face.toolbar("Waiting")
        async for line in face.lines():
            if line == "soon":
                asyncio.get_running_loop().call_later(
                    0.3, face.message, "bob", sys.argv[1].encode().decode("unicode_escape")
                )
                continue
            face.echo("alice", line, "✓")
    print("left", file=sys.stderr)

asyncio.run(main())
"""


def face(tmp_path: Path, message: str = "hello") -> Terminal:
    (tmp_path / "face.py").write_text(FACE, encoding="utf-8")
    return Terminal(
        message,
        command=(sys.executable, "face.py"),
        env=clean_environment(tmp_path / "home"),
        cwd=tmp_path,
        columns=60,
        rows=12,
    )


@pytest.mark.terminal
def test_message_while_typing_appears_above_the_line_that_is_typed(tmp_path: Path) -> None:
    with face(tmp_path, "hello there") as terminal:
        terminal.expect_display("> ?", "Waiting")
        terminal.enter("soon")
        terminal.type_in("half a sen")
        terminal.expect_display("bob: hello there", "> half a sen", "Waiting")
        terminal.enter("tence")
        terminal.expect_display("bob: hello there", "alice: half a sentence ✓", "> ?", "Waiting")


@pytest.mark.terminal
def test_escape_sequences_in_a_message_are_not_obeyed(tmp_path: Path) -> None:
    with face(tmp_path, r"\x1b[2J\x1b]0;title\x07\nsecond\u202eline") as terminal:
        terminal.expect_display("> ?", "Waiting")
        terminal.enter("soon")
        terminal.expect_display(r"bob: \[2J\]0;title", "    secondline", "> ?", "Waiting")


@pytest.mark.terminal
def test_end_of_input_leaves_a_clean_terminal(tmp_path: Path) -> None:
    with face(tmp_path) as terminal:
        terminal.expect_display("> ?", "Waiting")
        terminal.type_in("\x04")
        assert terminal.wait() == 0
        assert terminal.lines() == ["left"]


async def test_pipe_gets_a_line_a_message_and_nothing_else(
    capsys: pytest.CaptureFixture[str],
) -> None:
    reading, writing = os.pipe()
    try:
        os.write(writing, b"one\n/quit\n")
        os.close(writing)
        notices = io.StringIO()
        async with LineFace(Screen(notices), LineReader(reading)) as face:
            face.notice("Connected to ", ("bob", "name"), ".")
            face.message("bob", "two\nlines \x1b[31m")
            face.echo("alice", "mine", "✓")
            face.echo("alice", "lost", "✗")
            async with asyncio.timeout(5):
                assert [line async for line in face.lines()] == ["one", "/quit"]
    finally:
        os.close(reading)
    assert capsys.readouterr().out == "bob: two\nbob: lines [31m\n"
    assert notices.getvalue() == "Connected to bob.\nNot delivered: lost\n"
