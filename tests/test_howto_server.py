"""The configurations of docs/howto/server.md work, with a real nginx and a real coturn."""

from __future__ import annotations

import asyncio
import contextlib
import re
import shutil
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import peer
import signaling
from signaling.errors import CloseCode
from tests.support.links.rooms import running_server
from tests.support.processes.leftovers import nothing_left_behind
from tests.support.servers.certificates import CertificateFiles, make_certificate
from tests.support.servers.clients import open_client
from tests.support.servers.coturn import free_port, listening

PAGE = Path(__file__).resolve().parent.parent / "docs" / "howto" / "server.md"


def block(language: str, replaced: dict[str, str]) -> str:
    """The page's only block of a language, with what differs here replaced."""
    text = PAGE.read_text(encoding="utf-8")
    (found,) = re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    config = str(found)
    for there, here in replaced.items():
        assert there in config
        config = config.replace(there, here)
    return config


@contextlib.asynccontextmanager
async def running(port: int, *command: str | Path) -> AsyncIterator[None]:
    """A server for as long as the block lasts, from when it listens."""
    program = shutil.which(command[0], path="/usr/local/bin:/usr/bin:/usr/sbin:/bin")
    if program is None:
        pytest.skip(f"{command[0]} is not installed")
    process = await asyncio.create_subprocess_exec(
        program, *command[1:], stdout=asyncio.subprocess.DEVNULL
    )
    try:
        await listening(port)
        yield
    finally:
        process.terminate()
        await process.wait()


@contextlib.asynccontextmanager
async def running_nginx(
    folder: Path, server: int, certificate: CertificateFiles
) -> AsyncIterator[str]:
    """The URL of an nginx, configured as the page says, before a server."""
    port = free_port()
    site = block(
        "nginx",
        {
            "listen 443 ssl": f"listen 127.0.0.1:{port} ssl",
            "peerline.example.org": "localhost",
            "/etc/ssl/peerline.crt": str(certificate.certificate),
            "/etc/ssl/peerline.key": str(certificate.key),
            "127.0.0.1:8080": f"127.0.0.1:{server}",
        },
    )
    config = folder / "nginx.conf"
    config.write_text(
        f"daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log;\n"
        f"events {{}}\nhttp {{\naccess_log off;\n{site}}}\n",
        encoding="utf-8",
    )
    async with running(port, "nginx", "-p", folder, "-c", config, "-e", folder / "error.log"):
        yield f"https://localhost:{port}"


async def test_peers_and_browsers_meet_behind_nginx(tmp_path: Path) -> None:
    certificate = make_certificate(tmp_path)
    trust = ssl.create_default_context(cafile=certificate.certificate)
    async with (
        nothing_left_behind(),
        running_server() as server,
        running_nginx(tmp_path, server.ports[0], certificate) as url,
        asyncio.timeout(60),
    ):
        async with (
            peer.host(url, ssl=trust) as first,
            peer.join(url, first.code, ssl=trust) as second,
        ):
            links = await asyncio.gather(first.link(), second.link())
            assert links[0].sas == links[1].sas
        async with open_client(url, origin=url, ssl=trust) as page:
            await page.join(room="demo")
        async with open_client(url, origin="https://evil.example", ssl=trust) as evil:
            assert await evil.closed() == CloseCode.ORIGIN_REFUSED


@pytest.mark.turn
async def test_peers_meet_through_coturn(tmp_path: Path) -> None:
    port = free_port()
    config = tmp_path / "turnserver.conf"
    config.write_text(
        block("ini", {"listening-port=3478": f"listening-port={port}"})
        + "listening-ip=127.0.0.1\nrelay-ip=127.0.0.1\nallow-loopback-peers\n"
        + f"log-file={tmp_path}/turn.log\npidfile={tmp_path}/turn.pid\nuserdb={tmp_path}/turn.db\n",
        encoding="utf-8",
    )
    listed = tmp_path / "ice.yaml"
    listed.write_text(
        block("yaml", {"peerline.example.org:3478": f"127.0.0.1:{port}"}), encoding="utf-8"
    )
    async with (
        nothing_left_behind(),
        running(port, "turnserver", "-c", config),
        running_server(signaling.read_ice_config(listed)) as server,
        asyncio.timeout(60),
    ):
        url = server.urls[0]
        async with (
            peer.host(url, relay_only=True) as first,
            peer.join(url, first.code, relay_only=True) as second,
        ):
            for link in await asyncio.gather(first.link(), second.link()):
                assert link.path is not None
                assert link.path.kind == "relayed"
