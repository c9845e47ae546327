"""The receiving side of a transfer as a pure machine (floor 1).

Theory of operation. Pages of the offer are checked as they arrive: sizes add up, names are safe.
Then `Offered` asks for `accept` or `decline`. Frames arrive in any order; those of a segment are
kept, uncopied, until its digest and all its bytes are there. Then `WriteSegment` asks the driver to
hash it and, if the hash matches, to write it: both take long enough for a thread. `segment_written`
acknowledges it, which returns its credit to the sender; `segment_damaged` drops it and asks for it
again, at most three times. A file without missing segments becomes a `FinishFile`; a file with a
single segment is a `WriteFile` from the beginning. Links are made after all files, and folders are
set after all links. Then `done` is sent and `Completed` ends the transfer.

The granted window bounds the buffer, whatever the sender does: frames beyond the credit end the
transfer. Before the offer is accepted, only the packed manifest is kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import Enum
from typing import ClassVar, assert_never

from peer.errors import UnsafeName
from peer.text import show_name

from .config import BYTES_PER_FRAME, DIGEST_SIZE, MAX_RETRIES, SEGMENT_SIZE, TransferConfig
from .confirmations import Confirmations
from .digest import FileDigest, file_digest
from .events import (
    Completed,
    Declined,
    Event,
    FinishFile,
    HeldSegments,
    MakeDirectory,
    MakeLink,
    Offered,
    SetFolders,
    Skipped,
    WriteFile,
    WriteSegment,
)
from .frames import BadFrame, DataFrame, Frame, PackedFile, PackFrame, SegmentFrame, parse_frame
from .machine import Machine, Trigger, Violation, credit
from .manifest import DIRECTORY, FILE, KINDS, LINK, Entry, Manifest
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
    accept_messages,
    parse_message,
)
from .names import check_entry
from .notes import NotableScan
from .pieces import OpenFile, Segment

__all__ = ["Receiver", "ReceiverState"]


class ReceiverState(Enum):
    """States of the receiving side."""

    LISTING = "listing"
    """Pages of the offer are arriving."""
    OFFERED = "offered"
    """The offer waits for a decision."""
    RECEIVING = "receiving"
    DONE = "done"
    DECLINED = "declined"
    FAILED = "failed"
    """Cancelled by either side, or failed."""


class Receiver(Machine[ReceiverState]):
    """Receives the files of one offer; begins with the offer's first page in `receive_message`.

    Args:
        transfer: Id of the transfer on its link.
        config: The window to grant.
        version: The latest version of the protocol to speak.
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
            Trigger.SKIP: ReceiverState.RECEIVING,
            Trigger.DONE: ReceiverState.DONE,
            Trigger.CANCEL: ReceiverState.FAILED,
        },
        ReceiverState.DONE: {},
        ReceiverState.DECLINED: {},
        ReceiverState.FAILED: {},
    }
    FAILED = ReceiverState.FAILED

    def __init__(
        self, transfer: int, config: TransferConfig | None = None, *, version: int = VERSION
    ) -> None:
        super().__init__(transfer, ReceiverState.LISTING)
        self.manifest = Manifest()
        """Entries that have arrived; complete with `Offered`."""
        self.notable = NotableScan()
        """Hidden entries and programs among them."""
        self.bytes_done = 0
        """Bytes that are verified and written, or were there before."""
        self.files_done = 0
        """Files that have their final names."""
        self.current: int | None = None
        """Index of the file that was written last; None before the first."""
        self.left_out = 0
        """Number of files that the sender left out."""
        self.files_skipped = 0
        """Files that the sender skipped."""
        self.bytes_skipped = 0
        """Bytes of the skipped files."""
        self._version = version
        """Latest version to use; the negotiated one after the offer."""
        self._window = (config or TransferConfig()).window
        self._used = 0
        """Bytes of the window that are in flight."""
        self._totals: tuple[int, int] | None = None
        self._ready: Iterator[Event] = iter(())
        self._unfinished = 0
        self._links = 0
        """Links that are not made yet."""
        self.not_placed = 0
        """Links that this side could not put in place."""
        self._segments: dict[tuple[int, int], Segment] = {}
        self._files: dict[int, OpenFile] = {}
        self._open_files = 0
        self._written = bytearray()
        """1 for each file without missing segments, by index."""
        self._finishing: dict[int, bytes] = {}
        """Digests of files that are getting their final names, by index."""
        self._confirmations = Confirmations(transfer)

    # Decide

    def accept(
        self, window: int | None = None, have: Mapping[int, HeldSegments] | None = None
    ) -> None:
        """Accept the offer.

        Args:
            window: Segments that may be in flight; None for the configured window.
            have: Segments that are here already, by file index, from a journal.

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
        self._messages += accept_messages(self.transfer, self._window, ranges, self._version)
        self._written = bytearray(len(self.manifest))
        self._unfinished = len(self.manifest)
        self._links = self.manifest.links
        self._ready = self._without_data()
        self._go_on()

    def _without_data(self) -> Iterator[Event]:
        """Requests that need no data; lazy, because they may be many."""
        empty = FileDigest()
        for index in range(len(self.manifest)):
            kind = self.manifest.kind(index)
            if kind == DIRECTORY:
                yield MakeDirectory(index)
            elif kind == FILE and not self.manifest.size(index):
                yield self._finish_file(index, empty)
            elif index in self._files and not self._files[index].missing:
                yield self._finish_file(index, self._files.pop(index).digest)

    def decline(self, code: str = "refused", message: str = "") -> None:
        """Decline the offer.

        Args:
            code: `refused`, `no_space`, `too_many`, `busy`, ...
            message: A sentence for the person on the other side.
        """
        if self._state in (ReceiverState.LISTING, ReceiverState.OFFERED):
            self._end(ReceiverState.DECLINED, Declined(code, message))
            self._send(Decline(transfer=self.transfer, code=code, message=message[:1000]))

    # Output

    def next_event(self) -> Event | None:
        """Take the oldest event; None if no event is pending."""
        return super().next_event() or next(self._ready, None)

    def messages_to_send(self) -> list[str]:
        """Take some control messages, in order; call again until the list is empty."""
        self._messages += self._confirmations.messages()
        return super().messages_to_send()

    # Input

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
        """Take a frame of this transfer; duplicates and any order are allowed."""
        if self.ended:
            return
        try:
            frame = parse_frame(block) if isinstance(block, bytes) else block
            if frame is None:
                return
            if self._state is not ReceiverState.RECEIVING:
                # Not for each of thousands of frames a second.
                self._move(Trigger.BLOCK)
            if isinstance(frame, PackFrame):
                for packed in frame.files:
                    self._receive_packed(packed)
                return
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
        self._used -= credit(self.manifest, file, self._version)
        self.bytes_done += written.length
        self.current = file
        self._confirmations.written(file, segment)
        if not progress.missing:
            self._open_files -= 1
            self._events.append(self._finish_file(file, self._files.pop(file).digest))

    def segment_damaged(self, file: int, segment: int) -> None:
        """Answer a `WriteSegment` or a `WriteFile` (segment 0): the digest does not match.

        The content was not written.
        """
        damaged = self._segments.get((file, segment))
        if damaged is None:
            return
        damaged.clear()
        damaged.retries += 1
        if damaged.retries > MAX_RETRIES:
            name = show_name(self.manifest[file].path)
            self._fail("integrity", f'A part of "{name}" arrived damaged, again and again.')
        else:
            self._send(Retry(transfer=self.transfer, file=file, segment=segment))

    def entry_finished(self, file: int, *, left_out: bool = False) -> None:
        """Answer a `FinishFile`, `WriteFile`, `MakeDirectory` or `MakeLink`.

        The entry has its final name.

        Args:
            file: As in the event.
            left_out: The link was not made, because this disk cannot hold it.
        """
        if self._state is not ReceiverState.RECEIVING:
            return
        if self.manifest.kind(file) == FILE:
            self._file_finished(file)
        self.not_placed += left_out
        self._unfinished -= 1
        self._go_on()

    def folders_set(self) -> None:
        """Answer `SetFolders`."""
        if self._state is not ReceiverState.RECEIVING:
            return
        self._messages += self._confirmations.messages()
        self._move(Trigger.DONE)
        files = self.manifest.files - self.files_skipped
        count = self.manifest.bytes - self.bytes_skipped
        self._send(Done(transfer=self.transfer, files=files, bytes=count, left_out=self.not_placed))
        self._release()
        self._events.append(Completed(files, count))

    # Messages

    def _handle(self, message: Message) -> None:
        match message:
            case Offer():
                self._move(Trigger.OFFER)
                if self._totals is not None:
                    raise Violation("offered twice")
                self._totals = (message.files, message.bytes)
                self._version = min(message.version, self._version)
                self.left_out = message.left_out
                self._receive_page(message.entries, message.more)
            case OfferMore():
                self._move(Trigger.OFFER)
                if self._totals is None:
                    raise Violation("a page before the offer")
                self._receive_page(message.entries, message.more)
            case Skip():
                self._receive_skip(message)
            case Cancel():
                self._ended_by_peer(message)
            case (
                Have() | Accept() | Decline() | Ack() | Retry() | FileDone() | FilesDone() | Done()
            ):
                raise Violation("a message that only a receiver sends")
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
            for entry in entries:
                check_entry(entry)
            self.manifest.extend(entries)
            self.notable.extend(entries)
        except UnsafeName as exc:
            self.decline("unsafe_name", str(exc))
            return
        except ValueError as exc:
            raise Violation(str(exc)) from exc
        if more:
            return
        if self._totals != (self.manifest.files, self.manifest.bytes):
            raise Violation("the offer's totals differ from its entries")
        self._move(Trigger.OFFER_END)
        self._events.append(Offered(self.manifest))

    def _receive_skip(self, message: Skip) -> None:
        self._move(Trigger.SKIP)
        file = message.file
        if self._version < 2 or not self._is_file(file) or not self.manifest.size(file):
            raise Violation(f"skipped file {file}, which does not exist")
        if self._written[file] or file in self._files or (file, 0) in self._segments:
            raise Violation(f"skipped file {file}, which has begun")
        self._written[file] = 1
        self.files_skipped += 1
        self.bytes_skipped += self.manifest.size(file)
        self._unfinished -= 1
        self._events.append(Skipped(file, show_name(message.reason) or "cannot be read"))
        self._go_on()

    # Segments

    def _hold(self, file: int, held: HeldSegments) -> None:
        """Count the segments in a journal as written."""
        segments = self.manifest.segments(file)
        progress = self._files[file] = OpenFile(segments)
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

    def _segment_of(self, frame: SegmentFrame | DataFrame) -> Segment | None:
        """The segment that a frame belongs to; None if it is written already.

        Raises:
            Violation: The place does not exist, or another segment has no credit.
        """
        file = frame.file
        if not self._is_file(file) or frame.offset >= self.manifest.size(file):
            raise Violation(f"a block outside file {file}")
        number = frame.offset // SEGMENT_SIZE
        segment = self._segments.get((file, number))
        if segment is not None:
            return segment
        if self._written[file]:
            return None
        if self.manifest.size(file) <= SEGMENT_SIZE:
            return None if file in self._files else self._open_segment(file, number)
        progress = self._files.get(file)
        if progress is None:
            progress = self._files[file] = OpenFile(self.manifest.segments(file))
        if number in progress.digest:
            return None
        if not progress.open:
            # A sender continues with the next file when it has sent all of one, so each that it
            # left unfinished holds credit, and so does the new one.
            if self._open_files >= self._window:
                raise Violation("too many files at once")
            progress.open = True
            self._open_files += 1
        return self._open_segment(file, number)

    def _open_segment(self, file: int, number: int) -> Segment:
        """Start a segment, if there is credit."""
        self._used += credit(self.manifest, file, self._version)
        if self._used > self._window * SEGMENT_SIZE:
            raise Violation("a block beyond the granted window")
        segment = Segment(number * SEGMENT_SIZE, self.manifest.segment_length(file, number))
        self._segments[file, number] = segment
        return segment

    def _is_file(self, file: int) -> bool:
        return file < len(self.manifest) and self.manifest.kind(file) == FILE

    def _receive_packed(self, packed: PackedFile) -> None:
        file, length = packed.file, len(packed.content)
        if self._version < 2 or not self._is_file(file) or self.manifest.size(file) != length:
            raise Violation(f"a pack with file {file}, which is another one")
        if self._written[file] or file in self._files:
            return  # a duplicate, or held from an earlier time
        segment = self._segments.get((file, 0)) or self._open_segment(file, 0)
        if not segment.writing:
            segment.clear()
            segment.digest = packed.digest
            segment.writing = True
            content = memoryview(bytes(packed.content))  # its frame may hold much that is not kept
            self._events.append(WriteFile(file, (content,), packed.digest))

    def _receive_frame(self, frame: SegmentFrame | DataFrame, segment: Segment) -> None:
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
            if self.manifest.size(frame.file) <= SEGMENT_SIZE:
                self._events.append(WriteFile(frame.file, parts, segment.digest))
                return
            number = segment.start // SEGMENT_SIZE
            self._events.append(
                WriteSegment(frame.file, number, segment.start, parts, segment.digest)
            )

    def _keep(self, frame: DataFrame, segment: Segment) -> None:
        if frame.offset in segment.parts:
            return  # a duplicate
        length = len(frame.payload)
        if frame.offset + length > segment.start + segment.length:
            raise Violation("a block that crosses the end of its segment")
        if segment.received + length > segment.length:
            raise Violation("blocks overlap")
        if len(segment.parts) * BYTES_PER_FRAME >= segment.length:
            raise Violation("a segment in too many blocks")
        segment.parts[frame.offset] = frame.payload
        segment.received += length

    # Files

    def _finish_file(self, file: int, digest: FileDigest) -> FinishFile:
        whole = digest.digest()
        assert whole is not None  # every segment was verified here, or by the journal
        self._written[file] = 1
        self._finishing[file] = whole
        return FinishFile(file, whole.hex())

    def _file_finished(self, file: int) -> None:
        """Note a finished file, and confirm it (in version 2 later, with others)."""
        digest = self._finishing.pop(file, None)
        if digest is None:  # it was a `WriteFile`
            written = self._segments.pop((file, 0))
            assert written.digest is not None
            digest = file_digest(written.digest)
            self._written[file] = 1
            self._used -= credit(self.manifest, file, self._version)
            self.bytes_done += written.length
            self.current = file
            if self._version < 2:
                self._confirmations.written(file, 0)
        self.files_done += 1
        if self._version >= 2:
            self._confirmations.finished(file, digest)
            return
        # The sender expects all acknowledgements before `done`.
        self._messages += self._confirmations.messages()
        self._send(FileDone(transfer=self.transfer, file=file, digest=digest.hex()))

    def _go_on(self) -> None:
        """Request the links when all files are done, and then the folders."""
        if self._unfinished > self._links:
            return
        if self._links:
            self._links = 0
            self._ready = (
                MakeLink(index)
                for index in range(len(self.manifest))
                if self.manifest.kind(index) == LINK
            )
        elif not self._unfinished:
            self._events.append(SetFolders())

    def _release(self) -> None:
        self._ready = iter(())
        self._segments.clear()
        self._files.clear()
        self._finishing.clear()
        self._confirmations = Confirmations(self.transfer)
        if not self._written:  # not accepted, so it must not cost memory
            self.manifest.release()
