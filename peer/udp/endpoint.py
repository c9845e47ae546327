"""A batched UDP socket under an event loop: asyncio's or uvloop's, by public calls only."""

from __future__ import annotations

import asyncio
import errno
from collections import deque
from collections.abc import Callable

from .batched_socket import MAX_DATAGRAM, Address, BatchSocket, ReportingSocket, SegmentationRefused
from .coalescing import INTERVAL, Coalescing, Taken

RECEIVE_BYTES_PER_TURN = 200_000
"""Bytes after which the loop runs other callbacks, so that sending and timers do not starve."""

RECEIVE_CALLS_PER_TURN = 32

MAX_WAITING = 512
"""Batches that may wait for a full socket. An owner that sends nothing while it is `blocked` stays
below it; answers to received datagrams may reach it."""

_BROKEN_OFF = Taken(1, 1, True)
"""Result of a turn that an exception of a callback interrupted; reading continues."""


class UdpEndpoint:
    """Reads batches when they arrive, and writes batches without losing any to a full socket.

    A batch for a full socket waits, in order; while `blocked` the owner should not send more, until
    `on_writable` is called. All callbacks run in the loop's thread.

    Raises:
        NotImplementedError: From the constructor, on loops without `add_reader` (Windows'
            default loop); use the loop's own datagram transport there.
    """

    def __init__(
        self,
        sock: BatchSocket,
        loop: asyncio.AbstractEventLoop,
        *,
        on_batch: Callable[[memoryview, int, Address], None],
        on_batches_end: Callable[[], None],
        on_writable: Callable[[], None],
        on_error: Callable[[OSError], None],
        on_refused: Callable[[Address], None] | None = None,
    ) -> None:
        """Start to read.

        Args:
            sock: Owned by the endpoint from here on.
            loop: Watches the descriptor.
            on_batch: Called with the bytes received, the length of each datagram in them (the
                last may be shorter) and the sender. The memory is reused after the call.
            on_batches_end: Called once after the batches of one turn of the loop: the place to
                answer them all at once.
            on_writable: Called when all waiting batches have been sent.
            on_error: Called with an error of the socket; the socket stays in use.
            on_refused: Called with a destination whose port is closed, where the system reports it.
                Anyone who knows both addresses can forge that.
        """
        self._sock = sock
        self._loop = loop
        self._on_batch = on_batch
        self._on_batches_end = on_batches_end
        self._on_writable = on_writable
        self._on_error = on_error
        self._buffer = memoryview(bytearray(65536))
        self._waiting: deque[tuple[bytes, int, Address]] = deque()
        self._closed = False
        self._coalescing = Coalescing()
        self._next_read: asyncio.TimerHandle | None = None
        """Set while coalescing; the loop does not watch the socket for reading then."""
        self._on_refused = on_refused
        # uvloop stops watching a descriptor with pending errors.
        watched = on_refused is not None and isinstance(loop, asyncio.SelectorEventLoop)
        self._reporting = sock if watched and isinstance(sock, ReportingSocket) else None
        if self._reporting is not None:
            self._reporting.report_refusals()
        loop.add_reader(sock.fileno(), self._readable)

    @property
    def max_segments(self) -> int:
        """Datagrams that one call of `send` should have."""
        return self._sock.max_segments

    @property
    def blocked(self) -> bool:
        """Whether batches wait for a full socket."""
        return bool(self._waiting)

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    def getsockname(self) -> Address:
        """Return the socket's own address."""
        return self._sock.getsockname()

    def allow_fragments(self, allow: bool) -> None:
        """Allow or forbid IP fragmentation, where the system has the option."""
        self._sock.allow_fragments(allow)

    def send(self, data: bytes | memoryview, segment: int, address: Address) -> None:
        """Send `data` as datagrams of `segment` bytes, at once or when the socket has room.

        The caller may reuse the memory of `data` after the call. A closed endpoint drops it, and so
        does one with `MAX_WAITING` waiting batches.
        """
        if self._closed or not data:
            return
        if not self._waiting:
            done = self._push(data, segment, address)
            if done >= len(data):
                return
            data = data[done:]
            self._loop.add_writer(self._sock.fileno(), self._writable)
        if len(self._waiting) < MAX_WAITING:
            self._waiting.append((bytes(data), segment, address))

    def close(self) -> None:
        """Stop reading, drop waiting batches, close the socket. May be called twice."""
        if self._closed:
            return
        self._closed = True
        self._waiting.clear()
        if self._next_read is not None:
            self._next_read.cancel()
        self._loop.remove_reader(self._sock.fileno())
        self._loop.remove_writer(self._sock.fileno())
        self._sock.close()

    def _push(self, data: bytes | memoryview, segment: int, address: Address) -> int:
        """Send the datagrams that the socket accepts now; return the bytes that are done.

        Errors other than a full socket are reported and the datagrams dropped: the protocol above
        retransmits, or detects a dead path, as if a router had dropped them.
        """
        done = 0
        again = True
        step = min(self._sock.max_segments, MAX_DATAGRAM // segment or 1) * segment
        while done < len(data):
            try:
                self._sock.send(data[done : done + step], segment, address)
            except SegmentationRefused:
                step = segment
                continue
            except (BlockingIOError, InterruptedError):
                break
            except OSError as error:
                if error.errno == errno.ENOBUFS:
                    break
                if again and self._reporting is not None:
                    again = False  # the error may concern an earlier datagram, and is cleared now
                    continue
                if error.errno != errno.EMSGSIZE:
                    self._on_error(error)
                elif (tail := len(data[done : done + step]) % segment) and step > segment:
                    done += (
                        len(data[done : done + step]) - tail
                    )  # the last one is shorter, and may fit
                    step = segment
                    continue
            done += step
        return done

    def _writable(self) -> None:
        while self._waiting:
            data, segment, address = self._waiting[0]
            done = self._push(data, segment, address)
            if done < len(data):
                self._waiting[0] = (data[done:], segment, address)
                return
            self._waiting.popleft()
        self._loop.remove_writer(self._sock.fileno())
        self._on_writable()

    def _readable(self) -> None:
        taken = self._read()
        if not self._closed and self._coalescing.begin(taken, self._loop.time()):
            self._loop.remove_reader(self._sock.fileno())
            self._next_read = self._loop.call_later(INTERVAL, self._read_gathered)

    def _read_gathered(self) -> None:
        taken = _BROKEN_OFF
        try:
            taken = self._read()
        finally:
            self._watch_again(taken)

    def _watch_again(self, taken: Taken) -> None:
        if self._closed:
            return
        if self._coalescing.go_on(taken):
            # The rest must not wait, or the limit of a turn would limit the path.
            delay = 0 if taken.more else INTERVAL
            self._next_read = self._loop.call_later(delay, self._read_gathered)
        else:
            self._next_read = None
            self._loop.add_reader(self._sock.fileno(), self._readable)

    def _tell_refusals(self) -> None:
        if self._reporting is not None and self._on_refused is not None:
            for address in self._reporting.refusals():
                self._on_refused(address)

    def _read(self) -> Taken:
        """Read the available datagrams, up to the limit of a turn."""
        total = datagrams = 0
        more = True
        try:
            for _ in range(RECEIVE_CALLS_PER_TURN):
                try:
                    length, segment, address = self._sock.receive(self._buffer)
                except (BlockingIOError, InterruptedError):
                    more = False
                    if not datagrams:
                        self._tell_refusals()
                    break
                except OSError as error:
                    self._on_error(error)
                    self._tell_refusals()
                    break
                if length:
                    self._on_batch(self._buffer[:length], segment, address)
                if self._closed:
                    break
                total += length
                datagrams += -(-length // segment) if length else 1
                if total >= RECEIVE_BYTES_PER_TURN:
                    break
        finally:
            # Batches before one whose callback raised are answered as usual.
            if not self._closed:
                self._on_batches_end()
        return Taken(total, datagrams, more)
