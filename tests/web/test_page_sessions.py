"""Two people with the page: codes, words, chat, and failures."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from peer.security.codes import Code
from tests.web.conftest import NewPerson, connect

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]


async def test_a_typed_code_connects_and_both_see_the_same_words(person: NewPerson) -> None:
    anna, ben = await connect(person)
    words = await anna.authentication_words()
    assert len(words) == 4
    assert words == await ben.authentication_words()
    await anna.sees("Direct on your network")


async def test_a_link_connects_at_once_and_leaves_the_address_bar(person: NewPerson) -> None:
    anna = await person()
    code = await anna.make_code()
    ben = await person(fragment=code)
    await ben.is_connected()
    await anna.is_connected()
    assert "#" not in ben.page.url
    assert code not in await ben.page.evaluate("JSON.stringify([sessionStorage, localStorage])")


async def test_messages_arrive_both_ways_and_are_marked_as_delivered(person: NewPerson) -> None:
    anna, ben = await connect(person)
    await anna.says("Grüße <b>aus</b> 東京")
    await ben.hears("Grüße <b>aus</b> 東京")
    await ben.says("and back")
    await anna.hears("and back")
    for someone in (anna, ben):
        await expect(someone.page.get_by_role("log").get_by_text("Delivered")).to_be_visible()


async def test_a_wrong_word_is_told_to_both_and_spends_the_code(person: NewPerson) -> None:
    anna, ben = await person(), await person()
    code = Code.parse(await anna.make_code())
    other = "guitar" if code.words[0] != "guitar" else "ocean"
    await ben.type_code(str(Code(code.number, (other, *code.words[1:]))))
    for someone in (anna, ben):
        await someone.sees_failure("The codes did not match")
    await expect(anna.button("Make a new code")).to_be_visible()
    carl = await person(fragment=str(code))
    await carl.sees_failure("Nobody is waiting with this code")


async def test_a_code_that_nobody_made_can_be_corrected(person: NewPerson) -> None:
    ben = await person(fragment="987654-guitar-ocean")
    await ben.sees_failure("Nobody is waiting with this code")
    await ben.button("Enter another code").click()
    field = ben.page.get_by_label("Type the code you were given")
    await expect(field).to_have_value("987654-guitar-ocean")
    await expect(field).to_be_focused()


async def test_a_closed_window_ends_the_session_on_the_other_side(person: NewPerson) -> None:
    anna, ben = await connect(person)
    await ben.says("bye")
    await anna.hears("bye")
    await ben.goes_away()
    await anna.sees_failure("Disconnected from Ben")
    await anna.hears("bye")
    await expect(anna.page.get_by_label("Message", exact=True)).to_be_disabled()
    await anna.button("Start again").click()
    await anna.is_asked("Start again?", "Stay")
    await anna.hears("bye")
    await anna.button("Start again").click()
    await anna.is_asked("Start again?", "Yes, start again")
    await expect(anna.button("Make a code")).to_be_visible()


async def test_a_reload_says_that_the_code_is_spent(person: NewPerson) -> None:
    anna, ben = await connect(person)
    await ben.page.reload()
    await ben.sees("Reloading the page ended the connection")
    await anna.sees_failure("Disconnected from Ben")
    await ben.page.reload()
    await expect(ben.button("Make a code")).to_be_visible()
    await expect(ben.page.get_by_text("Reloading the page")).to_be_hidden()


async def test_a_cancelled_wait_gives_the_number_back(person: NewPerson) -> None:
    anna = await person()
    code = await anna.make_code()
    await anna.button("Cancel").click()
    await expect(anna.button("Make a code")).to_be_visible()
    ben = await person(fragment=code)
    await ben.sees_failure("Nobody is waiting with this code")


async def test_one_side_disconnects_and_both_know(person: NewPerson) -> None:
    anna, ben = await connect(person)
    await anna.button("Disconnect").click()
    await anna.sees("You ended the connection.")
    await ben.sees("The other side ended the connection.")


async def test_code_link_and_command_can_be_copied(person: NewPerson) -> None:
    anna = await person(permissions=["clipboard-read", "clipboard-write"])
    code = await anna.make_code()
    link = f"{anna.url}/#{code}"
    await anna.page.get_by_text("They use a terminal").click()
    for button, text in {
        "Copy code": code,
        "Copy link": link,
        "Copy command": f"peerline receive --server {anna.url}",
    }.items():
        await anna.button(button).click()
        await expect(anna.page.get_by_role("status")).to_have_text(
            f"{button.removeprefix('Copy ').title()} copied"
        )
        assert await anna.page.evaluate("navigator.clipboard.readText()") == text


async def test_another_link_does_not_end_a_session(person: NewPerson) -> None:
    anna, ben = await connect(person)
    await ben.page.evaluate("location.hash = '#9-guitar-ocean'")
    await expect(ben.page.get_by_role("status")).to_contain_text("You are connected already")
    await ben.says("still here")
    await anna.hears("still here")
