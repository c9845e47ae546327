"""A batched UDP socket under an event loop: asyncio's or uvloop's, by public calls only."""

from __future__ import annotations

import asyncio
import errno
from collections import deque
from collections.abc import Callable

from .batched_socket import MAX_DATAGRAM, Address, BatchSocket, ReportingSocket, SegmentationRefused
from .coalescing import INTERVAL, Coalescing, Taken

RECEIVE_BYTES_PER_TURN = 200_000
"""After so much the loop gets its turn, so that sending and timers are not starved."""

RECEIVE_CALLS_PER_TURN = 32

MAX_WAITING = 512
"""Batches that wait for a full socket. An owner that makes no more while it is `blocked` never has
so many; answers to what comes in may."""

_BROKEN_OFF = Taken(1, 1, True)
"""What a turn took that a callback broke off by raising: the loop is told, and reading goes on."""


class UdpEndpoint:
    """Reads batches as they come and writes batches without losing any to a full socket.

    A batch that finds the socket full waits, in order; while `blocked` the owner should not
    make more (it is told by `on_writable`). Everything runs in the loop's thread.

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
            on_batch: Called with the bytes received, the length of each datagram in them (the
                last may be shorter) and the sender. The memory is reused after the call.
            on_batches_end: Called once after the batches of one turn of the loop: the place to
                answer them all at once.
            on_writable: Called when a full socket took everything that waited.
            on_error: Called with an error of the socket; the socket stays in use.
            on_refused: Called with a destination whose machine says that its port is closed,
                where the system tells. Anybody who knows both addresses can forge that.
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
        """While coalescing; the loop does not watch the socket for reading then."""
        self._on_refused = on_refused
        # uvloop stops to watch a descriptor that has errors to tell.
        watched = on_refused is not None and isinstance(loop, asyncio.SelectorEventLoop)
        self._reporting = sock if watched and isinstance(sock, ReportingSocket) else None
        if self._reporting is not None:
            self._reporting.report_refusals()
        loop.add_reader(sock.fileno(), self._readable)

    @property
    def max_segments(self) -> int:
        """Datagrams worth handing to `send` at once."""
        return self._sock.max_segments

    @property
    def blocked(self) -> bool:
        """True while batches wait for a full socket."""
        return bool(self._waiting)

    @property
    def closed(self) -> bool:
        """True after `close`."""
        return self._closed

    def getsockname(self) -> Address:
        """The socket's own address."""
        return self._sock.getsockname()

    def allow_fragments(self, allow: bool) -> None:
        """Whether IP may fragment what is sent, where the system lets us choose."""
        self._sock.allow_fragments(allow)

    def send(self, data: bytes | memoryview, segment: int, address: Address) -> None:
        """Send `data` as datagrams of `segment` bytes, at once or when the socket has room.

        The caller may reuse the memory behind `data` after the call. A closed endpoint drops it,
        and so does one where `MAX_WAITING` batches wait already.
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
        """Stop reading, drop what waits, close the socket. May be called twice."""
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
        """Send what the socket takes now; return the bytes that need not be sent again.

        Errors other than a full socket are told and the datagrams dropped: the protocol above
        retransmits, or finds the path dead, as it would had a router dropped them.
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
                    again = False  # it may be that of an earlier datagram, which is cleared now
                    continue
                if error.errno != errno.EMSGSIZE:
                    self._on_error(error)
                elif (tail := len(data[done : done + step]) % segment) and step > segment:
                    done += len(data[done : done + step]) - tail  # it is shorter, and may fit
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
            # What is left over must not wait, or the turn's limit would be the path's.
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
        """Take what is there, up to a turn's worth."""
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
            # What came before a batch whose callback raised is answered as ever.
            if not self._closed:
                self._on_batches_end()
        return Taken(total, datagrams, more)
