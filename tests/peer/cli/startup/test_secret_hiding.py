"""Secrets stand in no process list once the command has begun."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import sys
from peer.cli.startup.secret_hiding import hide_secrets
hide_secrets()
print("hidden", flush=True)
sys.stdin.read()
"""


WITHOUT_MEM = """
import os
def pwrite(*_):
    raise PermissionError
os.pwrite = pwrite
"""


def seen(
    arguments: list[str], program: str = PROGRAM, **environment: str
) -> tuple[list[bytes], list[bytes]]:
    """Arguments and environment of a process that has hidden its secrets, as others see them."""
    with subprocess.Popen(
        [sys.executable, "-c", program, *arguments],
        env={"PYTHONPATH": str(Path(__file__).parents[4]), **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == b"hidden\n"
        folder = Path(f"/proc/{process.pid}")
        found = tuple((folder / name).read_bytes() for name in ("cmdline", "environ"))
        process.stdin.close()
        assert process.wait() == 0
    arguments_seen, environment_seen = (
        [each for each in data.split(b"\0") if each] for data in found
    )
    return arguments_seen[3:], environment_seen


@pytest.mark.parametrize(
    "arguments",
    [
        ["receive", "7-guitar-ocean"],
        ["receive", "--yes", "https://example.org/#7-guitar-ocean", "--server", "https://x"],
        ["receive", "7", "guitar", "", "ocean"],
        ["chat", "vault", "--password=sesame"],
        ["recieve", "7-guitar-ocean"],
    ],
)
def test_only_the_name_of_the_command_stays(arguments: list[str]) -> None:
    assert seen(arguments)[0] == [arguments[0].encode()]


@pytest.mark.parametrize("arguments", [["send", "film.mkv"], ["serve", "--port", "80"], [], ["x"]])
def test_what_is_no_secret_stays(arguments: list[str]) -> None:
    assert seen(arguments)[0] == [each.encode() for each in arguments]


def test_sandbox_that_keeps_processes_from_their_own_memory_file_is_no_obstacle() -> None:
    arguments, environment = seen(
        ["receive", "7-guitar-ocean"], WITHOUT_MEM + PROGRAM, PEERLINE_CODE="7-guitar-ocean"
    )
    assert arguments == [b"receive"]
    assert b"PEERLINE_CODE=" in environment


def test_secrets_of_the_environment_are_gone_and_the_rest_stays() -> None:
    _, environment = seen(
        ["send"], PEERLINE_CODE="7-guitar-ocean", OTHER="ünchanged", PEERLINE_PASSWORD="sesame"
    )
    assert {b"PEERLINE_CODE=", b"PEERLINE_PASSWORD=", "OTHER=ünchanged".encode()} < {*environment}
    assert not any(b"guitar" in each or b"sesame" in each for each in environment)


def test_the_command_does_so_before_anything_else() -> None:
    program = "import sys, peer.cli; print(*sorted(sys.modules))"
    loaded = subprocess.run(
        [sys.executable, "-S", "-c", program],
        env={"PYTHONPATH": str(Path(__file__).parents[4])},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert "peer.cli.startup.secret_hiding" in loaded
    assert not {"typing", "click", "pathlib", "asyncio", "logging"} & {*loaded}
