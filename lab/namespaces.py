"""Network namespaces: machines of their own, as far as the network goes."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import shutil
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

__all__ = ["loopback_only", "python_in", "run"]

ROOT = Path(__file__).resolve().parents[1]


async def run(*command: str) -> None:
    """Run a command to its end, which must be a good one."""
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)}: {output.decode(errors='replace')}")


@contextlib.asynccontextmanager
async def loopback_only() -> AsyncIterator[str]:
    """A namespace that has no interface but `lo`; yields its name."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("making a network namespace needs root and the ip command")
    name = f"peerline-test-{secrets.token_hex(4)}"
    await run("ip", "netns", "add", name)
    try:
        await run("ip", "-n", name, "link", "set", "lo", "up")
        yield name
    finally:
        await run("ip", "netns", "delete", name)


@contextlib.asynccontextmanager
async def python_in(
    namespace: str, program: str, *arguments: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a Python program in a namespace; its output is there to read."""
    process = await asyncio.create_subprocess_exec(
        "ip",
        "netns",
        "exec",
        namespace,
        sys.executable,
        "-c",
        program,
        *arguments,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()
