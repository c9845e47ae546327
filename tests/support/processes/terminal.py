"""Real processes of the command: on a pseudo-terminal that is drawn, or with plain pipes."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Self, TypeVar

import pexpect
import pyte

PEERLINE = (sys.executable, "-m", "peer.cli")
ROOT = Path(__file__).resolve().parents[3]
PATIENCE = 30.0
"""Seconds after which an expectation counts as failed; only failing tests wait so long."""

Found = TypeVar("Found")

_ESCAPES = re.compile(r"\x1b(\[[0-9;?]*[A-Za-z]|\][^\x07]*\x07|[()][A-Za-z0-9]|[=>])")


def clean_environment(home: Path, **extra: str) -> dict[str, str]:
    """An environment in which the command touches nothing outside of `home`."""
    names = ("PATH", "LANG", "VIRTUAL_ENV", "PEERLINE_ENGINE")
    kept = {name: os.environ[name] for name in names if name in os.environ}
    folders = {
        "HOME": home,
        "XDG_CONFIG_HOME": home / "config",
        "XDG_DATA_HOME": home / "data",
        "XDG_RUNTIME_DIR": home / "run",
    }
    for folder in folders.values():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return {
        **kept,
        **{name: str(folder) for name, folder in folders.items()},
        "PYTHONPATH": str(ROOT),
        "PYTHONUTF8": "1",
        "TERM": "xterm-256color",
        "PEERLINE_LAN": "0",
        **extra,
    }


class _Transcript:
    """Text that another thread adds to, and that a test waits on."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.changed = threading.Condition()
        self._text = ""
        self._seen = 0
        self._ended = False

    @property
    def text(self) -> str:
        """Everything that was printed, without escape sequences."""
        with self.changed:
            return self._text

    def add(self, text: str) -> None:
        with self.changed:
            self._text += _ESCAPES.sub("", text).replace("\r\n", "\n")
            self.changed.notify_all()

    def end(self) -> None:
        with self.changed:
            self._ended = True
            self.changed.notify_all()

    def expect(self, pattern: str, timeout: float = PATIENCE) -> re.Match[str]:
        """Wait until what was printed since the last match matches `pattern`."""
        regex = re.compile(pattern, re.MULTILINE)
        with self.changed:
            found = self.wait_for(lambda: regex.search(self._text, self._seen), timeout)
            if found is None:
                raise AssertionError(f"{self.name} never printed {pattern!r}:\n{self._text}")
            self._seen = found.end()
            return found

    def wait_for(self, ready: Callable[[], Found | None], timeout: float) -> Found | None:
        """Wait, with `changed` held, until `ready` returns something; None when it never will."""
        deadline = time.monotonic() + timeout
        while True:
            found = ready()
            left = deadline - time.monotonic()
            if found is not None or self._ended or left <= 0:
                return found
            self.changed.wait(left)


class _Display(pyte.Screen):
    """A screen that answers, as terminals do, when it is asked where the cursor is."""

    def __init__(self, columns: int, rows: int, answer: Callable[[str], object]) -> None:
        super().__init__(columns, rows)
        self._answer = answer

    def write_process_input(self, data: str) -> None:
        self._answer(data)


class Terminal:
    """A command in a terminal of its own. Its output is always read, so it never stalls."""

    def __init__(
        self,
        *arguments: str,
        env: Mapping[str, str],
        cwd: Path,
        columns: int = 100,
        rows: int = 50,
        command: Sequence[str] = PEERLINE,
    ) -> None:
        self._child = pexpect.spawn(
            command[0],
            [*command[1:], *arguments],
            env=dict(env),
            cwd=str(cwd),
            dimensions=(rows, columns),
            encoding="utf-8",
            codec_errors="replace",
            timeout=None,
        )
        self._child.delaybeforesend = None
        self._display = _Display(columns, rows, self._child.send)
        self._stream = pyte.Stream(self._display)
        self._transcript = _Transcript(f"peerline {' '.join(arguments)}")
        self.expect = self._transcript.expect
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        return int(self._child.pid)

    @property
    def text(self) -> str:
        """Everything that was printed, without escape sequences."""
        return self._transcript.text

    def lines(self) -> list[str]:
        """The lines on the display that are not empty."""
        with self._transcript.changed:
            return [line.rstrip() for line in self._display.display if line.strip()]

    def expect_display(self, *patterns: str, timeout: float = PATIENCE) -> None:
        """Wait until the display's last lines match `patterns`: a whole line each, in order."""

        def match() -> bool | None:
            last = self.lines()[-len(patterns) :]
            pairs = zip(patterns, last, strict=False)
            same = len(last) == len(patterns) and all(re.fullmatch(p, line) for p, line in pairs)
            return same or None

        with self._transcript.changed:
            if self._transcript.wait_for(match, timeout) is None:
                shown = "\n".join(self.lines())
                raise AssertionError(f"the display never ended with {patterns!r}:\n{shown}")

    def type_in(self, text: str) -> None:
        self._child.send(text)

    def enter(self, text: str = "") -> None:
        self.type_in(f"{text}\r")

    def interrupt(self) -> None:
        """Press Ctrl-C."""
        self._child.sendintr()

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        os.kill(self.pid, number)

    def wait(self, timeout: float = PATIENCE) -> int:
        """Wait for the end of the process and return its exit status."""
        self._reader.join(timeout)
        if self._reader.is_alive():
            raise AssertionError(f"{self._transcript.name} did not end:\n{self.text}")
        self._child.wait()
        if self._child.exitstatus is not None:
            return int(self._child.exitstatus)
        return -int(self._child.signalstatus or 0)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:
            print(f"--- {self._transcript.name} ---\n{self.text}", file=sys.stderr)
        if self._child.isalive():
            self._child.kill(signal.SIGKILL)
        self._reader.join(PATIENCE)
        self._child.close(force=True)

    def _read(self) -> None:
        while True:
            try:
                data = self._child.read_nonblocking(65536, timeout=None)
            except (pexpect.EOF, OSError, ValueError):
                break
            with self._transcript.changed:
                self._stream.feed(data)
                self._transcript.add(data)
        self._transcript.end()


class Piped:
    """A command with pipes in place of a terminal."""

    def __init__(
        self,
        *arguments: str,
        env: Mapping[str, str],
        cwd: Path,
        command: Sequence[str] = PEERLINE,
    ) -> None:
        self._process = subprocess.Popen(
            [*command, *arguments],
            env=dict(env),
            cwd=cwd,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            errors="replace",
        )
        name = f"peerline {' '.join(arguments)}"
        self.out = _Transcript(f"{name} (stdout)")
        self.err = _Transcript(f"{name} (stderr)")
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self._readers = [
            threading.Thread(target=self._read, args=(stream, transcript), daemon=True)
            for stream, transcript in (
                (self._process.stdout, self.out),
                (self._process.stderr, self.err),
            )
        ]
        for reader in self._readers:
            reader.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def write(self, text: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(text)
        self._process.stdin.flush()

    def close_input(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        self._process.send_signal(number)

    def wait(self, timeout: float = PATIENCE) -> int:
        """Wait for the end of the process and return its exit status."""
        try:
            status = self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.err.name} did not end:\n{self.err.text}") from None
        for reader in self._readers:
            reader.join(timeout)
        return status

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:
            print(f"--- {self.err.name} ---\n{self.err.text}", file=sys.stderr)
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        for reader in self._readers:
            reader.join(PATIENCE)
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()

    @staticmethod
    def _read(stream: IO[str], transcript: _Transcript) -> None:
        for line in stream:
            transcript.add(line)
        transcript.end()


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[str]:
    """The URL of a running `peerline serve` on loopback, without STUN and TURN servers."""
    ice = folder / "ice.yaml"
    ice.write_text("ice_servers: []\n", encoding="utf-8")
    with Piped(
        *("serve", "--host", "127.0.0.1", "--port", "0", "--ice-config", str(ice)),
        env=clean_environment(folder / "home"),
        cwd=folder,
    ) as process:
        yield process.err.expect(r"http://127\.0\.0\.1:\d+")[0]
