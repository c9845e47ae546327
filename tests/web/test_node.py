"""Runs the page's unit tests under Node: every `*.test.js` here is one case."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.browsers.node import node_command

HERE = Path(__file__).resolve().parent
FILES = sorted(HERE.rglob("*.test.js"))


def test_node_is_there() -> None:
    assert shutil.which("node"), "Node runs the page's unit tests: apt-get install nodejs"


def test_there_are_tests_to_run() -> None:
    assert FILES


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.relative_to(HERE).as_posix())
def test_node(file: Path) -> None:
    done = subprocess.run(
        [*node_command(), "--test", "--test-reporter=spec", str(file)],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    # Failed tests are repeated at the end, with their errors.
    assert done.returncode == 0, f"{done.stdout[-6000:]}\n{done.stderr[-2000:]}"
