"""A home of its own for each test's commands, and a real signaling server for them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.processes.terminal import Piped, clean_environment


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """An environment in which commands touch nothing but the test's own folder."""
    return clean_environment(tmp_path / "home")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a running ``peerline serve``."""
    folder = tmp_path_factory.mktemp("server")
    ice = folder / "ice.yaml"
    ice.write_text("ice_servers: []\n", encoding="utf-8")
    with Piped(
        *("serve", "--host", "127.0.0.1", "--port", "0", "--ice-config", str(ice)),
        env=clean_environment(folder / "home"),
        cwd=folder,
    ) as process:
        yield process.err.expect(r"http://127\.0\.0\.1:\d+")[0]
