"""Whole files from command to command: `peerline send` against `wormhole send`.

Both with their own servers, everything in real processes; timed from the receiver's start to
its end, so that set-up, hashing and writing count.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from .channel import Wrap, on_loopback

BIN = Path(sys.executable).parent
START_TIMEOUT = 30.0


def free_port() -> int:
    """A port that nobody uses now."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@contextmanager
def running(command: list[str], **options: object) -> Iterator[subprocess.Popen[str]]:
    """A process that ends with the block."""
    process = subprocess.Popen(command, text=True, **options)  # type: ignore[call-overload]
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_for_port(host: str, port: int, wrap: Wrap) -> None:
    """Until somebody listens there, seen from side A."""
    probe = f"import socket; socket.create_connection(({host!r}, {port}), 1).close()"
    end = time.monotonic() + START_TIMEOUT
    while time.monotonic() < end:
        done = subprocess.run(wrap("a", [sys.executable, "-c", probe]), capture_output=True)
        if done.returncode == 0:
            return
        time.sleep(0.05)
    raise RuntimeError(f"nobody listens on {host}:{port}")


def line_with(process: subprocess.Popen[str], pattern: str) -> str:
    """Read standard error until a line matches; return the match."""
    assert process.stderr is not None
    for line in process.stderr:
        match = re.search(pattern, line)
        if match:
            return match[0]
    raise RuntimeError(f"{process.args!r} ended without {pattern}")


def make_file(path: Path, size: int) -> str:
    """Write `size` random bytes; return their digest."""
    digest = hashlib.sha256()
    with path.open("wb") as file:
        for start in range(0, size, 1 << 20):
            block = os.urandom(min(1 << 20, size - start))
            digest.update(block)
            file.write(block)
    return digest.hexdigest()


def _timed(receive: list[str], cwd: Path, sender: subprocess.Popen[str]) -> float:
    start = time.monotonic()
    done = subprocess.run(receive, cwd=cwd, capture_output=True, text=True, timeout=1200)
    seconds = time.monotonic() - start
    if done.returncode:
        raise RuntimeError(f"{receive}: {done.stderr[-300:]}")
    sender.wait(30)
    return seconds


def peerline(file: Path, out: Path, host: str, wrap: Wrap) -> float:
    """Seconds that `peerline receive` took."""
    port = free_port()
    server = f"http://{host}:{port}"
    program = str(BIN / "peerline")
    with ExitStack() as stack:
        # No STUN servers: none could be reached from here, and each side would wait for them.
        ice = out.with_name("ice.yaml")
        ice.write_text("ice_servers: []\n", encoding="utf-8")
        serve = [program, "serve", "--host", host, "--port", str(port), "--ice-config", str(ice)]
        stack.enter_context(
            running(wrap("a", serve), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        )
        wait_for_port(host, port, wrap)
        send = wrap("a", [program, "send", "--server", server, str(file)])
        sender = stack.enter_context(running(send, stderr=subprocess.PIPE))
        code = line_with(sender, r"\d+-[a-z]+-[a-z]+")
        receive = [program, "receive", code, "--server", server, "--yes", "--out", str(out)]
        return _timed(wrap("b", receive), out, sender)


def wormhole(file: Path, out: Path, host: str, wrap: Wrap) -> float:
    """Seconds that `wormhole receive` took, with mailbox and relay servers of its own."""
    mailbox, relay = free_port(), free_port()
    twist, program = str(BIN / "twist"), str(BIN / "wormhole")
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": str(out)}
    options = [
        "--relay-url", f"ws://{host}:{mailbox}/v1",
        "--transit-helper", f"tcp:{host}:{relay}",
    ]  # fmt: skip
    with ExitStack() as stack:
        servers = (
            [twist, "wormhole-mailbox", f"--port=tcp:{mailbox}:interface={host}"],
            [twist, "transitrelay", f"--port=tcp:{relay}:interface={host}"],
        )
        for command in servers:
            stack.enter_context(running(wrap("a", command), **quiet))
        wait_for_port(host, mailbox, wrap)
        wait_for_port(host, relay, wrap)
        send = wrap("a", [program, *options, "send", "--no-qr", "--hide-progress", str(file)])
        sender = stack.enter_context(running(send, stderr=subprocess.PIPE))
        code = line_with(sender, r"\d+-[a-z]+-[a-z]+")
        receive = [program, *options, "receive", "--accept-file", "--hide-progress", code]
        return _timed(wrap("b", receive), out, sender)


TOOLS = {"peerline": peerline, "magic-wormhole": wormhole}


def measure(tool: str, size: int, host: str, wrap: Wrap) -> float:
    """Send `size` random bytes once; return bytes per second. The digest is checked."""
    with tempfile.TemporaryDirectory(prefix="peerline-bench-") as folder:
        file, out = Path(folder, "file.bin"), Path(folder, "out")
        out.mkdir()
        digest = make_file(file, size)
        seconds = TOOLS[tool](file, out, host, wrap)
        received = hashlib.sha256((out / "file.bin").read_bytes()).hexdigest()
        if received != digest:
            raise RuntimeError(f"{tool} delivered something else")
        return size / seconds


# Many small files


def _copy(*command: str) -> Callable[[Path, Path, str, Wrap], float]:
    def run(folder: Path, out: Path, _: str, wrap: Wrap) -> float:
        start = time.monotonic()
        subprocess.run(wrap("a", [*command, str(folder), str(out)]), check=True, timeout=600)
        return time.monotonic() - start

    return run


def many_tools() -> dict[str, Callable[[Path, Path, str, Wrap], float]]:
    """Ways of moving a folder: both commands, and a local copy without a network."""
    tools: dict[str, Callable[[Path, Path, str, Wrap], float]] = {"peerline": peerline}
    if (BIN / "wormhole").exists():
        tools["magic-wormhole"] = wormhole
    if shutil.which("rsync"):
        tools["rsync -a"] = _copy("rsync", "-a")
    return tools | {"cp -r": _copy("cp", "-r")}


def make_folder(folder: Path, count: int, size: int) -> None:
    """Write many files of random bytes, 500 in each folder."""
    for number in range(count):
        where = folder / f"{number // 500}"
        if not number % 500:
            where.mkdir(parents=True)
        (where / f"{number}.txt").write_bytes(os.urandom(size))


def measure_many(tool: str, count: int, size: int) -> float:
    """Move a folder of small files over loopback once; return the seconds. All are compared."""
    with tempfile.TemporaryDirectory(prefix="peerline-bench-") as scratch:
        folder, out = Path(scratch, "in", "many"), Path(scratch, "out")
        out.mkdir()
        make_folder(folder, count, size)
        os.sync()  # what was written for the measurement is not to be paid for by it
        seconds = many_tools()[tool](folder, out, "127.0.0.1", on_loopback)
        for path in folder.rglob("*.txt"):
            if (out / path.relative_to(folder.parent)).read_bytes() != path.read_bytes():
                raise RuntimeError(f"{tool} delivered something else")
        return seconds
