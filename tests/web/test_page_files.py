"""Files between two pages: their bytes, their names, and all outcomes."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.async_api import Dialog, expect

from tests.support.browsers.browser import Person
from tests.support.transfer.samples import (
    SIZES,
    digests_in,
    digests_of,
    sha256_of,
    write_file,
    write_folder,
    write_hole,
)
from tests.web.conftest import NewPerson, connect

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]


async def test_files_of_every_size_arrive_as_they_were(person: NewPerson, tmp_path: Path) -> None:
    anna, ben = await connect(person)
    for name, size in SIZES.items():
        path = write_file(tmp_path, name, size)
        await anna.choose(path)
        await expect(ben.offer).to_contain_text("Anna wants to send you a file")
        await expect(ben.offer).to_contain_text(name)
        await ben.accepts()
        saved_as, saved = await ben.gets_download()
        assert (saved_as, sha256_of(saved)) == (name, sha256_of(path))
        await anna.sees_transfer(name, "delivered and verified")
        await ben.sees_transfer(name, "received and verified")


async def test_several_files_arrive_each_for_itself(person: NewPerson, tmp_path: Path) -> None:
    anna, ben = await connect(person)
    paths = [write_file(tmp_path, name, size) for name, size in SIZES.items()]
    await anna.choose(*paths)
    await expect(ben.offer).to_contain_text("4 files")
    await ben.accepts()
    arrived = [await ben.gets_download() for _ in paths]
    assert {name: sha256_of(path) for name, path in arrived} == {
        path.name: sha256_of(path) for path in paths
    }


async def test_a_folder_arrives_whole_in_an_archive(person: NewPerson, tmp_path: Path) -> None:
    anna, ben = await connect(person)
    root = write_folder(tmp_path)
    await anna.choose_folder(root)
    await expect(ben.offer).to_contain_text("photos.zip")
    await ben.accepts()
    name, archive = await ben.gets_download()
    assert name == "photos.zip"
    assert digests_in(archive) == digests_of(root)


async def test_a_received_file_can_be_saved_once_more(person: NewPerson, tmp_path: Path) -> None:
    anna, ben = await connect(person)
    path = write_file(tmp_path, "again.bin", 3000)
    await anna.choose(path)
    await ben.accepts()
    await ben.gets_download()
    await ben.button("Save again.bin").click()
    name, saved = await ben.gets_download()
    assert (name, sha256_of(saved)) == ("again.bin", sha256_of(path))


async def test_files_go_both_ways_at_once(person: NewPerson, tmp_path: Path) -> None:
    anna, ben = await connect(person)
    hers, his = (write_file(tmp_path, f"{name}.bin", 2_000_000) for name in ("hers", "his"))
    await anna.choose(hers)
    await ben.accepts()
    await ben.choose(his)
    await anna.accepts()
    for someone, path in ((anna, his), (ben, hers)):
        name, saved = await someone.gets_download()
        assert (name, sha256_of(saved)) == (path.name, sha256_of(path))


async def test_files_chosen_before_are_offered_once_connected(
    person: NewPerson, tmp_path: Path
) -> None:
    anna, ben = await person(), await person()
    first, second, third = (write_file(tmp_path, f"{i}.bin", 1000) for i in range(3))
    await anna.choose(first)
    await anna.choose(second)
    await anna.button("Remove 1.bin").click()
    code = await anna.make_code()
    await anna.choose(third)
    await ben.type_code(code)
    await ben.accepts()
    await ben.accepts()
    names = {(await ben.gets_download())[0] for _ in range(2)}
    assert names == {"0.bin", "2.bin"}
    await expect(anna.page.get_by_role("list", name="Ready to send")).to_be_hidden()


async def drop(person: Person, name: str, content: str) -> None:
    """Drop a file on the page, as far as a script is able to."""
    await person.page.evaluate(
        """([name, content]) => {
          const dataTransfer = new DataTransfer();
          dataTransfer.items.add(new File([content], name));
          for (const type of ['dragenter', 'dragover', 'drop']) {
            document.body.dispatchEvent(
              new DragEvent(type, { dataTransfer, bubbles: true, cancelable: true }),
            );
          }
        }""",
        [name, content],
    )


async def test_a_dropped_file_is_offered(person: NewPerson) -> None:
    anna, ben = await connect(person)
    await drop(anna, "dropped.txt", "here")
    await ben.accepts()
    name, saved = await ben.gets_download()
    assert (name, saved.read_bytes()) == ("dropped.txt", b"here")


async def test_a_declined_offer_can_be_sent_again(person: NewPerson, tmp_path: Path) -> None:
    anna, ben = await connect(person)
    await anna.choose(write_file(tmp_path, "unwanted.bin", 10))
    await ben.declines()
    await anna.sees_transfer("unwanted.bin", "The other side declined the files.")
    await expect(ben.transfer("unwanted.bin")).to_be_hidden()
    await anna.button("Send again unwanted.bin").click()
    await ben.accepts()
    assert (await ben.gets_download())[0] == "unwanted.bin"


async def test_removed_transfers_stay_away_when_the_connection_ends(
    person: NewPerson, tmp_path: Path
) -> None:
    anna, ben = await connect(person)
    await anna.choose(write_file(tmp_path, "kept.bin", 10))
    await ben.accepts()
    await ben.gets_download()
    await anna.choose(write_file(tmp_path, "unwanted.bin", 10))
    await ben.declines()
    await anna.sees_transfer("unwanted.bin", "The other side declined the files.")
    await anna.button("Disconnect").click()
    await ben.sees("The other side ended the connection.")
    await expect(ben.transfer("kept.bin")).to_be_visible()
    await expect(ben.transfer("unwanted.bin")).to_be_hidden()


async def test_escape_leaves_an_offer_open_for_later(person: NewPerson, tmp_path: Path) -> None:
    anna, ben = await connect(person)
    await anna.choose(write_file(tmp_path, "later.bin", 10))
    await expect(ben.offer).to_be_visible()
    await ben.page.keyboard.press("Escape")
    await expect(ben.offer).to_be_hidden()
    await ben.sees_transfer("later.bin", "waiting for your answer")
    await ben.button("Answer later.bin").click()
    await ben.accepts()
    assert (await ben.gets_download())[0] == "later.bin"


async def test_a_withdrawn_offer_closes_the_question(person: NewPerson, tmp_path: Path) -> None:
    anna, ben = await connect(person)
    await anna.choose(write_file(tmp_path, "oops.bin", 10))
    await expect(ben.offer).to_be_visible()
    await anna.button("Cancel oops.bin").click()
    await expect(ben.offer).to_be_hidden()
    await ben.sees_transfer("oops.bin", "The other side cancelled the transfer.")


async def test_a_window_closed_during_a_transfer_breaks_it_off(
    person: NewPerson, tmp_path: Path
) -> None:
    anna, ben = await connect(person)
    await anna.choose(write_hole(tmp_path, "big.bin", 300_000_000))
    await ben.accepts()
    await expect(anna.page.get_by_role("progressbar", name="Progress of big.bin")).to_be_visible()
    await ben.close()
    await anna.sees_failure("Disconnected from")
    await anna.sees_transfer("big.bin", "The connection broke before the transfer was complete.")


async def test_leaving_asks_first_while_something_is_moving(
    person: NewPerson, tmp_path: Path
) -> None:
    anna, ben = await connect(person)
    asked: list[str] = []

    async def stay(dialog: Dialog) -> None:
        asked.append(dialog.type)
        await dialog.dismiss()

    anna.page.on("dialog", stay)
    await anna.choose(write_hole(tmp_path, "big.bin", 300_000_000))
    await ben.accepts()
    await expect(anna.page.get_by_role("progressbar", name="Progress of big.bin")).to_be_visible()
    async with anna.page.expect_event("dialog"):
        await anna.page.close(run_before_unload=True)
    assert asked == ["beforeunload"]
    await anna.button("Cancel big.bin").click()
    await ben.sees_transfer("big.bin", "The other side cancelled the transfer.")
    await anna.button("Disconnect").click()
    async with anna.page.expect_event("close"):
        await anna.goes_away()
    assert asked == ["beforeunload"]
