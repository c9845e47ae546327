"""The page's modules in real Chromium, without its user interface: links to pages and to Python.

Scripts reach the modules as a page does; `Window` is one browser window with one room.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import zipfile
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page

import peer
from signaling.assets import page_directory
from signaling.config import Listener, ServerConfig
from signaling.ice_servers import IceConfig
from signaling.server import SignalingServer
from tests.support.servers.coturn import running_coturn

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

ENTER = """async ([how, options]) => {
  const { Room } = await import('/client/room/room.js');
  const room = await Room[how](options);
  window.room = room;
  window.heard = [];
  window.outcome = new Promise((resolve) => {
    room.addEventListener('link', ({ detail: link }) => {
      window.link = link;
      for (const type of ['chat', 'delivered', 'closed', 'transferdone', 'transferfailed']) {
        link.addEventListener(type, (event) => window.heard.push([type, event.detail]));
      }
      link.addEventListener('offer', ({ detail }) => {
        window.incoming = detail;
        void detail.accept();
      });
      resolve({ sas: link.sas, authenticated: link.authenticated, agent: link.peer.agent });
    });
    room.addEventListener('error', ({ detail }) => resolve({ error: detail.code }));
  });
  return room.code && String(room.code);
}"""

HEARD = """(type) => new Promise((resolve) => {
  const look = () => {
    const found = window.heard.find(([each]) => each === type);
    if (!found) return setTimeout(look, 20);
    window.heard.splice(window.heard.indexOf(found), 1);
    const { id, text, code, state, problem, saved, bytesDone } = found[1];
    resolve({ id, text, code, state, problem: problem && problem.code, bytesDone,
              saved: saved && saved.map((each) => each.name) });
  };
  look();
})"""

SAVE = """(index) => {
  const { name, file } = window.incoming.saved[index];
  const anchor = document.createElement('a');
  anchor.href = URL.createObjectURL(file);
  anchor.download = name;
  anchor.click();
}"""


@dataclass
class Window:
    """A browser window with one room."""

    page: Page

    async def host(self) -> str:
        """Make a code."""
        code = await self.page.evaluate(ENTER, ["host", {"name": "Anna"}])
        assert isinstance(code, str)
        return code

    async def join(self, code: str) -> None:
        """Use a code."""
        await self.page.evaluate(ENTER, ["join", {"name": "Ben", "code": code}])

    async def enter(self, room: str, password: str | None) -> None:
        """Go to a named room."""
        options = {"name": "Anna", "room": room, "password": password}
        await self.page.evaluate(ENTER, ["join", options])

    async def outcome(self) -> dict[str, Any]:
        """The link, or the error, of the code."""
        return dict(await self.page.evaluate("() => window.outcome"))

    async def hears(self, event: str) -> dict[str, Any]:
        """Wait for an event of the link."""
        return dict(await self.page.evaluate(HEARD, event))

    async def sends(self, *paths: Path) -> None:
        """Offer files."""
        await self.page.evaluate(
            """() => {
              window.chooser = document.createElement('input');
              window.chooser.type = 'file';
              window.chooser.multiple = true;
              document.body.replaceChildren(window.chooser);
            }"""
        )
        await self.page.set_input_files("input", [str(path) for path in paths])
        await self.page.evaluate("async () => { await link.sendFiles(window.chooser.files); }")

    async def saves(self, index: int = 0) -> Path:
        """Pass a received file to the browser's downloads."""
        async with self.page.expect_download() as started:
            await self.page.evaluate(SAVE, index)
        return await (await started.value).path()


async def open_window(
    stack: contextlib.AsyncExitStack, browser: Browser, server: SignalingServer
) -> Window:
    context = await browser.new_context(accept_downloads=True)
    stack.push_async_callback(context.close)
    page = await context.new_page()
    await page.goto(f"{url_of(server)}/healthz")
    return Window(page)


NewWindow = Callable[[], Awaitable[Window]]


@pytest_asyncio.fixture(loop_scope="module")
async def window(browser: Browser, server: SignalingServer) -> AsyncIterator[NewWindow]:
    """Opens windows that are of the page's origin, but without its user interface."""
    async with contextlib.AsyncExitStack() as stack:
        yield lambda: open_window(stack, browser, server)


# The names in the folder of received files.
STORED = """async () => {
  const root = await navigator.storage.getDirectory();
  window.stored = await root.getDirectoryHandle('peerline', { create: true });
  const names = [];
  for await (const name of window.stored.keys()) names.push(name);
  return names;
}"""


def sha256_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def url_of(server: SignalingServer) -> str:
    return f"http://127.0.0.1:{server.port}"


def write_file(path: Path, size: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(os.urandom(size))
    return path


async def linked_to_python(
    stack: contextlib.AsyncExitStack, window: Window, server: SignalingServer, *, page_hosts: bool
) -> peer.Link:
    """A link between a page and a Python program, with the same words on both sides."""
    if page_hosts:
        code = await window.host()
        room = await stack.enter_async_context(peer.join(url_of(server), code=code, name="py"))
    else:
        room = await stack.enter_async_context(peer.host(url_of(server), name="py"))
        await window.join(str(room.code))
    link = await room.link()
    page = await window.outcome()
    assert page["authenticated"] and link.authenticated
    assert tuple(page["sas"]) == link.sas
    assert page["agent"].endswith("python") and link.peer.agent.endswith("page")
    return link


async def test_two_pages_see_the_same_words(window: NewWindow) -> None:
    anna, ben = await window(), await window()
    await ben.join(await anna.host())
    hers, his = await anna.outcome(), await ben.outcome()
    assert hers["sas"] == his["sas"] and hers["authenticated"] and his["authenticated"]
    path = await anna.page.evaluate("() => link.path()")
    assert path["kind"] == "direct"


async def test_a_wrong_word_stops_both_pages(window: NewWindow) -> None:
    anna, ben = await window(), await window()
    code = await anna.host()
    number, first, second = code.split("-")
    await ben.join(f"{number}-{second}-{first}")
    for someone in (anna, ben):
        assert await someone.outcome() == {"error": "wrong_code"}


@pytest.mark.parametrize("page_first", [True, False], ids=["page_offers", "python_offers"])
@pytest.mark.parametrize("password", [None, "pässword"], ids=["open", "guarded"])
async def test_a_page_and_python_meet_in_a_named_room(
    window: NewWindow, server: SignalingServer, page_first: bool, password: str | None
) -> None:
    anna = await window()
    name = f"room {page_first} {password is None}"
    if page_first:
        await anna.enter(name, password)
    async with peer.join(url_of(server), room=name, password=password, name="py") as room:
        if not page_first:
            await anna.enter(name, password)
        link = await room.link()
        page = await anna.outcome()
        assert tuple(page["sas"]) == link.sas
        assert page["authenticated"] is link.authenticated is (password is not None)


@pytest.mark.parametrize("page_hosts", [True, False], ids=["page_offers", "python_offers"])
async def test_a_page_and_python_chat(
    window: NewWindow, server: SignalingServer, page_hosts: bool
) -> None:
    anna = await window()
    async with contextlib.AsyncExitStack() as stack:
        link = await linked_to_python(stack, anna, server, page_hosts=page_hosts)
        number = await anna.page.evaluate("() => link.sendChat('hello ☃')")
        assert (await link.chat.receive()).text == "hello ☃"
        assert (await anna.hears("delivered"))["id"] == number
        await link.chat.send("good morning")
        assert (await anna.hears("chat"))["text"] == "good morning"
        await link.close()
        assert (await anna.hears("closed"))["code"] == "bye"


@pytest.mark.parametrize("page_hosts", [True, False], ids=["page_offers", "python_offers"])
async def test_files_go_from_python_to_a_page(
    window: NewWindow, server: SignalingServer, tmp_path: Path, page_hosts: bool
) -> None:
    anna = await window()
    path = write_file(tmp_path / "né w.bin", 5_000_000)
    async with contextlib.AsyncExitStack() as stack:
        link = await linked_to_python(stack, anna, server, page_hosts=page_hosts)
        outgoing = await link.send_files([path])
        await outgoing.done()
        received = await anna.hears("transferdone")
        assert received["saved"] == ["né w.bin"]
        assert sha256_of(await anna.saves()) == sha256_of(path)


async def test_a_folder_goes_from_python_to_a_page_as_one_archive(
    window: NewWindow, server: SignalingServer, tmp_path: Path
) -> None:
    anna = await window()
    root = tmp_path / "tree"
    (root / "empty").mkdir(parents=True)
    script = write_file(root / "run.sh", 10)
    script.chmod(0o755)
    names = [write_file(root / "sub" / f"{i}.bin", i * 700) for i in range(60)]
    large = write_file(root / "large.bin", 3_000_000)
    async with contextlib.AsyncExitStack() as stack:
        link = await linked_to_python(stack, anna, server, page_hosts=False)
        await (await link.send_files([root])).done()
        assert (await anna.hears("transferdone"))["saved"] == ["tree.zip"]
        with zipfile.ZipFile(await anna.saves()) as archive:
            assert archive.testzip() is None
            for path in [*names, large, script]:
                assert archive.read(str(path.relative_to(tmp_path))) == path.read_bytes()
            assert "tree/empty/" in archive.namelist()
            assert archive.getinfo("tree/run.sh").external_attr >> 16 & 0o777 == 0o755


@pytest.mark.parametrize("page_hosts", [True, False], ids=["page_offers", "python_offers"])
async def test_files_go_from_a_page_to_python(
    window: NewWindow, server: SignalingServer, tmp_path: Path, page_hosts: bool
) -> None:
    anna = await window()
    paths = [write_file(tmp_path / "né w.bin", 5_000_000), write_file(tmp_path / "empty", 0)]
    saved = tmp_path / "saved"
    saved.mkdir()
    async with contextlib.AsyncExitStack() as stack:
        link = await linked_to_python(stack, anna, server, page_hosts=page_hosts)
        await anna.sends(*paths)
        incoming = await anext(aiter(link.transfers()))
        await incoming.accept(saved)
        await incoming.done()
        assert (await anna.hears("transferdone"))["bytesDone"] == 5_000_000
    for path in paths:
        assert sha256_of(saved / path.name) == sha256_of(path)


async def test_a_closed_window_is_missed_at_once(
    window: NewWindow, server: SignalingServer
) -> None:
    anna = await window()
    async with contextlib.AsyncExitStack() as stack:
        link = await linked_to_python(stack, anna, server, page_hosts=False)
        await anna.page.close(run_before_unload=True)
        with contextlib.suppress(peer.LinkLost):
            await asyncio.wait_for(link.wait_closed(), 5)


async def test_received_files_are_on_disk_and_old_ones_are_removed(
    window: NewWindow, server: SignalingServer, tmp_path: Path
) -> None:
    anna = await window()
    path = write_file(tmp_path / "a.bin", 2_000_000)
    async with contextlib.AsyncExitStack() as stack:
        link = await linked_to_python(stack, anna, server, page_hosts=False)
        await (await link.send_files([path])).done()
        await anna.hears("transferdone")
        assert await anna.page.evaluate("() => incoming.notice") is None
        (ours,) = await anna.page.evaluate(STORED)
        await anna.page.evaluate(
            """async () => {
              const old = await window.stored.getDirectoryHandle('1-old', { create: true });
              await old.getFileHandle('0', { create: true });
              await (await import('/client/transfer/disk/stores.js')).removeOldFiles();
            }"""
        )
        assert await anna.page.evaluate(STORED) == [ours]
        await anna.page.evaluate("() => incoming.discard()")
        assert await anna.page.evaluate(STORED) == []


@pytest.mark.turn
@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_pages_and_python_meet_through_a_relay_where_only_that_is_allowed(
    network: None, browser: Browser, tmp_path: Path, transport: str
) -> None:
    async with contextlib.AsyncExitStack() as stack:
        coturn = await stack.enter_async_context(running_coturn(tmp_path))
        config = ServerConfig(
            listeners=(Listener("127.0.0.1", 0),),
            page=page_directory(),
            ice=IceConfig(servers=(coturn.entry(transport),), policy="relay"),
        )
        server = await stack.enter_async_context(SignalingServer(config))
        anna, ben, cleo = [await open_window(stack, browser, server) for _ in range(3)]
        await ben.join(await anna.host())
        assert (await anna.outcome())["authenticated"]
        for someone in (anna, ben):
            path = await someone.page.evaluate("() => link.path()")
            assert (path["kind"], path["local"]["type"]) == ("relayed", "relay")
        link = await linked_to_python(stack, cleo, server, page_hosts=False)
        assert link.path is not None and link.path.kind == "relayed"
        path = write_file(tmp_path / "a.bin", 1_500_000)
        await (await link.send_files([path])).done()
        assert sha256_of(await cleo.saves()) == sha256_of(path)
