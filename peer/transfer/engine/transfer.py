"""Base of both directions of a transfer (floor 3).

One task drives one transfer: it drains the machine, sends its messages and blocks, and starts jobs
for the disk. Other inputs (a message, a block, a finished job, a decision) change the machine
directly and wake the task.
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
"""Concurrent disk jobs of one transfer; further requests wait in the machine."""


_NOTHING = "No file was sent."
_KEPT = "Complete files are kept; send again to transfer everything."


class Transfer(ABC, Generic[AnyMachine]):
    """One transfer of files, in one direction."""

    _STAGES: ClassVar[dict[Enum, TransferStage]]
    """The stage for each state of the machine."""

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
            on_end: Called once, at the end.
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

    # Content

    @property
    def id(self) -> int:
        """Id of the transfer on its link."""
        return self._machine.transfer

    @property
    @abstractmethod
    def manifest(self) -> Manifest:
        """Every file, folder and link; paths from the other side are hostile."""

    @property
    def names(self) -> list[str]:
        """The files and folders at the top, safe to print."""
        return [show_name(root) for root in self.manifest.roots()]

    @property
    def files_total(self) -> int:
        """Number of files."""
        return self.manifest.files

    @property
    def bytes_total(self) -> int:
        """Bytes of all files."""
        return self.manifest.bytes

    # Notes for people

    @property
    @abstractmethod
    def left_out(self) -> Notes[LeftOut]:
        """Entries that are not sent or not put in place; complete when `done` has returned."""

    @property
    @abstractmethod
    def renamed(self) -> Notes[Renamed]:
        """Changed names; complete when `done` has returned."""

    @property
    @abstractmethod
    def not_placed(self) -> int:
        """Links that could not be put in place; complete when `done` has returned."""

    # Progress

    @property
    @abstractmethod
    def progress(self) -> Progress:
        """Current progress; cheap."""

    async def updates(self, interval: float = 0.1) -> AsyncIterator[Progress]:
        """Yield the progress for a display until the transfer ends.

        Args:
            interval: Seconds between two reports.
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
        """Wait until the receiver has confirmed that everything is in place.

        Raises:
            Refused: The receiver declined.
            TransferCancelled: Either side cancelled.
            IntegrityError: Received data is damaged, or a source changed.
            DiskError: A file could not be read or written here.
            TransferBroken: The link broke off, or the other side gave up.
        """
        await self._over.wait()
        if self._error is not None:
            raise self._error

    async def cancel(self, message: str = "") -> None:
        """End the transfer and inform the other side; no effect after its end.

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
        """End it because of malformed input."""
        self._machine.cancel("protocol", message)
        self._wake.set()

    def _abort(self, error: PeerError) -> None:
        """End it without informing the other side: the link is closed."""
        if self._error is None and self._stage() is not TransferStage.DONE:
            begun = self._stage() is TransferStage.RUNNING
            broken = TransferBroken(f"{error} {_KEPT if begun else _NOTHING}")
            broken.__cause__ = error
            self._error = broken
        self._task.cancel()

    async def _ended(self) -> None:
        """Wait for the end of its task and jobs. Never raises."""
        await self._over.wait()
        await asyncio.wait({self._task})

    # Internals

    @abstractmethod
    def _handle_message(self, message: Message) -> None:
        """Pass a message to the machine."""

    @abstractmethod
    def _handle_event(self, event: Event) -> None:
        """Do the work that an event requests, or note it."""

    @abstractmethod
    def _ready_for_events(self) -> bool:
        """Return whether there is room for the work of further events."""

    @abstractmethod
    async def _send_blocks(self, blocks: list[bytes]) -> None:
        """Send file content."""

    @abstractmethod
    def _take_blocks(self) -> list[bytes]:
        """Take the frames that are ready to send."""

    @abstractmethod
    async def _close_files(self) -> None:
        """Close all files; no job is running."""

    @abstractmethod
    def _public(self, error: DiskError) -> str:
        """Return the part of a local disk error that the other side may know."""

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
            # From the port; disk errors are caught in the jobs.
            if self._error is None:
                self._error = TransferBroken()
                self._error.__cause__ = group.exceptions[0]
        except* asyncio.CancelledError:
            pass  # aborted; the reason is in `_error`
        except* Exception as group:  # a bug: raise it to the waiters of this transfer
            logger.exception("%r failed", self)
            self._error = TransferError("The transfer failed because of an error in Peerline.")
            self._error.__cause__ = group
        finally:
            await self._close_files()

    def _finish(self, task: asyncio.Task[None]) -> None:
        # A callback, because a task that is cancelled before its first step never runs.
        if not task.cancelled() and task.exception() is not None:
            logger.error("%r failed", self, exc_info=task.exception())
        self._over.set()
        self._on_end()

    async def _drain(self) -> bool:
        """Do all pending work; return whether the transfer is complete."""
        machine = self._machine
        progressing = True
        while progressing:
            self._wake.clear()
            # Frames before events: the next segments are read while these are sent.
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
        """Return the exception for a failed transfer."""
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
