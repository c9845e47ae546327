"""Errors become one sentence and the exit status of the design's table."""

from __future__ import annotations

import asyncio
import errno
import os
import signal

import pytest

from peer import errors
from peer.cli.exit_status import UsageProblem, outcome, run
from signaling.errors import ConfigError, ListenError


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (UsageProblem("no"), 2),
        (errors.CodeError("not a code"), 2),
        (errors.ServerUnreachable("no server"), 3),
        (errors.ServerRefused("room_full"), 3),
        (errors.WrongCode(), 4),
        (errors.VerificationFailed("tampered"), 4),
        (errors.Refused(), 5),
        (errors.NoPath(), 6),
        (errors.LinkLost(), 7),
        (errors.PeerLeft(), 7),
        (errors.TransferBroken(), 7),
        (errors.IntegrityError("damaged"), 8),
        (errors.DiskError("full"), 9),
        (OSError(errno.ENOSPC, "No space left on device", "/out/x"), 9),
        (PermissionError(errno.EACCES, "Permission denied", "/out/x"), 9),
        (KeyboardInterrupt(), 130),
        (asyncio.CancelledError(), 130),
        (ZeroDivisionError("division by zero"), 1),
    ],
)
def test_status_of_each_kind_of_error(error: BaseException, status: int) -> None:
    ending = outcome(error)
    assert ending.status == status
    assert ending.sentence.endswith((".", ")"))
    assert "\n" not in ending.sentence


def test_disk_error_names_the_file() -> None:
    error = PermissionError(errno.EACCES, "Permission denied", "/out/film.mkv")
    assert outcome(error).sentence == "/out/film.mkv: Permission denied."


def test_broken_pipe_says_nothing() -> None:
    assert outcome(BrokenPipeError(errno.EPIPE, "Broken pipe")).sentence == ""


def test_named_error_in_a_group_wins_over_an_unexpected_one() -> None:
    group = ExceptionGroup("tasks", [ValueError("odd"), errors.WrongCode()])
    assert outcome(group).status == 4


def test_hostile_text_in_an_error_cannot_reach_the_terminal() -> None:
    assert "\x1b" not in outcome(errors.Refused("no\x1b[2J")).sentence


def test_wrong_server_configuration_is_usage_and_a_taken_port_is_the_server() -> None:
    assert outcome(ConfigError("ports must differ")).status == 2
    assert outcome(ListenError("port 80 is taken")).status == 3


def test_success_is_zero_and_silent(capsys: pytest.CaptureFixture[str]) -> None:
    async def body() -> None:
        await asyncio.sleep(0)

    assert run(body) == 0
    assert capsys.readouterr() == ("", "")


def test_error_is_one_line_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    async def body() -> None:
        raise errors.Refused

    assert run(body) == 5
    assert capsys.readouterr() == ("", "peerline: The other side refused the files.\n")


def test_verbose_shows_the_traceback_before_the_sentence(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async def body() -> None:
        raise errors.NoPath

    assert run(body, verbose=True) == 6
    shown = capsys.readouterr().err
    assert "Traceback" in shown
    assert shown.splitlines()[-1].startswith("peerline: No network path")


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_signal_ends_the_body_cleanly(number: signal.Signals, status: int) -> None:
    closed: list[str] = []

    async def body() -> None:
        try:
            os.kill(os.getpid(), number)
            await asyncio.Event().wait()
        finally:
            closed.append("closed")

    assert run(body) == status
    assert closed == ["closed"]


def test_signal_handlers_are_put_back() -> None:
    async def body() -> None:
        await asyncio.sleep(0)

    before = signal.getsignal(signal.SIGTERM)
    run(body)
    assert signal.getsignal(signal.SIGTERM) == before
