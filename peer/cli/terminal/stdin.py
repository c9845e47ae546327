"""Lines of standard input in an event loop, without a thread that cannot be stopped.

A thread blocked in `readline` would keep the process alive after Ctrl-C, and O_NONBLOCK on a
terminal would affect the shell. So the reader waits until input is available, and reads that.
"""

from __future__ import annotations

import asyncio
import codecs
import contextlib
import os
import sys
import threading

__all__ = ["LineReader"]

_CHUNK = 65536


class LineReader:
    """Reads a file descriptor line by line, with one reader at a time."""

    def __init__(self, descriptor: int = 0) -> None:
        self._descriptor = descriptor
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._buffer = ""
        self._ended = False

    def discard(self) -> None:
        """Discard unread input of a terminal, which was typed before the next question."""
        if not os.isatty(self._descriptor):
            return
        self._buffer = ""
        if sys.platform != "win32":
            import termios

            with contextlib.suppress(termios.error, OSError):
                termios.tcflush(self._descriptor, termios.TCIFLUSH)

    async def readline(self) -> str | None:
        """Return the next line, without its end; None at the end of the input."""
        while "\n" not in self._buffer and not self._ended:
            data = await self._next()
            self._ended = not data
            self._buffer += self._decoder.decode(data, final=not data)
        line, newline, rest = self._buffer.partition("\n")
        if not newline and not line:
            return None
        self._buffer = rest
        return line.removesuffix("\r")

    async def _next(self) -> bytes:
        """Wait for input and return some; empty at the end."""
        loop = asyncio.get_running_loop()
        ready = asyncio.Event()
        try:
            loop.add_reader(self._descriptor, ready.set)
        except NotImplementedError:  # Windows: its event loop cannot watch a console
            return await self._next_by_thread()
        except (OSError, ValueError):
            # A regular file or /dev/null is always readable, and epoll does not support it.
            return self._read()
        try:
            await ready.wait()
        finally:
            loop.remove_reader(self._descriptor)
        return self._read()

    async def _next_by_thread(self) -> bytes:
        """Do the same in a daemon thread, which does not delay the exit."""
        loop = asyncio.get_running_loop()
        arrived: asyncio.Queue[bytes] = asyncio.Queue(1)

        def read() -> None:
            loop.call_soon_threadsafe(arrived.put_nowait, self._read())

        threading.Thread(target=read, name="peerline-stdin", daemon=True).start()
        return await arrived.get()

    def _read(self) -> bytes:
        try:
            return os.read(self._descriptor, _CHUNK)
        except OSError:
            # EIO: the terminal was closed; EBADF: there never was one. Both are the end of the
            # input.
            return b""
