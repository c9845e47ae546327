"""Transfers between two ends in one process: real files, a pipe in memory instead of a network."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import threading
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from peer.errors import (
    DiskError,
    IntegrityError,
    LinkClosed,
    LinkLost,
    Refused,
    TransferBroken,
    TransferCancelled,
    TransferError,
    UnsafeName,
)
from peer.transfer.disk import PARTIAL_SUFFIX, Sources
from peer.transfer.engine import (
    IncomingTransfer,
    OutgoingTransfer,
    Progress,
    Transfers,
    TransferStage,
)
from peer.transfer.engine.outgoing import READ_AT_ONCE
from peer.transfer.protocol.config import SEGMENT_SIZE, TransferConfig
from peer.transfer.protocol.frames import BlockType
from tests.support.transfer.channel_pipe import CAPACITY, TransferLink, transfer_link
from tests.support.transfer.machine_pair import content

MIB = SEGMENT_SIZE


async def offered(transfers: Transfers) -> IncomingTransfer:
    async for incoming in transfers:
        return incoming
    raise AssertionError("the link was closed")


async def start(
    link: TransferLink, source: Path, out: Path, *, overwrite: bool = False
) -> tuple[OutgoingTransfer, IncomingTransfer]:
    outgoing = await link.alice.send(source)
    incoming = await offered(link.bob)
    await incoming.accept(out, overwrite=overwrite)
    return outgoing, incoming


async def until(transfer: IncomingTransfer, done: int) -> None:
    """Let a transfer run until some bytes are written."""
    async for progress in transfer.updates(interval=0):
        if progress.bytes_done >= done:
            return


def write(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("size", [0, 1, MIB, 5 * MIB + 123])
async def test_a_file_arrives(tmp_path: Path, size: int) -> None:
    source = write(tmp_path / "film.mkv", content(size))
    os.utime(source, ns=(0, 1_600_000_000_000_000_000))
    async with transfer_link(seed=size) as link:
        outgoing = await link.alice.send(source)
        incoming = await offered(link.bob)
        assert (incoming.names, incoming.files_total, incoming.bytes_total) == (
            ["film.mkv"],
            1,
            size,
        )
        assert incoming.progress.stage is outgoing.progress.stage is TransferStage.WAITING
        await incoming.accept(tmp_path / "out")
        await outgoing.done()
        await incoming.done()
    arrived = tmp_path / "out" / "film.mkv"
    assert incoming.paths == (arrived,)
    assert incoming.partial_paths == ()
    assert arrived.read_bytes() == content(size)
    assert arrived.stat().st_mtime == 1_600_000_000
    done = Progress(TransferStage.DONE, size, size, 0, 1, 1, "film.mkv" if size else "")
    assert outgoing.progress == incoming.progress == done


async def test_a_folder_arrives_with_everything_in_it(tmp_path: Path) -> None:
    source = tmp_path / "photos"
    for n in range(30):
        write(source / f"{n % 3}" / f"{n}.jpg", content(n * 50_000))
    (source / "empty").mkdir()
    (source / "latest").symlink_to("0/27.jpg")
    async with transfer_link(seed=1) as link:
        outgoing, incoming = await start(link, source, tmp_path / "out")
        await outgoing.done()
        await incoming.done()
        assert incoming.paths == (tmp_path / "out" / "photos",)
    for path in source.rglob("*"):
        copy = tmp_path / "out" / path.relative_to(tmp_path)
        assert copy.is_symlink() == path.is_symlink()
        assert copy.is_dir() == path.is_dir()
        if path.is_file():
            assert copy.read_bytes() == path.read_bytes()
    assert not list((tmp_path / "out").rglob(f"*{PARTIAL_SUFFIX}"))


async def test_both_sides_send_at_the_same_time(tmp_path: Path) -> None:
    one = write(tmp_path / "one", content(3 * MIB))
    two = write(tmp_path / "two", content(2 * MIB))
    async with transfer_link(seed=2) as link:
        to_bob, to_alice = await link.alice.send(one), await link.bob.send([two])
        at_bob, at_alice = await offered(link.bob), await offered(link.alice)
        assert to_bob.id % 2 == 0
        assert to_alice.id % 2 == 1
        await at_bob.accept(tmp_path / "bob")
        await at_alice.accept(tmp_path / "alice")
        await asyncio.gather(to_bob.done(), to_alice.done(), at_bob.done(), at_alice.done())
    assert (tmp_path / "bob" / "one").read_bytes() == content(3 * MIB)
    assert (tmp_path / "alice" / "two").read_bytes() == content(2 * MIB)


async def test_more_transfers_than_may_run_at_once_all_arrive(tmp_path: Path) -> None:
    for n in range(7):
        write(tmp_path / f"f{n}", content(2 * MIB + n))
    async with transfer_link(seed=3) as link:
        sent = [await link.alice.send(tmp_path / f"f{n}") for n in range(7)]
        received = [await offered(link.bob) for _ in sent]
        for incoming in received:
            await incoming.accept(tmp_path / "out")
        assert {incoming.progress.stage for incoming in received} == {
            TransferStage.RUNNING,
            TransferStage.QUEUED,
        }
        await asyncio.gather(*[outgoing.done() for outgoing in sent])
        await asyncio.gather(*[incoming.done() for incoming in received])
    for n in range(7):
        assert (tmp_path / "out" / f"f{n}").read_bytes() == content(2 * MIB + n)


async def test_progress_is_followed_to_the_end(tmp_path: Path) -> None:
    source = write(tmp_path / "f", content(4 * MIB))
    async with transfer_link() as link:
        outgoing, incoming = await start(link, source, tmp_path / "out")
        seen = [progress async for progress in outgoing.updates(interval=0)]
        await incoming.done()
    assert [progress.bytes_done for progress in seen] == sorted(
        progress.bytes_done for progress in seen
    )
    assert seen[-1].stage is TransferStage.DONE
    assert seen[-1].bytes_done == 4 * MIB
    assert len({progress.bytes_done for progress in seen}) > 2


async def test_a_decline_ends_both_sides(tmp_path: Path) -> None:
    source = write(tmp_path / "f", b"x")
    async with transfer_link() as link:
        outgoing = await link.alice.send(source)
        incoming = await offered(link.bob)
        await incoming.decline("Not now.")
        with pytest.raises(Refused, match=r"The other side refused the files: Not now\."):
            await outgoing.done()
        with pytest.raises(Refused, match="You declined"):
            await incoming.done()
        with pytest.raises(Refused):
            await incoming.accept(tmp_path)
    assert outgoing.progress.stage is TransferStage.FAILED


async def test_too_little_room_declines_the_offer_and_tells_both(tmp_path: Path) -> None:
    source = tmp_path / "f"
    source.touch()
    os.truncate(source, 2**43)  # eight terabytes of nothing
    async with transfer_link() as link:
        outgoing = await link.alice.send(source)
        incoming = await offered(link.bob)
        with pytest.raises(DiskError, match="Not enough room"):
            await incoming.accept(tmp_path / "out")
        with pytest.raises(Refused, match="no room") as caught:
            await outgoing.done()
        assert caught.value.code == "no_space"
        with pytest.raises(DiskError):
            await incoming.done()


@pytest.mark.parametrize("side", ["sender", "receiver"])
async def test_a_cancel_ends_both_sides_and_keeps_what_arrived(tmp_path: Path, side: str) -> None:
    source = write(tmp_path / "f", content(40 * MIB))
    async with transfer_link() as link:
        outgoing, incoming = await start(link, source, tmp_path / "out")
        await until(incoming, 2 * MIB)
        ours, theirs = (outgoing, incoming) if side == "sender" else (incoming, outgoing)
        await ours.cancel("Enough.")
        with pytest.raises(TransferCancelled, match="The transfer was cancelled"):
            await ours.done()
        with pytest.raises(TransferCancelled, match=r"The other side cancelled .*: Enough\."):
            await theirs.done()
    (partial,) = incoming.partial_paths
    assert partial == tmp_path / "out" / f".f{PARTIAL_SUFFIX}"
    assert partial.stat().st_size >= 2 * MIB
    assert not (tmp_path / "out" / "f").exists()


async def test_an_offer_that_was_withdrawn_is_not_shown(tmp_path: Path) -> None:
    source = write(tmp_path / "f", b"x")
    async with transfer_link() as link:
        deliver, arrived = link.alice_port.control.deliver, asyncio.Event()

        def deliver_and_tell(text: str) -> None:
            deliver(text)
            arrived.set()

        link.alice_port.control.deliver = deliver_and_tell
        first = await link.alice.send(source)
        await arrived.wait()
        await first.cancel()
        second = await link.alice.send(source)
        assert (await offered(link.bob)).id == second.id


async def test_unsafe_names_are_refused_and_both_people_hear_why(tmp_path: Path) -> None:
    async with transfer_link() as link:
        link.bob.receive_message(
            json.dumps(
                {
                    "t": "offer",
                    "transfer": 2,
                    "files": 1,
                    "bytes": 1,
                    "entries": [{"path": "../\x1b[2Jx", "kind": "file", "size": 1}],
                }
            )
        )
        said: list[str] = []
        link.bob_port.control.on_send = said.append
        incoming = await offered(link.bob)
        with pytest.raises(UnsafeName, match="unsafe"):
            await incoming.accept(tmp_path)
        assert "\x1b" not in str(incoming.problem)
        assert json.loads(said[0])["code"] == "unsafe_name"


@pytest.mark.parametrize(
    "odd",
    [
        {"size": -1},
        {"size": 2**63},
        {"size": 1.5},
        {"mode": -1},
        {"mode": 1 << 40},
        {"mtime": 1e300},
        {"path": ""},
        {"path": 5},
        {"path": "x" * 5000},
        {"escaped": "yes"},
    ],
)
async def test_an_offer_that_cannot_be_read_is_told(tmp_path: Path, odd: dict[str, Any]) -> None:
    async with transfer_link() as link:
        said: list[str] = []
        link.bob_port.control.on_send = said.append
        head = {"t": "offer", "transfer": 2, "files": 1, "bytes": 1}
        entry = {"path": "x", "kind": "file", "size": 1} | odd
        link.bob.receive_message(json.dumps(head | {"entries": [entry]}))
        incoming = await offered(link.bob)
        with pytest.raises(TransferError, match="malformed"):
            await incoming.accept(tmp_path)
        assert json.loads(said[0])["code"] == "protocol"


async def test_an_offer_that_breaks_the_protocol_is_told(tmp_path: Path) -> None:
    async with transfer_link() as link:
        head = {"t": "offer", "transfer": 2, "files": 7, "bytes": 1}
        entries = [{"path": "x", "kind": "file", "size": 1}]
        link.bob.receive_message(json.dumps(head | {"entries": entries}))
        incoming = await offered(link.bob)
        with pytest.raises(TransferError, match="totals"):
            await incoming.accept(tmp_path)


async def test_a_source_that_changes_breaks_the_transfer(tmp_path: Path) -> None:
    source = write(tmp_path / "f", content(40 * MIB))
    async with transfer_link() as link:
        outgoing, incoming = await start(link, source, tmp_path / "out")
        await until(incoming, MIB)
        os.truncate(source, 40 * MIB - 1)
        for transfer in (outgoing, incoming):
            with pytest.raises(IntegrityError, match='"f" changed before all of it was sent'):
                await transfer.done()


async def test_a_source_that_vanishes_before_it_is_read_breaks_the_transfer(tmp_path: Path) -> None:
    source = write(tmp_path / "f", content(10))
    async with transfer_link() as link:
        outgoing = await link.alice.send(source)
        incoming = await offered(link.bob)
        source.unlink()
        await incoming.accept(tmp_path / "out")
        with pytest.raises(IntegrityError):
            await outgoing.done()


async def test_a_disk_error_at_the_receivers_ends_both_sides(tmp_path: Path) -> None:
    source = write(tmp_path / "photos" / "a.jpg", content(10))
    async with transfer_link() as link:
        outgoing = await link.alice.send(source.parent)
        incoming = await offered(link.bob)
        out = tmp_path / "out"
        out.mkdir()
        (out / "photos").write_bytes(b"a file in the way")
        await incoming.accept(out, overwrite=True)
        with pytest.raises(DiskError, match="in the way"):
            await incoming.done()
        with pytest.raises(TransferBroken, match=r"The other side gave up: .* in the way"):
            await outgoing.done()


async def test_damage_on_the_way_is_repaired(tmp_path: Path) -> None:
    source = write(tmp_path / "f", content(3 * MIB))
    async with transfer_link() as link:
        deliver = link.alice_port.blocks.deliver
        hits = 0

        def damage(block: bytes) -> None:
            nonlocal hits
            if block[0] == BlockType.DATA and hits < 2:
                hits += 1
                block = block[:-1] + bytes([block[-1] ^ 255])
            deliver(block)

        link.alice_port.blocks.deliver = damage
        outgoing, incoming = await start(link, source, tmp_path / "out")
        await outgoing.done()
        await incoming.done()
    assert hits == 2
    assert (tmp_path / "out" / "f").read_bytes() == content(3 * MIB)


async def test_lasting_damage_ends_as_integrity_on_both_sides(tmp_path: Path) -> None:
    source = write(tmp_path / "f", content(100))
    async with transfer_link() as link:
        deliver = link.alice_port.blocks.deliver
        link.alice_port.blocks.deliver = lambda block: deliver(block[:-1] + b"!")
        outgoing, incoming = await start(link, source, tmp_path / "out")
        for transfer in (outgoing, incoming):
            with pytest.raises(IntegrityError):
                await transfer.done()
    assert not (tmp_path / "out" / "f").exists()


async def test_a_broken_link_breaks_what_runs_and_keeps_what_arrived(tmp_path: Path) -> None:
    source = write(tmp_path / "f", content(40 * MIB))
    async with transfer_link() as link:
        outgoing, incoming = await start(link, source, tmp_path / "out")
        waiting = await link.bob.send(source)
        await until(incoming, MIB)
        await link.break_off()
        for transfer in (outgoing, incoming, waiting):
            said = "No file was sent" if transfer is waiting else "Complete files are kept"
            with pytest.raises(TransferBroken, match=said) as caught:
                await transfer.done()
            assert isinstance(caught.value.__cause__, LinkLost)
        with pytest.raises(LinkLost):
            await offered(link.bob)
        with pytest.raises(LinkLost):
            await link.alice.send(source)
    assert incoming.partial_paths[0].stat().st_size >= MIB


async def test_a_link_that_breaks_before_the_answer_has_moved_nothing(tmp_path: Path) -> None:
    async with transfer_link() as link:
        outgoing = await link.alice.send(write(tmp_path / "f", b"x"))
        incoming = await offered(link.bob)
        await link.break_off()
        for transfer in (outgoing, incoming):
            with pytest.raises(TransferBroken, match="No file was sent"):
                await transfer.done()


async def test_a_link_that_is_closed_ends_the_iteration(tmp_path: Path) -> None:
    async with transfer_link() as link:
        seen: list[IncomingTransfer] = []

        async def read() -> None:
            async for incoming in link.bob:
                seen.append(incoming)  # noqa: PERF401 (kept when it is cut short)

        reading = asyncio.create_task(read())
        await asyncio.sleep(0)
        await link.bob.close(LinkClosed())
        await reading
        assert seen == []


async def test_a_transfer_that_was_aborted_while_it_opened_its_folder_leaves_nothing_open(
    tmp_path: Path,
) -> None:
    source = write(tmp_path / "f", b"x")
    async with transfer_link() as link:
        await link.alice.send(source)
        incoming = await offered(link.bob)
        accepting = asyncio.create_task(incoming.accept(tmp_path / "out"))
        await asyncio.sleep(0)
        link.bob.abort(LinkLost())
        with pytest.raises(TransferBroken):
            await accepting


async def test_accepting_twice_is_the_callers_error(tmp_path: Path) -> None:
    source = write(tmp_path / "f", content(MIB))
    async with transfer_link() as link:
        outgoing, incoming = await start(link, source, tmp_path / "out")
        with pytest.raises(RuntimeError, match="accepted before"):
            await incoming.accept(tmp_path / "other")
        await outgoing.done()


async def test_too_many_offers_are_declined_as_busy(tmp_path: Path) -> None:
    source = write(tmp_path / "f", b"x")
    async with transfer_link() as link:
        sent = [await link.alice.send(source) for _ in range(17)]
        with pytest.raises(Refused, match="too many offers") as caught:
            await sent[-1].done()
        assert caught.value.code == "busy"
        received = [await offered(link.bob) for _ in range(16)]
        assert [incoming.id for incoming in received] == [outgoing.id for outgoing in sent[:16]]


async def test_a_receiver_that_does_not_take_blocks_slows_the_sender_down(tmp_path: Path) -> None:
    source = write(tmp_path / "f", content(40 * MIB))
    async with transfer_link() as link:
        link.alice_port.blocks.open.clear()
        outgoing, incoming = await start(link, source, tmp_path / "out")
        await link.alice_port.blocks.full.wait()
        for _ in range(200):
            await asyncio.sleep(0)
        assert link.alice_port.blocks.sent == CAPACITY, "nothing more goes out"
        assert incoming.progress.bytes_done == 0
        link.alice_port.blocks.open.set()
        await outgoing.done()
        await incoming.done()


async def test_what_belongs_to_no_transfer_is_dropped(tmp_path: Path) -> None:
    async with transfer_link() as link:
        for text in (
            "nonsense",
            b"\xff",
            '{"t":"ping","n":1}',
            '{"t":"accept","transfer":0,"window":4}',
            '{"t":"accept","transfer":0,"window":0}',
            '{"t":"offer_more","transfer":2,"entries":[]}',
            '{"t":"offer","transfer":1,"files":0,"bytes":0,"entries":[]}',
        ):
            link.bob.receive_message(text)
        for block in (b"", b"\x02" * 30, "text", b"\x09" * 30):
            link.bob.receive_block(block)
        assert link.bob.dropped > 0
        await asyncio.sleep(0)
        assert link.bob_port.control.sent == 0


async def test_a_malformed_message_ends_its_transfer_and_no_other(tmp_path: Path) -> None:
    source = write(tmp_path / "f", content(10))
    async with transfer_link() as link:
        first, second = await link.alice.send(source), await link.alice.send(source)
        ours, theirs = await offered(link.bob), await offered(link.bob)
        link.alice.receive_message('{"t":"accept","transfer":0,"window":"many"}')
        with pytest.raises(TransferError, match="malformed"):
            await first.done()
        await theirs.accept(tmp_path / "out")
        await second.done()
        with pytest.raises(TransferBroken, match="gave up"):
            await ours.done()


async def test_a_malformed_block_ends_its_transfer(tmp_path: Path) -> None:
    source = write(tmp_path / "f", content(40 * MIB))
    async with transfer_link() as link:
        outgoing, incoming = await start(link, source, tmp_path / "out")
        link.bob.receive_block(b"\x02\x01\x00\x00" + bytes(16) + b"x")
        for transfer in (incoming, outgoing):
            with pytest.raises(TransferError):
                await transfer.done()


async def test_an_old_number_offers_nothing_again(tmp_path: Path) -> None:
    source = write(tmp_path / "f", b"x")
    async with transfer_link() as link:
        said: list[str] = []
        link.alice_port.control.on_send = said.append
        outgoing, incoming = await start(link, source, tmp_path / "out")
        await outgoing.done()
        await incoming.done()
        link.bob.receive_message(said[0])
        second = await link.alice.send(source)
        assert (await offered(link.bob)).id == second.id


async def test_the_window_bounds_what_is_on_its_way(tmp_path: Path) -> None:
    source = write(tmp_path / "f", content(20 * MIB))
    async with transfer_link(config=TransferConfig(window=2)) as link:
        started = acked = most = 0

        def count_started(block: bytes) -> None:
            nonlocal started, most
            started += block[0] == BlockType.SEGMENT
            most = max(most, started - acked)

        def count_acked(text: str) -> None:
            nonlocal acked
            message = json.loads(text)
            if message["t"] == "ack":
                acked += sum(last + 1 - first for first, last in message["segments"])

        link.alice_port.blocks.on_send = count_started
        link.bob_port.control.on_send = count_acked
        outgoing, incoming = await start(link, source, tmp_path / "out")
        await outgoing.done()
        await incoming.done()
    assert most == 2


async def test_neighbouring_segments_are_read_in_one_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small, large = content(5), content(7 * MIB + 5)
    write(tmp_path / "in" / "a", small)
    write(tmp_path / "in" / "b", large)
    write(tmp_path / "in" / "c", small)
    read: list[tuple[int, int]] = []
    original = Sources._read

    def recorded(sources: Sources, descriptor: int, file: int, offset: int, length: int) -> bytes:
        read.append((offset, length))
        return original(sources, descriptor, file, offset, length)

    monkeypatch.setattr(Sources, "_read", recorded)
    async with transfer_link() as link:
        outgoing, incoming = await start(link, tmp_path / "in", tmp_path / "out")
        await outgoing.done()
        await incoming.done()
    for name, data in (("a", small), ("b", large), ("c", small)):
        assert (tmp_path / "out" / "in" / name).read_bytes() == data
    assert read[:2] == [(0, 5), (0, 3 * MIB)]  # a file's end ends the run, not the batch
    assert sum(length for _, length in read) == len(large) + 2 * len(small)
    assert max(length for _, length in read) <= READ_AT_ONCE


async def test_nothing_is_left_behind(tmp_path: Path) -> None:
    source = write(tmp_path / "f", content(10 * MIB))
    tasks, files = len(asyncio.all_tasks()), len(os.listdir("/proc/self/fd"))
    threads = threading.active_count()
    async with transfer_link() as link:
        await start(link, source, tmp_path / "out")
        await link.bob.send(source)
    gc.collect()
    assert len(asyncio.all_tasks()) == tasks
    assert len(os.listdir("/proc/self/fd")) == files
    assert threading.active_count() == threads


# Left-out and renamed entries, and memory before a decision


async def finish(outgoing: OutgoingTransfer, incoming: IncomingTransfer) -> None:
    await asyncio.gather(outgoing.done(), incoming.done())


async def test_a_file_that_vanishes_before_its_turn_is_left_out_and_both_know(
    tmp_path: Path,
) -> None:
    for name in ("a", "b", "c"):
        write(tmp_path / "in" / name, content(10))
    write(tmp_path / "in" / "big", content(5 * MIB))
    os.mkfifo(tmp_path / "in" / "pipe")
    async with transfer_link() as link:
        outgoing = await link.alice.send(tmp_path / "in")
        incoming = await offered(link.bob)
        (tmp_path / "in" / "b").unlink()
        (tmp_path / "in" / "big").unlink()
        await incoming.accept(tmp_path / "out")
        await finish(outgoing, incoming)
    assert sorted(os.listdir(tmp_path / "out" / "in")) == ["a", "c"]
    for transfer in (outgoing, incoming):
        assert (transfer.progress.files_done, transfer.progress.files_total) == (2, 2)
        assert (transfer.progress.bytes_done, transfer.progress.bytes_total) == (20, 20)
        assert transfer.left_out.total == 3
        reasons = {left.path: left.reason for left in transfer.left_out}
        assert reasons["in/b"] == reasons["in/big"] == "has vanished"
    assert {left.path for left in outgoing.left_out} == {"in/b", "in/big", "in/pipe"}


async def test_a_file_that_changes_before_its_turn_is_left_out_and_both_know(
    tmp_path: Path,
) -> None:
    for name in ("grown", "kept", "now-a-pipe", "shrunk", "written-again"):
        write(tmp_path / "in" / name, content(10))
    write(tmp_path / "in" / "log", content(5 * MIB))
    async with transfer_link() as link:
        outgoing = await link.alice.send(tmp_path / "in")
        incoming = await offered(link.bob)
        write(tmp_path / "in" / "grown", content(11))
        write(tmp_path / "in" / "shrunk", content(9))
        write(tmp_path / "in" / "written-again", bytes(10))
        with (tmp_path / "in" / "log").open("ab") as log:
            log.write(b"another line")
        (tmp_path / "in" / "now-a-pipe").unlink()
        os.mkfifo(tmp_path / "in" / "now-a-pipe")
        await incoming.accept(tmp_path / "out")
        await finish(outgoing, incoming)
    assert os.listdir(tmp_path / "out" / "in") == ["kept"]
    for transfer in (outgoing, incoming):
        assert transfer.progress.files_total == 1
        assert transfer.left_out.total == 5
        assert {left.reason for left in transfer.left_out} == {"has changed since it was listed"}


@pytest.mark.parametrize("gone", [False, True])
async def test_a_strict_sender_ends_when_a_file_changes_before_its_turn(
    tmp_path: Path, gone: bool
) -> None:
    for name in ("a", "b"):
        write(tmp_path / "in" / name, content(10))
    async with transfer_link() as link:
        outgoing = await link.alice.send(tmp_path / "in", strict=True)
        incoming = await offered(link.bob)
        if gone:
            (tmp_path / "in" / "b").unlink()
        else:
            write(tmp_path / "in" / "b", content(11))
        await incoming.accept(tmp_path / "out")
        for transfer in (outgoing, incoming):
            with pytest.raises(IntegrityError, match="changed"):
                await transfer.done()


async def test_a_prepared_listing_is_offered_as_it_was_shown(tmp_path: Path) -> None:
    for name in ("changed", "kept", "vanished"):
        write(tmp_path / "in" / name, content(10))
    sources = Sources.of([tmp_path / "in"])
    shown = [entry.path for entry in sources.manifest]
    write(tmp_path / "in" / "changed", content(11))
    write(tmp_path / "in" / "new", content(10))
    (tmp_path / "in" / "vanished").unlink()
    async with transfer_link() as link:
        outgoing = await link.alice.send(sources)
        incoming = await offered(link.bob)
        assert outgoing.manifest is sources.manifest
        assert [entry.path for entry in incoming.manifest] == shown
        await incoming.accept(tmp_path / "out")
        await finish(outgoing, incoming)
    assert os.listdir(tmp_path / "out" / "in") == ["kept"]
    for transfer in (outgoing, incoming):
        assert {(left.path, left.reason) for left in transfer.left_out} == {
            ("in/changed", "has changed since it was listed"),
            ("in/vanished", "has vanished"),
        }


async def test_a_strict_listing_ends_the_transfer_when_a_file_changes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write(tmp_path / "in" / name, content(10))
    sources = Sources.of([tmp_path / "in"], strict=True)
    write(tmp_path / "in" / "b", content(11))
    async with transfer_link() as link:
        outgoing = await link.alice.send(sources)
        incoming = await offered(link.bob)
        await incoming.accept(tmp_path / "out")
        with pytest.raises(IntegrityError, match='"in/b" changed'):
            await outgoing.done()


async def test_a_listing_serves_one_transfer_with_its_own_strictness(tmp_path: Path) -> None:
    sources = Sources.of([write(tmp_path / "a", content(10))])
    async with transfer_link() as link:
        with pytest.raises(ValueError, match="not listed as strict"):
            await link.alice.send(sources, strict=True)
        await link.alice.send(sources)
        with pytest.raises(RuntimeError, match="another transfer"):
            await link.bob.send(sources)


async def test_when_the_only_file_vanishes_there_is_no_transfer(tmp_path: Path) -> None:
    source = write(tmp_path / "in" / "a", content(10))
    async with transfer_link() as link:
        outgoing = await link.alice.send(tmp_path / "in")
        incoming = await offered(link.bob)
        source.unlink()
        await incoming.accept(tmp_path / "out")
        for transfer in (outgoing, incoming):
            with pytest.raises(IntegrityError):
                await transfer.done()


async def test_a_strict_sender_leaves_nothing_out(tmp_path: Path) -> None:
    write(tmp_path / "in" / "a", content(10))
    os.mkfifo(tmp_path / "in" / "pipe")
    async with transfer_link() as link:
        with pytest.raises(DiskError, match="is a pipe"):
            await link.alice.send(tmp_path / "in", strict=True)


async def test_renamed_and_left_out_are_told_when_all_is_over(tmp_path: Path) -> None:
    write(tmp_path / "in" / "a\x1bb", content(10))
    (tmp_path / "out" / "in").mkdir(parents=True)
    async with transfer_link() as link:
        outgoing, incoming = await start(link, tmp_path / "in", tmp_path / "out")
        await finish(outgoing, incoming)
    assert {note.path: note.name for note in incoming.renamed} == {
        "in/a\x1bb": "in/a_b",
        "in": "in (1)",
    }
    assert not incoming.left_out
    assert (tmp_path / "out" / "in (1)" / "a_b").read_bytes() == content(10)


async def test_thousands_of_small_files_arrive_in_few_messages(tmp_path: Path) -> None:
    for n in range(1000):
        write(tmp_path / "in" / f"{n % 7}" / f"{n}", content(n % 40))
    async with transfer_link(seed=9) as link:
        outgoing, incoming = await start(link, tmp_path / "in", tmp_path / "out")
        await finish(outgoing, incoming)
        assert link.alice_port.blocks.sent < 100
        assert link.bob_port.control.sent < 300
    for path in (tmp_path / "in").rglob("*"):
        if path.is_file():
            copy = tmp_path / "out" / path.relative_to(tmp_path)
            assert copy.read_bytes() == path.read_bytes()
    assert not list((tmp_path / "out").rglob(f"*{PARTIAL_SUFFIX}"))


async def test_empty_files_are_flushed_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed: list[int] = []
    monkeypatch.setattr(
        "peer.transfer.disk.destination.flush", lambda files: flushed.append(len([*files]))
    )
    for number in range(200):
        write(tmp_path / "d" / f"{number}", b"")
    async with transfer_link() as link:
        outgoing, incoming = await start(link, tmp_path / "d", tmp_path / "out")
        await finish(outgoing, incoming)
    assert sum(flushed) == 200
    assert len(flushed) < 20


def page(transfer: int, *, first: bool) -> str:
    """A page of an endless offer, with names that cannot be packed."""
    entries = [{"path": os.urandom(100).hex(), "kind": "file", "size": 0} for _ in range(150)]
    head = {"t": "offer", "files": 10**6, "bytes": 0} if first else {"t": "offer_more"}
    return json.dumps(head | {"transfer": transfer, "entries": entries, "more": True})


async def test_offers_that_nobody_has_accepted_take_little_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit = 1 << 20
    monkeypatch.setattr("peer.transfer.engine.transfers.MAX_UNDECIDED_BYTES", limit)
    async with transfer_link() as link:
        said: list[str] = []
        link.bob_port.control.on_send = said.append
        transfers = range(0, 16, 2)
        tracemalloc.start()
        try:
            before, _ = tracemalloc.get_traced_memory()
            for number in range(20):
                for transfer in transfers:
                    link.bob.receive_message(page(transfer, first=number == 0))
                await asyncio.sleep(0)
            gc.collect()
            after, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert after - before < limit + (1 << 20)
        assert peak - before < limit + (2 << 20)
        for _ in range(20):
            await asyncio.sleep(0)
        codes = [json.loads(text)["code"] for text in said]
        assert set(codes) <= {"busy", "too_many"}
        assert 0 < len(codes) <= len(transfers)


async def test_an_endless_list_of_files_is_declined_and_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("peer.transfer.engine.transfers.MAX_UNDECIDED_BYTES", 1 << 20)
    async with transfer_link() as link:
        said: list[str] = []
        link.bob_port.control.on_send = said.append
        number = 0
        while not said:
            link.bob.receive_message(page(2, first=number == 0))
            await asyncio.sleep(0)
            number += 1
            assert number < 100
        assert json.loads(said[0])["code"] == "too_many"
        with pytest.raises(Refused, match="too long"):
            raise (await offered(link.bob)).problem or AssertionError("there is a problem")
        tracemalloc.start()
        try:
            for _ in range(30):  # of a transfer that is over
                link.bob.receive_message(page(2, first=False))
            gc.collect()
            assert tracemalloc.get_traced_memory()[0] < 1 << 20
        finally:
            tracemalloc.stop()


async def test_offers_that_are_withdrawn_again_and_again_leave_nothing(tmp_path: Path) -> None:
    async with transfer_link() as link:
        tracemalloc.start()
        try:
            for transfer in range(0, 60, 2):
                for number in range(10):
                    link.bob.receive_message(page(transfer, first=number == 0))
                bye = {"t": "cancel", "transfer": transfer, "code": "cancelled"}
                link.bob.receive_message(json.dumps(bye))
                for _ in range(5):
                    await asyncio.sleep(0)
            gc.collect()
            assert tracemalloc.get_traced_memory()[0] < 4 << 20
        finally:
            tracemalloc.stop()
