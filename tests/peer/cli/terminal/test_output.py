"""Nothing that comes from somewhere else can do anything to a terminal, whichever way it takes."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from peer.cli.commands.chat.faces import LineFace
from peer.cli.terminal.output import Guarded, log_to_stderr
from peer.cli.terminal.screen import Screen
from peer.cli.terminal.stdin import LineReader
from peer.errors import PeerError
from tests.support.processes.terminal import PEERLINE, Piped

HOSTILE = "\x1b]0;PWNED\x07\x1b[2J\r\x9b31m\b\u202etxt.exe\u2028\x7f\ud800"
"""Characters that control a terminal or deceive the eye: ESC, C1, CR, backspace, bidi, ..."""


def dangerous(text: str) -> set[str]:
    return {char for char in text if not char.isprintable() and char != "\n"}


@contextlib.contextmanager
def guarded() -> Iterator[io.StringIO]:
    stream = io.StringIO()
    with contextlib.redirect_stderr(Guarded(stream)):
        yield stream


def test_prints_and_tracebacks_are_spelled_out() -> None:
    with guarded() as stderr:
        print(HOSTILE, file=sys.stderr)
        try:
            raise PeerError(HOSTILE)
        except PeerError as error:
            sys.__excepthook__(type(error), error, error.__traceback__)
        sys.stderr.writelines([HOSTILE, "\n"])
    assert stderr.getvalue().count("\\x1b]0;PWNED\\x07\\x1b[2J") == 3
    assert dangerous(stderr.getvalue()) == set()


def test_log_is_one_line_an_event_and_its_tracebacks_stand_apart() -> None:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    with guarded() as stderr:
        try:
            log_to_stderr(logging.INFO)
            try:
                raise PeerError(f"{HOSTILE}\npeerline: Everything is in place.")
            except PeerError:
                logging.getLogger(HOSTILE).exception("%s\n%s", HOSTILE, "peerline: Saved.")
        finally:
            root.handlers[:], root.level = before
    shown = stderr.getvalue()
    assert dangerous(shown) == set()
    assert not any(line.startswith("peerline:") for line in shown.splitlines())


def test_screen_spells_out_whatever_it_is_given() -> None:
    stream = io.StringIO()
    screen = Screen(stream, terminal=False)
    screen.say(HOSTILE, (HOSTILE, "name"))
    screen.status(HOSTILE)
    screen.ask(HOSTILE)
    assert dangerous(stream.getvalue()) == set()
    coloured = io.StringIO()
    Screen(coloured, terminal=True, environ={}).say((HOSTILE, "name"))
    assert "\x1b]" not in coloured.getvalue()
    assert "\x1b[2J" not in coloured.getvalue()


def test_payload_that_the_encoding_lacks_is_spelled_out_and_ends_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", Guarded(io.TextIOWrapper(written, "latin-1")))
    LineFace(Screen(io.StringIO()), LineReader()).message("zoë", "\U0001f600 ok")
    assert written.getvalue().decode("latin-1") == "zoë: \\U0001f600 ok\n"


def test_guard_is_around_the_whole_command(env: dict[str, str], tmp_path: Path) -> None:
    for arguments in (["send", HOSTILE[:-1]], [f"--{HOSTILE[:-1]}"], [HOSTILE[:-1]]):
        with Piped(*arguments, env=env, cwd=tmp_path) as command:
            assert command.wait() == 2
            assert "PWNED" in command.err.text
            assert dangerous(command.err.text) == set()


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_descriptor_is_no_fault_and_given_to_no_socket(
    closed: str, env: dict[str, str], tmp_path: Path
) -> None:
    line = f'exec "$@" {closed}'
    command = ["sh", "-c", line, "sh", *PEERLINE]
    ended = subprocess.run([*command, "--version"], env=env, cwd=tmp_path, capture_output=True)
    assert (ended.returncode, ended.stderr) == (0, b"")
    ended = subprocess.run(
        [*command, "receive", "--yes", "7-acid-thorn", "--server", "http://127.0.0.1:1"],
        env=env,
        cwd=tmp_path,
        capture_output=True,
    )
    assert ended.returncode == 3


def test_reader_that_goes_away_ends_the_command_without_a_word(
    env: dict[str, str], tmp_path: Path
) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        ended = subprocess.run(
            [*PEERLINE, "--help"], env=env, cwd=tmp_path, stdout=writing, stderr=subprocess.PIPE
        )
    finally:
        os.close(writing)
    assert ended.stderr == b""
