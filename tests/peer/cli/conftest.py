"""A home of its own for each test's commands, and a real signaling server for them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.processes.terminal import clean_environment, serving


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """An environment in which commands touch nothing but the test's own folder."""
    return clean_environment(tmp_path / "home")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a running ``peerline serve``."""
    with serving(tmp_path_factory.mktemp("server")) as url:
        yield url
