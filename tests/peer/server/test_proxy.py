"""Reaching the signaling server through the proxy that this machine's settings name."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import traceback
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from peer.errors import ServerUnreachable
from peer.server.client import SignalingClient
from signaling.config import Listener, ServerConfig
from signaling.messages import Hello
from signaling.server import SignalingServer
from signaling.tls import server_context
from tests.support.links.rooms import running_server
from tests.support.processes.leftovers import nothing_left_behind
from tests.support.processes.logged import complaints
from tests.support.servers.certificates import make_certificate

HELLO = Hello(code=True)
HOST = "peerline.test"
"""A name that the proxy alone can resolve (RFC 6761, 6.2)."""


@contextlib.asynccontextmanager
async def proxy(answer: bytes | None = None) -> AsyncIterator[tuple[str, list[str]]]:
    """A proxy that connects to 127.0.0.1 (RFC 9110, 9.3.6), or only gives an answer.

    Yields:
        Its URL, and the first lines of the requests so far.
    """
    requests: list[str] = []
    relays: set[asyncio.Task[None]] = set()

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65_536):
                writer.write(data)
        writer.close()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = (await reader.readuntil(b"\r\n\r\n")).decode()
        requests.append(request)
        if answer is not None:
            writer.write(answer)
            writer.close()
            return
        port = request.split()[1].rpartition(":")[2]
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", int(port))
        writer.write(b"HTTP/1.1 200 Go ahead\r\n\r\n")
        for source, drain in ((reader, inner_writer), (inner_reader, writer)):
            relays.add(asyncio.ensure_future(relay(source, drain)))

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", requests
    if relays:
        await asyncio.wait(relays)


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """No proxy but those that a test sets."""
    for name in ("http", "https", "ws", "wss", "socks", "all", "no"):
        monkeypatch.delenv(f"{name}_proxy", raising=False)
        monkeypatch.delenv(f"{name}_proxy".upper(), raising=False)
    return monkeypatch


async def test_the_proxy_leads_to_a_server_out_there(settings: pytest.MonkeyPatch) -> None:
    async with nothing_left_behind(), running_server() as server, proxy() as (url, requests):
        settings.setenv("HTTP_PROXY", url.replace("//", "//me:secret@"))
        port = server.urls[0].rpartition(":")[2]
        client = await SignalingClient.join(f"http://{HOST}:{port}", HELLO)
        assert client.welcome.code
        await client.close()
        assert requests[0].startswith(f"CONNECT {HOST}:{port} HTTP/1.1\r\n")
        assert "Proxy-Authorization: Basic bWU6c2VjcmV0\r\n" in requests[0]
        assert "User-Agent: peerline\r\n" in requests[0]


async def test_tls_is_with_the_server_and_not_with_the_proxy(
    settings: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asyncio.get_running_loop().set_debug(False)  # it logs handshakes that fail on purpose
    files = make_certificate(tmp_path)
    trust = ssl.create_default_context(cafile=str(files.certificate))
    trust.check_hostname = False  # it is for 127.0.0.1
    context = server_context(files.certificate, files.key)
    config = ServerConfig(listeners=(Listener("127.0.0.1", 0, context),))
    async with nothing_left_behind(), SignalingServer(config) as server, proxy() as (url, _):
        settings.setenv("HTTPS_PROXY", url)
        address = f"https://{HOST}:{server.urls[0].rpartition(':')[2]}"
        client = await SignalingClient.join(address, HELLO, ssl=trust)
        assert client.welcome.code
        await client.close()
        with pytest.raises(ServerUnreachable, match=r"peerline.test:\d+ is not trusted"):
            await SignalingClient.join(address, HELLO)


async def test_no_proxy_leads_to_this_machine(settings: pytest.MonkeyPatch) -> None:
    async with nothing_left_behind(), running_server() as server, proxy(b"") as (url, requests):
        settings.setenv("HTTP_PROXY", url)
        port = server.urls[0].rpartition(":")[2]
        for host in ("127.0.0.1", "localhost"):
            client = await SignalingClient.join(f"http://{host}:{port}", HELLO)
            await client.close()
        assert requests == []


async def test_a_server_that_is_excepted_is_reached_without(settings: pytest.MonkeyPatch) -> None:
    resolve = socket.getaddrinfo

    def resolve_here(host: str, *args: Any, **kwargs: Any) -> Any:
        return resolve("127.0.0.1" if host == HOST else host, *args, **kwargs)

    async with nothing_left_behind(), running_server() as server, proxy(b"") as (url, requests):
        settings.setattr(socket, "getaddrinfo", resolve_here)
        settings.setenv("HTTP_PROXY", url)
        settings.setenv("NO_PROXY", f"other.test,{HOST}")
        port = server.urls[0].rpartition(":")[2]
        client = await SignalingClient.join(f"http://{HOST}:{port}", HELLO)
        await client.close()
        assert requests == []


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", "it answers 403"),
        (b"HTTP/1.1 407 Who are you\r\nContent-Length: 0\r\n\r\n", "it answers 407"),
        (b"SSH-2.0-OpenSSH_9.6\r\n\r\n", "does not work as a proxy"),
        (b"", "does not work as a proxy"),
    ],
)
async def test_a_proxy_that_does_not_lead_there_is_told(
    answer: bytes, sentence: str, settings: pytest.MonkeyPatch
) -> None:
    async with nothing_left_behind(), proxy(answer) as (url, _):
        settings.setenv("HTTP_PROXY", url)
        with pytest.raises(ServerUnreachable, match=f"proxy.*{sentence}"):
            await SignalingClient.join(f"http://{HOST}", HELLO)


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("http://me:secret@127.0.0.1:1", "cannot be reached through this machine's proxy"),
        ("proxy.test:secret", "needs an address such as http://"),
        ("http://me:secret", "or of this machine's proxy, is not valid"),
        ("http://secret@127.0.0.1:1", "needs an address such as http://"),
        ("ftp://me:secret@127.0.0.1:1", "needs an address such as http://"),
        ("socks5h://me:secret@127.0.0.1:1", "python-socks|cannot be reached"),
    ],
)
async def test_a_proxy_that_is_none_is_told_without_its_password(
    url: str, sentence: str, settings: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    settings.setenv("HTTPS_PROXY", url)
    async with nothing_left_behind():
        with pytest.raises(ServerUnreachable, match=sentence) as caught:
            await SignalingClient.join(f"https://{HOST}", HELLO)
    shown = "".join(traceback.format_exception(caught.value, limit=0))
    assert "secret" not in shown
    assert complaints(caplog) == []
