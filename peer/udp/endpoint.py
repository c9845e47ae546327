"""A batched UDP socket under an event loop: asyncio's or uvloop's, by public calls only."""

from __future__ import annotations

import asyncio
import errno
from collections import deque
from collections.abc import Callable

from .batch import MAX_DATAGRAM, Address, BatchSocket, SegmentationRefused

RECEIVE_BYTES_PER_TURN = 200_000
"""After so much the loop gets its turn, so that sending and timers are not starved."""

RECEIVE_CALLS_PER_TURN = 32

MAX_WAITING = 512
"""Batches that wait for a full socket. An owner that makes no more while it is `blocked` never has
so many; answers to what comes in may."""

COALESCE = 0.001
"""Seconds between turns while single datagrams come in faster than this, as network cards
coalesce interrupts: a wake-up costs several times what a datagram does."""
FREQUENT_TURNS = 8
"""So many turns in a row that brought little and came soon after each other."""
LITTLE = 8000
"""Bytes of a turn. The kernel puts datagrams together by itself where more come."""


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
        self._read_at = 0.0
        self._frequent = 0
        self._next_read: asyncio.TimerHandle | None = None
        """While coalescing; the loop does not watch the socket for reading then."""
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
                if error.errno != errno.EMSGSIZE:
                    self._on_error(error)
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
        total, _ = self._read()
        if self._closed:
            return
        now = self._loop.time()
        soon = total < LITTLE and now - self._read_at < COALESCE
        self._frequent = self._frequent + 1 if soon else 0
        self._read_at = now
        if self._frequent >= FREQUENT_TURNS:
            self._loop.remove_reader(self._sock.fileno())
            self._next_read = self._loop.call_later(COALESCE, self._read_coalesced)

    def _read_coalesced(self) -> None:
        # As it stands where a callback raises: the loop is told, and reading goes on.
        total, more = 1, True
        try:
            total, more = self._read()
        finally:
            self._watch_again(total, more)

    def _watch_again(self, total: int, more: bool) -> None:
        if self._closed:
            return
        if total:
            # What is left over must not wait, or the turn's limit would be the path's.
            delay = 0 if more else COALESCE
            self._next_read = self._loop.call_later(delay, self._read_coalesced)
        else:
            self._next_read = None
            self._frequent = 0
            self._loop.add_reader(self._sock.fileno(), self._readable)

    def _read(self) -> tuple[int, bool]:
        """Take what is there, up to a turn's worth; return its bytes, and if more may be there."""
        total = 0
        more = True
        try:
            for _ in range(RECEIVE_CALLS_PER_TURN):
                try:
                    length, segment, address = self._sock.receive(self._buffer)
                except (BlockingIOError, InterruptedError):
                    more = False
                    break
                except OSError as error:
                    self._on_error(error)
                    break
                if length:
                    self._on_batch(self._buffer[:length], segment, address)
                if self._closed:
                    return total, False
                total += length
                if total >= RECEIVE_BYTES_PER_TURN:
                    break
        finally:
            # What came before a batch whose callback raised is answered as ever.
            if not self._closed:
                self._on_batches_end()
        return total, more
