"""What both directions of a transfer have in common (floor 3).

One task drives one transfer: it drains the machine, sends what is to be sent, and starts jobs for
the disk. Whatever else happens (a message, a block, a finished job, a person's decision) changes
the machine where it happens and wakes the task.
"""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Coroutine
from enum import Enum
from typing import Any, ClassVar, Generic, TypeVar

from peer.errors import (
    DiskError,
    IntegrityError,
    PeerError,
    TransferBroken,
    TransferCancelled,
    TransferError,
)
from peer.text import show_name
from peer.transfer.protocol.events import Event, Failed
from peer.transfer.protocol.machine import Machine
from peer.transfer.protocol.manifest import Manifest
from peer.transfer.protocol.messages import Message
from peer.transfer.protocol.notes import LeftOut, Notes, Renamed

from .port import TransferPort
from .progress import Progress, TransferStage
from .workers import Workers

__all__ = ["Transfer"]

logger = logging.getLogger(__name__)

AnyMachine = TypeVar("AnyMachine", bound=Machine[Any])

JOBS = 8
"""Disk jobs of one transfer at a time; the machine's further requests wait in its queue."""


_NOTHING = "No file was sent."
_KEPT = "Complete files are kept; send again to transfer everything."


class Transfer(ABC, Generic[AnyMachine]):
    """One batch of files, in one direction."""

    _STAGES: ClassVar[dict[Enum, TransferStage]]
    """What a machine's state means to a person."""

    def __init__(
        self,
        machine: AnyMachine,
        port: TransferPort,
        workers: Workers,
        on_end: Callable[[], None],
    ) -> None:
        """Start driving a machine; `Transfers` does this.

        Args:
            machine: The protocol.
            port: The link.
            workers: Threads for the disk.
            on_end: Called once, when everything is over.
        """
        self._machine = machine
        self._port = port
        self._workers = workers
        self._on_end = on_end
        self._error: PeerError | None = None
        self._bytes_held = 0
        self._wake = asyncio.Event()
        self._over = asyncio.Event()
        self._jobs: asyncio.TaskGroup | None = None
        self._jobs_running = 0
        self._task = asyncio.create_task(self._run(), name=f"{self!r}")
        self._task.add_done_callback(self._finish)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id} {self._machine.state.value}>"

    # What it is

    @property
    def id(self) -> int:
        """Its number on the link."""
        return self._machine.transfer

    @property
    @abstractmethod
    def manifest(self) -> Manifest:
        """Every file, folder and link: paths hostile when they came from the other side."""

    @property
    def names(self) -> list[str]:
        """The files and folders at the top, safe to print."""
        return [show_name(root) for root in self.manifest.roots()]

    @property
    def files_total(self) -> int:
        """How many files it has."""
        return self.manifest.files

    @property
    def bytes_total(self) -> int:
        """How many bytes they have."""
        return self.manifest.bytes

    # What a person should know of it

    @property
    @abstractmethod
    def left_out(self) -> Notes[LeftOut]:
        """What is not sent, or not put in place; complete when `done` has returned."""

    @property
    @abstractmethod
    def renamed(self) -> Notes[Renamed]:
        """Names that could not stay as they were; complete when `done` has returned."""

    @property
    @abstractmethod
    def not_placed(self) -> int:
        """Links that could not be put in place; complete when `done` has returned."""

    # How far it is

    @property
    @abstractmethod
    def progress(self) -> Progress:
        """How far it is now; cheap."""

    async def updates(self, interval: float = 0.1) -> AsyncIterator[Progress]:
        """Follow it for a display; ends when the transfer does, well or not.

        Args:
            interval: Seconds between two looks.
        """
        while not self._over.is_set():
            yield self.progress
            try:
                async with asyncio.timeout(interval):
                    await self._over.wait()
            except TimeoutError:
                pass
        yield self.progress

    def __aiter__(self) -> AsyncIterator[Progress]:
        return self.updates()

    async def done(self) -> None:
        """Wait until everything is in place at the receiver's, and confirmed.

        Raises:
            Refused: the receiver did not want it.
            TransferCancelled: either side cancelled.
            IntegrityError: what arrived is not what was sent, or the source changed meanwhile.
            DiskError: a file could not be read or written here.
            TransferBroken: the link broke off, or the other side gave up.
        """
        await self._over.wait()
        if self._error is not None:
            raise self._error

    async def cancel(self, message: str = "") -> None:
        """End it, and tell the other side; without effect when it is over.

        Args:
            message: A sentence for the person on the other side.
        """
        self._machine.cancel("cancelled", message)
        self._wake.set()
        await self._over.wait()

    # For Transfers

    def _receive_message(self, message: Message) -> None:
        """Take a control message of this transfer."""
        self._handle_message(message)
        self._wake.set()

    def _protocol_error(self, message: str) -> None:
        """End it because something of it was malformed."""
        self._machine.cancel("protocol", message)
        self._wake.set()

    def _abort(self, error: PeerError) -> None:
        """End it without telling the other side: the link is gone."""
        if self._error is None and self._stage() is not TransferStage.DONE:
            begun = self._stage() is TransferStage.RUNNING
            broken = TransferBroken(f"{error} {_KEPT if begun else _NOTHING}")
            broken.__cause__ = error
            self._error = broken
        self._task.cancel()

    async def _ended(self) -> None:
        """Wait until its task and all its jobs are over. Never raises."""
        await self._over.wait()
        await asyncio.wait({self._task})

    # Inside

    @abstractmethod
    def _handle_message(self, message: Message) -> None:
        """Pass a message to the machine."""

    @abstractmethod
    def _handle_event(self, event: Event) -> None:
        """Do what the machine asks for, or note what it tells."""

    @abstractmethod
    def _ready_for_events(self) -> bool:
        """Whether there is room for what further events ask for."""

    @abstractmethod
    async def _send_blocks(self, blocks: list[bytes]) -> None:
        """Send file content."""

    @abstractmethod
    def _take_blocks(self) -> list[bytes]:
        """Frames that are ready to be sent."""

    @abstractmethod
    async def _close_files(self) -> None:
        """Close what is open; no job is running."""

    @abstractmethod
    def _public(self, error: DiskError) -> str:
        """What the other side may know about a disk error here."""

    def _stage(self) -> TransferStage:
        if self._error is not None:
            return TransferStage.FAILED
        return self._STAGES[self._machine.state]

    async def _run(self) -> None:
        try:
            async with asyncio.TaskGroup() as self._jobs:
                while not await self._drain():
                    await self._wake.wait()
        except* PeerError as group:
            # The port's: what the disk reports is caught where it happens.
            if self._error is None:
                self._error = TransferBroken()
                self._error.__cause__ = group.exceptions[0]
        except* asyncio.CancelledError:
            pass  # aborted, and the reason is noted
        except* Exception as group:  # ours: whoever waits for this transfer must hear of it
            logger.exception("%r failed", self)
            self._error = TransferError("The transfer failed because of an error in Peerline.")
            self._error.__cause__ = group
        finally:
            await self._close_files()

    def _finish(self, task: asyncio.Task[None]) -> None:
        # A callback, because a task that is cancelled before its first step never runs at all.
        if not task.cancelled() and task.exception() is not None:
            logger.error("%r failed", self, exc_info=task.exception())
        self._over.set()
        self._on_end()

    async def _drain(self) -> bool:
        """Do all that can be done now; True when there will never be more."""
        machine = self._machine
        progressing = True
        while progressing:
            self._wake.clear()
            # First the frames, then the events: the next segments are read while these are sent.
            blocks = self._take_blocks()
            progressing = bool(blocks)
            while (
                self._jobs_running < JOBS
                and self._ready_for_events()
                and (event := machine.next_event()) is not None
            ):
                progressing = True
                self._handle_event(event)
            for message in machine.messages_to_send():
                progressing = True
                await self._port.control.send(message)
            if blocks:
                await self._send_blocks(blocks)
        return machine.ended and not machine.busy and not self._jobs_running

    def _start(self, job: Coroutine[None, None, None]) -> None:
        assert self._jobs is not None
        self._jobs_running += 1
        self._jobs.create_task(self._work(job))

    async def _work(self, job: Coroutine[None, None, None]) -> None:
        try:
            await job
        except DiskError as exc:
            self._disk_failed(exc)
        finally:
            self._jobs_running -= 1
            self._wake.set()

    def _disk_failed(self, error: DiskError) -> None:
        if not self._machine.ended:
            self._error = error
            self._machine.disk_failed(self._public(error))

    def _failed(self, event: Failed) -> PeerError:
        """The exception for a transfer that ended before its time."""
        sentence = event.message
        if event.code in ("integrity", "changed"):
            if event.remote and sentence:
                sentence = f"The other side says: {sentence}"
            return IntegrityError(sentence or "The files that arrived differ from those sent.")
        if event.code == "cancelled":
            if not event.remote:
                return TransferCancelled()
            return TransferCancelled(
                f"The other side cancelled the transfer{f': {sentence}' if sentence else '.'}"
            )
        if event.remote:
            reason = (sentence or event.code).rstrip(".")
            return TransferBroken(f"The other side gave up: {reason}.")
        return TransferError(sentence or "The transfer failed.")
