"""Sending files (floor 3)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from enum import Enum
from typing import ClassVar

from peer.errors import DiskError, Refused, TransferError
from peer.text import show_name
from peer.transfer.disk import SourceChanged, SourceLost, Sources
from peer.transfer.protocol.config import SEGMENT_SIZE, SMALL_CREDIT, TransferConfig
from peer.transfer.protocol.digest import segment_digest
from peer.transfer.protocol.events import (
    Accepted,
    Completed,
    Declined,
    Event,
    Failed,
    FileConfirmed,
    ReadSegment,
    Skipped,
)
from peer.transfer.protocol.manifest import Manifest
from peer.transfer.protocol.messages import Message
from peer.transfer.protocol.notes import LeftOut, Notes, Renamed
from peer.transfer.protocol.sender import Sender, SenderState

from .port import TransferPort
from .progress import Progress, TransferStage
from .transfer import Transfer
from .workers import Workers

__all__ = ["OutgoingTransfer"]

READ_AT_ONCE = 3 * SEGMENT_SIZE
"""Bytes that a thread reads and hashes in one batch; a small file counts as `SMALL_CREDIT`. After
each batch the thread competes with a busy event loop for the interpreter lock, which may take 5
ms."""

_REFUSALS = {
    "refused": "The other side refused the files.",
    "no_space": "The other side has no room for the files.",
    "too_many": "These are more files than the other side takes.",
    "busy": "The other side has too many offers waiting; try again later.",
    "disk": "The other side cannot write the files.",
    "unsupported": "The other side's version is too old for these files.",
}


class OutgoingTransfer(Transfer[Sender]):
    """Files that are sent to the other side; `Link.send_files` returns one.

    Iterate over it for its progress, and await `done`.
    """

    _STAGES: ClassVar[dict[Enum, TransferStage]] = {
        SenderState.OFFERING: TransferStage.WAITING,
        SenderState.SENDING: TransferStage.RUNNING,
        SenderState.DONE: TransferStage.DONE,
        SenderState.DECLINED: TransferStage.FAILED,
        SenderState.FAILED: TransferStage.FAILED,
    }

    def __init__(
        self,
        transfer: int,
        sources: Sources,
        port: TransferPort,
        workers: Workers,
        config: TransferConfig,
        on_end: Callable[[], None],
    ) -> None:
        """Offer the sources; `Transfers.send` does this."""
        self._sources = sources
        self._wanted: deque[ReadSegment] = deque()
        self._reading = False
        self._not_placed = 0
        self._left_out = Notes(sources.left_out)
        self._left_out.count(sources.left_out.total - len(sources.left_out))
        sender = Sender(transfer, sources.manifest, config, left_out=sources.left_out.total)
        super().__init__(sender, port, workers, on_end)

    @property
    def manifest(self) -> Manifest:
        """Every offered file, folder and link."""
        return self._sources.manifest

    @property
    def left_out(self) -> Notes[LeftOut]:
        """Entries that were not sent, and the number that the receiver could not put in place."""
        return self._left_out

    @property
    def not_placed(self) -> int:
        """Links that the receiver could not put in place."""
        return self._not_placed

    @property
    def renamed(self) -> Notes[Renamed]:
        """Entries at the top that were sent under another name, because two have the same."""
        return self._sources.renamed

    @property
    def progress(self) -> Progress:
        """Current progress; cheap."""
        sender = self._machine
        current = "" if sender.current is None else self.manifest[sender.current].path
        return Progress(
            stage=self._stage(),
            bytes_done=sender.bytes_done,
            bytes_total=self.manifest.bytes - sender.bytes_skipped,
            bytes_held=self._bytes_held,
            files_done=sender.files_done,
            files_total=self.manifest.files - sender.files_skipped,
            name=show_name(current),
        )

    # Internals

    def _handle_message(self, message: Message) -> None:
        self._machine.receive_message(message)

    def _handle_event(self, event: Event) -> None:
        match event:
            case ReadSegment():
                self._wanted.append(event)
                if not self._reading:
                    self._reading = True
                    self._start(self._read())
            case Accepted():
                self._bytes_held = event.bytes_held
            case FileConfirmed():
                pass
            case Skipped():
                self._left_out.add(LeftOut(self.manifest[event.file].path, event.reason))
            case Completed():
                self._not_placed = event.left_out
                self._left_out.count(event.left_out)
            case Declined():
                self._error = self._error or _refusal(event)
            case Failed():
                self._error = self._error or self._failed(event)
            case _:
                raise AssertionError(f"not a sender's event: {event}")

    def _take_blocks(self) -> list[bytes]:
        return self._machine.blocks_to_send()

    async def _send_blocks(self, blocks: list[bytes]) -> None:
        blocks.reverse()
        while blocks and not self._machine.ended:
            await self._port.blocks.send(blocks.pop())  # popped, so that sent blocks are freed

    async def _read(self) -> None:
        """Read all requested segments."""
        try:
            while self._wanted and not self._machine.ended:
                batch = self._next_batch()
                read = await self._workers.run(_read_and_hash, self._sources, batch)
                for event, got in zip(batch, read, strict=True):
                    if isinstance(got, SourceLost | SourceChanged):
                        self._lose(got)
                    else:
                        self._machine.segment_read(event.file, event.segment, *got)
                self._wake.set()
        finally:
            self._reading = False

    def _next_batch(self) -> list[ReadSegment]:
        """Take the requests of one batch."""
        batch: list[ReadSegment] = []
        cost = 0
        while self._wanted and (not batch or cost < READ_AT_ONCE):
            batch.append(self._wanted.popleft())
            cost += max(batch[-1].length, SMALL_CREDIT)
        return batch

    def _lose(self, lost: SourceLost | SourceChanged) -> None:
        """Continue without a file, if possible."""
        if not self._sources.strict and self._machine.source_lost(lost.file, lost.reason):
            return
        if isinstance(lost, SourceLost) and not isinstance(lost.__cause__, FileNotFoundError):
            raise lost
        self._machine.source_changed(lost.file)

    def _ready_for_events(self) -> bool:
        return True  # credit bounds the requests of the machine

    async def _close_files(self) -> None:
        self._sources.close()

    def _public(self, error: DiskError) -> str:
        return "A file could not be read."  # the error names a local path


_Read = tuple[memoryview, bytes] | SourceLost | SourceChanged
"""Content and digest of a segment, or the error."""


def _read_and_hash(sources: Sources, batch: list[ReadSegment]) -> list[_Read]:
    """Read segments; neighbours in one call."""
    read: list[_Read] = []
    for run in _neighbours(batch):
        first, length = run[0], sum(event.length for event in run)
        try:
            if sources.manifest.size(first.file) <= SEGMENT_SIZE:
                data = sources.read_whole(first.file)
            else:
                data = sources.read(first.file, first.offset, length)
        except (SourceLost, SourceChanged) as exc:
            read += [exc] * len(run)
            continue
        view = memoryview(data)
        for event in run:
            start = event.offset - first.offset
            part = view[start : start + event.length]
            read.append((part, segment_digest((part,))))
    return read


def _neighbours(batch: list[ReadSegment]) -> list[list[ReadSegment]]:
    """Group the segments of a batch that follow each other in one file."""
    runs: list[list[ReadSegment]] = []
    for event in batch:
        last = runs[-1][-1] if runs else None
        if last and (last.file, last.offset + last.length) == (event.file, event.offset):
            runs[-1].append(event)
        else:
            runs.append([event])
    return runs


def _refusal(event: Declined) -> TransferError:
    sentence = _REFUSALS.get(event.code)
    if sentence is None or event.code == "refused":
        sentence = event.message or _REFUSALS["refused"]
        if event.message:
            sentence = f"The other side refused the files: {event.message}"
    return Refused(sentence, event.code)
