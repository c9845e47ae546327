"""The file drop stores what it is sent, within its limits, whoever comes."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

import peer
from tests.examples.conftest import StartExample
from tests.support.processes.leftovers import nothing_left_behind
from tests.support.processes.terminal import PATIENCE, Piped, Terminal


@pytest.fixture
def gift(tmp_path: Path) -> Path:
    """A file to send."""
    path = tmp_path / "gift.bin"
    path.write_bytes(os.urandom(300_000))
    return path


def link_of(drop: Piped) -> str:
    return drop.out.expect(r"^Link: (\S+)$")[1]


def stored(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


async def send(room: peer.Entering, *paths: Path) -> None:
    async with nothing_left_behind(), asyncio.timeout(PATIENCE), room as entered:
        link = await entered.link()
        outgoing = await link.send_files(paths)
        await outgoing.done()


@pytest.mark.terminal
def test_guest_of_a_code_stores_a_file_with_the_command(
    start: StartExample, env: dict[str, str], tmp_path: Path, gift: Path
) -> None:
    drop = start("file_drop", "inbox")
    with Terminal("chat", link_of(drop), env=env, cwd=tmp_path) as guest:
        guest.expect_display("> ?", r"drop \(direct\)  /help")
        guest.enter("/send gift.bin")
        guest.expect(r"Sent 1 file, .*, confirmed by drop\.")
        drop.out.expect(r"^Stored: gift\.bin$")
        guest.enter("/quit")
        assert guest.wait() == 0
    link_of(drop)  # the next guest's
    assert stored(tmp_path / "inbox") == {"gift.bin": gift.read_bytes()}
    drop.kill(signal.SIGINT)
    assert drop.wait() == 130
    assert drop.err.text == ""


async def test_it_goes_on_after_bad_guests(
    start: StartExample, server: str, tmp_path: Path, gift: Path
) -> None:
    drop = start("file_drop", "inbox", "--limit", "1000000", "--total", "1500000")

    async def next_link() -> str:
        return await asyncio.to_thread(link_of, drop)

    # A guess.
    number = (await next_link()).partition("#")[2].partition("-")[0]
    with pytest.raises(peer.WrongCode):
        await send(peer.join(server, f"{number}-aardvark-aardvark"), gift)

    # Too much at once.
    large = tmp_path / "large.bin"
    large.write_bytes(bytes(1_000_000))
    with pytest.raises(peer.Refused, match="more than this drop takes"):
        await send(peer.join(server, await next_link()), large)

    # A guest that breaks off in the middle: nothing of it stays, and its room is free again.
    half = tmp_path / "half.bin"
    half.write_bytes(os.urandom(900_000))
    for _ in range(3):
        async with peer.join(server, await next_link()) as room:
            link = await room.link()
            outgoing = await link.send_files(half)
            await link.close()
            with pytest.raises(peer.TransferError):
                await outgoing.done()

    for name in ("gift.bin", "gift (1).bin", "gift (2).bin", "gift (3).bin"):
        await send(peer.join(server, await next_link()), gift)
        assert stored(tmp_path / "inbox")[name] == gift.read_bytes()

    # The folder is full.
    with pytest.raises(peer.Refused, match="more than this drop takes"):
        await send(peer.join(server, await next_link()), gift)
    assert len(stored(tmp_path / "inbox")) == 4
    assert drop.err.text == ""


async def test_room_takes_several_guests_at_once_by_its_password(
    start: StartExample, server: str, tmp_path: Path, gift: Path, env: dict[str, str]
) -> None:
    env["PEERLINE_PASSWORD"] = "sesame"
    drop = start("file_drop", "inbox", "--room", "drop")
    await asyncio.to_thread(drop.out.expect, "^Ready$")
    gifts = [tmp_path / f"{number}.bin" for number in range(3)]
    for path in gifts:
        path.write_bytes(os.urandom(200_000))

    async def guest(path: Path) -> None:
        """Send to the drop, not to the other guests."""
        entering = peer.join(server, room="drop", password="sesame", name=path.stem)
        async with entering as room:
            async for link in room:
                if link.peer.name == "drop":
                    outgoing = await link.send_files(path)
                    await outgoing.done()
                    return

    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as guests:
        for path in gifts:
            guests.create_task(guest(path))
    with pytest.raises(peer.WrongCode):
        await send(peer.join(server, room="drop", password="guess"), gift)
    await guest(gift)
    expected = {path.name: path.read_bytes() for path in (*gifts, gift)}
    assert stored(tmp_path / "inbox") == expected
    assert drop.err.text == ""
