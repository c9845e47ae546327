"""The group of commands: help that is instant, mistakes that are named."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from peer.cli.app import run
from peer.version import VERSION

HEAVY = ("aiohttp", "aiortc", "asyncio", "cryptography", "prompt_toolkit", "rich", "zeroconf")


def test_version_is_the_packages(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert capsys.readouterr().out == f"peerline {VERSION}\n"


@pytest.mark.parametrize("argument", ["--help", "-h"])
def test_help_lists_the_commands_and_the_exit_statuses(
    argument: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([argument]) == 0
    shown = capsys.readouterr().out
    for word in ("send", "receive", "chat", "serve", "130  interrupted"):
        assert word in shown


def test_help_loads_none_of_the_heavy_libraries() -> None:
    program = (
        "import sys\n"
        "from peer.cli.app import run\n"
        "run(['--help'])\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)\n"
    )
    found = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert found.stderr.strip() == "[]"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["recieve-it"], "There is no command 'recieve-it'"),
        (["recive"], "Did you mean 'receive'?"),
        (["film.mkv"], "To send a file: peerline send film.mkv"),
        (["7-guitar-ocean"], "To receive with it: peerline receive 7-guitar-ocean"),
        (["https://x.org/#7-guitar-ocean"], "To receive with it: peerline receive"),
        (["--nonsense"], "No such option"),
        (["receive", "--engine", "usrsctp"], "'usrsctp' is not one of 'peerline', 'aiortc'"),
        ([], "Usage: peerline"),
    ],
)
def test_misuse_is_status_two_and_says_what_to_type(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == 2
    assert said in capsys.readouterr().err


def test_existing_file_without_a_verb_suggests_to_send_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "film").write_text("x")
    monkeypatch.chdir(tmp_path)
    assert run(["film"]) == 2
    assert "To send it: peerline send film" in capsys.readouterr().err


def test_broken_config_file_is_usage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "config.toml"
    path.write_text("sever = 1")
    monkeypatch.setenv("PEERLINE_CONFIG", str(path))
    assert run(["receive", "7-guitar-ocean"]) == 2
    assert "Did you mean `server`?" in capsys.readouterr().err


@pytest.mark.parametrize("command", [["send", "."], ["receive"], ["chat"]])
def test_an_unknown_engine_is_usage_wherever_it_is_named(
    command: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / "config.toml"
    path.write_text('engine = "usrsctp"')
    monkeypatch.delenv("PEERLINE_ENGINE", raising=False)
    monkeypatch.setenv("PEERLINE_CONFIG", str(path))
    assert run(command) == 2
    assert "'usrsctp' is not one of" in capsys.readouterr().err
    monkeypatch.setenv("PEERLINE_ENGINE", "raw")
    assert run(command) == 2
    assert "'raw' is not one of" in capsys.readouterr().err
