"""The port forward: what goes in comes out, and nothing else can be reached."""

from __future__ import annotations

import hashlib
import os
import select
import signal
import socket
import threading
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.examples.conftest import StartExample
from tests.support.processes.terminal import PATIENCE, Piped

BODY = os.urandom(5_000_000)


class Answer(BaseHTTPRequestHandler):
    """Answers every request with the same body."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(BODY)))
        self.end_headers()
        self.wfile.write(BODY)

    def log_message(self, *arguments: object) -> None:
        """Log nothing."""


@pytest.fixture
def web() -> Iterator[int]:
    """The port of an HTTP server with a body of 5 MB."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def serving_once(serve: Callable[[socket.socket], None]) -> Iterator[int]:
    """The port of a TCP server for one connection."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(PATIENCE)

        def run() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.settimeout(PATIENCE)
                serve(connection)

        with ThreadPoolExecutor(1) as thread:
            served = thread.submit(run)
            yield listener.getsockname()[1]
            served.result(PATIENCE)


def forward(start: StartExample, target: int, allowed: int | None = None) -> tuple[Piped, int]:
    """Forward a port to one at the other side: the allowing program, and the local port."""
    allowing = start("port_forward", f"127.0.0.1:{allowed or target}")
    code = allowing.out.expect(r"^Code: (\S+)$")[1]
    asking = start("port_forward", "--code", code, f"127.0.0.1:{target}")
    return allowing, int(asking.out.expect(r"^Port: (\d+)$")[1])


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), PATIENCE)


def read_all(connection: socket.socket) -> bytes:
    parts = []
    while part := connection.recv(65536):
        parts.append(part)
    return b"".join(parts)


def fetch(port: int) -> bytes:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=PATIENCE) as response:
        return bytes(response.read())


def test_http_answer_comes_through_byte_for_byte_and_twenty_at_once(
    start: StartExample, web: int
) -> None:
    _, port = forward(start, web)
    assert fetch(port) == BODY
    with ThreadPoolExecutor(20) as threads:
        answers = list(threads.map(fetch, [port] * 20))
    assert all(answer == BODY for answer in answers)


def test_one_direction_may_end_before_the_other(start: StartExample) -> None:
    def digest(connection: socket.socket) -> None:
        connection.sendall(hashlib.sha256(read_all(connection)).digest())

    with serving_once(digest) as target:
        _, port = forward(start, target)
        with connect(port) as connection:
            connection.sendall(BODY)
            connection.shutdown(socket.SHUT_WR)
            assert read_all(connection) == hashlib.sha256(BODY).digest()


def test_address_that_is_not_allowed_is_not_reached(start: StartExample, web: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as secret:
        target = secret.getsockname()[1]
        allowing, port = forward(start, target, allowed=web)
        with connect(port) as connection, suppress(ConnectionResetError):
            assert read_all(connection) == b""
        allowing.out.expect(rf"^Refused: '127\.0\.0\.1:{target}'$")
        secret.setblocking(False)
        with pytest.raises(BlockingIOError):
            secret.accept()
    assert allowing.err.text == ""


def test_target_that_does_not_listen_ends_one_connection_alone(start: StartExample) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        target = listener.getsockname()[1]
    allowing, port = forward(start, target)
    for _ in range(2):
        with connect(port) as connection, suppress(ConnectionResetError):
            assert read_all(connection) == b""
        allowing.out.expect("Connect call failed")
    assert allowing.err.text == ""


def test_connection_that_breaks_ends_the_other_one(start: StartExample) -> None:
    def break_off(connection: socket.socket) -> None:
        connection.sendall(b"half of it")
        # With this option the kernel sends a reset in place of an end.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    with serving_once(break_off) as target:
        allowing, port = forward(start, target)
        with connect(port) as connection, suppress(ConnectionResetError):
            assert read_all(connection) in (b"half of it", b"")
    assert allowing.err.text == ""


def test_slow_reader_slows_the_sender_down(start: StartExample) -> None:
    size = 80_000_000
    blocked = threading.Event()
    before = 0

    def send(connection: socket.socket) -> None:
        nonlocal before
        connection.setblocking(False)
        data = memoryview(bytes(size))
        # All buffers on the way are full when nothing more fits for a second.
        while select.select([], [connection], [], 1.0)[1]:
            before += connection.send(data[before : before + 65536])
        blocked.set()
        connection.settimeout(PATIENCE)
        connection.sendall(data[before:])

    with serving_once(send) as target:
        _, port = forward(start, target)
        with connect(port) as connection:
            assert blocked.wait(PATIENCE)
            assert before < size
            assert len(read_all(connection)) == size


def test_both_sides_end_when_one_does(start: StartExample, web: int) -> None:
    allowing, port = forward(start, web)
    with connect(port) as connection:
        connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert connection.recv(1)
        allowing.kill(signal.SIGINT)
        assert allowing.wait() == 130
        with suppress(ConnectionResetError):
            read_all(connection)
    assert allowing.err.text == ""
