"""One chat: connects the links of a room with the lines of the person."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from peer.cli.terminal import wording
from peer.cli.terminal.text import count, safe_line, shorten
from peer.errors import LinkClosed, PeerError, PeerLeft

from .files import ChatFiles, Somebody

if TYPE_CHECKING:
    from peer.link.link import Link
    from peer.room.room import Room

    from .faces import Face

__all__ = ["COMMANDS", "Conversation"]

logger = logging.getLogger(__name__)

COMMANDS: Mapping[str, str] = MappingProxyType(
    {
        "/send": "/send FILE...   send files or folders",
        "/accept": "/accept         accept an offer; of several: its number, a name, or all",
        "/decline": "/decline        decline an offer",
        "/sas": "/sas            show the words to compare with the other side",
        "/path": "/path           show the network path",
        "/help": "/help           show this list; a message that begins with / needs a second /",
        "/quit": "/quit           leave; Ctrl-D does the same",
    }
)

_ECHO_PATIENCE = 0.25
"""Seconds that the echo of a message waits for its delivery mark."""
_LINK_PATIENCE = 5.0
"""Seconds that the end of the input waits for people who are still connecting."""
_LOOK = 0.2
"""Seconds between checks for people who cannot be reached."""
_TOLD = 3
"""Failures that are shown at once; then one a second."""
_SAID = 100
"""Last lines of a pipe that are repeated for people who join later."""
_LAST_PATIENCE = 15.0
"""Seconds that the end of the input waits for the last deliveries."""


class _Quit(Exception):
    """The person typed /quit."""


class Conversation:
    """Sends the lines of the person to everybody in the room, and shows their messages."""

    def __init__(
        self, room: Room, face: Face, *, own_name: str, out: Path, yes: bool, overwrite: bool
    ) -> None:
        self._room = room
        self._face = face
        self._own_name = own_name
        self._files = ChatFiles(face, out=out, yes=yes, overwrite=overwrite, changed=self._refresh)
        self._people: dict[str, Somebody] = {}
        self._somebody_came = asyncio.Event()
        self._deliveries: set[asyncio.Task[None]] = set()
        self._failed = False
        # Below the 256 undelivered messages that a link allows.
        self._places = asyncio.Semaphore(128)
        self._is_board = room.code is None and not face.commands
        """A pipe into a named room: its lines are repeated for people who join later."""
        self._said: deque[str] = deque(maxlen=_SAID)
        self._lines_said = 0
        self._reached: dict[str, None] = {}

    async def run(self) -> None:
        """Run until the input ends or, in a code room, the other side leaves.

        Raises:
            LinkLost: The other side of a code room vanished.
            PeerError: No link was set up.
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
            rest = {typing, hearing, *self._deliveries}
            for task in rest:
                task.cancel()
            await asyncio.gather(*rest, return_exceptions=True)
            await self._files.close()

    # Links

    async def _hear(self) -> None:
        if self._room.code is not None:
            # A code room has one link: when it ends, so does the chat.
            link = await self._room.link()
            await self._attend(link, self._name_for(link))
            return
        async with asyncio.TaskGroup() as group:
            telling = group.create_task(self._tell_failures())
            async for link in self._room:
                group.create_task(self._attend_quietly(link))
            telling.cancel()

    async def _tell_failures(self) -> None:
        """Show people in the room who cannot be reached, at a readable rate."""
        told: set[str] = set()
        names: dict[str, str] = {}
        budget = float(_TOLD)
        while True:
            peers, failures = self._room.peers, self._room.failures
            # Keep the names: people who cannot be reached often leave at once.
            names = {peer: name for peer, name in names.items() if peer in failures}
            names |= {peer: wording.who(info) for peer, info in peers.items()}
            budget = min(_TOLD, budget + _LOOK)
            for peer in [peer for peer in failures if peer not in told]:
                if budget < 1:
                    break
                budget -= 1
                told.add(peer)
                why = safe_line(str(failures[peer]))
                name = names.get(peer, "somebody who has left")
                self._face.notice((f"No connection to {name}: {why}", "warning"))
            told &= failures.keys()
            await asyncio.sleep(_LOOK)

    async def _attend_quietly(self, link: Link) -> None:
        """Serve one of several links; show its failure and continue."""
        name = self._name_for(link)
        try:
            await self._attend(link, name)
        except PeerError as error:
            self._face.notice((f"{name}: {safe_line(str(error))}", "warning"))
        except BrokenPipeError:  # the own output is closed
            raise
        except Exception as error:  # one failing link must not end the others
            logger.warning("a fault with one of several", exc_info=error)
            self._face.notice((f"{name}: {safe_line(repr(error))}", "warning"))

    async def _attend(self, link: Link, name: str) -> None:
        somebody = Somebody(link, name)
        self._people[link.peer.id] = somebody
        self._reached.setdefault(name)
        self._face.notice("Connected to ", (somebody.name, "name"), ".")
        if link.path is not None:
            self._face.notice(f"Path:  {wording.path_in_full(link.path)}")
        self._show_words(somebody)
        self._repeat(somebody)
        self._somebody_came.set()
        self._refresh()
        offers = asyncio.create_task(self._files.take_offers(somebody), name="chat offers")
        try:
            async for message in link.chat:
                self._face.message(somebody.name, message.text)
            await link.wait_closed()
        except LinkClosed:
            pass
        finally:
            offers.cancel()
            (fault,) = await asyncio.gather(offers, return_exceptions=True)
            if isinstance(fault, Exception):
                logger.warning("a fault with an offer", exc_info=fault)
            self._files.forget(somebody)
            del self._people[link.peer.id]
            self._refresh()
        self._face.notice((wording.begin(somebody.name), "name"), " left.")

    def _name_for(self, link: Link) -> str:
        """Return a name for the other side; equal names get numbers."""
        wanted = wording.who(link.peer)
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
                # Lines of a pipe must not be lost before the first link.
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
            return  # empty lines of a pipe are not sent
        if self._is_board:
            self._said.append(line)
            self._lines_said += 1
        if self._people:
            await self._places.acquire()
            task = self._deliver(line, list(self._people.values()))
            task.add_done_callback(lambda _: self._places.release())
        elif not self._is_board:
            self._face.notice("Nobody is here yet.")

    def _repeat(self, somebody: Somebody) -> None:
        """Repeat the lines of a pipe for somebody who joins later."""
        for line in self._said:
            self._deliver(line, [somebody])
        if self._lines_said > len(self._said):
            last = count(len(self._said), "line")
            self._face.notice(f"{somebody.name} came later and gets only the last {last}.")

    def _deliver(self, line: str, people: Sequence[Somebody]) -> asyncio.Task[None]:
        task = asyncio.create_task(self._say(line, people), name="chat message")
        self._deliveries.add(task)
        task.add_done_callback(self._delivered)
        return task

    def _delivered(self, task: asyncio.Task[None]) -> None:
        self._deliveries.discard(task)
        self._refresh()

    async def _say(self, text: str, people: Sequence[Somebody]) -> None:
        """Send one message, and show its delivery."""
        self._refresh()
        mark = ""
        delivery = asyncio.gather(
            *(somebody.link.chat.send(text) for somebody in people), return_exceptions=True
        )
        try:
            done, _ = await asyncio.wait({delivery}, timeout=_ECHO_PATIENCE)
            if not done:
                mark = "…"
                self._face.echo(self._own_name, text, mark)
            results = zip(people, await delivery, strict=True)
            failures = [each for each in results if isinstance(each[1], BaseException)]
        except asyncio.CancelledError:
            delivery.cancel()
            self._face.echo(self._own_name, text, "✗")
            raise
        for somebody, error in failures:
            problem = safe_line(str(error))
            if isinstance(error, ValueError):  # too long for everybody
                self._face.notice((problem, "warning"))
                break
            if self._room.code is None:
                self._face.notice((f"Not delivered to {somebody.name}: {problem}", "warning"))
        if failures:
            self._failed = self._failed or not self._face.commands
            self._face.echo(self._own_name, text, "✗")
        elif mark:
            self._face.notice(("✓ delivered: ", "good"), shorten(safe_line(text), 60))
        else:
            self._face.echo(self._own_name, text, "✓")

    async def _deliver_the_rest(self) -> None:
        if self._is_board:
            await self._wait_for_those_on_the_way()
        if self._deliveries:
            await asyncio.wait(self._deliveries, timeout=_LAST_PATIENCE)
        if not self._face.commands:
            # A pipe waits for its files; a person who types /quit does not.
            await self._files.settle()
        if self._lines_said and not self._failed:
            self._face.notice(f"Everything was delivered to {', '.join(self._reached)}.")

    async def _wait_for_those_on_the_way(self) -> None:
        """Wait briefly for people in the room who have no link yet."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LINK_PATIENCE):
                while self._room.peers.keys() - self._people.keys() - self._room.failures.keys():
                    self._somebody_came.clear()
                    await self._somebody_came.wait()

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
                self._files.send(rest, list(self._people.values()))
            case "/accept":
                self._files.answer(rest, accept=True)
            case "/decline":
                self._files.answer(rest, accept=False)
            case _:
                self._face.notice(
                    (f"There is no command {safe_line(word)}; /help lists the commands.", "")
                )

    def _each(self, show: Callable[[Somebody], None]) -> None:
        if not self._people:
            self._face.notice("Nobody is here yet.")
        for somebody in self._people.values():
            show(somebody)

    def _show_words(self, somebody: Somebody) -> None:
        where = "both sides" if wording.is_nameless(somebody.name) else f"{somebody.name}'s side"
        self._face.notice(
            "Words: ", (" ".join(somebody.link.sas), "words"), f"  (the same on {where})"
        )
        if not somebody.link.authenticated:
            self._face.notice(
                (
                    (
                        "No code or password protects this room: compare the words by voice "
                        "before you trust it."
                    ),
                    "warning",
                )
            )

    def _show_path(self, somebody: Somebody) -> None:
        if somebody.link.path is not None:
            self._face.notice(f"{somebody.name}: {wording.path_in_full(somebody.link.path)}")

    def _refresh(self) -> None:
        """Show people, deliveries and transfers at the bottom."""
        parts = [
            f"{somebody.name} ({wording.path_in_short(somebody.link.path)})"
            for somebody in self._people.values()
        ] or ["Nobody is here yet"]
        if self._deliveries:
            parts.append(f"{count(len(self._deliveries), 'message')} on the way")
        parts += self._files.moving()
        self._face.toolbar("  ".join([*parts, "/help"]))
