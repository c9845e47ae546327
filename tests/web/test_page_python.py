"""The page and Python: the library in this process, and `peerline` in processes of its own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shlex
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import expect

import peer
from peer.errors import ExitCode
from signaling.server import SignalingServer
from tests.support.browsers.browser import Person
from tests.support.transfer.samples import (
    SIZES,
    digests_in,
    digests_of,
    sha256_of,
    write_file,
    write_folder,
)
from tests.web.conftest import NewPerson

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

ENOUGH = 30.0
"""Time limit of each wait, in seconds."""


@contextlib.asynccontextmanager
async def connected(
    person: NewPerson, server: SignalingServer, *, page_hosts: bool
) -> AsyncIterator[tuple[Person, peer.Link]]:
    """A person with the page, linked to this program."""
    anna = await person()
    await anna.calls_herself("Anna")
    async with contextlib.AsyncExitStack() as stack:
        if page_hosts:
            code = await anna.make_code()
            joining = peer.join(server.urls[0], code=code, name="program")
            room = await stack.enter_async_context(joining)
        else:
            hosting = peer.host(server.urls[0], name="program")
            room = await stack.enter_async_context(hosting)
            await anna.type_code(str(room.code))
        link = await room.link(timeout=ENOUGH)
        await anna.is_connected("program")
        yield anna, link


@pytest.mark.parametrize("page_hosts", [True, False], ids=["page hosts", "program hosts"])
async def test_they_see_the_same_words_and_chat(
    person: NewPerson, server: SignalingServer, page_hosts: bool
) -> None:
    async with connected(person, server, page_hosts=page_hosts) as (anna, link):
        assert (link.authenticated, link.peer.name) == (True, "Anna")
        assert await anna.authentication_words() == link.sas
        await anna.sees("Direct on your network")
        await anna.says("Grüße, program")
        async with asyncio.timeout(ENOUGH):
            assert (await link.chat.receive()).text == "Grüße, program"
            await link.chat.send("and back\nin two lines")
        await anna.hears("and back in two lines")
        await expect(anna.page.get_by_role("log").get_by_text("Delivered")).to_be_visible()


@pytest.mark.parametrize("page_hosts", [True, False], ids=["page hosts", "program hosts"])
async def test_files_from_python_arrive_in_the_browser(
    person: NewPerson, server: SignalingServer, tmp_path: Path, page_hosts: bool
) -> None:
    async with connected(person, server, page_hosts=page_hosts) as (anna, link):
        for name, size in SIZES.items():
            path = write_file(tmp_path, name, size)
            outgoing = await link.send_files(path)
            await expect(anna.offer).to_contain_text(name)
            await anna.accepts()
            saved_as, saved = await anna.gets_download()
            assert (saved_as, sha256_of(saved)) == (name, sha256_of(path))
            async with asyncio.timeout(ENOUGH):
                await outgoing.done()
        root = write_folder(tmp_path)
        outgoing = await link.send_files(root)
        await anna.accepts()
        saved_as, saved = await anna.gets_download()
        assert (saved_as, digests_in(saved)) == ("photos.zip", digests_of(root))
        async with asyncio.timeout(ENOUGH):
            await outgoing.done()


@pytest.mark.parametrize("page_hosts", [True, False], ids=["page hosts", "program hosts"])
async def test_files_from_the_browser_arrive_in_python(
    person: NewPerson, server: SignalingServer, tmp_path: Path, page_hosts: bool
) -> None:
    sent, received = tmp_path / "sent", tmp_path / "received"
    async with connected(person, server, page_hosts=page_hosts) as (anna, link):
        offers = link.transfers()
        paths = [write_file(sent, name, size) for name, size in SIZES.items()]
        await anna.choose(*paths)
        async with asyncio.timeout(ENOUGH):
            incoming = await anext(offers)
            await incoming.accept(received)
            await incoming.done()
        assert {path.name: sha256_of(path) for path in received.iterdir()} == {
            path.name: sha256_of(path) for path in paths
        }
        await anna.sees_transfer("4 files", "delivered and verified")

        root = write_folder(sent)
        await anna.choose_folder(root)
        async with asyncio.timeout(ENOUGH):
            incoming = await anext(offers)
            await incoming.accept(received)
            await incoming.done()
        assert digests_of(received / "photos") == digests_of(root)
        await anna.sees_transfer("photos", "delivered and verified")


async def test_left_out_and_renamed_entries_are_told_on_both_sides(
    person: NewPerson, server: SignalingServer, tmp_path: Path
) -> None:
    root = write_folder(tmp_path)
    (root / "link").symlink_to("nothing")
    os.mkfifo(root / "pipe")
    (root / "aux.c").write_text("x")
    async with connected(person, server, page_hosts=False) as (anna, link):
        outgoing = await link.send_files(root)
        await anna.accepts()
        await anna.gets_download()
        await anna.sees_transfer("photos", "received and verified")
        line = anna.transfer("photos")
        summary = line.get_by_text("1 name was changed, 2 files or folders were left out")
        await summary.click()
        told = line.get_by_role("list", name="Changes to photos")
        await expect(told).to_contain_text("link is a link, which a browser cannot save")
        await expect(told).to_contain_text("The other side left out 1 file or folder")
        await expect(told).to_contain_text("photos/aux.c is now photos/_aux.c")
        await expect(anna.page.get_by_role("status")).to_have_text(
            "photos received; 1 name was changed, 2 files or folders were left out"
        )
        async with asyncio.timeout(ENOUGH):
            await outgoing.done()
        assert outgoing.left_out.total == 2  # the pipe by this side, the link by the page


async def test_each_side_may_decline(
    person: NewPerson, server: SignalingServer, tmp_path: Path
) -> None:
    async with connected(person, server, page_hosts=False) as (anna, link):
        path = write_file(tmp_path, "unwanted.bin", 10)
        outgoing = await link.send_files(path)
        await anna.declines()
        with pytest.raises(peer.Refused):
            async with asyncio.timeout(ENOUGH):
                await outgoing.done()
        await anna.choose(path)
        async with asyncio.timeout(ENOUGH):
            await (await anext(link.transfers())).decline()
        await anna.sees_transfer("unwanted.bin", "The other side declined the files.")


@pytest.mark.parametrize("page_hosts", [True, False], ids=["page hosts", "program hosts"])
async def test_a_wrong_word_is_told_on_both_sides(
    person: NewPerson, server: SignalingServer, page_hosts: bool
) -> None:
    def mistype(code: str) -> str:
        number, first, second = code.split("-")
        return f"{number}-{'guitar' if first != 'guitar' else 'ocean'}-{second}"

    anna = await person()
    async with contextlib.AsyncExitStack() as stack:
        if page_hosts:
            wrong = mistype(await anna.make_code())
            joining = peer.join(server.urls[0], code=wrong)
            room = await stack.enter_async_context(joining)
        else:
            room = await stack.enter_async_context(peer.host(server.urls[0]))
            await anna.type_code(mistype(str(room.code)))
        with pytest.raises(peer.WrongCode):
            await room.link(timeout=ENOUGH)
        await anna.sees_failure("The codes did not match")


async def test_a_program_that_leaves_ends_the_session(
    person: NewPerson, server: SignalingServer
) -> None:
    async with connected(person, server, page_hosts=True) as (anna, link):
        await link.close()
        await anna.sees_failure("Disconnected from program")


async def test_a_closed_window_ends_the_link(person: NewPerson, server: SignalingServer) -> None:
    async with connected(person, server, page_hosts=True) as (anna, link):
        await anna.goes_away()
        async with asyncio.timeout(ENOUGH):
            await link.wait_closed()


# --- the command ---


@contextlib.asynccontextmanager
async def peerline(
    *arguments: str | Path, code: str | None = None
) -> AsyncIterator[asyncio.subprocess.Process]:
    """A running `peerline`, which must have ended by itself at the end of the block."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "peer.cli",
        *map(str, arguments),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "NO_COLOR": "1", **({"PEERLINE_CODE": code} if code else {})},
    )
    try:
        yield process
    except BaseException:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        raise
    finally:
        # Read to the end: a full pipe would block the command.
        _, rest = await process.communicate()
        print(rest.decode(errors="replace"))


async def read_until(process: asyncio.subprocess.Process, pattern: str) -> str:
    """The first group of the first match in the output of a command on stderr."""
    assert process.stderr is not None
    said = ""
    async with asyncio.timeout(ENOUGH):
        while (line := await process.stderr.readline()) != b"":
            said += line.decode()
            if found := re.search(pattern, said):
                return found[1]
    raise AssertionError(f"the command never said {pattern!r}, but:\n{said}")


async def test_files_of_the_command_are_saved_by_a_page_at_its_link(
    person: NewPerson, server: SignalingServer, tmp_path: Path
) -> None:
    path = write_file(tmp_path, "né w.bin", 5_000_000)
    async with peerline("send", "--no-lan", "--server", server.urls[0], path) as command:
        code = await read_until(command, r"http://\S+/#(\d+-[a-z]+-[a-z]+)")
        anna = await person(fragment=code)
        await anna.accepts()
        saved_as, saved = await anna.gets_download()
        assert (saved_as, sha256_of(saved)) == ("né w.bin", sha256_of(path))
    assert command.returncode == ExitCode.DONE


async def test_the_command_alone_serves_the_page_and_the_file(
    person: NewPerson, tmp_path: Path
) -> None:
    path = write_file(tmp_path, "alone.bin", 70_000)
    async with peerline("send", "--no-lan", path) as command:
        link = await read_until(command, r"(http://\S+/#\d+-[a-z]+-[a-z]+)")
        anna = await person()
        await anna.page.goto(link)
        await anna.accepts()
        saved_as, saved = await anna.gets_download()
        assert (saved_as, sha256_of(saved)) == ("alone.bin", sha256_of(path))
    assert command.returncode == ExitCode.DONE


async def test_the_command_that_the_page_shows_receives_what_it_sends(
    person: NewPerson, server: SignalingServer, tmp_path: Path
) -> None:
    anna = await person()
    root = write_folder(tmp_path)
    await anna.choose_folder(root)
    code = await anna.make_code()
    await anna.page.get_by_text("They use a terminal").click()
    line = await anna.page.locator("code").text_content() or ""
    name, *shown = shlex.split(line)
    assert name == "peerline"
    assert code not in line
    out = tmp_path / "out"
    async with peerline(*shown, "--yes", "--out", out, code=code) as command:
        await anna.sees_transfer("photos", "delivered and verified")
    assert command.returncode == ExitCode.DONE
    assert digests_of(out / "photos") == digests_of(root)


async def test_a_killed_command_is_noticed_by_the_page(
    person: NewPerson, server: SignalingServer, tmp_path: Path
) -> None:
    path = write_file(tmp_path, "never.bin", 1000)
    async with peerline("send", "--no-lan", "--server", server.urls[0], path) as command:
        code = await read_until(command, r"http://\S+/#(\d+-[a-z]+-[a-z]+)")
        anna = await person(fragment=code)
        await expect(anna.offer).to_be_visible()
        command.kill()
        heading = anna.heading("Disconnected from")
        await expect(heading).to_be_visible(timeout=40_000)
        await expect(anna.offer).to_be_hidden()
        await anna.sees_transfer("never.bin", "The connection broke")
