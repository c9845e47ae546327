"""The whole story on one machine, with real processes: ``make demo``.

Starts a signaling server, sends a folder of about 64 MB from one process to another through a
code, compares the digests, lets two processes chat, and says what to type next. Everything it
makes lies in one temporary folder, which is removed at the end, as are the processes.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

PATIENCE = 60.0
"""Seconds that any one step may take."""
FILES = {
    "film.mkv": 40_000_000,
    "photos/beach.jpg": 9_000_000,
    "photos/mountain.jpg": 9_000_000,
    "photos/night/stars.jpg": 5_999_000,
    "notes.txt": 1_000,
    "empty.txt": 0,
}


class Failed(Exception):
    """A step did not work; the text says which and why."""


class Program:
    """A running process of the command, whose lines are shown as they come."""

    def __init__(self, label: str, process: asyncio.subprocess.Process) -> None:
        self.label = label
        self.process = process
        self._lines: asyncio.Queue[str | None] = asyncio.Queue()
        self._reader = asyncio.create_task(self._read())

    async def _read(self) -> None:
        assert self.process.stdout is not None
        async for raw in self.process.stdout:
            line = raw.decode(errors="replace").rstrip()
            if line:
                say(f"  {self.label:>8} | {line}")
            self._lines.put_nowait(line)
        self._lines.put_nowait(None)

    async def find(self, pattern: str) -> re.Match[str]:
        """Wait for the next line that contains `pattern`."""
        try:
            async with asyncio.timeout(PATIENCE):
                while (line := await self._lines.get()) is not None:
                    if found := re.search(pattern, line):
                        return found
                status = await self.process.wait()
        except TimeoutError:
            raise Failed(f"{self.label} did not print {pattern!r} in {PATIENCE:.0f} s") from None
        raise Failed(f"{self.label} ended with status {status} before it printed {pattern!r}")

    async def enter(self, line: str) -> None:
        """Write a line to its standard input."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n".encode())
        await self.process.stdin.drain()

    def end_input(self) -> None:
        """Close its standard input."""
        assert self.process.stdin is not None
        self.process.stdin.close()

    async def succeed(self) -> None:
        """Wait for its end; it has to be a success."""
        try:
            async with asyncio.timeout(PATIENCE):
                status = await self.process.wait()
                await self._reader
        except TimeoutError:
            raise Failed(f"{self.label} did not end in {PATIENCE:.0f} s") from None
        if status:
            raise Failed(f"{self.label} ended with status {status}")

    async def stop(self) -> None:
        """End it if it still runs: politely, then not."""
        if self.process.returncode is None:
            self.process.terminate()
            try:
                async with asyncio.timeout(5):
                    await self.process.wait()
            except TimeoutError:
                self.process.kill()
                await self.process.wait()
        self._reader.cancel()
        await asyncio.wait({self._reader})


def say(line: str = "") -> None:
    """Print a line of the story."""
    print(line, flush=True)


def command() -> list[str]:
    """Return how to run ``peerline`` from the environment this script runs in."""
    installed = Path(sys.executable).with_name("peerline")
    return [str(installed)] if installed.exists() else [sys.executable, "-m", "peer.cli"]


@asynccontextmanager
async def running(label: str, *arguments: str, home: Path) -> AsyncIterator[Program]:
    """Run the command for as long as the context lasts."""
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("PEERLINE_")},
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home / "config"),
        "XDG_DATA_HOME": str(home / "data"),
        "XDG_RUNTIME_DIR": str(home),
    }
    say(f"  {label:>8} $ peerline {' '.join(arguments)}")
    process = await asyncio.create_subprocess_exec(
        *command(),
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=environment,
        cwd=home,
    )
    program = Program(label, process)
    try:
        yield program
    finally:
        await program.stop()


def make_folder(folder: Path) -> dict[str, str]:
    """Fill a folder with random files and return the SHA-256 of each by its path."""
    digests = {}
    for name, size in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        content = os.urandom(size)
        path.write_bytes(content)
        digests[name] = hashlib.sha256(content).hexdigest()
    return digests


def digests_of(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every file in a folder by its path."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


async def send_a_folder(server: str, home: Path) -> str:
    """Send the folder from one process to another; return a sentence about it."""
    sent = await asyncio.to_thread(make_folder, home / "holiday")
    total = sum(FILES.values())
    say(f"  A folder with {len(FILES)} files, {total / 1e6:.0f} MB of random bytes: holiday/")
    say()
    async with running("sender", "send", "holiday", "--server", server, home=home) as sender:
        code = (await sender.find(r"Code: +(\S+)"))[1]
        started = time.monotonic()
        arguments = ("receive", code, "--server", server, "--out", "received", "--yes")
        async with running("receiver", *arguments, home=home) as receiver:
            path = (await receiver.find(r"Path: +(\w+)"))[1]
            rate = (await receiver.find(r"Received .*\((.+)\)"))[1]
            await receiver.succeed()
            await sender.succeed()
            seconds = time.monotonic() - started
    arrived = await asyncio.to_thread(digests_of, home / "received" / "holiday")
    if arrived != sent:
        raise Failed("the files that arrived are not the files that were sent")
    say()
    say(f"  The SHA-256 of all {len(sent)} files is the same on both sides.")
    return (
        f"{total / 1e6:.0f} MB at {rate}, path: {path}; {seconds:.1f} s from the receiver's start "
        "to the sender's confirmation"
    )


async def chat(server: str, home: Path) -> str:
    """Let two processes exchange a line each; return a sentence about it."""
    hello, answer = "Did the holiday pictures arrive?", "Every one of them, thank you!"
    async with running("alice", "chat", "--name", "alice", "--server", server, home=home) as alice:
        code = (await alice.find(r"Code: +(\S+)"))[1]
        arguments = ("chat", code, "--name", "bob", "--server", server)
        async with running("bob", *arguments, home=home) as bob:
            await alice.find("Connected to bob")
            await bob.find("Connected to alice")
            await alice.enter(hello)
            await bob.find(rf"^alice: {re.escape(hello)}$")
            await bob.enter(answer)
            await alice.find(rf"^bob: {re.escape(answer)}$")
            alice.end_input()
            await alice.succeed()
            await bob.succeed()
    return "two lines, delivered and confirmed"


async def story(home: Path) -> None:
    """Tell it."""
    say("Peerline: from one process to another, through nothing but a code.")
    say()
    say("1. A signaling server, where the two sides meet (it never sees their data)")
    say()
    async with running("server", "serve", "--host", "127.0.0.1", "--port", "0", home=home) as it:
        server = (await it.find(r"http://[\w.]+:\d+"))[0].rstrip("/")
        say()
        say("2. A folder, sent with a code")
        say()
        sent = await send_a_folder(server, home)
        say()
        say("3. A chat between two processes")
        say()
        chatted = await chat(server, home)
    say()
    say(f"Sent:    {sent}")
    say(f"Chatted: {chatted}")
    say()
    bin_folder = os.path.relpath(Path(sys.executable).parent)
    say("Now you, in two terminals:")
    say(f"    {bin_folder}/peerline send README.md")
    say(f"    {bin_folder}/peerline receive             (type the code that the first one shows)")
    say(f"    {bin_folder}/peerline chat                (open its link in a browser, if you like)")


def main() -> int:
    """Run the story in a temporary folder and return the exit status."""
    with tempfile.TemporaryDirectory(prefix="peerline-demo-") as folder:
        try:
            asyncio.run(story(Path(folder)))
        except Failed as error:
            print(f"\nThe demo failed: {error}.", file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
