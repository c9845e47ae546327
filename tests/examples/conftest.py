"""A signaling server for the examples, which run as processes of their own."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.processes.terminal import ROOT, Piped, clean_environment, serving

StartExample = Callable[..., Piped]


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """An environment in which programs touch nothing but the test's own folder."""
    return clean_environment(tmp_path / "home", PYTHONUNBUFFERED="1")


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a running ``peerline serve`` without STUN and TURN."""
    with serving(tmp_path_factory.mktemp("server")) as url:
        yield url


@pytest.fixture
def start(env: dict[str, str], server: str, tmp_path: Path) -> Iterator[StartExample]:
    """Starts an example by its name; what is left at the end of the test is killed."""
    with ExitStack() as stack:

        def start_example(name: str, *arguments: str, server: str = server) -> Piped:
            script = str(ROOT / "examples" / f"{name}.py")
            process = Piped(
                *("--server", server, *arguments),
                env=env,
                cwd=tmp_path,
                command=(sys.executable, script),
            )
            return stack.enter_context(process)

        yield start_example
