"""As many open files as the system allows, and places for what there is."""

from __future__ import annotations

import subprocess
import sys

import pytest

from signaling import LimitsConfig
from signaling.descriptors import free_descriptors
from signaling.server import _within


def run(program: str) -> str:
    """A process of its own: a limit that was lowered cannot be raised again."""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout.strip()


@pytest.mark.parametrize(("soft", "hard", "after"), [(64, 512, 512), (512, 512, 512)])
def test_the_limit_is_raised_to_the_hard_one(soft: int, hard: int, after: int) -> None:
    program = (
        "import resource as r\n"
        "from signaling.descriptors import free_descriptors, raise_descriptor_limit\n"
        f"r.setrlimit(r.RLIMIT_NOFILE, ({soft}, {hard}))\n"
        "print(raise_descriptor_limit(), *r.getrlimit(r.RLIMIT_NOFILE), free_descriptors())"
    )
    told, now, most, free = map(int, run(program).split())
    assert (told, now, most) == (after, after, hard)
    assert after - 64 < free < after


def test_what_is_open_is_not_free() -> None:
    before = free_descriptors()
    with open("/dev/null"), open("/dev/null"):
        assert free_descriptors() == before - 2


def test_connections_are_bounded_by_descriptors() -> None:
    limits = LimitsConfig(connections=10_000, visitors=1024)
    assert _within(100_000, limits) == limits
    few = _within(800, limits)
    assert (few.visitors, few.connections) == (200, 600)
    none = _within(-50, limits)
    assert (none.visitors, none.connections) == (8, 8)
