"""Processes of one user on one machine find each other by room number."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from peer.cli.local_server.registry import Entry, NumberTaken, find, publish, runtime_folder

HOLDER = """
import sys
from pathlib import Path
from peer.cli.local_server.registry import publish
with publish(Path(sys.argv[1]), "7", 4321):
    print("published", flush=True)
    sys.stdin.read()
"""


def test_published_entry_is_found_and_gone_afterwards(tmp_path: Path) -> None:
    with publish(tmp_path, "7", 4321):
        assert find(tmp_path, "7") == Entry("7", 4321, os.getpid())
        assert find(tmp_path, "8") is None
    assert find(tmp_path, "7") is None
    assert list(tmp_path.iterdir()) == []


def test_taken_number_is_refused_and_the_first_entry_stays(tmp_path: Path) -> None:
    with publish(tmp_path, "7", 4321):
        with pytest.raises(NumberTaken), publish(tmp_path, "7", 1111):
            pass
        assert find(tmp_path, "7") == Entry("7", 4321, os.getpid())
    assert list(tmp_path.iterdir()) == []


def test_entry_of_a_killed_process_is_ignored_removed_and_its_number_free(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"published\n"
        assert find(tmp_path, "7") == Entry("7", 4321, holder.pid)
        with pytest.raises(NumberTaken), publish(tmp_path, "7", 1111):
            pass
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    assert (tmp_path / "7.json").exists()
    assert find(tmp_path, "7") is None
    assert not (tmp_path / "7.json").exists()


def test_number_of_the_dead_can_be_taken_over(tmp_path: Path) -> None:
    (tmp_path / "7.json").write_text('{"number": "7", "port": 1, "pid": 1}')
    with publish(tmp_path, "7", 4321):
        assert find(tmp_path, "7") == Entry("7", 4321, os.getpid())


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"\xff\xfe",
        b'{"number": "8", "port": 80, "pid": 1}',
        b'{"number": "7", "port": 0, "pid": 1}',
        b'{"number": "7", "port": "x", "pid": 1}',
        b'{"number": "7"}',
    ],
)
def test_damaged_entry_counts_as_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "7.json").write_bytes(content)
    assert find(tmp_path, "7") is None


@pytest.mark.parametrize("number", ["", "../7", "7/..", "seven", "٧", "1234567890"])
def test_what_is_no_number_never_becomes_a_path(tmp_path: Path, number: str) -> None:
    with pytest.raises(ValueError, match="not a room number"):
        find(tmp_path, number)


def test_runtime_folder_is_made_private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    folder = runtime_folder()
    assert folder == tmp_path / "peerline"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_runtime_folder_that_others_could_write_is_closed_to_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    (tmp_path / "peerline").mkdir()
    (tmp_path / "peerline").chmod(0o777)
    folder = runtime_folder()
    assert folder is not None
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_runtime_folder_that_is_a_link_is_not_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "peerline").symlink_to(tmp_path / "elsewhere")
    assert runtime_folder() is None


def test_no_place_for_the_folder_means_no_registry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "peerline").write_text("")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    assert runtime_folder() is None


def test_folder_inside_one_that_others_may_write_is_not_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    monkeypatch.setattr("platformdirs.user_runtime_path", lambda *_, **__: tmp_path / "open" / "p")
    assert runtime_folder() is None
