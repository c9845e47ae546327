"""The sending side of a transfer as a pure machine (floor 1).

Theory of operation. The offer goes out in pages. With `accept` comes a window: so many segments
may be in flight. While there is credit, and no more than `read_ahead` segments wait to be sent, the
machine asks for the next segment with `ReadSegment`, in order, file after file, leaving out what
the receiver holds. `segment_read` turns it into frames for `blocks_to_send`. `ack`
returns the credit, `file_done` brings the receiver's digest of a whole file, `done` ends it.

The machine keeps no file content: what has to be sent again is read again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from enum import Enum
from typing import ClassVar, assert_never

from .config import MAX_RETRIES, MAX_WINDOW, SEGMENT_SIZE, TransferConfig
from .digest import FileDigest, segment_digest
from .events import Accepted, Completed, Declined, FileConfirmed, ReadSegment
from .frames import data_frames, serialize_segment
from .machine import MAX_SENTENCE, Machine, Trigger, Violation
from .manifest import FILE, Manifest
from .messages import (
    Accept,
    Ack,
    BadMessage,
    Cancel,
    Decline,
    Done,
    FileDone,
    Have,
    Message,
    Offer,
    OfferMore,
    Retry,
    offer_pages,
    parse_message,
)
from .names import display_name

__all__ = ["Sender", "SenderState"]

PAGES_AT_ONCE = 4
"""Pages of an offer that `messages_to_send` returns in one call: a large one is never whole in
memory as text."""


class SenderState(Enum):
    """Where the sending side stands."""

    OFFERING = "offering"
    """The receiver has not decided."""
    SENDING = "sending"
    DONE = "done"
    DECLINED = "declined"
    FAILED = "failed"
    """Cancelled by either side, or gone wrong."""


class _File:
    """What the sender knows of a file that is under way."""

    __slots__ = ("digest", "missing")

    def __init__(self, missing: int, digest: FileDigest | None) -> None:
        self.missing = missing
        """Segments that are not acknowledged."""
        self.digest = digest
        """None when the receiver holds segments of an earlier time, that we do not read."""


class _Flight:
    """A segment that holds credit."""

    __slots__ = ("digest", "reading", "retries")

    def __init__(self) -> None:
        self.digest: bytes | None = None
        """None until it was read for the first time."""
        self.reading = True
        self.retries = 0


class Sender(Machine[SenderState]):
    """Sends the files of one manifest.

    Args:
        transfer: Id of the transfer on its link.
        manifest: What to offer; its names should have passed `safe_manifest`.
        config: Frame size and read-ahead.
    """

    TRANSITIONS: ClassVar[dict[Enum, dict[Trigger, Enum]]] = {
        SenderState.OFFERING: {
            Trigger.HAVE: SenderState.OFFERING,
            Trigger.ACCEPT: SenderState.SENDING,
            Trigger.DECLINE: SenderState.DECLINED,
            Trigger.CANCEL: SenderState.FAILED,
        },
        SenderState.SENDING: {
            Trigger.ACK: SenderState.SENDING,
            Trigger.RETRY: SenderState.SENDING,
            Trigger.FILE_DONE: SenderState.SENDING,
            Trigger.DONE: SenderState.DONE,
            Trigger.CANCEL: SenderState.FAILED,
        },
        SenderState.DONE: {},
        SenderState.DECLINED: {},
        SenderState.FAILED: {},
    }
    FAILED = SenderState.FAILED

    def __init__(
        self, transfer: int, manifest: Manifest, config: TransferConfig | None = None
    ) -> None:
        super().__init__(transfer, SenderState.OFFERING)
        self.manifest = manifest
        self.bytes_done = 0
        """Bytes that the receiver has verified and written (or held before)."""
        self.files_done = 0
        """Files that stand at the receiver's under their final names."""
        self.current: int | None = None
        """Index of the file that was read last; None before the first."""
        self._config = config or TransferConfig()
        self._pages: Iterator[str] = offer_pages(transfer, manifest)
        self._window = 0
        self._held: dict[int, list[tuple[int, int]]] = {}
        self._cursor = self._segments_in_order()
        self._flight: dict[tuple[int, int], _Flight] = {}
        self._again: deque[tuple[int, int]] = deque()
        self._reading = 0
        self._files: dict[int, _File] = {}
        self._confirmed = bytearray(len(manifest))
        self._blocks: list[bytes] = []
        self._segments_waiting = 0

    # Out

    def messages_to_send(self) -> list[str]:
        """Take some control messages, in order; call again until the list is empty."""
        messages = super().messages_to_send()
        if self._state is SenderState.OFFERING:
            for _ in range(PAGES_AT_ONCE):
                page = next(self._pages, None)
                if page is None:
                    break
                messages.append(page)
        return messages

    def blocks_to_send(self) -> list[bytes]:
        """Take the frames that are ready: those of at most `read_ahead` segments, in order."""
        blocks, self._blocks = self._blocks, []
        self._segments_waiting = 0
        if blocks:
            self._request_segments()
        return blocks

    # In

    def receive_message(self, message: str | Message) -> None:
        """Take a control message of this transfer from the receiver."""
        if self.ended:
            return
        try:
            parsed = parse_message(message) if isinstance(message, str) else message
            if parsed is not None:
                self._handle(parsed)
        except BadMessage as exc:
            self._fail("protocol", str(exc))
        except Violation as exc:
            self._fail(exc.code, f"The receiver broke the protocol: {exc}.")

    def segment_read(
        self, file: int, segment: int, data: bytes | memoryview, digest: bytes | None = None
    ) -> None:
        """Answer a `ReadSegment` with the content.

        Args:
            file: As in the event.
            segment: As in the event.
            data: Content; when it is not as long as asked for, the file has changed and the
                transfer ends with code `changed`.
            digest: SHA-256 of `data`, when the caller has computed it (in another thread).
        """
        flight = self._flight.get((file, segment))
        if self._state is not SenderState.SENDING:
            return
        self._reading -= 1
        if flight is None or not flight.reading:
            self._request_segments()  # acknowledged in the meantime, although asked for again
            return
        flight.reading = False
        length = self.manifest.segment_length(file, segment)
        digest = digest or segment_digest((data,))
        if len(data) != length or flight.digest not in (None, digest):
            self.source_changed(file)
            return
        if flight.digest is None:
            flight.digest = digest
            progress = self._files[file]
            if progress.digest is not None:
                progress.digest.add(segment, digest)
        offset = segment * SEGMENT_SIZE
        self._blocks.append(serialize_segment(self.transfer, file, offset, length, digest))
        self._blocks += data_frames(self.transfer, file, offset, data, self._config.max_frame)
        self._segments_waiting += 1
        self._request_segments()

    def source_changed(self, file: int) -> None:
        """Tell that a file is not what was offered: ends the transfer with code `changed`."""
        name = display_name(self.manifest[file].path)
        self._fail("changed", f'"{name}" changed while it was being sent.')

    # Messages

    def _handle(self, message: Message) -> None:
        match message:
            case Have():
                self._move(Trigger.HAVE)
                self._hold(message.have)
            case Accept():
                self._receive_accept(message)
            case Decline():
                self._move(Trigger.DECLINE)
                sentence = display_name(message.message, MAX_SENTENCE)
                self._end(self._state, Declined(display_name(message.code), sentence))
            case Ack():
                self._move(Trigger.ACK)
                self._receive_ack(message)
            case Retry():
                self._move(Trigger.RETRY)
                self._receive_retry(message)
            case FileDone():
                self._move(Trigger.FILE_DONE)
                self._receive_file_done(message)
            case Done():
                self._receive_done(message)
            case Cancel():
                self._ended_by_peer(message)
            case Offer() | OfferMore():
                raise Violation("an offer for a transfer that we offered")
            case _:
                assert_never(message)

    def _receive_accept(self, message: Accept) -> None:
        if self._state is SenderState.SENDING:
            return  # a duplicate
        self._hold(message.have)
        self._move(Trigger.ACCEPT)
        self._window = message.window
        self._events.append(Accepted(self.bytes_done))
        self._request_segments()

    def _hold(self, have: dict[int, list[tuple[int, int]]]) -> None:
        """Note what the receiver holds already: checked, in order, without overlap."""
        for file, ranges in have.items():
            segments = self._segments_of(file)
            held = self._held.setdefault(file, [])
            for first, last in ranges:
                if not (held[-1][1] if held else -1) < first <= last < segments:
                    raise Violation(f"segments {first}-{last} of file {file} cannot be held")
                held.append((first, last))
                self.bytes_done += min((last + 1) * SEGMENT_SIZE, self.manifest.size(file))
                self.bytes_done -= first * SEGMENT_SIZE

    def _receive_ack(self, message: Ack) -> None:
        segments = self._segments_of(message.file)
        named = 0
        for first, last in message.segments:
            if not first <= last < segments:
                raise Violation(f"segments {first}-{last} of file {message.file} do not exist")
            named += last + 1 - first
            if named > MAX_WINDOW:
                raise Violation("more segments acknowledged at once than can be in flight")
            for segment in range(first, last + 1):
                self._acknowledge(message.file, segment)
        self._request_segments()

    def _acknowledge(self, file: int, segment: int) -> None:
        flight = self._flight.get((file, segment))
        if flight is None or flight.digest is None:
            return  # acknowledged before, or never sent
        del self._flight[file, segment]
        self._files[file].missing -= 1
        self.bytes_done += self.manifest.segment_length(file, segment)

    def _receive_retry(self, message: Retry) -> None:
        flight = self._flight.get((message.file, message.segment))
        if flight is None or flight.reading:
            return
        flight.retries += 1
        if flight.retries > MAX_RETRIES:
            raise Violation(f"segment {message.segment} was asked for too often", "integrity")
        flight.reading = True
        self._again.append((message.file, message.segment))
        self._request_segments()

    def _receive_file_done(self, message: FileDone) -> None:
        file = message.file
        segments = self._segments_of(file)
        if self._confirmed[file]:
            return  # a duplicate
        progress = self._files.pop(file, None)
        if progress is None:
            progress = self._new_file(file, segments)
        if progress.missing:
            raise Violation(f"file {file} is done, but {progress.missing} segments are missing")
        ours = progress.digest.hexdigest() if progress.digest is not None else None
        if ours is not None and ours != message.digest:
            raise Violation(f"file {file} has another digest at the receiver's", "integrity")
        self._confirmed[file] = 1
        self.files_done += 1
        self._events.append(FileConfirmed(file))

    def _receive_done(self, message: Done) -> None:
        if self.files_done != self.manifest.files:
            raise Violation("done, but not all files are")
        if (message.files, message.bytes) != (self.manifest.files, self.manifest.bytes):
            raise Violation("done, but with other totals")
        self._move(Trigger.DONE)
        self._release()
        self._events.append(Completed(message.files, message.bytes))

    # Segments

    def _segments_of(self, file: int) -> int:
        if file >= len(self.manifest) or self.manifest[file].kind != FILE:
            raise Violation(f"file {file} does not exist")
        return self.manifest.segments(file)

    def _new_file(self, file: int, segments: int) -> _File:
        held = self._held.get(file)
        if not held:
            return _File(segments, FileDigest())
        return _File(segments - sum(last + 1 - first for first, last in held), None)

    def _segments_in_order(self) -> Iterator[tuple[int, int]]:
        """Yield every (file, segment) that has to travel."""
        for file in range(len(self.manifest)):
            segments = self.manifest.segments(file)
            if not segments or self._confirmed[file]:
                continue
            progress = self._new_file(file, segments)
            if not progress.missing:
                continue  # held completely: only its `file_done` is to come
            self._files[file] = progress
            segment = 0
            for first, last in [*self._held.get(file, ()), (segments, segments)]:
                for travelling in range(segment, first):
                    yield file, travelling
                segment = last + 1

    def _request_segments(self) -> None:
        """Ask for as many segments as credit and read-ahead allow."""
        while (
            self._state is SenderState.SENDING
            and self._reading + self._segments_waiting < self._config.read_ahead
        ):
            if self._again:
                file, segment = self._again.popleft()
                if (file, segment) not in self._flight:
                    continue
            elif len(self._flight) < self._window:
                following = next(self._cursor, None)
                if following is None:
                    return
                file, segment = following
                self._flight[following] = _Flight()
            else:
                return
            self._reading += 1
            self.current = file
            length = self.manifest.segment_length(file, segment)
            self._events.append(ReadSegment(file, segment, segment * SEGMENT_SIZE, length))

    def _release(self) -> None:
        self._pages = iter(())
        self._cursor = iter(())
        self._flight.clear()
        self._again.clear()
        self._files.clear()
        self._held.clear()
        self._blocks.clear()
        self._segments_waiting = self._reading = 0
