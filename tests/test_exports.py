"""Packages offer the names that they list, and importing them costs only what is used."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

PACKAGES = ["peer", "signaling", "peer.sctp", "peer.transfer.protocol"]


@pytest.mark.parametrize("name", PACKAGES)
def test_every_listed_name_exists(name: str) -> None:
    module = importlib.import_module(name)
    assert module.__all__, f"{name} lists no public names"
    assert len(set(module.__all__)) == len(module.__all__)
    for public in module.__all__:
        assert getattr(module, public) is not None
    assert set(module.__all__) <= set(dir(module))


@pytest.mark.parametrize(
    ("statement", "unwanted"),
    [
        ("import peer", ["aiortc", "aiohttp", "av", "cryptography", "rich", "click"]),
        ("import peer.sctp", ["aiortc", "aiohttp", "asyncio"]),
        ("import peer.transfer.protocol", ["aiortc", "aiohttp", "asyncio"]),
        ("import signaling", ["aiortc", "aiohttp"]),
        ("import signaling.messages", ["aiohttp", "peer"]),
        ("import peer.cli", ["aiortc", "aiohttp", "prompt_toolkit", "zeroconf"]),
    ],
)
def test_import_is_cheap(statement: str, unwanted: list[str]) -> None:
    program = f"{statement}\nimport sys\nprint(*(m for m in {unwanted!r} if m in sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.split() == []
