"""Receiving files (floor 3)."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections import deque
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import ClassVar

from peer.errors import DiskError, PeerError, Refused, TransferError, UnsafeName
from peer.text import show_name
from peer.transfer.disk import Destination, NoRoom
from peer.transfer.protocol.config import SEGMENT_SIZE, SMALL_CREDIT, TransferConfig
from peer.transfer.protocol.events import (
    Completed,
    Declined,
    Event,
    Failed,
    FinishFile,
    MakeDirectory,
    MakeLink,
    Offered,
    SetFolders,
    Skipped,
    WriteFile,
    WriteSegment,
)
from peer.transfer.protocol.frames import Frame
from peer.transfer.protocol.manifest import Manifest
from peer.transfer.protocol.messages import Message
from peer.transfer.protocol.notes import LeftOut, Notable, Notes, Renamed
from peer.transfer.protocol.receiver import Receiver, ReceiverState

from .port import TransferPort
from .progress import Progress, TransferStage
from .transfer import Transfer
from .workers import Workers

__all__ = ["IncomingTransfer"]

_Task = WriteFile | FinishFile | MakeDirectory | MakeLink | SetFolders
"""Tasks that create names: one thread does them in batches, in order."""

PLACE_AT_ONCE = 256
"""Files and folders of one batch. They are flushed together, and each is open until then."""

PLACE_BYTES = 8 * SEGMENT_SIZE
"""Bytes that end a batch earlier."""

TASKS = 2 * PLACE_AT_ONCE
"""Tasks that wait for the thread; further events stay in the machine."""

WRITE_AT_ONCE = 8
"""Segments that a thread verifies and writes in one batch (see `outgoing.READ_AT_ONCE`); bounds the
delay of an acknowledgement."""


class IncomingTransfer(Transfer[Receiver]):
    """Files that the other side offers; iterate over `Link.transfers` to get one.

    Look at `names`, `files_total` and `bytes_total`, then `accept` or `decline`. Iterate over it
    for its progress, and await `done`.

    An offer that cannot be accepted (unsafe names) is declined at once: `problem` has the reason,
    and `accept` raises it.
    """

    _STAGES: ClassVar[dict[Enum, TransferStage]] = {
        ReceiverState.LISTING: TransferStage.WAITING,
        ReceiverState.OFFERED: TransferStage.WAITING,
        ReceiverState.RECEIVING: TransferStage.RUNNING,
        ReceiverState.DONE: TransferStage.DONE,
        ReceiverState.DECLINED: TransferStage.FAILED,
        ReceiverState.FAILED: TransferStage.FAILED,
    }

    def __init__(
        self,
        transfer: int,
        port: TransferPort,
        workers: Workers,
        config: TransferConfig,
        on_offered: Callable[[IncomingTransfer], None],
        on_accepted: Callable[[IncomingTransfer], None],
        on_end: Callable[[], None],
    ) -> None:
        """Start to receive an offer; `Transfers` does this.

        Args:
            transfer: Id of the transfer on its link.
            port: The link.
            workers: Threads for the disk.
            config: Window to grant.
            on_offered: Called when the offer can be accepted, or had to be declined.
            on_accepted: Called when the transfer is ready for `_begin`.
            on_end: Called once, at the end.
        """
        self._offered = False
        self._destination: Destination | None = None
        self._arrived: deque[WriteSegment] = deque()
        self._writing = False
        self._tasks: deque[_Task] = deque()
        self._placing = False
        self._deciding = False
        self._queued = False
        self._paths: tuple[Path, ...] = ()
        self._partial_paths: tuple[Path, ...] = ()
        self._on_offered = on_offered
        self._on_accepted = on_accepted
        self._left_out: Notes[LeftOut] = Notes()
        self._renamed: Notes[Renamed] = Notes()
        super().__init__(Receiver(transfer, config), port, workers, on_end)

    @property
    def manifest(self) -> Manifest:
        """Every offered file, folder and link; print paths with `show_name` only."""
        return self._machine.manifest

    @property
    def notable(self) -> Notes[Notable]:
        """Hidden and executable entries; show them before the offer is accepted."""
        return self._machine.notable.notes()

    @property
    def left_out(self) -> Notes[LeftOut]:
        """Entries that the sender left out, or that could not be put in place here."""
        if self._destination is None:
            return self._left_out
        return _joined(self._left_out, self._destination.left_out)

    @property
    def not_placed(self) -> int:
        """Links that could not be put in place here."""
        return self._machine.not_placed

    @property
    def renamed(self) -> Notes[Renamed]:
        """Names that this disk cannot hold or that were taken, with the new names."""
        return self._renamed if self._destination is None else self._destination.renamed

    @property
    def problem(self) -> PeerError | None:
        """Why the offer can no longer be accepted, or the transfer failed; None otherwise."""
        return self._error

    @property
    def undecided(self) -> bool:
        """Whether the offer is open: neither accepted nor declined."""
        return self._stage() is TransferStage.WAITING and not self._deciding and not self._queued

    @property
    def paths(self) -> tuple[Path, ...]:
        """Received files and folders; complete when `done` has returned."""
        if self._destination is not None:
            return tuple(self._destination.paths())
        return self._paths

    @property
    def partial_paths(self) -> tuple[Path, ...]:
        """Incomplete files; they are kept if the transfer breaks off."""
        if self._destination is not None:
            return tuple(self._destination.partial_paths())
        return self._partial_paths

    @property
    def progress(self) -> Progress:
        """Current progress; cheap."""
        receiver = self._machine
        current = "" if receiver.current is None else self.manifest[receiver.current].path
        stage = self._stage()
        if stage is TransferStage.WAITING and self._queued:
            stage = TransferStage.QUEUED
        return Progress(
            stage=stage,
            bytes_done=receiver.bytes_done,
            bytes_total=self.manifest.bytes - receiver.bytes_skipped,
            bytes_held=self._bytes_held,
            files_done=receiver.files_done,
            files_total=self.manifest.files - receiver.files_skipped,
            name=show_name(current),
        )

    # Decide

    async def accept(
        self, folder: str | os.PathLike[str] = ".", *, overwrite: bool = False
    ) -> None:
        """Receive the files into a folder, which is made if it does not exist.

        It returns when the transfer may start; await `done` for its end.

        Args:
            folder: Destination.
            overwrite: Replace files that exist, and merge folders; otherwise a taken name becomes
                `name (1).ext`.

        Raises:
            DiskError: The folder cannot be written to or has too little room; the offer is then
                declined.
            TransferError: It was cancelled, declined or unsafe, see `problem`.
            RuntimeError: It was accepted before.
        """
        if self._error is not None:
            raise self._error
        if not self.undecided or not self._offered:
            raise RuntimeError("this transfer was accepted before")
        self._deciding = True
        opened: list[Destination] = []

        def open_folder() -> None:
            opened.append(Destination(folder, self.manifest, overwrite=overwrite))

        try:
            await self._workers.run(open_folder)
        except asyncio.CancelledError:
            for destination in opened:
                destination.close()  # the thread had finished before the cancellation
            raise
        except TransferError as exc:
            self._error = self._error or exc
            self._machine.decline(_decline_code(exc))
            self._wake.set()
            await self._over.wait()
            raise
        finally:
            self._deciding = False
        (destination,) = opened
        if self._machine.ended or self._error is not None:
            await self._workers.run(destination.close)
            raise self._error or TransferError("The transfer is over.")
        self._destination = destination
        self._queued = True
        self._on_accepted(self)

    async def decline(self, message: str = "") -> None:
        """Decline the offer.

        Args:
            message: A sentence for the person on the other side.
        """
        self._machine.decline("refused", message)
        self._wake.set()
        await self._over.wait()

    # For Transfers

    def _begin(self, window: int) -> None:
        """Start to receive, after `accept`, when it is this transfer's turn."""
        self._queued = False
        self._machine.accept(window)
        self._wake.set()

    def _decline_now(self, code: str) -> None:
        """Decline the offer without a decision of the program."""
        self._machine.decline(code)
        self._wake.set()

    def _receive_block(self, frame: Frame) -> None:
        """Take a frame of this transfer."""
        self._machine.receive_block(frame)
        if self._machine.busy:  # not for every frame: there are thousands a second
            self._wake.set()

    # Internals

    def _handle_message(self, message: Message) -> None:
        self._machine.receive_message(message)

    def _handle_event(self, event: Event) -> None:
        match event:
            case WriteSegment():
                self._arrived.append(event)
                if not self._writing:
                    self._writing = True
                    self._start(self._write())
            case WriteFile() | FinishFile() | MakeDirectory() | MakeLink() | SetFolders():
                self._tasks.append(event)
                if not self._placing:
                    self._placing = True
                    self._start(self._place())
            case Offered():
                self._offered = True
                self._left_out.count(self._machine.left_out)
                self._on_offered(self)
            case Skipped():
                self._left_out.add(LeftOut(self.manifest[event.file].path, event.reason))
            case Completed():
                pass
            case Declined():
                self._error = self._error or _refusal(event)
                if event.code != "busy":  # other offers are shown already
                    self._tell_of_the_end()
            case Failed():
                self._error = self._error or self._failed(event)
                self._tell_of_the_end()
            case _:
                raise AssertionError(f"not a receiver's event: {event}")

    def _tell_of_the_end(self) -> None:
        """Show an offer that ended before it could be accepted, with the reason."""
        if not self._offered:
            self._on_offered(self)

    def _disk(self) -> Destination:
        assert self._destination is not None
        return self._destination

    def _take_blocks(self) -> list[bytes]:
        return []

    async def _send_blocks(self, blocks: list[bytes]) -> None:
        raise AssertionError("a receiver sends no blocks")

    async def _write(self) -> None:
        """Verify and write all segments that have arrived."""
        try:
            while self._arrived and not self._machine.ended:
                count = min(WRITE_AT_ONCE, len(self._arrived))
                batch = [self._arrived.popleft() for _ in range(count)]
                written = await self._workers.run(_verify_and_write, self._disk(), batch)
                for event, good in zip(batch, written, strict=True):
                    if good:
                        self._machine.segment_written(event.file, event.segment)
                    else:
                        self._machine.segment_damaged(event.file, event.segment)
                self._wake.set()
        finally:
            self._writing = False

    def _ready_for_events(self) -> bool:
        return len(self._tasks) < TASKS

    async def _place(self) -> None:
        """Do all waiting tasks."""
        try:
            while self._tasks and not self._machine.ended:
                batch = self._next_batch()
                results = await self._workers.run(_place_all, self._disk(), batch)
                for event, good in zip(batch, results, strict=True):
                    if isinstance(event, SetFolders):
                        self._machine.folders_set()
                    elif isinstance(event, WriteFile) and not good:
                        self._machine.segment_damaged(event.file, 0)
                    else:
                        self._machine.entry_finished(event.file, left_out=not good)
                self._wake.set()
        finally:
            self._placing = False

    def _next_batch(self) -> list[_Task]:
        """Take the tasks of one batch."""
        batch: list[_Task] = []
        size = 0
        while self._tasks and len(batch) < PLACE_AT_ONCE and size < PLACE_BYTES:
            batch.append(event := self._tasks.popleft())
            if isinstance(event, WriteFile):
                size += max(self.manifest.size(event.file), SMALL_CREDIT)
        return batch

    async def _close_files(self) -> None:
        if self._destination is not None:
            destination, self._destination = self._destination, None
            self._paths = tuple(destination.paths())
            self._partial_paths = tuple(destination.partial_paths())
            self._left_out = _joined(self._left_out, destination.left_out)
            self._renamed = destination.renamed
            await self._workers.run(destination.close)

    def _public(self, error: DiskError) -> str:
        return str(error)  # it names the file as the sender does


def _verify_and_write(destination: Destination, batch: list[WriteSegment]) -> list[bool]:
    """Write the segments that match their digests; return which ones did."""
    return [_verify_and_write_one(destination, event) for event in batch]


def _verify_and_write_one(destination: Destination, event: WriteSegment) -> bool:
    data = _verified(event)
    if data is None:
        return False
    destination.write(event.file, event.offset, data)
    return True


def _verified(event: WriteSegment | WriteFile) -> bytes | memoryview | None:
    """Return the content of a segment; None if it does not match its digest."""
    # Joined, although hash and disk accept parts: each part would release and reacquire the
    # interpreter lock, which takes up to 5 ms while the event loop is busy.
    data = event.parts[0] if len(event.parts) == 1 else b"".join(event.parts)
    return data if hashlib.sha256(data).digest() == event.digest else None


def _place_all(destination: Destination, batch: list[_Task]) -> list[bool]:
    """Do the tasks of a batch; return which ones succeeded."""
    results: list[bool] = []
    files: list[tuple[int, bytes | memoryview]] = []
    for event in batch:
        match event:
            case WriteFile():
                data = _verified(event)
                results.append(data is not None)
                if data is not None:
                    files.append((event.file, data))
            case FinishFile():
                if destination.is_empty(event.file):
                    files.append((event.file, b""))  # flushed together with the others
                else:
                    destination.finish(event.file)
                results.append(True)
            case MakeDirectory():
                destination.make_directory(event.file)
                results.append(True)
            case MakeLink():
                results.append(destination.make_link(event.file))
            case SetFolders():
                destination.set_folders()
                results.append(True)
    destination.put(files)
    return results


def _joined(*several: Notes[LeftOut]) -> Notes[LeftOut]:
    joined: Notes[LeftOut] = Notes()
    for notes in several:
        for note in notes:
            joined.add(note)
        joined.count(notes.total - len(notes))
    return joined


def _decline_code(exc: TransferError) -> str:
    if isinstance(exc, NoRoom):
        return "no_space"
    return "disk" if isinstance(exc, DiskError) else "unsafe_name"


def _refusal(event: Declined) -> TransferError:
    if event.code == "unsafe_name":
        return UnsafeName(f"The files were refused, because a name is unsafe: {event.message}")
    if event.code == "refused":
        return Refused("You declined the files.", event.code)
    if event.code == "too_many":
        return Refused("The list of the files is too long to be received.", event.code)
    return Refused(event.message or "The files were refused.", event.code)
