"""`make demo` tells its story to the end, and fails aloud."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from tests.support.processes.terminal import ROOT, clean_environment


def test_demo_sends_a_folder_chats_and_cleans_up(tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    found = subprocess.run(
        [sys.executable, str(ROOT / "examples" / "demo.py")],
        env=clean_environment(tmp_path / "home", TMPDIR=str(scratch)),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=110,
    )
    assert found.returncode == 0, found.stdout + found.stderr
    assert "The SHA-256 of all 6 files is the same on both sides." in found.stdout
    assert "path: direct" in found.stdout
    assert "Now you, in two terminals:" in found.stdout
    assert list(scratch.iterdir()) == []


def test_demo_says_what_failed(tmp_path: Path) -> None:
    # An environment in which the command cannot even start.
    broken = tmp_path / "broken"
    (broken / "peer").mkdir(parents=True)
    (broken / "peer" / "__init__.py").write_text("raise SystemExit('broken')")
    environment = clean_environment(tmp_path / "home", TMPDIR=tempfile.gettempdir())
    found = subprocess.run(
        [sys.executable, str(ROOT / "examples" / "demo.py")],
        env={**environment, "PYTHONPATH": str(broken)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert found.returncode == 1
    assert "The demo failed: server ended with status 1" in found.stderr
