"""HTTPS with a certificate from files."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from pathlib import Path

import aiohttp
import pytest

from signaling import LimitsConfig, Listener, ServerConfig
from signaling.errors import ConfigError
from signaling.messages import Leave, PeerEvent
from signaling.server import SignalingServer
from signaling.tls import server_context
from tests.support.processes.leftovers import nothing_left_behind, open_sockets
from tests.support.processes.logged import complaints
from tests.support.servers.certificates import make_certificate
from tests.support.servers.clients import open_client
from tests.support.servers.raw_websocket import request
from tests.support.servers.websocket_frames import PONG, frame
from tests.support.waiting import until


async def test_https_and_http_clients_meet_in_one_room(tmp_path: Path) -> None:
    files = make_certificate(tmp_path)
    trust = ssl.create_default_context(cafile=str(files.certificate))
    context = server_context(files.certificate, files.key)
    config = ServerConfig(listeners=(Listener(), Listener(ssl=context)))
    async with nothing_left_behind(), SignalingServer(config) as server:
        plain, secure = server.urls
        assert secure.startswith("https://")
        async with open_client(secure, ssl=trust) as alice, open_client(plain) as bob:
            await alice.join(room="demo")
            await bob.join(room="demo")
            assert (await alice.expect(PeerEvent)).peer == bob.peer
        async with (
            aiohttp.ClientSession() as session,
            session.get(secure + "/healthz", ssl=trust) as response,
        ):
            assert response.status == 200


async def test_the_end_of_a_client_is_no_fault(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    files = make_certificate(tmp_path)
    trust = ssl.create_default_context(cafile=str(files.certificate))
    config = ServerConfig((Listener(ssl=server_context(files.certificate, files.key)),))
    async with nothing_left_behind(), SignalingServer(config) as server:
        async with open_client(server.urls[0], ssl=trust) as alice:
            await alice.join(room="demo")
        async with open_client(server.urls[0], ssl=trust) as bob:
            await bob.join(room="demo")
            await bob.send(Leave())
    assert [r.message for r in caplog.records if r.levelno >= logging.ERROR] == []


async def test_a_client_that_ends_while_it_is_not_read_from_keeps_no_socket(tmp_path: Path) -> None:
    files = make_certificate(tmp_path)
    trust = ssl.create_default_context(cafile=str(files.certificate))
    config = ServerConfig(
        (Listener(ssl=server_context(files.certificate, files.key)),),
        limits=LimitsConfig(close_timeout=0.2, error_window=0.2),
    )
    handshake = (
        b"GET /v1/ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
        b"Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: peerline.signal.v1\r\n\r\n"
    )
    async with nothing_left_behind(), SignalingServer(config) as server:
        before = open_sockets()
        for _ in range(4):
            _, writer = await asyncio.open_connection("127.0.0.1", server.port, ssl=trust)
            writer.write(handshake + frame(b"", PONG) * 50_000)
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
        await until(lambda: not open_sockets() - before)


async def test_plain_http_says_where_https_is(tmp_path: Path) -> None:
    files = make_certificate(tmp_path)
    context = server_context(files.certificate, files.key)
    config = ServerConfig(listeners=(Listener(), Listener(ssl=context)))
    async with (
        SignalingServer(config) as server,
        aiohttp.ClientSession() as session,
        session.get(server.urls[0] + "/healthz") as response,
    ):
        assert (await response.json())["tls_port"] == server.ports[1]


async def test_plain_http_to_the_https_port_is_dropped_without_a_word_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    # As outside of tests: asyncio logs failed handshakes in its debug mode.
    asyncio.get_running_loop().set_debug(False)
    files = make_certificate(tmp_path)
    context = server_context(files.certificate, files.key)
    config = ServerConfig(listeners=(Listener(ssl=context),))
    async with nothing_left_behind(), SignalingServer(config) as server:
        answer = await request(server.port, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert not answer.startswith(b"HTTP/1.1 200")
    assert complaints(caplog, logging.NOTSET) == []


def test_certificate_and_key_may_be_one_file(tmp_path: Path) -> None:
    files = make_certificate(tmp_path)
    both = tmp_path / "both.pem"
    both.write_bytes(files.certificate.read_bytes() + files.key.read_bytes())
    assert isinstance(server_context(both), ssl.SSLContext)


def test_bad_files_are_one_sentence_each(tmp_path: Path) -> None:
    files = make_certificate(tmp_path)
    other = tmp_path / "other"
    other.mkdir()
    stranger = make_certificate(other)
    locked = tmp_path / "locked"
    locked.mkdir()
    encrypted = make_certificate(locked, passphrase=b"hush")
    text = tmp_path / "text.pem"
    text.write_text("not a certificate")
    for certificate, key, said in (
        (tmp_path / "missing.pem", None, "cannot be read: No such file"),
        (tmp_path, None, "cannot be read: Is a directory"),
        (files.certificate, tmp_path / "missing.pem", "cannot be read"),
        (text, None, "is not a PEM certificate"),
        (files.certificate, None, "is not a PEM certificate with its key"),
        (files.certificate, text, "are not PEM files"),
        (files.certificate, stranger.key, "do not belong together"),
        (encrypted.certificate, encrypted.key, "passphrase"),
    ):
        with pytest.raises(ConfigError, match=said) as caught:
            server_context(certificate, key)
        assert "\n" not in str(caught.value)
