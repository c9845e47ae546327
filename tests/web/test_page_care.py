"""The care of the page: codes of other servers, stored files, and warnings before a loss."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.async_api import Dialog, expect

from signaling.assets import page_directory
from signaling.config import ServerConfig
from signaling.server import SignalingServer
from tests.support.browsers.browser import PATIENCE, Person, chromium
from tests.support.transfer.samples import write_file
from tests.web.conftest import NewPerson, connect
from tests.web.test_page_access import PHONE, SPILLED, fits

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

STORED = """async () => {
  const names = [];
  const root = await navigator.storage.getDirectory();
  try {
    for await (const folder of (await root.getDirectoryHandle('peerline')).values()) {
      try {
        for await (const name of folder.keys()) if (name !== 'try') names.push(name);
      } catch {
        // Another window has removed the folder meanwhile: it tries out the disk in one.
      }
    }
  } catch {
    // No page has kept anything yet.
  }
  return names;
}"""
NOTHING_STORED = f"async () => (await ({STORED})()).length === 0"


# Codes of other servers


@pytest.mark.parametrize("form", ["link", "command", "option", "without scheme", "fragment"])
async def test_a_code_of_another_server_is_opened_there_and_never_tried_here(
    person: NewPerson, form: str
) -> None:
    stranger = await person()
    code = await stranger.make_code()
    link = f"http://other.test:8080/#{code}"
    text = {
        "command": f"$ peerline receive '{link}'",
        "option": f"peerline receive --server http://other.test:8080 {code}",
        "without scheme": f"other.test:8080/#{code}",
    }.get(form, link)
    if form == "fragment":
        me = await person(fragment=link)
    else:
        me = await person()
        await me.type_code(text)
    await me.sees_failure("This code belongs to another server, other.test:8080.")
    there = me.page.get_by_role("link", name="Open it there")
    scheme = "https" if form == "without scheme" else "http"
    await expect(there).to_have_attribute("href", f"{scheme}://other.test:8080/#{code}")
    await me.button("Start again").click()
    # The code of the other server is still valid.
    await me.type_code(f"{me.url}/#{code}")
    await stranger.is_connected()


async def test_a_pasted_command_is_understood(person: NewPerson) -> None:
    anna, ben = await person(), await person()
    await ben.type_code(f"anna@host:~$ peerline receive '{await anna.make_code()}'")
    await anna.is_connected()


async def test_another_link_does_not_end_a_code_that_waits_without_a_question(
    person: NewPerson,
) -> None:
    anna, ben = await person(), await person()
    code = await anna.make_code()
    await anna.page.evaluate("location.hash = '#987654-guitar-ocean'")
    await anna.is_asked("Use the other code?", "Stay")
    await ben.type_code(code)
    await anna.is_connected()


# Warnings before a loss


async def test_leaving_asks_first_while_something_would_be_lost(
    person: NewPerson, tmp_path: Path
) -> None:
    anna, ben = await person(), await person()
    asked: list[str] = []

    async def stay(dialog: Dialog) -> None:
        asked.append(dialog.type)
        await dialog.dismiss()

    async def tries_to_leave(count: int) -> None:
        async with anna.page.expect_event("dialog"):
            await anna.page.close(run_before_unload=True)
        assert asked == ["beforeunload"] * count

    anna.page.on("dialog", stay)
    await anna.choose(write_file(tmp_path, "a.bin", 10))
    await tries_to_leave(1)
    await anna.button("Remove a.bin").click()
    code = await anna.make_code()
    await tries_to_leave(2)
    await ben.type_code(code)
    await anna.is_connected()
    await tries_to_leave(3)
    await ben.button("Disconnect").click()
    await anna.sees("The other side ended the connection.")
    async with anna.page.expect_event("close"):
        await anna.goes_away()
    assert len(asked) == 3


# Received files


async def test_received_files_leave_the_storage(person: NewPerson, tmp_path: Path) -> None:
    anna, ben = await connect(person)
    for i in range(2):
        await anna.choose(write_file(tmp_path, f"{i}.bin", 3_000_000))
        await ben.accepts()
        await ben.gets_download()
    assert len(await ben.page.evaluate(STORED)) == 2
    # Another window of the same browser keeps the files that this one uses.
    second = await ben.page.context.new_page()
    await second.goto(ben.url)
    await expect(second.get_by_role("button", name="Make a code")).to_be_visible()
    assert len(await second.evaluate(STORED)) == 2
    await anna.button("Disconnect").click()
    await ben.button("Start again").click()
    await ben.page.wait_for_function(NOTHING_STORED, timeout=PATIENCE)


async def test_files_that_an_earlier_visit_left_are_removed_at_the_start(
    person: NewPerson, tmp_path: Path
) -> None:
    anna, ben = await connect(person)
    await anna.choose(write_file(tmp_path, "left.bin", 3_000_000))
    await ben.accepts()
    await ben.gets_download()
    await ben.page.reload()
    await ben.page.wait_for_function(NOTHING_STORED, timeout=PATIENCE)


async def test_hidden_files_and_programs_stand_first_in_an_offer(
    person: NewPerson, tmp_path: Path
) -> None:
    anna, ben = await connect(person)
    paths = [write_file(tmp_path, f"{i:02}.txt", 10) for i in range(12)]
    hidden = [write_file(tmp_path, name, 10) for name in ("setup.exe", ".bash_profile")]
    await anna.choose(*paths, *hidden)
    await expect(ben.offer).to_contain_text("Among these are hidden files or programs.")
    lines = ben.offer.get_by_role("list", name="Offered files").get_by_role("listitem")
    await expect(lines.nth(0)).to_have_text(".bash_profilehidden · 10\u00a0B")
    await expect(lines.nth(1)).to_have_text("setup.exeprogram · 10\u00a0B")
    await expect(lines).to_have_count(14)


async def test_a_file_name_is_one_text(person: NewPerson, tmp_path: Path) -> None:
    anna, ben = await connect(person, permissions=["clipboard-read", "clipboard-write"])
    await anna.choose(write_file(tmp_path, "small report.txt", 10))
    await ben.accepts()
    await ben.sees_transfer("small report.txt", "received")
    await ben.page.bring_to_front()
    await ben.transfer("small report.txt").locator(".name").click(click_count=3)
    await ben.page.keyboard.press("Control+C")
    copied = await ben.page.evaluate("navigator.clipboard.readText()")
    assert copied.strip() == "small report.txt"
    await expect(ben.page.get_by_role("list", name="Transfers", exact=True)).to_match_aria_snapshot(
        """
        - list "Transfers":
          - listitem:
            - text: small report.txt
        """
    )


# Announcements and appearance


async def test_a_message_is_read_out_while_the_files_are_shown(person: NewPerson) -> None:
    anna, ben = await person(viewport=PHONE), await person()
    await ben.calls_herself("Ben")
    await ben.type_code(await anna.make_code())
    await anna.is_connected()
    await ben.says("look here")
    await expect(anna.page.get_by_role("status")).to_have_text("Ben: look here")
    await anna.button("Chat 1 unread message").click()
    log = anna.page.get_by_role("log")
    await expect(log.get_by_role("list").get_by_role("listitem")).to_contain_text("look here")


async def test_a_chat_without_end_does_not_grow_without_end(person: NewPerson) -> None:
    _, ben = await connect(person)
    await ben.page.evaluate(
        """async () => {
          const { ChatView } = await import('/page/ui/chat.js');
          const view = new ChatView({ send: () => null });
          for (let i = 0; i < 1500; i += 1) view.receive('Anna', `line ${i}`, new Date());
          for (let i = 0; i < 40; i += 1) view.receive('Anna', 'x'.repeat(60000), new Date());
        }"""
    )
    lines = ben.page.get_by_role("log").get_by_role("listitem")
    assert await lines.count() <= 34


async def test_everything_fits_a_phone_with_text_of_twice_the_size(tmp_path: Path) -> None:
    config = ServerConfig(page=page_directory())
    async with (
        SignalingServer(config) as server,
        chromium("--blink-settings=defaultFontSize=32") as browser,
    ):
        url = f"http://127.0.0.1:{server.port}"
        size = {"width": 360, "height": 740}
        anna, ben = [await Person.with_browser(browser, url, viewport=size) for _ in range(2)]
        await ben.calls_herself("Benjamin from the office")
        await fits(anna)
        code = await anna.make_code()
        await anna.page.get_by_text("They use a terminal").click()
        await fits(anna)
        await ben.type_code(code)
        await anna.is_connected()
        await fits(anna)
        # The name has space for its words beside the buttons.
        heading = await anna.heading("Connected to").bounding_box()
        assert heading is not None
        assert heading["width"] > 200
        await anna.choose(write_file(tmp_path, "holiday photos of the last summer.jpeg", 1000))
        await expect(ben.offer).to_be_visible()
        await fits(ben)
        await ben.accepts()
        await ben.gets_download()
        await fits(ben)
        await ben.button("Chat").click()
        await ben.says("They are large, and I like them all.")
        await fits(ben)
        await anna.button("Disconnect").click()
        await ben.sees("The other side ended the connection.")
        await fits(ben)
        await anna.close()
        await ben.close()


async def test_the_head_of_a_connection_is_one_line_on_a_tablet(person: NewPerson) -> None:
    anna, ben = await connect(person, viewport={"width": 780, "height": 1000})
    head = await anna.heading("Connected to Ben").bounding_box()
    button = await anna.button("Disconnect").bounding_box()
    assert head is not None
    assert button is not None
    assert button["y"] < head["y"] + head["height"]
    assert button["x"] > 500
    assert await ben.page.evaluate(SPILLED) == []


async def test_names_that_were_changed_are_told(person: NewPerson, tmp_path: Path) -> None:
    anna, ben = await connect(person)
    await anna.choose(write_file(tmp_path, "aux.c", 10))
    await ben.accepts()
    name, _ = await ben.gets_download()
    line = ben.page.get_by_role("list", name="Transfers", exact=True)
    await line.get_by_text("1 name was changed").click()
    await expect(line.get_by_role("list", name="Changes to")).to_contain_text(
        f"aux.c is now {name}"
    )
