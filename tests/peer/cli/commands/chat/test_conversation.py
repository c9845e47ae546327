"""A chat with several people, who are made up: one person's fault is nobody else's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from peer.cli.commands.chat import conversation
from peer.cli.commands.chat.conversation import Conversation
from peer.cli.commands.chat.files import ChatFiles, Somebody
from peer.cli.terminal.screen import Part
from peer.errors import LinkLost, NoPath, PeerError
from peer.transfer.protocol.manifest import Entry, Manifest
from peer.types import PeerInfo


class Face:
    """Notes what a person is shown; the person says nothing until told to leave."""

    def __init__(self, *, commands: bool = True) -> None:
        self.commands = commands
        self.said: list[str] = []
        self.leave = asyncio.Event()
        self.heard = asyncio.Event()
        self.told_enough = asyncio.Event()

    def message(self, name: str, text: str) -> None:
        self.said.append(f"{name}: {text}")
        self.heard.set()

    def echo(self, name: str, text: str, mark: str) -> None:
        self.said.append(f"{name}: {text} {mark}")

    def notice(self, *parts: Part) -> None:
        self.said.append("".join(part if isinstance(part, str) else part[0] for part in parts))
        if len(self.said) == 3:
            self.told_enough.set()

    def toolbar(self, text: str) -> None:
        pass

    async def lines(self) -> AsyncIterator[str]:
        await self.leave.wait()
        for line in list[str]():
            yield line


@dataclass
class Message:
    text: str


@dataclass(eq=False)
class Link:
    """Says one line after it was let, and ends as it was told to."""

    peer: PeerInfo
    says: str = ""
    fault: BaseException | None = None
    may_speak: asyncio.Event = field(default_factory=asyncio.Event)
    sas: tuple[str, ...] = ("one", "two", "three", "four")
    authenticated: bool = True
    path: None = None

    @property
    async def chat(self) -> AsyncIterator[Message]:
        await self.may_speak.wait()
        if self.fault is not None:
            raise self.fault
        yield Message(self.says)

    async def transfers(self) -> AsyncIterator[Any]:
        await asyncio.Event().wait()
        yield

    async def wait_closed(self) -> None:
        await asyncio.Event().wait()


class Room:
    code = None

    def __init__(self, *links: Link) -> None:
        self._links = asyncio.Queue[Link]()
        for link in links:
            self._links.put_nowait(link)
        self.peers = {link.peer.id: link.peer for link in links}
        self.failures: dict[str, PeerError] = {}

    def __aiter__(self) -> Room:
        return self

    async def __anext__(self) -> Link:
        return await self._links.get()


def person(name: str, **how: Any) -> Link:
    return Link(PeerInfo(f"id of {name}", name), **how)


def talk(room: Room, face: Face, tmp_path: Path) -> asyncio.Task[None]:
    chat = Conversation(room, face, own_name="me", out=tmp_path, yes=False, overwrite=False)  # type: ignore[arg-type]  # made up
    return asyncio.create_task(chat.run())


@pytest.mark.parametrize("fault", [LinkLost(), ValueError("odd\x1b[2J"), RecursionError()])
async def test_fault_of_one_ends_nothing_for_the_others_and_is_told_by_name(
    fault: Exception, tmp_path: Path
) -> None:
    eve, bob = person("eve", fault=fault), person("bob", says="still here")
    face = Face()
    chat = talk(Room(eve, bob), face, tmp_path)
    eve.may_speak.set()
    await asyncio.sleep(0)
    bob.may_speak.set()
    await face.heard.wait()
    face.leave.set()
    await chat
    assert "bob: still here" in face.said
    (told,) = [line for line in face.said if line.startswith("eve: ")]
    assert "\x1b" not in told


async def test_failures_are_told_with_the_name_and_not_without_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversation, "_LOOK", 0.001)
    room, face = Room(), Face()
    room.peers = {"1": PeerInfo("1", "carol\x1b[2J")}
    room.failures = {"1": NoPath(hint="Ask for a relay.")}
    room.failures |= {str(number): NoPath() for number in range(2, 1000)}
    chat = talk(room, face, tmp_path)
    await face.told_enough.wait()
    face.leave.set()
    await chat
    assert face.said[0].startswith("No connection to carol\\x1b[2J: No network path")
    assert face.said[0].endswith("Ask for a relay.")
    assert face.said[1].startswith("No connection to somebody who has left: ")
    assert len(face.said) == 3


@dataclass
class Offered:
    """An offer that notes how it was answered."""

    name: str
    answer: str = ""
    problem: None = None

    @property
    def names(self) -> tuple[str, ...]:
        return (self.name,)

    @property
    def manifest(self) -> Manifest:
        return Manifest([Entry(path=self.name, kind="file", size=1)])

    @property
    def undecided(self) -> bool:
        return not self.answer

    async def accept(self, folder: Path, *, overwrite: bool) -> None:
        self.answer = "accepted"
        raise LinkLost

    async def decline(self, message: str = "") -> None:
        self.answer = "declined"


async def test_name_of_a_person_cannot_pass_for_the_number_of_an_offer(tmp_path: Path) -> None:
    face = Face()
    files = ChatFiles(face, out=tmp_path, yes=False, overwrite=False, changed=lambda: None)
    offers = {}
    for name in ("alice", "1", "all"):
        offers[name] = Offered(f"from {name}")

        class Giver(Link):
            offered = offers[name]

            async def transfers(self) -> AsyncIterator[Any]:
                yield self.offered

        giver = Giver(PeerInfo(name, name))
        await files.take_offers(Somebody(giver, name))  # type: ignore[arg-type]  # made up
    files.answer("1", accept=True)
    await files.settle()
    assert [each.answer for each in offers.values()] == ["accepted", "", ""]
    files.answer("", accept=True)
    await files.settle()
    assert [each.answer for each in offers.values()] == ["accepted", "", ""]
    assert "There are several offers. Type /accept and one of these, or all:" in face.said
    files.answer("ALICE", accept=True)
    assert "There is no offer 'ALICE'." in face.said
    files.answer("3", accept=False)
    files.answer("", accept=True)
    await files.settle()
    assert [each.answer for each in offers.values()] == ["accepted", "accepted", "declined"]
    files.answer("all", accept=True)
    assert face.said[-1] == "There is no offer to answer."
