"""Files inside a chat: offered, accepted by a command, followed at the bottom of the screen."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from peer.errors import PeerError

from . import transfer_view
from .text import count, rate, safe_line

if TYPE_CHECKING:
    from peer.link import Link
    from peer.transfers import IncomingTransfer, OutgoingTransfer, Progress

    from .chat_faces import Face
    from .progress import Meter

__all__ = ["ChatFiles", "Somebody"]


@dataclass(frozen=True, slots=True, eq=False)
class Somebody:
    """The other end of one link."""

    link: Link
    name: str
    """What to call them; terminal-safe, and nobody else's in the room."""


class ChatFiles:
    """The transfers of a conversation.

    Args:
        face: Where to say what happens.
        out: Folder to put files into.
        yes: Accept everything.
        overwrite: Replace what exists.
        changed: Called when `moving` says something new.
    """

    def __init__(
        self,
        face: Face,
        *,
        out: Path,
        yes: bool,
        overwrite: bool,
        changed: Callable[[], None],
    ) -> None:
        self._face = face
        self._out = out
        self._yes = yes
        self._overwrite = overwrite
        self._changed = changed
        self._offers: list[tuple[Somebody, IncomingTransfer]] = []
        self._moving: dict[object, str] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def moving(self) -> list[str]:
        """What is on its way at the moment, a phrase each."""
        return list(self._moving.values())

    def send(self, typed: str, people: Sequence[Somebody]) -> None:
        """Offer to everybody the files that were typed after ``/send``."""
        try:
            paths = [Path(name).expanduser() for name in shlex.split(typed)]
        except ValueError as error:  # a quotation mark is missing
            self._face.notice((f"/send: {error}.", "warning"))
            return
        missing = [path for path in paths if not path.exists()]
        if not paths:
            self._face.notice("Which file? /send FILE...")
        elif missing:
            self._face.notice((f"There is no {safe_line(str(missing[0]))}.", "warning"))
        elif not people:
            self._face.notice("Nobody is here yet.")
        for somebody in people if paths and not missing else ():
            self._start(self._send_to(somebody, paths))

    async def take_offers(self, somebody: Somebody) -> None:
        """Tell the person what somebody offers, or answer for them, until the link ends."""
        async for incoming in somebody.link.transfers():
            what = _what(incoming)
            if incoming.problem is not None:
                self._face.notice((safe_line(str(incoming.problem)), "warning"))
            elif self._yes:
                self._start(self._accept(somebody, incoming))
            elif self._face.commands:
                self._offers.append((somebody, incoming))
                self._face.notice(
                    (somebody.name, "name"),
                    f" wants to send you {what}. Type ",
                    ("/accept", "command"),
                    " or ",
                    ("/decline", "command"),
                    ".",
                )
            else:
                await incoming.decline("Nobody is there to accept files.")
                self._face.notice(f"Declined {what}: --yes accepts files.")

    def answer(self, *, accept: bool) -> None:
        """Accept or decline what was offered and still stands."""
        offers = [(somebody, each) for somebody, each in self._offers if each.undecided]
        self._offers.clear()
        if not offers:
            self._face.notice("Nothing was offered.")
        for somebody, incoming in offers:
            self._start(self._accept(somebody, incoming) if accept else incoming.decline())

    def forget(self, somebody: Somebody) -> None:
        """Drop the offers of somebody who left."""
        self._offers = [offer for offer in self._offers if offer[0] is not somebody]

    async def settle(self) -> None:
        """Wait until nothing is on its way any more."""
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def close(self) -> None:
        """Give up what is still on its way."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _send_to(self, somebody: Somebody, paths: list[Path]) -> None:
        try:
            outgoing = await somebody.link.send_files(paths)
            for skipped in outgoing.skipped:
                self._face.notice((str(skipped), "warning"))
            self._face.notice(f"Offered {_what(outgoing)} to {somebody.name}.")
            took = await self._follow(outgoing, f"to {somebody.name}")
            await outgoing.done()
        except PeerError as error:
            self._face.notice((f"Not sent: {safe_line(str(error))}", "warning"))
            return
        done = transfer_view.summary("Sent", outgoing, took)
        self._face.notice((f"{done}, confirmed by {somebody.name}.", "good"))

    async def _accept(self, somebody: Somebody, incoming: IncomingTransfer) -> None:
        try:
            await incoming.accept(self._out, overwrite=self._overwrite)
            took = await self._follow(incoming, f"from {somebody.name}")
            await incoming.done()
        except PeerError as error:
            self._face.notice((f"Not received: {safe_line(str(error))}", "warning"))
            return
        self._face.notice((f"{transfer_view.summary('Received', incoming, took)}:", "good"))
        for path in incoming.paths:
            self._face.notice("    ", (safe_line(str(path)), "name"))

    async def _follow(self, transfer: IncomingTransfer | OutgoingTransfer, whom: str) -> float:
        """Keep the phrase of a transfer up to date until it ends."""
        key = object()

        def show(progress: Progress, meter: Meter | None, now: float) -> None:
            if meter is None:
                return
            reading = meter.read(now=now)
            speed = reading.bytes_per_second
            phrase = f"{int(reading.fraction * 100)}% {whom}"
            self._moving[key] = f"{phrase}, {rate(speed)}" if speed else phrase
            self._changed()

        try:
            return await transfer_view.follow(transfer, show)
        finally:
            self._moving.pop(key, None)
            self._changed()

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work, name="chat file")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _what(transfer: IncomingTransfer | OutgoingTransfer) -> str:
    """Return what a transfer is called: its first name, how many more, and the numbers."""
    first, *more = transfer.names
    names = f"{first} and {count(len(more), 'more', 'more')}" if more else first
    return f"{names} ({transfer_view.describe(transfer.manifest)})"
