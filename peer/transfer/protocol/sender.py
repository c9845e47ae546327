"""The sending side of a transfer as a pure machine (floor 1).

Theory of operation. The offer is sent in pages. `accept` grants a window: the number of segments
that may be in flight. While there is credit, and at most `read_ahead` segments wait to be sent, the
machine requests the next segment with `ReadSegment`, in order, file after file, without those that
the receiver holds. `segment_read` turns it into frames for `blocks_to_send`; small files share a
frame. `ack` returns the credit; `file_done` (or `files_done`, which also returns credit) carries
the receiver's digest of complete files; `done` ends the transfer. A file that can no longer be read
is skipped if no part of it was sent.

The machine keeps no file content: a segment that is sent again is read again.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterator
from enum import Enum
from typing import ClassVar, assert_never

from peer.text import fit_code, show_name

from .config import MAX_RETRIES, MAX_WINDOW, SEGMENT_SIZE, TransferConfig
from .digest import FileDigest, file_digest, segment_digest
from .events import Accepted, Completed, Declined, FileConfirmed, ReadSegment, Skipped
from .frames import (
    HEADER_SIZE,
    PACKED_HEADER_SIZE,
    data_frames,
    serialize_pack,
    serialize_packed,
    serialize_segment,
)
from .machine import MAX_SENTENCE, Machine, Trigger, Violation, credit
from .manifest import FILE, Manifest
from .messages import (
    VERSION,
    Accept,
    Ack,
    BadMessage,
    Cancel,
    Decline,
    Done,
    FileDone,
    FilesDone,
    Have,
    Message,
    Offer,
    OfferMore,
    Retry,
    Skip,
    offer_pages,
    parse_message,
)

__all__ = ["Sender", "SenderState"]

PAGES_AT_ONCE = 4
"""Pages of an offer that `messages_to_send` returns in one call, so that a large offer is never
completely in memory as text."""


class SenderState(Enum):
    """States of the sending side."""

    OFFERING = "offering"
    """The receiver has not decided."""
    SENDING = "sending"
    DONE = "done"
    DECLINED = "declined"
    FAILED = "failed"
    """Cancelled by either side, or failed."""


class _File:
    """State of a file that is being sent."""

    __slots__ = ("digest", "missing")

    def __init__(self, missing: int, digest: FileDigest | None) -> None:
        self.missing = missing
        """Segments that are not acknowledged."""
        self.digest = digest
        """None if the receiver holds segments from an earlier run, which are not read."""


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
        manifest: Entries to offer; it must not grow any more.
        config: Frame size and read-ahead.
        left_out: Number of files that are not sent, for display at the receiver.
        version: The latest version of the protocol to speak.
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
        self,
        transfer: int,
        manifest: Manifest,
        config: TransferConfig | None = None,
        *,
        left_out: int = 0,
        version: int = VERSION,
    ) -> None:
        super().__init__(transfer, SenderState.OFFERING)
        self.manifest = manifest
        self.bytes_done = 0
        """Bytes that the receiver has verified and written, or held before."""
        self.files_done = 0
        """Files that have their final names at the receiver."""
        self.current: int | None = None
        """Index of the file that was read last; None before the first."""
        self._config = config or TransferConfig()
        self.files_skipped = 0
        """Files that could not be read when it was their turn."""
        self.bytes_skipped = 0
        """Bytes of the skipped files."""
        self._pages: Iterator[str] = offer_pages(
            transfer, manifest, version=version, left_out=left_out
        )
        self._offered_version = version
        self._version = 1
        self._window = 0
        """Bytes that may be in flight."""
        self._used = 0
        """Bytes that are in flight."""
        self._held: dict[int, list[tuple[int, int]]] = {}
        self._cursor = self._segments_in_order()
        self._next: tuple[int, int] | None = None
        """The next segment, while there is no credit for it."""
        self._flight: dict[tuple[int, int], _Flight] = {}
        self._again: deque[tuple[int, int]] = deque()
        self._reading = 0
        self._files: dict[int, _File] = {}
        self._confirmed = bytearray(len(manifest))
        self._blocks: list[bytes] = []
        self._packed: list[bytes] = []
        """Small files that share the next frame."""
        self._packed_size = 0
        self._waiting = 0
        """Bytes of credit of what is in `_blocks` and `_packed`."""

    # Output

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
        self._flush_packed()
        blocks, self._blocks = self._blocks, []
        self._waiting = 0
        if blocks:
            self._request_segments()
        return blocks

    # Input

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
            data: Content; if its length differs from the request, the file has changed and the
                transfer ends with code `changed`.
            digest: SHA-256 of `data`, if the caller has computed it (in another thread).
        """
        flight = self._flight.get((file, segment))
        if self._state is not SenderState.SENDING:
            return
        self._reading -= credit(self.manifest, file, self._version)
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
            progress = self._files.get(file)
            if progress is not None and progress.digest is not None:
                progress.digest.add(segment, digest)
        self._waiting += credit(self.manifest, file, self._version)
        size = HEADER_SIZE + PACKED_HEADER_SIZE + length
        if self._version >= 2 and self._is_single(file) and size <= self._config.max_frame:
            if self._packed_size + size > self._config.max_frame:
                self._flush_packed()
            self._packed.append(serialize_packed(file, digest, data))
            self._packed_size += PACKED_HEADER_SIZE + length
        else:
            offset = segment * SEGMENT_SIZE
            self._blocks.append(serialize_segment(self.transfer, file, offset, length, digest))
            self._blocks += data_frames(self.transfer, file, offset, data, self._config.max_frame)
        self._request_segments()

    def source_lost(self, file: int, reason: str) -> bool:
        """Answer a `ReadSegment`: the file can no longer be read.

        Args:
            file: As in the event.
            reason: Reason, to follow the path in a sentence.

        Returns:
            True if the transfer continues without it. It cannot if the receiver is too old, if a
            part of the file was sent already, or if no other file is left.
        """
        if self._state is not SenderState.SENDING:
            return True
        self._reading -= credit(self.manifest, file, self._version)
        if self._confirmed[file]:
            return True  # skipped before, with another of its segments
        flights = [key for key in self._flight if key[0] == file]
        progress = self._files.get(file)
        if (
            self._version < 2
            or file in self._held
            or self.files_skipped + 1 == self.manifest.files
            or any(self._flight[key].digest is not None for key in flights)
            or (progress is not None and progress.missing < self.manifest.segments(file))
        ):
            return False
        for key in flights:
            del self._flight[key]
            self._used -= credit(self.manifest, file, self._version)
        if self._next is not None and self._next[0] == file:
            self._next = None
        self._files.pop(file, None)
        self._confirmed[file] = 1
        self.files_skipped += 1
        self.bytes_skipped += self.manifest.size(file)
        self._events.append(Skipped(file, reason))
        self._send(Skip(transfer=self.transfer, file=file, reason=reason[:200]))
        self._request_segments()
        return True

    def source_changed(self, file: int) -> None:
        """Report that a file has changed: ends the transfer with code `changed`."""
        name = show_name(self.manifest[file].path)
        self._fail("changed", f'"{name}" changed before all of it was sent.')

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
                sentence = show_name(message.message, MAX_SENTENCE)
                self._end(self._state, Declined(fit_code(message.code, "refused"), sentence))
            case Ack():
                self._move(Trigger.ACK)
                self._receive_ack(message)
            case Retry():
                self._move(Trigger.RETRY)
                self._receive_retry(message)
            case FileDone():
                self._move(Trigger.FILE_DONE)
                self._receive_file_done(message)
            case FilesDone():
                self._move(Trigger.FILE_DONE)
                self._receive_files_done(message)
            case Done():
                self._receive_done(message)
            case Cancel():
                self._ended_by_peer(message)
            case Offer() | OfferMore() | Skip():
                raise Violation("a message that only a sender sends")
            case _:
                assert_never(message)

    def _receive_accept(self, message: Accept) -> None:
        if self._state is SenderState.SENDING:
            return  # a duplicate
        self._hold(message.have)
        self._move(Trigger.ACCEPT)
        self._version = message.version
        if self._version > self._offered_version:
            raise Violation(f"version {message.version} was never offered")
        self._window = message.window * SEGMENT_SIZE
        self._events.append(Accepted(self.bytes_done))
        self._request_segments()

    def _hold(self, have: dict[int, list[tuple[int, int]]]) -> None:
        """Note the segments that the receiver holds: checked, in order, without overlap."""
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
        progress = self._files.get(file)
        if progress is None:
            return  # `files_done` confirms a small file
        progress.missing -= 1
        self._land(file, segment)

    def _land(self, file: int, segment: int) -> None:
        """Count a segment as written at the receiver, and take its credit back."""
        del self._flight[file, segment]
        self._used -= credit(self.manifest, file, self._version)
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
        segments = self._segments_of(message.file)
        if self._confirmed[message.file]:
            return  # a duplicate
        ours = self._confirm(message.file, segments)
        if ours is not None and ours.hex() != message.digest:
            raise Violation(
                f"file {message.file} has another digest at the receiver's", "integrity"
            )

    def _receive_files_done(self, message: FilesDone) -> None:
        if self._version < 2:
            raise Violation("files_done in version 1")
        together = hashlib.sha256()
        known = True
        previous = -1
        for first, last in message.files:
            if not previous < first <= last:
                raise Violation("files that are done twice")
            previous = last
            for file in range(first, last + 1):
                segments = self._segments_of(file)
                if self._confirmed[file]:
                    raise Violation(f"file {file} is done twice")
                ours = self._confirm(file, segments)
                if ours is None:
                    known = False
                else:
                    together.update(ours)
        if known and together.hexdigest() != message.digest:
            raise Violation("files have other digests at the receiver's", "integrity")
        self._request_segments()

    def _confirm(self, file: int, segments: int) -> bytes | None:
        """Count a file as done; return our digest of it, None if it is unknown."""
        ours: bytes | None
        progress = self._files.pop(file, None)
        flight = self._flight.get((file, 0)) if segments == 1 else None
        if progress is None and flight is not None and flight.digest is not None:
            self._land(file, 0)
            ours = file_digest(flight.digest)
        else:
            if progress is None:
                progress = self._new_file(file, segments)
            if progress.missing:
                raise Violation(f"file {file} is done, but {progress.missing} segments are missing")
            ours = progress.digest.digest() if progress.digest is not None else None
        self._confirmed[file] = 1
        self.files_done += 1
        self._events.append(FileConfirmed(file))
        return ours

    def _receive_done(self, message: Done) -> None:
        files = self.manifest.files - self.files_skipped
        count = self.manifest.bytes - self.bytes_skipped
        if self.files_done != files:
            raise Violation("done, but not all files are")
        if (message.files, message.bytes) != (files, count):
            raise Violation("done, but with other totals")
        self._move(Trigger.DONE)
        self._release()
        self._events.append(Completed(files, count, message.left_out))

    # Segments

    def _segments_of(self, file: int) -> int:
        if file >= len(self.manifest) or self.manifest.kind(file) != FILE:
            raise Violation(f"file {file} does not exist")
        return self.manifest.segments(file)

    def _is_single(self, file: int) -> bool:
        """Return whether a file has a single segment."""
        return 0 < self.manifest.size(file) <= SEGMENT_SIZE

    def _flush_packed(self) -> None:
        if self._packed:
            self._blocks.append(serialize_pack(self.transfer, self._packed))
            self._packed, self._packed_size = [], 0

    def _new_file(self, file: int, segments: int) -> _File:
        held = self._held.get(file)
        if not held:
            return _File(segments, FileDigest())
        return _File(segments - sum(last + 1 - first for first, last in held), None)

    def _segments_in_order(self) -> Iterator[tuple[int, int]]:
        """Yield every (file, segment) to send."""
        for file in range(len(self.manifest)):
            segments = self.manifest.segments(file)
            if not segments or self._confirmed[file]:
                continue
            if segments == 1 and self._version >= 2 and file not in self._held:
                yield file, 0
                continue
            progress = self._new_file(file, segments)
            if not progress.missing:
                continue  # held completely: only its `file_done` is to come
            self._files[file] = progress
            segment = 0
            for first, last in [*self._held.get(file, ()), (segments, segments)]:
                for travelling in range(segment, first):
                    if self._confirmed[file]:
                        break  # it was skipped
                    yield file, travelling
                segment = last + 1

    def _request_segments(self) -> None:
        """Request as many segments as credit and read-ahead allow."""
        while (
            self._state is SenderState.SENDING
            and self._reading + self._waiting < self._config.read_ahead * SEGMENT_SIZE
        ):
            if self._again:
                file, segment = self._again.popleft()
                if (file, segment) not in self._flight:
                    continue
            else:
                if self._next is None:
                    self._next = next(self._cursor, None)
                if self._next is None:
                    return
                file, segment = self._next
                cost = credit(self.manifest, file, self._version)
                if self._used + cost > self._window:
                    return
                self._used += cost
                self._flight[self._next] = _Flight()
                self._next = None
            self._reading += credit(self.manifest, file, self._version)
            self.current = file
            length = self.manifest.segment_length(file, segment)
            self._events.append(ReadSegment(file, segment, segment * SEGMENT_SIZE, length))

    def _release(self) -> None:
        self._pages = iter(())
        self._cursor = iter(())
        self._next = None
        self._flight.clear()
        self._again.clear()
        self._files.clear()
        self._held.clear()
        self._blocks.clear()
        self._packed.clear()
        self._packed_size = self._waiting = self._reading = self._used = 0
