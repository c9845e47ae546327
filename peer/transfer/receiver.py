"""The receiving side of a transfer as a pure machine (floor 1).

Theory of operation. Pages of the offer are checked as they come: sizes add up, names are safe.
Then `Offered` asks somebody to `accept` or `decline`. Frames come in any order; those of a
segment are kept, uncopied, until its digest and all its bytes are there. Then `WriteSegment` asks
the driver to hash it and, when the hash is the digest, to write it: both take long enough to be
done elsewhere. `segment_written` acknowledges it, which returns its credit to the sender;
`segment_damaged` throws it away and asks for it again, three times at most. A file without missing
segments becomes a `FinishFile`; links are made when all files are. When every entry is finished,
`done` goes out and `Completed` ends it.

What is buffered is bounded by the window that was granted, whatever the sender does: frames beyond
the credit end the transfer.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import ClassVar, assert_never

from peer.errors import UnsafeName

from .config import (
    DIGEST_SIZE,
    MAX_FRAMES_PER_SEGMENT,
    MAX_RETRIES,
    SEGMENT_SIZE,
    TransferConfig,
)
from .digest import FileDigest
from .events import (
    Completed,
    Declined,
    FinishFile,
    Have,
    MakeDirectory,
    MakeLink,
    Offered,
    WriteSegment,
)
from .frames import BadFrame, DataFrame, Frame, SegmentFrame, parse_frame
from .machine import Machine, Trigger, Violation
from .manifest import DIRECTORY, FILE, KINDS, LINK, Entry, Manifest
from .messages import (
    RANGES_PER_MESSAGE,
    Accept,
    Ack,
    BadMessage,
    Cancel,
    Decline,
    Done,
    FileDone,
    Message,
    Offer,
    OfferMore,
    Retry,
    accept_messages,
    parse_message,
)
from .messages import Have as HaveMessage
from .names import NameChecker, display_name

__all__ = ["Receiver", "ReceiverState"]


class ReceiverState(Enum):
    """Where the receiving side stands."""

    LISTING = "listing"
    """Pages of the offer are coming in."""
    OFFERED = "offered"
    """Somebody has to decide."""
    RECEIVING = "receiving"
    DONE = "done"
    DECLINED = "declined"
    FAILED = "failed"
    """Cancelled by either side, or gone wrong."""


class _Segment:
    """A segment that is on its way, or waits to be written."""

    __slots__ = ("digest", "length", "parts", "received", "retries", "start", "writing")

    def __init__(self, start: int, length: int) -> None:
        self.start = start
        """Offset in the file, bytes."""
        self.length = length
        self.digest: bytes | None = None
        self.parts: dict[int, memoryview] = {}
        """By offset in the file."""
        self.received = 0
        """Bytes in `parts`."""
        self.retries = 0
        self.writing = False

    def clear(self) -> None:
        self.digest = None
        self.parts = {}
        self.received = 0
        self.writing = False

    def in_order(self) -> tuple[memoryview, ...]:
        """All parts.

        Raises:
            Violation: they overlap; only then do they leave a gap.
        """
        expected = self.start
        parts = []
        for offset in sorted(self.parts):
            if offset != expected:
                raise Violation("blocks overlap")
            parts.append(self.parts[offset])
            expected += len(parts[-1])
        return tuple(parts)


class _File:
    """What the receiver knows of a file that is under way."""

    __slots__ = ("digest", "missing", "open")

    def __init__(self, missing: int) -> None:
        self.missing = missing
        """Segments that are not written."""
        self.digest = FileDigest()
        self.open = False
        """Blocks of it have arrived, and more are to come."""


class Receiver(Machine[ReceiverState]):
    """Receives the files of one offer; begins with the offer's first page in `receive_message`.

    Args:
        transfer: Id of the transfer on its link.
        config: The window to grant.
    """

    TRANSITIONS: ClassVar[dict[Enum, dict[Trigger, Enum]]] = {
        ReceiverState.LISTING: {
            Trigger.OFFER: ReceiverState.LISTING,
            Trigger.OFFER_END: ReceiverState.OFFERED,
            Trigger.DECLINE: ReceiverState.DECLINED,
            Trigger.CANCEL: ReceiverState.FAILED,
        },
        ReceiverState.OFFERED: {
            Trigger.ACCEPT: ReceiverState.RECEIVING,
            Trigger.DECLINE: ReceiverState.DECLINED,
            Trigger.CANCEL: ReceiverState.FAILED,
        },
        ReceiverState.RECEIVING: {
            Trigger.BLOCK: ReceiverState.RECEIVING,
            Trigger.DONE: ReceiverState.DONE,
            Trigger.CANCEL: ReceiverState.FAILED,
        },
        ReceiverState.DONE: {},
        ReceiverState.DECLINED: {},
        ReceiverState.FAILED: {},
    }
    FAILED = ReceiverState.FAILED

    def __init__(self, transfer: int, config: TransferConfig | None = None) -> None:
        super().__init__(transfer, ReceiverState.LISTING)
        self.manifest = Manifest()
        """What is offered, as far as it has arrived; complete with `Offered`."""
        self.bytes_done = 0
        """Bytes that are verified and written (or were there before)."""
        self.files_done = 0
        """Files that stand under their final names."""
        self.current: int | None = None
        """Index of the file that was written last; None before the first."""
        self._window = (config or TransferConfig()).window
        self._totals: tuple[int, int] | None = None
        self._names = NameChecker()
        self._unfinished = 0
        self._links: list[int] = []
        self._segments: dict[tuple[int, int], _Segment] = {}
        self._files: dict[int, _File] = {}
        self._open_files = 0
        self._written = bytearray()
        """By file index: 1 when no segment is missing."""
        self._finishing: dict[int, str] = {}
        """By file index: digest, while the driver gives it its final name."""
        self._acks: dict[int, list[int]] = {}

    # Decide

    def accept(self, window: int | None = None, have: Mapping[int, Have] | None = None) -> None:
        """Let the files come.

        Args:
            window: Segments that may be in flight; None for the configured window.
            have: By file index: what is here already, from a journal.

        Raises:
            ValueError: `have` does not fit the manifest.
        """
        if self._state is not ReceiverState.OFFERED:
            return  # cancelled in the meantime
        self._window = window or self._window
        ranges = {file: held.ranges for file, held in (have or {}).items()}
        for file, held in (have or {}).items():
            self._hold(file, held)
        self._move(Trigger.ACCEPT)
        self._messages += accept_messages(self.transfer, self._window, ranges)
        self._written = bytearray(len(self.manifest))
        self._unfinished = len(self.manifest)
        empty = FileDigest()
        for index, entry in enumerate(self.manifest):
            if entry.kind == DIRECTORY:
                self._events.append(MakeDirectory(index))
            elif entry.kind == LINK:
                self._links.append(index)
            elif not entry.size:
                self._finish_file(index, empty)
            elif index in self._files and not self._files[index].missing:
                self._finish_file(index, self._files.pop(index).digest)
        self._make_links()

    def decline(self, code: str = "refused", message: str = "") -> None:
        """Turn the offer down.

        Args:
            code: `refused`, `no_space`, `too_many`, `busy`, ...
            message: A sentence for the person on the other side.
        """
        if self._state in (ReceiverState.LISTING, ReceiverState.OFFERED):
            self._end(ReceiverState.DECLINED, Declined(code, message))
            self._send(Decline(transfer=self.transfer, code=code, message=message[:1000]))

    # Out

    def messages_to_send(self) -> list[str]:
        """Take some control messages, in order; call again until the list is empty."""
        self._flush_acks()
        return super().messages_to_send()

    # In

    def receive_message(self, message: str | Message) -> None:
        """Take a control message of this transfer from the sender."""
        if self.ended:
            return
        try:
            parsed = parse_message(message) if isinstance(message, str) else message
            if parsed is not None:
                self._handle(parsed)
        except BadMessage as exc:
            self._fail("protocol", str(exc))
        except Violation as exc:
            self._fail(exc.code, f"The sender broke the protocol: {exc}.")

    def receive_block(self, block: bytes | Frame) -> None:
        """Take a frame of this transfer. Duplicates do no harm, nor does any order."""
        if self.ended:
            return
        try:
            frame = parse_frame(block) if isinstance(block, bytes) else block
            if frame is None:
                return
            if self._state is not ReceiverState.RECEIVING:  # thousands a second: no table for those
                self._move(Trigger.BLOCK)
            segment = self._segment_of(frame)
            if segment is not None and not segment.writing:
                self._receive_frame(frame, segment)
        except BadFrame as exc:
            self._fail("protocol", str(exc))
        except Violation as exc:
            self._fail(exc.code, f"The sender broke the protocol: {exc}.")

    def segment_written(self, file: int, segment: int) -> None:
        """Answer a `WriteSegment`: the content matched its digest and is in the file."""
        written = self._segments.pop((file, segment), None)
        if written is None or self._state is not ReceiverState.RECEIVING:
            return
        progress = self._files[file]
        progress.digest.add(segment, written.digest)
        progress.missing -= 1
        self.bytes_done += written.length
        self.current = file
        self._acks.setdefault(file, []).append(segment)
        if not progress.missing:
            self._open_files -= 1
            self._finish_file(file, self._files.pop(file).digest)

    def segment_damaged(self, file: int, segment: int) -> None:
        """Answer a `WriteSegment`: the content does not match its digest and was not written."""
        damaged = self._segments.get((file, segment))
        if damaged is None:
            return
        damaged.clear()
        damaged.retries += 1
        if damaged.retries > MAX_RETRIES:
            name = display_name(self.manifest[file].path)
            self._fail("integrity", f'A part of "{name}" arrived damaged, again and again.')
        else:
            self._send(Retry(transfer=self.transfer, file=file, segment=segment))

    def entry_finished(self, file: int) -> None:
        """Answer a `FinishFile`, `MakeDirectory` or `MakeLink`: it stands under its final name."""
        if self._state is not ReceiverState.RECEIVING:
            return
        if self.manifest[file].kind == FILE:
            digest = self._finishing.pop(file)
            self._flush_acks()  # the sender wants to have seen them all before
            self._send(FileDone(transfer=self.transfer, file=file, digest=digest))
            self.files_done += 1
        self._unfinished -= 1
        if self._links:
            self._make_links()
        elif not self._unfinished:
            self._move(Trigger.DONE)
            totals = (self.manifest.files, self.manifest.bytes)
            self._send(Done(transfer=self.transfer, files=totals[0], bytes=totals[1]))
            self._release()
            self._events.append(Completed(*totals))

    # Messages

    def _handle(self, message: Message) -> None:
        match message:
            case Offer():
                self._move(Trigger.OFFER)
                if self._totals is not None:
                    raise Violation("offered twice")
                self._totals = (message.files, message.bytes)
                self._receive_page(message.entries, message.more)
            case OfferMore():
                self._move(Trigger.OFFER)
                if self._totals is None:
                    raise Violation("a page before the offer")
                self._receive_page(message.entries, message.more)
            case Cancel():
                self._ended_by_peer(message)
            case HaveMessage() | Accept() | Decline() | Ack() | Retry() | FileDone() | Done():
                raise Violation("a receiver's message from the sender")
            case _:
                assert_never(message)

    def _receive_page(self, entries: list[Entry], more: bool) -> None:
        if not entries:
            raise Violation("an empty page")
        for entry in entries:
            if entry.kind not in KINDS:
                self.decline("unsupported", "This version cannot receive one of the entries.")
                return
        try:
            self.manifest.extend(entries)
            self._names.extend(entries)
            if more:
                return
            plan = self._names.finish()
        except UnsafeName as exc:
            self.decline("unsafe_name", str(exc))
            return
        except ValueError as exc:
            raise Violation(str(exc)) from exc
        if self._totals != (self.manifest.files, self.manifest.bytes):
            raise Violation("the offer's totals differ from its entries")
        self._move(Trigger.OFFER_END)
        self._names = NameChecker()
        self._events.append(Offered(self.manifest, plan))

    def _flush_acks(self) -> None:
        for file, segments in self._acks.items():
            ranges: list[tuple[int, int]] = []
            for segment in sorted(segments):
                if ranges and ranges[-1][1] == segment - 1:
                    ranges[-1] = (ranges[-1][0], segment)
                else:
                    ranges.append((segment, segment))
            for start in range(0, len(ranges), RANGES_PER_MESSAGE):
                part = ranges[start : start + RANGES_PER_MESSAGE]
                self._send(Ack(transfer=self.transfer, file=file, segments=part))
        self._acks.clear()

    # Segments

    def _hold(self, file: int, held: Have) -> None:
        """Count what a journal vouches for as written."""
        segments = self.manifest.segments(file)
        progress = self._files[file] = _File(segments)
        start, previous = 0, -1
        for first, last in held.ranges:
            if not previous < first <= last < segments:
                raise ValueError(f"segments {first}-{last} of file {file} cannot be held")
            stop = start + (last + 1 - first) * DIGEST_SIZE
            progress.digest.add_run(first, held.digests[start:stop])
            progress.missing -= last + 1 - first
            self.bytes_done += min((last + 1) * SEGMENT_SIZE, self.manifest.size(file))
            self.bytes_done -= first * SEGMENT_SIZE
            start, previous = stop, last
        if start != len(held.digests):
            raise ValueError(f"file {file}: digests and ranges do not match")

    def _segment_of(self, frame: Frame) -> _Segment | None:
        """The segment that a frame belongs to; None when that one is written already.

        Raises:
            Violation: there is no such place, or no credit for another segment.
        """
        file = frame.file
        if file >= len(self.manifest) or frame.offset >= self.manifest.size(file):
            raise Violation(f"a block for no place in file {file}")
        number = frame.offset // SEGMENT_SIZE
        segment = self._segments.get((file, number))
        if segment is not None:
            return segment
        if self._written[file]:
            return None
        progress = self._files.get(file)
        if progress is None:
            progress = self._files[file] = _File(self.manifest.segments(file))
        if number in progress.digest:
            return None
        if not progress.open:
            # A sender goes on to the next file when it has sent all of one, so each that it left
            # unfinished holds credit, and so does the new one.
            if self._open_files >= self._window:
                raise Violation("too many files at once")
            progress.open = True
            self._open_files += 1
        if len(self._segments) >= self._window:
            raise Violation("a block beyond the credit")
        segment = _Segment(number * SEGMENT_SIZE, self.manifest.segment_length(file, number))
        self._segments[file, number] = segment
        return segment

    def _receive_frame(self, frame: Frame, segment: _Segment) -> None:
        if isinstance(frame, SegmentFrame):
            if frame.offset != segment.start or frame.length != segment.length:
                raise Violation("a segment with other bounds than ours")
            if segment.digest not in (None, frame.digest):
                raise Violation("a second digest for a segment")
            segment.digest = frame.digest
        else:
            self._keep(frame, segment)
        if segment.received == segment.length and segment.digest is not None:
            parts = segment.in_order()
            segment.writing = True
            segment.parts = {}  # the event has them now
            number = segment.start // SEGMENT_SIZE
            self._events.append(
                WriteSegment(frame.file, number, segment.start, parts, segment.digest)
            )

    def _keep(self, frame: DataFrame, segment: _Segment) -> None:
        if frame.offset in segment.parts:
            return  # a duplicate
        length = len(frame.payload)
        if frame.offset + length > segment.start + segment.length:
            raise Violation("a block that crosses the end of its segment")
        if segment.received + length > segment.length:
            raise Violation("blocks overlap")
        if len(segment.parts) == MAX_FRAMES_PER_SEGMENT:
            raise Violation("a segment in too many blocks")
        segment.parts[frame.offset] = frame.payload
        segment.received += length

    # Files

    def _finish_file(self, file: int, digest: FileDigest) -> None:
        text = digest.hexdigest()
        assert text is not None  # every segment was verified here, or by the journal
        self._written[file] = 1
        self._finishing[file] = text
        self._events.append(FinishFile(file, text))

    def _make_links(self) -> None:
        """Ask for the links when nothing else is left to do."""
        if self._links and self._unfinished == len(self._links):
            links, self._links = self._links, []
            self._events += map(MakeLink, links)

    def _release(self) -> None:
        self._names = NameChecker()
        self._segments.clear()
        self._files.clear()
        self._finishing.clear()
        self._acks.clear()
        self._links.clear()
