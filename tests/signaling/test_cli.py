"""The command, as a real process."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import socket
import ssl
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from click.testing import CliRunner

from signaling.cli import main, serve
from signaling.errors import CloseCode
from signaling.messages import Draining
from tests.support.servers.certificates import make_certificate
from tests.support.servers.clients import ENOUGH, open_client

ROOT = Path(__file__).resolve().parents[2]


class Server:
    """`python -m signaling` in a process of its own."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.said = ""

    async def read_until(self, text: str) -> None:
        assert self.process.stderr is not None
        async with asyncio.timeout(ENOUGH):
            while text not in self.said:
                line = await self.process.stderr.readline()
                assert line, self.said
                self.said += line.decode()

    async def end(self) -> tuple[int, str]:
        """Wait for it; its exit code and all it said on stderr."""
        async with asyncio.timeout(ENOUGH):
            out, err = await self.process.communicate()
        assert out == b"", "stdout is for payload"
        assert self.process.returncode is not None
        return self.process.returncode, self.said + err.decode()

    @property
    def url(self) -> str:
        found = re.search(r"https?://localhost:\d+|https?://127\.0\.0\.1:\d+", self.said)
        assert found, self.said
        return found[0]


@contextlib.asynccontextmanager
async def running(*arguments: str) -> AsyncIterator[Server]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "signaling", "--port", "0", *arguments),
        cwd=ROOT,
        env={**os.environ, "PYTHONWARNINGS": "error"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    server = Server(process)
    try:
        yield server
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
async def test_a_signal_says_goodbye_to_clients_and_ends_cleanly(
    number: signal.Signals, code: int
) -> None:
    async with running("--host", "127.0.0.1") as server:
        await server.read_until("Ctrl-C")
        async with open_client(server.url) as alice:
            await alice.join(code=True)
            assert alice.welcome is not None
            assert alice.welcome.ice.servers, "those of the stun-config.yaml that comes along"
            server.process.send_signal(number)
            await alice.expect(Draining)
            assert await alice.closed() == CloseCode.DRAINING
        exit_code, said = await server.end()
    assert exit_code == code
    assert "Traceback" not in said
    assert said.endswith("Closing.\n")


async def test_it_serves_the_page_and_says_what_to_type_next() -> None:
    async with running() as server:
        await server.read_until("Ctrl-C")
        assert "peerline send --server http://" in server.said
        async with aiohttp.ClientSession() as session, session.get(server.url) as response:
            assert response.status == 200
            assert "<html" in await response.text()
        server.process.terminate()
        assert (await server.end())[0] == 0


async def test_it_serves_https(tmp_path: Path) -> None:
    files = make_certificate(tmp_path)
    trust = ssl.create_default_context(cafile=str(files.certificate))
    arguments = ["--tls-cert", str(files.certificate), "--tls-key", str(files.key)]
    async with running("--host", "127.0.0.1", *arguments) as server:
        await server.read_until("Ctrl-C")
        assert server.url.startswith("https://")
        async with open_client(server.url, ssl=trust) as alice:
            await alice.join(room="demo")
        server.process.terminate()
        assert (await server.end())[0] == 0


async def test_its_ice_servers_and_origins_can_be_given(tmp_path: Path) -> None:
    path = tmp_path / "ice.yaml"
    path.write_text("ice_servers: [{urls: 'stun:mine.example'}]")
    arguments = ["--ice-config", str(path), "--allow-origin", "https://app.example"]
    async with running("--host", "127.0.0.1", *arguments) as server:
        await server.read_until("Ctrl-C")
        async with open_client(server.url, origin="https://app.example") as alice:
            await alice.join(room="demo")
            assert alice.welcome is not None
            assert alice.welcome.ice.servers[0].urls == ("stun:mine.example",)
        server.process.terminate()
        await server.end()


async def test_it_answers_to_its_names_only_when_they_are_given() -> None:
    async with running("--host", "127.0.0.1", "--host-name", "app.example") as server:
        await server.read_until("Ctrl-C")
        status = []
        async with aiohttp.ClientSession() as session:
            for name in ("app.example", "127.0.0.1", "localhost", "evil.example"):
                async with session.get(server.url, headers={"Host": name}) as response:
                    status.append(response.status)
        assert status == [200, 200, 200, 421]
        server.process.terminate()
        await server.end()


async def test_it_may_open_as_many_files_as_the_system_allows() -> None:
    async with running("--host", "127.0.0.1") as server:
        await server.read_until("Ctrl-C")
        limits = Path(f"/proc/{server.process.pid}/limits").read_text()
        (soft, hard) = re.findall(r"^Max open files\s+(\w+)\s+(\w+)", limits, re.MULTILINE)[0]
        assert soft == hard
        server.process.terminate()
        await server.end()


async def test_the_log_goes_to_stderr_when_asked_for() -> None:
    async with running("--host", "127.0.0.1", "--log-level", "info") as server:
        await server.read_until("Ctrl-C")
        async with open_client(server.url) as alice:
            await alice.join(room="secret-room")
        server.process.terminate()
        _, said = await server.end()
    assert "connection 1 from 127.0.0.1: opened" in said
    assert "secret-room" not in said


async def test_a_port_in_use_is_one_sentence_and_exit_code_1() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        async with running("--host", "127.0.0.1", "--port", str(port)) as server:
            code, said = await server.end()
    assert code == 1
    assert said == (
        f"Error: cannot listen on 127.0.0.1, port {port}: another program uses it; "
        "choose another --port\n"
    )


def test_wrong_options_and_files_are_explained_with_exit_code_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("ice_servers:\n - urls: stun://x\n - url: stun:x\n")
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"\xff\xfe\x00")
    for arguments, said in (
        (["--port", "65536"], "65536"),
        (["--colour"], "No such option"),
        (["--ice-config", str(tmp_path / "missing.yaml")], "missing.yaml: cannot be read"),
        (["--ice-config", str(tmp_path)], "cannot be read: Is a directory"),
        (["--ice-config", str(binary)], "binary.yaml: is not a text file"),
        (["--ice-config", str(wrong)], "wrong.yaml:2: ice_servers[0].urls: "),
        (["--ice-config", str(wrong)], "wrong.yaml:3: ice_servers[1].url: "),
        (["--tls-cert", str(tmp_path / "missing.pem")], "missing.pem: cannot be read"),
        (["--tls-cert", str(wrong)], "is not a PEM certificate"),
        (["--tls-key", str(wrong)], "--tls-key needs --tls-cert"),
        (["--allow-origin", "app.example"], "https://app.example"),
        (["--host-name", "app.example:80"], "without a port"),
    ):
        assert main(arguments) == 2
        captured = capsys.readouterr()
        assert captured.out == ""
        assert said in captured.err
        assert "Traceback" not in captured.err


def test_help_names_every_option() -> None:
    result = CliRunner().invoke(serve, ["--help"])
    assert result.exit_code == 0
    names = {option for parameter in serve.params for option in parameter.opts}
    assert {"--host", "--port", "--tls-cert", "--tls-key", "--ice-config"} < names
    for option in names:
        assert option in result.output


def test_main_returns_0_for_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    assert "signaling server" in capsys.readouterr().out
