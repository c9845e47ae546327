"""One chat: the links of a room on one side, the person's lines on the other."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from peer.errors import LinkClosed, PeerError, PeerLeft

from . import present, transfer_view
from .text import count, rate, safe_line, shorten

if TYPE_CHECKING:
    from peer.link import Link
    from peer.room import Room
    from peer.transfers import IncomingTransfer, OutgoingTransfer, Progress

    from .chat_faces import Face
    from .progress import Meter

__all__ = ["COMMANDS", "Conversation"]

COMMANDS: Mapping[str, str] = MappingProxyType(
    {
        "/send": "/send FILE...   send files or folders",
        "/accept": "/accept         take the files that were offered",
        "/decline": "/decline        do not take them",
        "/sas": "/sas            show the words that are the same on both sides",
        "/path": "/path           show how the bytes travel",
        "/help": "/help           show this; a message that starts with / takes two of them",
        "/quit": "/quit           leave (Ctrl-D too)",
    }
)

_ECHO_PATIENCE = 0.25
"""Seconds for which the echo of a message waits for its delivery mark."""
_LAST_PATIENCE = 15.0
"""Seconds for which the end of the input waits for the last deliveries."""


class _Quit(Exception):
    """The person typed /quit."""


@dataclass(slots=True)
class _Somebody:
    """The other end of one link."""

    link: Link
    name: str
    offers: list[IncomingTransfer] = field(default_factory=list)


class Conversation:
    """Everybody in the room hears what the person writes, and the person hears everybody."""

    def __init__(
        self, room: Room, face: Face, *, own_name: str, out: Path, yes: bool, overwrite: bool
    ) -> None:
        self._room = room
        self._face = face
        self._own_name = own_name
        self._out = out
        self._yes = yes
        self._overwrite = overwrite
        self._people: dict[str, _Somebody] = {}
        self._somebody_came = asyncio.Event()
        self._deliveries: set[asyncio.Task[None]] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._moving: dict[object, str] = {}
        self._failed = False
        # Below the 256 that a link lets wait for their delivery.
        self._places = asyncio.Semaphore(128)

    async def run(self) -> None:
        """Talk until the input ends or, in a code room, the other side is gone.

        Raises:
            LinkLost: The other side of a code room vanished.
            PeerError: There never was a link.
        """
        self._refresh()
        typing = asyncio.create_task(self._type(), name="chat input")
        hearing = asyncio.create_task(self._hear(), name="chat links")
        try:
            done, _ = await asyncio.wait({typing, hearing}, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
            if typing in done:
                await self._deliver_the_rest()
                if hearing.done():
                    hearing.result()
            if self._failed:
                raise PeerLeft("The other side left before every message was delivered.")
        finally:
            rest = {typing, hearing, *self._tasks, *self._deliveries}
            for task in rest:
                task.cancel()
            await asyncio.gather(*rest, return_exceptions=True)

    # The other side

    async def _hear(self) -> None:
        if self._room.code is not None:
            # Two places and a single use: when this link ends, so does the chat.
            await self._attend(await self._room.link())
            return
        async with asyncio.TaskGroup() as group:
            async for link in self._room:
                group.create_task(self._attend_quietly(link))

    async def _attend_quietly(self, link: Link) -> None:
        """Attend to one of several; that it breaks is news, not the end."""
        try:
            await self._attend(link)
        except PeerError as error:
            self._face.notice(safe_line(str(error)))

    async def _attend(self, link: Link) -> None:
        somebody = _Somebody(link, self._name_for(link))
        self._people[link.peer.id] = somebody
        self._face.notice("Connected to ", (somebody.name, "name"), ".")
        if link.path is not None:
            self._face.notice(f"Path:  {present.path_in_full(link.path)}")
        self._show_words(somebody)
        self._somebody_came.set()
        self._refresh()
        offers = asyncio.create_task(self._take_offers(somebody), name="chat offers")
        try:
            async for message in link.chat:
                self._face.message(somebody.name, message.text)
            await link.wait_closed()
        except LinkClosed:
            pass
        finally:
            offers.cancel()
            await asyncio.gather(offers, return_exceptions=True)
            del self._people[link.peer.id]
            self._refresh()
        self._face.notice((somebody.name, "name"), " left.")

    def _name_for(self, link: Link) -> str:
        """Return what to call the other side; two of one name get numbers."""
        wanted = present.who(link.peer)
        names = {somebody.name for somebody in self._people.values()} | {self._own_name}
        name, number = wanted, 1
        while name in names:
            number += 1
            name = f"{wanted} {number}"
        return name

    # Messages

    async def _type(self) -> None:
        try:
            if not self._face.commands:
                # What a pipe says must not get lost because nobody is there yet.
                await self._somebody_came.wait()
            async for line in self._face.lines():
                await self._entered(line)
        except _Quit:
            return

    async def _entered(self, line: str) -> None:
        if self._face.commands:
            if not line.strip():
                return
            if line.startswith("/") and not line.startswith("//"):
                await self._command(line)
                return
            line = line.removeprefix("/") if line.startswith("//") else line
        if not line:
            return  # an empty line of a pipe is no message
        if not self._people:
            self._face.notice("Nobody is here yet.")
            return
        await self._places.acquire()
        task = asyncio.create_task(self._say(line), name="chat message")
        self._deliveries.add(task)
        task.add_done_callback(self._delivered)

    def _delivered(self, task: asyncio.Task[None]) -> None:
        self._deliveries.discard(task)
        self._places.release()
        self._refresh()

    async def _say(self, text: str) -> None:
        """Send one message to everybody, and show what became of it."""
        self._refresh()
        mark = ""
        delivery = asyncio.gather(
            *(somebody.link.chat.send(text) for somebody in self._people.values()),
            return_exceptions=True,
        )
        try:
            done, _ = await asyncio.wait({delivery}, timeout=_ECHO_PATIENCE)
            if not done:
                mark = "…"
                self._face.echo(self._own_name, text, mark)
            errors = [each for each in await delivery if isinstance(each, BaseException)]
        except asyncio.CancelledError:
            delivery.cancel()
            self._face.echo(self._own_name, text, "✗")
            raise
        for error in errors:
            if isinstance(error, ValueError):  # too long
                self._face.notice((safe_line(str(error)), "warning"))
        if errors:
            self._failed = self._failed or not self._face.commands
            self._face.echo(self._own_name, text, "✗")
        elif mark:
            self._face.notice(("✓ delivered: ", "good"), shorten(safe_line(text), 60))
        else:
            self._face.echo(self._own_name, text, "✓")

    async def _deliver_the_rest(self) -> None:
        if self._deliveries:
            await asyncio.wait(self._deliveries, timeout=_LAST_PATIENCE)
        if self._tasks and not self._face.commands:
            # What a pipe was promised arrives; who types /quit does not want to wait for files.
            await asyncio.wait(self._tasks)

    # Commands

    async def _command(self, line: str) -> None:
        word, _, rest = line.strip().partition(" ")
        match word:
            case "/quit" | "/exit":
                raise _Quit
            case "/help":
                for text in COMMANDS.values():
                    self._face.notice(text)
            case "/sas":
                self._each(self._show_words)
            case "/path":
                self._each(self._show_path)
            case "/send":
                self._send_files(rest)
            case "/accept":
                self._answer_offers(accept=True)
            case "/decline":
                self._answer_offers(accept=False)
            case _:
                self._face.notice(
                    (f"There is no {safe_line(word)}; /help lists what there is.", "")
                )

    def _each(self, show: Callable[[_Somebody], None]) -> None:
        if not self._people:
            self._face.notice("Nobody is here yet.")
        for somebody in self._people.values():
            show(somebody)

    def _show_words(self, somebody: _Somebody) -> None:
        self._face.notice(
            "Words: ",
            (" ".join(somebody.link.sas), "words"),
            f"  (the same on {somebody.name}'s side)",
        )
        if not somebody.link.authenticated:
            self._face.notice(
                (
                    "No code or password protects this room: compare the words by voice "
                    "before you trust it.",
                    "warning",
                )
            )

    def _show_path(self, somebody: _Somebody) -> None:
        if somebody.link.path is not None:
            self._face.notice(f"{somebody.name}: {present.path_in_full(somebody.link.path)}")

    # Files

    def _send_files(self, typed: str) -> None:
        try:
            names = shlex.split(typed)
        except ValueError as error:
            self._face.notice((f"/send: {error}.", "warning"))
            return
        paths = [Path(name).expanduser() for name in names]
        missing = [path for path in paths if not path.exists()]
        if not paths:
            self._face.notice("Which file? /send FILE...")
        elif missing:
            self._face.notice((f"There is no {safe_line(str(missing[0]))}.", "warning"))
        elif not self._people:
            self._face.notice("Nobody is here yet.")
        else:
            for somebody in self._people.values():
                self._start(self._send_to(somebody, paths))

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work, name="chat work")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _refresh(self) -> None:
        """Say at the bottom who is there and what is going on."""
        parts = [
            f"{somebody.name} ({present.path_in_short(somebody.link.path)})"
            for somebody in self._people.values()
        ] or ["Nobody is here yet"]
        if self._deliveries:
            parts.append(f"{count(len(self._deliveries), 'message')} on the way")
        parts += self._moving.values()
        self._face.toolbar("  ".join([*parts, "/help"]))

    async def _send_to(self, somebody: _Somebody, paths: list[Path]) -> None:
        try:
            outgoing = await somebody.link.send_files(paths)
            what = f"{_names(outgoing)} ({transfer_view.describe(outgoing.manifest)})"
            for skipped in outgoing.skipped:
                self._face.notice((str(skipped), "warning"))
            self._face.notice(f"Offered {what} to {somebody.name}.")
            took = await self._follow(outgoing, f"to {somebody.name}")
            await outgoing.done()
        except PeerError as error:
            self._face.notice((f"Not sent: {safe_line(str(error))}", "warning"))
            return
        done = transfer_view.summary("Sent", outgoing, took)
        self._face.notice((f"{done}, confirmed by {somebody.name}.", "good"))

    async def _take_offers(self, somebody: _Somebody) -> None:
        async for incoming in somebody.link.transfers():
            what = f"{_names(incoming)} ({transfer_view.describe(incoming.manifest)})"
            if incoming.problem is not None:
                self._face.notice((safe_line(str(incoming.problem)), "warning"))
            elif self._yes:
                self._start(self._accept(somebody, incoming))
            elif self._face.commands:
                somebody.offers.append(incoming)
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

    def _answer_offers(self, *, accept: bool) -> None:
        answered = False
        for somebody in self._people.values():
            offers, somebody.offers = somebody.offers, []
            for incoming in offers:
                if not incoming.undecided:
                    continue  # withdrawn meanwhile
                answered = True
                self._start(self._accept(somebody, incoming) if accept else incoming.decline())
        if not answered:
            self._face.notice("Nothing was offered.")

    async def _accept(self, somebody: _Somebody, incoming: IncomingTransfer) -> None:
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
        """Show a transfer at the bottom until it ends."""
        key = object()

        def show(progress: Progress, meter: Meter | None, now: float) -> None:
            if meter is not None:
                fraction = int(meter.read(now=now).fraction * 100)
                speed = meter.read(now=now).bytes_per_second
                self._moving[key] = f"{fraction}% {whom}" + (f", {rate(speed)}" if speed else "")
                self._refresh()

        try:
            return await transfer_view.follow(transfer, show)
        finally:
            self._moving.pop(key, None)
            self._refresh()


def _names(transfer: IncomingTransfer | OutgoingTransfer) -> str:
    """Return what a transfer is called: its first name, and how many more there are."""
    first, *more = transfer.names
    return f"{first} and {count(len(more), 'more', 'more')}" if more else first
