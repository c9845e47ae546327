"""Real Chromium, and people who use the page in it.

`Person` does what a person does, by the names and roles that a person (or a screen reader) meets:
a test that passes also says that the page can be used that way.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.async_api import (
    Browser,
    ConsoleMessage,
    Download,
    Locator,
    Page,
    Playwright,
    async_playwright,
    expect,
)

__all__ = ["PATIENCE", "Person", "chromium", "find_chromium"]

_NAMES: Final = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
PATIENCE: Final = 20_000
"""Milliseconds after which what did not appear will not appear."""


def find_chromium() -> str:
    """The path of a Chromium; a test without one has failed, not been skipped."""
    chosen = os.environ.get("CHROMIUM")
    found = chosen or next(filter(None, map(shutil.which, _NAMES)), None)
    if found is None:
        pytest.fail("this test needs a real Chromium: apt-get install chromium")
    return found


@contextlib.asynccontextmanager
async def chromium(*flags: str) -> AsyncIterator[Browser]:
    """A running headless Chromium."""
    async with async_playwright() as playwright:
        browser = await _launch(playwright, flags)
        try:
            yield browser
        finally:
            await browser.close()


async def _launch(playwright: Playwright, flags: tuple[str, ...]) -> Browser:
    # Chromium's sandbox refuses to work for root.
    sandbox = () if os.geteuid() else ("--no-sandbox",)
    return await playwright.chromium.launch(
        executable_path=find_chromium(), args=[*sandbox, *flags], timeout=60_000
    )


@dataclass(eq=False)
class Person:
    """Somebody with a browser window.

    Attributes:
        page: The window.
        url: Where the page is served.
        errors: Complaints of the browser: exceptions, refused resources, the content
            security policy.
    """

    page: Page
    url: str
    errors: list[str] = field(default_factory=list)
    _downloads: asyncio.Queue[Download] = field(default_factory=asyncio.Queue)

    @classmethod
    async def with_browser(
        cls, browser: Browser, url: str, *, fragment: str = "", **options: Any
    ) -> Person:
        """Open the page in a fresh context.

        Args:
            browser: Where.
            url: Of the page.
            fragment: The part after the `#`, if any.
            options: Of `Browser.new_context`.
        """
        context = await browser.new_context(**options)
        context.set_default_timeout(PATIENCE)
        page = await context.new_page()
        person = cls(page, url)
        page.on("console", person._heard_from_console)
        page.on("pageerror", lambda error: person.errors.append(f"exception: {error}"))
        page.on("download", person._downloads.put_nowait)
        await page.goto(f"{url}/#{fragment}" if fragment else f"{url}/")
        return person

    def _heard_from_console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.errors.append(f"{message.type}: {message.text}")

    # --- codes ---

    async def calls_herself(self, name: str) -> None:
        """Say how the other side shall call this person."""
        await self.page.get_by_label("The other side sees you as").fill(name)

    async def make_code(self) -> str:
        """Press the button, and read the code aloud."""
        await self.button("Make a code").click()
        shown = self.page.get_by_label("Your code")
        await expect(shown).to_be_visible(timeout=PATIENCE)
        return await shown.text_content() or ""

    async def type_code(self, code: str) -> None:
        """Type a code and join."""
        await self.page.get_by_label("Type the code you were given").fill(code)
        await self.button("Join").click()

    async def is_connected(self, name: str = "") -> None:
        """Wait for the connection."""
        await expect(self.heading(f"Connected to {name}")).to_be_visible(timeout=PATIENCE)

    async def authentication_words(self) -> tuple[str, ...]:
        """The words to compare."""
        words = self.page.get_by_role("list", name="Authentication words").get_by_role("listitem")
        return tuple(await words.all_text_contents())

    async def sees_failure(self, sentence: str) -> None:
        """Wait for a failure that says so, and has one button."""
        await expect(self.heading(sentence)).to_be_visible(timeout=PATIENCE)

    async def sees(self, text: str) -> None:
        """Wait for a text in the page, beside what is only spoken."""
        await expect(self.page.get_by_role("main").get_by_text(text)).to_be_visible(
            timeout=PATIENCE
        )

    async def is_asked(self, title: str, answer: str) -> None:
        """Wait for a question before something is lost, and answer it."""
        question = self.page.get_by_role("dialog", name=title)
        await question.get_by_role("button", name=answer, exact=True).click()
        await expect(question).to_be_hidden()

    # --- files ---

    async def choose(self, *paths: Path) -> None:
        """Choose files to send with the button."""
        async with self.page.expect_file_chooser() as chooser:
            await self.button("Choose files").click()
        await (await chooser.value).set_files(list(paths))

    async def choose_folder(self, path: Path) -> None:
        """Choose a folder to send with the button."""
        async with self.page.expect_file_chooser() as chooser:
            await self.button("Choose a folder").click()
        await (await chooser.value).set_files(path)

    @property
    def offer(self) -> Locator:
        """The question whether to take files."""
        return self.page.get_by_role("dialog")

    async def accepts(self) -> None:
        """Wait for an offer and take it. The next one, if any, may be asked about at once."""
        await self.offer.get_by_role("button", name="Accept").click()

    async def declines(self) -> None:
        """Wait for an offer and decline it."""
        await self.offer.get_by_role("button", name="Decline").click()
        await expect(self.offer).to_be_hidden()

    async def gets_download(self) -> tuple[str, Path]:
        """The next file that the browser saved: its name, and where it is."""
        async with asyncio.timeout(60):
            download = await self._downloads.get()
        return download.suggested_filename, await download.path()

    def transfer(self, title: str) -> Locator:
        """A line of the list of transfers."""
        transfers = self.page.get_by_role("list", name="Transfers", exact=True)
        return transfers.locator(":scope > li").filter(has_text=title)

    async def sees_transfer(self, title: str, state: str) -> None:
        """Wait until the list says that of a transfer."""
        await expect(self.transfer(title)).to_contain_text(state, timeout=60_000)

    # --- chat ---

    async def says(self, text: str) -> None:
        """Write a message and send it with Enter."""
        field_ = self.page.get_by_label("Message", exact=True)
        await field_.fill(text)
        await field_.press("Enter")

    async def hears(self, text: str) -> None:
        """Wait for a message."""
        log = self.page.get_by_role("log")
        await expect(log.get_by_text(text, exact=True)).to_be_visible(timeout=PATIENCE)

    # --- anything ---

    def button(self, name: str) -> Locator:
        """A button, by the name it is announced with."""
        return self.page.get_by_role("button", name=name, exact=True)

    def heading(self, text: str) -> Locator:
        """A heading that begins with a text."""
        return self.page.get_by_role("heading").filter(has_text=text)

    async def goes_away(self) -> None:
        """Close the window as a person does: the page hears of it."""
        await self.page.close(run_before_unload=True)

    async def close(self) -> None:
        """End the context at once, as a crash would."""
        await self.page.context.close()
