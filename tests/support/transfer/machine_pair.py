"""A sender and a receiver joined by a pipe that shuffles and repeats blocks, over a disk in memory.

Everything is deterministic: a failing seed fails again.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping

from peer.transfer.protocol.config import SEGMENT_SIZE, TransferConfig
from peer.transfer.protocol.digest import segment_digest
from peer.transfer.protocol.events import (
    Accepted,
    Completed,
    Declined,
    Event,
    Failed,
    FileConfirmed,
    FinishFile,
    HeldSegments,
    MakeDirectory,
    MakeLink,
    Offered,
    ReadSegment,
    SetFolders,
    Skipped,
    WriteFile,
    WriteSegment,
)
from peer.transfer.protocol.manifest import Entry, Manifest
from peer.transfer.protocol.messages import VERSION
from peer.transfer.protocol.receiver import Receiver
from peer.transfer.protocol.sender import Sender

_CYCLE = bytes((7 * i + i // 251) % 256 for i in range(256 * 251))


def content(size: int) -> bytes:
    """The test files: byte i is (7 i + floor(i / 251)) mod 256."""
    return (_CYCLE * (size // len(_CYCLE) + 1))[:size]


def files(contents: Mapping[str, bytes]) -> Manifest:
    return Manifest(
        Entry(path=path, kind="file", size=len(data)) for path, data in contents.items()
    )


class TransferPair:
    """Both machines, what they said, and what stands on the receiver's disk."""

    def __init__(
        self,
        manifest: Manifest,
        contents: Mapping[str, bytes],
        *,
        seed: int = 0,
        window: int = 4,
        duplicates: float = 0.0,
        damage: Callable[[bytes], bytes] | None = None,
        have: Mapping[int, HeldSegments] | None = None,
        accept: bool = True,
        config: TransferConfig | None = None,
        versions: tuple[int, int] = (VERSION, VERSION),
    ) -> None:
        self.random = random.Random(seed)
        self.sender = Sender(2, manifest, config, version=versions[0])
        self.receiver = Receiver(2, TransferConfig(window=window), version=versions[1])
        self.contents = contents
        self.sender_events: list[Event] = []
        self.receiver_events: list[Event] = []
        self.to_receiver: list[str] = []
        self.to_sender: list[str] = []
        self.blocks: list[bytes] = []
        self.partial: dict[int, bytearray] = {}
        self.disk: dict[str, bytes] = {}
        self.made: list[str] = []
        self.reads: list[tuple[int, int]] = []
        self.said: list[str] = []
        self.most_blocks = 0
        self._window = window
        self._duplicates = duplicates
        self.damage = damage
        self._have = have
        self._accept = accept

    def run(self) -> None:
        """Deliver everything until both sides are silent."""
        for _ in range(1_000_000):
            if not self.step():
                return
        raise AssertionError("the machines never come to rest")

    def step(self) -> bool:
        """Deliver one thing; False when there is nothing left."""
        self.drain()
        choices = [queue for queue in (self.to_receiver, self.to_sender, self.blocks) if queue]
        if not choices:
            return False
        queue = self.random.choice(choices)
        if queue is self.to_receiver:
            self.receiver.receive_message(self.to_receiver.pop(0))
        elif queue is self.to_sender:
            self.sender.receive_message(self.to_sender.pop(0))
        else:
            self.most_blocks = max(self.most_blocks, len(self.blocks))
            block = self.blocks[position := self.random.randrange(len(self.blocks))]
            if self.random.random() >= self._duplicates:
                del self.blocks[position]
            self.receiver.receive_block(self.damage(block) if self.damage else block)
        return True

    def drain(self) -> None:
        busy = True
        while busy:
            busy = False
            while (event := self.sender.next_event()) is not None:
                self.sender_events.append(event)
                self._on_sender(event)
                busy = True
            while (event := self.receiver.next_event()) is not None:
                self.receiver_events.append(event)
                self._on_receiver(event)
                busy = True
            while messages := self.sender.messages_to_send():
                self.to_receiver += messages
                self.said += messages
                busy = True
            while messages := self.receiver.messages_to_send():
                self.to_sender += messages
                self.said += messages
                busy = True
            if blocks := self.sender.blocks_to_send():
                self.blocks += blocks
                busy = True

    def _on_sender(self, event: Event) -> None:
        match event:
            case ReadSegment():
                self.reads.append((event.file, event.segment))
                data = self.contents[self.sender.manifest[event.file].path]
                part = data[event.offset : event.offset + event.length]
                self.sender.segment_read(event.file, event.segment, part)
            case Accepted() | FileConfirmed() | Skipped() | Completed() | Declined() | Failed():
                pass
            case _:
                raise AssertionError(f"not a sender's event: {event}")

    def _on_receiver(self, event: Event) -> None:
        match event:
            case Offered():
                if self._accept:
                    for file, held in (self._have or {}).items():
                        self.partial[file] = self._held(file, held)
                    self.receiver.accept(self._window, self._have)
            case WriteSegment() if segment_digest(event.parts) != event.digest:
                self.receiver.segment_damaged(event.file, event.segment)
            case WriteFile() if segment_digest(event.parts) != event.digest:
                self.receiver.segment_damaged(event.file, 0)
            case WriteFile():
                path = self.receiver.manifest[event.file].path
                self.disk[path] = b"".join(event.parts)
                self.made.append(path)
                self.receiver.entry_finished(event.file)
            case WriteSegment():
                data = self.partial.setdefault(
                    event.file, bytearray(self.receiver.manifest.size(event.file))
                )
                joined = b"".join(event.parts)
                data[event.offset : event.offset + len(joined)] = joined
                self.receiver.segment_written(event.file, event.segment)
            case FinishFile():
                path = self.receiver.manifest[event.file].path
                self.disk[path] = bytes(self.partial.pop(event.file, b""))
                self.made.append(path)
                self.receiver.entry_finished(event.file)
            case MakeDirectory() | MakeLink():
                self.made.append(self.receiver.manifest[event.file].path)
                self.receiver.entry_finished(event.file)
            case SetFolders():
                self.receiver.folders_set()
            case Skipped() | Completed() | Declined() | Failed():
                pass
            case _:
                raise AssertionError(f"not a receiver's event: {event}")

    def _held(self, file: int, held: HeldSegments) -> bytearray:
        entry = self.receiver.manifest[file]
        data = self.contents[entry.path]
        kept = bytearray(len(data))
        for first, last in held.ranges:
            span = slice(first * SEGMENT_SIZE, (last + 1) * SEGMENT_SIZE)
            kept[span] = data[span]
        return kept
