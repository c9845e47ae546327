"""The page for keyboards, screen readers, large text and small screens."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from playwright.async_api import FileChooser, expect

from tests.support.browsers.browser import PATIENCE, Person
from tests.web.conftest import NewPerson, connect

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

PHONE = {"width": 390, "height": 844}
SMALL = {"width": 320, "height": 568}
TABLET = {"width": 900, "height": 700}
DESKTOP = {"width": 1280, "height": 800}


async def tab_to(person: Person, role: str, name: str) -> None:
    """Press Tab until a given element has the focus."""
    wanted = person.page.get_by_role(role, name=name, exact=True)  # type: ignore[arg-type]
    for _ in range(30):
        await person.page.keyboard.press("Tab")
        if await wanted.evaluate_all("(found) => found.includes(document.activeElement)"):
            outline = await wanted.evaluate("(element) => getComputedStyle(element).outlineStyle")
            assert outline != "none", f"the focus on {name} cannot be seen"
            return
    raise AssertionError(f"Tab does not reach {name}")


async def test_everything_works_with_the_keyboard_alone(person: NewPerson, tmp_path: Path) -> None:
    anna, ben = await person(), await person()
    path = tmp_path / "keys.txt"
    path.write_bytes(b"typed")
    # From the start: if it were requested together with the key press, the browser might open its
    # own dialog first.
    choosers: asyncio.Queue[FileChooser] = asyncio.Queue()
    anna.page.on("filechooser", choosers.put_nowait)

    await tab_to(anna, "button", "Make a code")
    await anna.page.keyboard.press("Enter")
    shown = anna.page.get_by_label("Your code")
    await expect(shown).to_be_visible()
    number, first, second = (await shown.text_content() or "").split("-")

    await tab_to(ben, "textbox", "Type the code you were given")
    await ben.page.keyboard.type(f"{number} {first[:3]} {second[:3].upper()}")
    await ben.page.keyboard.press("Enter")
    await anna.is_connected()
    await ben.is_connected()

    await tab_to(anna, "button", "Choose files")
    await anna.page.keyboard.press("Enter")
    async with asyncio.timeout(PATIENCE / 1000):
        chooser = await choosers.get()
    await chooser.set_files(path)

    await expect(ben.offer.get_by_role("heading")).to_be_focused()
    await tab_to(ben, "button", "Accept")
    await expect(ben.button("Accept")).to_be_enabled()
    await ben.page.keyboard.press("Enter")
    name, saved = await ben.gets_download()
    assert (name, saved.read_bytes()) == ("keys.txt", b"typed")

    await tab_to(ben, "textbox", "Message")
    await ben.page.keyboard.type("first line")
    await ben.page.keyboard.press("Shift+Enter")
    await ben.page.keyboard.type("second line")
    await ben.page.keyboard.press("Enter")
    await anna.hears("first line second line")

    await tab_to(anna, "button", "Disconnect")
    await anna.page.keyboard.press("Enter")
    await expect(anna.button("Start again")).to_be_focused()
    await anna.page.keyboard.press("Enter")
    await tab_to(anna, "button", "Yes, start again")
    await anna.page.keyboard.press("Enter")
    await expect(anna.heading("Send files and chat")).to_be_focused()


async def test_a_word_is_completed_or_corrected_while_typing(person: NewPerson) -> None:
    ben = await person()
    field = ben.page.get_by_label("Type the code you were given")
    await field.press_sequentially("7-gui")
    await ben.button("guitar").click()
    await expect(field).to_have_value("7-guitar")
    await field.press_sequentially("-oceam-")
    await expect(field).to_have_attribute("aria-invalid", "true")
    await expect(field).to_have_accessible_description(
        "“oceam” is not a word of any code; did you mean this?"
    )
    await ben.button("ocean").click()
    await expect(field).to_have_value("7-guitar-ocean-")
    await expect(field).to_have_attribute("aria-invalid", "false")


async def test_a_screen_reader_finds_names_and_roles(person: NewPerson) -> None:
    anna, ben = await person(), await person()
    await expect(anna.page.get_by_role("main")).to_match_aria_snapshot(
        """
        - region "Send files and chat, straight from one device to another":
          - heading "Send files and chat, straight from one device to another" [level=1]
          - paragraph
          - region "Invite someone":
            - heading "Invite someone" [level=2]
            - button "Make a code"
          - form "Join someone":
            - heading "Join someone" [level=2]
            - textbox "Type the code you were given"
            - button "Join"
        - region "Files":
          - button "Choose files"
          - button "Choose a folder"
        - paragraph:
          - textbox "The other side sees you as"
        """
    )
    code = await anna.make_code()
    status = anna.page.get_by_role("status").filter(has_text="Your code is")
    await expect(status).to_have_text(f"Your code is {code}. Waiting for the other side.")
    await expect(anna.page.get_by_role("img", name="QR code of the link")).to_be_visible()
    await expect(anna.heading("Give this code to the other person")).to_be_focused()
    await ben.type_code(code)
    await anna.is_connected()
    await expect(anna.page.get_by_role("main")).to_match_aria_snapshot(
        """
        - region /Connected to .+/:
          - heading /Connected to .+/ [level=1]
          - list "Authentication words":
            - listitem
            - listitem
            - listitem
            - listitem
          - button "Disconnect"
        - region "Files":
          - button "Choose files"
          - button "Choose a folder"
        - region /Chat with .+/:
          - log "Messages"
          - textbox "Message"
          - button "Send"
        """
    )
    await ben.says("hello")
    await anna.hears("hello")
    await expect(anna.page.get_by_role("log").get_by_role("listitem")).to_contain_text("hello")


async def test_an_offer_takes_the_focus_but_no_key_meant_for_the_chat(
    person: NewPerson, tmp_path: Path
) -> None:
    anna, ben = await connect(person)
    path = tmp_path / "surprise.bin"
    path.write_bytes(b"x")
    field = ben.page.get_by_label("Message", exact=True)
    await field.fill("half a sent")
    await anna.choose(path)
    await expect(ben.offer.get_by_role("heading")).to_be_focused()
    await ben.page.keyboard.press("Enter")
    await expect(ben.offer).to_be_visible()
    await ben.declines()
    await expect(field).to_be_focused()
    await expect(field).to_have_value("half a sent")


CONTRAST = """() => {
  const parse = (text) => {
    const [r, g, b, a = 1] = text.match(/[\\d.]+/g).map(Number);
    return { r, g, b, a };
  };
  const over = (top, under) => ({
    r: top.r * top.a + under.r * (1 - top.a),
    g: top.g * top.a + under.g * (1 - top.a),
    b: top.b * top.a + under.b * (1 - top.a),
    a: 1,
  });
  const background = (element) => {
    if (!element) return { r: 255, g: 255, b: 255, a: 1 };
    const own = parse(getComputedStyle(element).backgroundColor);
    return own.a === 1 ? own : over(own, background(element.parentElement));
  };
  const luminance = ({ r, g, b }) => {
    const [x, y, z] = [r, g, b].map((c) => {
      const s = c / 255;
      return s <= 0.03928 ? s / 12.92 : ((s + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const poor = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const element = node.parentElement;
    const text = node.textContent.trim();
    const seen = { opacityProperty: true, visibilityProperty: true };
    if (!text || !element.checkVisibility(seen)) continue;
    if (element.closest(':disabled, [hidden]')) continue;
    const behind = background(element);
    const front = over(parse(getComputedStyle(element).color), behind);
    const [light, dark] = [luminance(front), luminance(behind)].sort((a, b) => b - a);
    const ratio = (light + 0.05) / (dark + 0.05);
    if (ratio < 4.5) poor.push(`${text}: ${ratio.toFixed(2)}`);
  }
  return poor;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_every_text_stands_out_from_its_background(
    person: NewPerson, tmp_path: Path, scheme: str
) -> None:
    anna, ben = await person(color_scheme=scheme), await person(color_scheme=scheme)
    path = tmp_path / "a.bin"
    path.write_bytes(b"x" * 1000)
    await anna.choose(path)
    assert await anna.page.evaluate(CONTRAST) == []
    code = await anna.make_code()
    assert await anna.page.evaluate(CONTRAST) == []
    await ben.type_code(code)
    await expect(ben.offer).to_be_visible()
    assert await ben.page.evaluate(CONTRAST) == []
    await ben.declines()
    await anna.sees_transfer("a.bin", "declined")
    await ben.says("one")
    await anna.hears("one")
    assert await anna.page.evaluate(CONTRAST) == []
    assert await ben.page.evaluate(CONTRAST) == []
    await ben.button("Disconnect").click()
    assert await ben.page.evaluate(CONTRAST) == []
    carl = await person(fragment="987654-guitar-ocean", color_scheme=scheme)
    await carl.sees_failure("Nobody is waiting")
    assert await carl.page.evaluate(CONTRAST) == []


# Content that overflows its box covers its neighbour. Intended clipping is allowed.
SPILLED = """() => {
  const spilled = [];
  for (const element of document.querySelectorAll('body *')) {
    if (!element.checkVisibility() || element.clientWidth === 0) continue;
    if (getComputedStyle(element).overflowX !== 'visible') continue;
    if (element.scrollWidth <= element.clientWidth + 1) continue;
    spilled.push(`${element.tagName} #${element.id} .${element.className}`);
  }
  return spilled;
}"""


async def fits(person: Person) -> None:
    """Assert that nothing is wider than the window, or than the box that it is in."""
    wide = await person.page.evaluate("document.documentElement.scrollWidth - innerWidth")
    assert wide <= 0
    assert await person.page.evaluate(SPILLED) == []


@pytest.mark.parametrize(
    "size", [SMALL, PHONE, TABLET, DESKTOP], ids=["small", "phone", "tablet", "desktop"]
)
async def test_nothing_is_wider_than_its_place(
    person: NewPerson, tmp_path: Path, size: dict[str, int]
) -> None:
    anna, ben = await person(viewport=size), await person(viewport=size)
    long_name = "w" * 120 + " and " + "m" * 100 + ".tar.gz"
    path = tmp_path / long_name
    path.write_bytes(b"x" * 1000)
    await fits(anna)
    await anna.choose(path)
    await fits(anna)
    code = await anna.make_code()
    await anna.page.get_by_text("They use a terminal").click()
    await fits(anna)
    await ben.type_code(code)
    await expect(ben.offer).to_be_visible()
    await fits(ben)
    await ben.accepts()
    await ben.gets_download()
    await fits(ben)
    if size in (SMALL, PHONE):
        await ben.button("Chat").click()
    await ben.says("x" * 500)
    await fits(ben)


async def test_a_phone_counts_messages_while_it_shows_the_files(person: NewPerson) -> None:
    anna, ben = await person(viewport=PHONE), await person()
    await ben.type_code(await anna.make_code())
    await anna.is_connected()
    await ben.says("look here")
    await anna.page.get_by_role("button", name="Chat 1 unread message").click()
    await anna.hears("look here")
    await expect(anna.button("Choose files")).to_be_hidden()
    await expect(anna.page.get_by_label("Message", exact=True)).to_be_in_viewport(ratio=1)
    await expect(anna.page.get_by_role("button", name="Chat", exact=True)).to_be_visible()


async def test_nothing_moves_for_who_asked_for_that(person: NewPerson) -> None:
    anna = await person(reduced_motion="reduce")
    await anna.make_code()
    assert await anna.page.evaluate("document.getAnimations().length") == 0
