"""A real coturn on the loopback interface."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from signaling.ice_servers import IceServer

__all__ = ["Coturn", "running_coturn"]

USER = "alice"
PASSWORD = "secret of the test"


@dataclass
class Coturn:
    """A running server."""

    port: int
    process: asyncio.subprocess.Process

    def entry(self, transport: str = "udp", credential: str = PASSWORD) -> IceServer:
        """How a list of ICE servers names it."""
        return IceServer(
            urls=(f"turn:127.0.0.1:{self.port}?transport={transport}",),
            username=USER,
            credential=credential,
        )

    async def kill(self) -> None:
        """End it without a goodbye to its clients."""
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()


@contextlib.asynccontextmanager
async def running_coturn(directory: Path) -> AsyncIterator[Coturn]:
    """Start coturn and wait until it listens; files go to `directory`."""
    program = shutil.which("turnserver")
    if program is None:
        pytest.skip("coturn is not installed")
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        program,
        "-n",  # no configuration file
        "--listening-ip=127.0.0.1",
        "--relay-ip=127.0.0.1",
        f"--listening-port={port}",
        "--allow-loopback-peers",
        "--no-cli",
        "--no-tls",
        "--no-dtls",
        "--no-rfc5780",
        "--lt-cred-mech",
        f"--user={USER}:{PASSWORD}",
        "--realm=test.example",
        "--no-stdout-log",
        f"--log-file={directory / 'turn.log'}",
        "--simple-log",
        f"--pidfile={directory / 'turn.pid'}",
        f"--userdb={directory / 'turn.db'}",
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    server = Coturn(port, process)
    try:
        await listening(port)
        yield server
    finally:
        await server.kill()


def free_port() -> int:
    """A port that was free a moment ago, for TCP and UDP."""
    with (
        socket.socket(socket.AF_INET, socket.SOCK_STREAM) as tcp,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
    ):
        tcp.bind(("127.0.0.1", 0))
        port: int = tcp.getsockname()[1]
        udp.bind(("127.0.0.1", port))
        return port


async def listening(port: int) -> None:
    """Wait until something accepts connections on the port."""
    async with asyncio.timeout(20):
        while True:
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                await writer.wait_closed()
                return
            await asyncio.sleep(0.05)
