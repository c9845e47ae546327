"""Files in a chat: offers, answers, and progress at the bottom of the screen."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from peer.cli.terminal import transfer_view, wording
from peer.cli.terminal.offer_view import offer
from peer.cli.terminal.text import count, rate, safe_line
from peer.errors import PeerError

if TYPE_CHECKING:
    from peer.cli.terminal.progress import Meter
    from peer.link.link import Link
    from peer.transfer.engine import IncomingTransfer, OutgoingTransfer, Progress

    from .faces import Face

__all__ = ["ChatFiles", "Somebody"]


@dataclass(frozen=True, slots=True, eq=False)
class Somebody:
    """The other end of one link."""

    link: Link
    name: str
    """Name to show; terminal-safe, and unique in the room."""


class ChatFiles:
    """The transfers of a conversation.

    Args:
        face: Interface to the person.
        out: Destination of files.
        yes: Accept every offer.
        overwrite: Replace existing files.
        changed: Called when the result of `moving` changes.
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
        self._offers: dict[int, tuple[Somebody, IncomingTransfer]] = {}
        self._last_offer = 0
        self._moving: dict[object, str] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def moving(self) -> list[str]:
        """Return a phrase for each running transfer."""
        return list(self._moving.values())

    def send(self, typed: str, people: Sequence[Somebody]) -> None:
        """Offer the files typed after `/send` to everybody."""
        try:
            paths = [Path(name).expanduser() for name in shlex.split(typed)]
        except ValueError as error:  # a quotation mark is missing
            self._face.notice((f"/send: {error}.", "warning"))
            return
        missing = [path for path in paths if not path.exists()]
        if not paths:
            self._face.notice("Name the files to send: /send FILE...")
        elif missing:
            self._face.notice(
                (f'There is no file or folder called "{safe_line(str(missing[0]))}".', "warning")
            )
        elif not people:
            self._face.notice("Nobody is here yet.")
        for somebody in people if paths and not missing else ():
            self._start(self._send_to(somebody, paths))

    async def take_offers(self, somebody: Somebody) -> None:
        """Show or answer the offers of somebody until the link ends."""
        async for incoming in somebody.link.transfers():
            if incoming.problem is not None:
                problem = safe_line(str(incoming.problem))
                self._face.notice((f"Not received from {somebody.name}: {problem}", "warning"))
            elif self._yes:
                await self._announce(somebody, incoming)
                self._start(self._accept(somebody, incoming))
            elif self._face.commands:
                await self._ask(somebody, incoming)
            else:
                await incoming.decline("Nobody can accept files there.")
                what = _what(incoming)
                self._face.notice(f"Declined {what} from {somebody.name}: --yes accepts files.")

    def answer(self, which: str, *, accept: bool) -> None:
        """Accept or decline open offers.

        Args:
            which: An offer's number, a person's name, `all`, or nothing if there is one alone.
            accept: Whether to accept.
        """
        word = "accept" if accept else "decline"
        standing = {number: offer for number, offer in self._offers.items() if offer[1].undecided}
        self._offers = standing
        which = which.strip()
        chosen = [
            number
            for number, (somebody, _) in standing.items()
            if which in ("", "all") or which.casefold() == somebody.name.casefold()
        ]
        if which.isdecimal() and int(which) in standing:
            chosen = [int(which)]  # even if it is the name of somebody
        if not standing:
            self._face.notice("There is no offer to answer.")
        elif not chosen:
            self._face.notice((f"There is no offer '{safe_line(which)}'.", "warning"))
            self._list()
        elif not which and len(chosen) > 1:
            # An offer may have arrived a moment ago, so the meant one is unclear.
            self._face.notice(f"There are several offers. Type /{word} and one of these, or all:")
            self._list()
        else:
            for number in chosen:
                somebody, incoming = standing.pop(number)
                self._start(self._accept(somebody, incoming) if accept else incoming.decline())

    def forget(self, somebody: Somebody) -> None:
        """Drop the offers of somebody who has left."""
        for number in [number for number, each in self._offers.items() if each[0] is somebody]:
            del self._offers[number]

    async def _announce(self, somebody: Somebody, incoming: IncomingTransfer) -> None:
        """Show an offer."""
        # Half a million names take a while.
        shown = await asyncio.to_thread(
            offer, incoming.manifest, sender=somebody.name, out=self._out
        )
        who = wording.begin(somebody.name)
        self._face.notice((who, "name"), f" wants to send you {_what(incoming)}.")
        for line in shown.listing if shown.notable or len(incoming.names) > 1 else ():
            self._face.notice(*line)
        for line in shown.remarks:
            self._face.notice(*line)

    async def _ask(self, somebody: Somebody, incoming: IncomingTransfer) -> None:
        """Show an offer, and how to answer it."""
        await self._announce(somebody, incoming)
        self._last_offer += 1
        number = self._last_offer
        self._offers[number] = (somebody, incoming)
        alone = sum(each.undecided for _, each in self._offers.values()) == 1
        which = "" if alone else f" {number}"
        self._face.notice(
            "Type ", (f"/accept{which}", "command"), " or ", (f"/decline{which}", "command"), "."
        )

    def _list(self) -> None:
        for number, (somebody, incoming) in self._offers.items():
            self._face.notice(f"    {number}  {_what(incoming)} from ", (somebody.name, "name"))

    async def settle(self) -> None:
        """Wait for the end of all transfers."""
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def close(self) -> None:
        """Cancel all transfers."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _send_to(self, somebody: Somebody, paths: list[Path]) -> None:
        try:
            outgoing = await somebody.link.send_files(paths)
            for left_out in outgoing.left_out:
                self._face.notice((str(left_out), "warning"))
            self._face.notice(f"Offered {_what(outgoing)} to {somebody.name}.")
            took = await self._follow(outgoing, f"to {somebody.name}")
            await outgoing.done()
        except PeerError as error:
            self._face.notice((f"Not sent to {somebody.name}: {safe_line(str(error))}", "warning"))
            return
        done = transfer_view.summary("Sent", outgoing, took)
        self._face.notice((f"{done}, confirmed by {somebody.name}.", "good"))
        for line in transfer_view.notices(outgoing):
            self._face.notice(*line)

    async def _accept(self, somebody: Somebody, incoming: IncomingTransfer) -> None:
        try:
            await incoming.accept(self._out, overwrite=self._overwrite)
            took = await self._follow(incoming, f"from {somebody.name}")
            await incoming.done()
        except PeerError as error:
            self._face.notice(
                (f"Not received from {somebody.name}: {safe_line(str(error))}", "warning")
            )
            for line in transfer_view.unfinished(incoming):
                self._face.notice(*line)
            return
        self._face.notice((f"{transfer_view.summary('Received', incoming, took)}:", "good"))
        for line in [*transfer_view.places(incoming), *transfer_view.notices(incoming)]:
            self._face.notice(*line)

    async def _follow(self, transfer: IncomingTransfer | OutgoingTransfer, whom: str) -> float:
        """Update the phrase of a transfer until it ends."""
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
    """Describe a transfer by its first name, the number of others, and its size."""
    first, *more = transfer.names
    names = f"{first} and {count(len(more), 'more', 'more')}" if more else first
    return f"{names} ({wording.describe(transfer.manifest)})"
