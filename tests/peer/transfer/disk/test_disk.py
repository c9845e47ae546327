"""The disk on both ends: what is listed and read, and where received files may and may not go."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from threading import Thread

import pytest

from peer.errors import DiskError, TransferError
from peer.transfer.disk import PARTIAL_SUFFIX, Destination, SourceChanged, SourceLost, Sources
from peer.transfer.protocol.manifest import Entry, Manifest

ROOT = os.geteuid() == 0


def file(path: str, size: int = 5, mtime: int | None = None, mode: int | None = None) -> Entry:
    return Entry(path=path, kind="file", size=size, mtime=mtime, mode=mode)


def folder(path: str, mtime: int | None = None, mode: int | None = None) -> Entry:
    return Entry(path=path, kind="dir", mtime=mtime, mode=mode)


def link(path: str, target: str) -> Entry:
    return Entry(path=path, kind="link", target=target)


def plan(*entries: Entry) -> Manifest:
    return Manifest(entries)


def receive(
    out: Path, *entries: Entry, data: bytes = b"hello", overwrite: bool = False
) -> list[Path]:
    """Receive everything; files hold `data`."""
    placed = []
    with Destination(out, plan(*entries), overwrite=overwrite) as destination:
        for index, entry in enumerate(entries):
            if entry.kind == "dir":
                placed.append(destination.make_directory(index))
            elif entry.kind == "file":
                destination.write(index, 0, data)
                placed.append(destination.finish(index))
        for index, entry in enumerate(entries):
            if entry.kind == "link":
                assert destination.make_link(index)
                placed.append(out / entry.path)
        destination.set_folders()
        assert destination.partial_paths() == []
        assert all(os.path.lexists(path) for path in destination.paths())
    return placed


def tree(top: Path) -> set[str]:
    return {str(path.relative_to(top)) for path in top.rglob("*")}


# Listing


def test_a_folder_is_listed_with_everything_in_it(tmp_path: Path) -> None:
    top = tmp_path / "photos"
    (top / "b" / "empty").mkdir(parents=True)
    (top / "a.jpg").write_bytes(b"x" * 10)
    (top / "b" / "run").write_bytes(b"")
    (top / "b" / "run").chmod(0o755)
    (top / "latest").symlink_to("a.jpg")
    os.utime(top / "a.jpg", ns=(0, 1_700_000_000_123_456_789))
    sources = Sources.of([top])
    assert [(entry.path, entry.kind, entry.size) for entry in sources.manifest] == [
        ("photos", "dir", None),
        ("photos/a.jpg", "file", 10),
        ("photos/b", "dir", None),
        ("photos/latest", "link", None),
        ("photos/b/empty", "dir", None),
        ("photos/b/run", "file", 0),
    ]
    assert sources.manifest[1].mtime == 1_700_000_000_123
    assert sources.manifest[5].mode == 0o755
    assert sources.manifest[3].target == "a.jpg"
    assert not sources.left_out


def test_several_paths_keep_their_order(tmp_path: Path) -> None:
    for name in ("z", "a"):
        (tmp_path / name).write_text(name)
    sources = Sources.of([tmp_path / "z", str(tmp_path / "a")])
    assert [entry.path for entry in sources.manifest] == ["z", "a"]


def test_the_current_folder_goes_by_its_own_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here" / "below").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here")
    assert Sources.of(["."]).manifest[0].path == "here"
    monkeypatch.chdir(tmp_path / "here" / "below")
    assert Sources.of([".."]).manifest[0].path == "here"


def test_a_link_that_is_named_stands_for_what_it_points_to(tmp_path: Path) -> None:
    (tmp_path / "real").write_bytes(b"content")
    (tmp_path / "name").symlink_to("real")
    sources = Sources.of([tmp_path / "name"])
    assert [(entry.path, entry.kind) for entry in sources.manifest] == [("name", "file")]
    assert sources.read(0, 0, 7) == b"content"
    sources.close()


def test_links_that_leave_the_folder_are_skipped_with_a_reason(tmp_path: Path) -> None:
    top = tmp_path / "top"
    top.mkdir()
    (top / "absolute").symlink_to("/etc/passwd")
    (top / "out").symlink_to("../other")
    (top / "kept").symlink_to("missing")
    sources = Sources.of([top])
    assert [entry.path for entry in sources.manifest] == ["top", "top/kept"]
    assert {left.path for left in sources.left_out} == {"top/absolute", "top/out"}
    assert all("link" in str(left) for left in sources.left_out)


def test_pipes_and_sockets_inside_folders_are_skipped(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        sources = Sources.of([tmp_path])
    assert [entry.kind for entry in sources.manifest] == ["dir"]
    assert [str(left).split("/", 1)[1] for left in sources.left_out] == [
        'pipe" is a pipe.',
        'socket" is a socket.',
    ]


def test_unfinished_transfers_are_not_sent(tmp_path: Path) -> None:
    (tmp_path / f".film.mkv{PARTIAL_SUFFIX}").write_bytes(b"half")
    sources = Sources.of([tmp_path])
    assert len(sources.manifest) == 1
    assert "unfinished" in str(next(iter(sources.left_out)))


@pytest.mark.parametrize("name", ["missing", "pipe"])
def test_what_cannot_be_sent_is_named(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DiskError, match=name):
        Sources.of([tmp_path / name])


def test_nothing_and_everything_are_too_much_to_ask() -> None:
    with pytest.raises(DiskError, match="nothing to send"):
        Sources.of([])
    with pytest.raises(DiskError, match="root"):
        Sources.of(["/"])


ODD_NAMES = [
    *(b"a:b", b"back\\slash", b"aux.c", b"NUL", b"dot.", b"space ", b" ", b"..x", b"-rf", b"~"),
    *(b"*?<>|", b"README", b"readme", b"caf\xc3\xa9", b"cafe\xcc\x81", b"Cura\xe7ao.ogg", b"\xff"),
    *(b"\xed\xa0\x80", b"100%", b"%E7", b"%25\xe7", b"100%\xe7", "你好".encode(), "🙂".encode()),
    *(b"n" * 255, b"\xe9" * 255, b"%" * 255),
]
"""Names of which Linux holds every one."""


def every_file(top: Path) -> dict[bytes, bytes]:
    """Content by path, in bytes."""
    found = {}
    for where, _, names in os.walk(os.fsencode(top)):
        for name in names:
            path = os.path.join(where, name)
            if not os.path.islink(path):
                found[os.path.relpath(path, os.fsencode(top))] = Path(
                    os.fsdecode(path)
                ).read_bytes()
    return found


def send_across(source: Path, out: Path) -> Destination:
    """Copy a source to a destination as two machines do, without a network; close both."""
    sources = Sources.of([source])
    with Destination(out, sources.manifest) as destination:
        for index in range(len(sources.manifest)):
            kind = sources.manifest.kind(index)
            if kind == "dir":
                destination.make_directory(index)
            elif kind == "file":
                destination.put([(index, sources.read_whole(index))])
        for index in range(len(sources.manifest)):
            if sources.manifest.kind(index) == "link":
                destination.make_link(index)
    sources.close()
    return destination


@pytest.mark.skipif(sys.platform != "linux", reason="other systems hold fewer names")
def test_every_name_that_linux_holds_arrives_as_it_is(tmp_path: Path) -> None:
    top = tmp_path / "top"
    for folder_name in (b"plain", b"fol\xffder:"):
        for name in ODD_NAMES:
            path = os.path.join(os.fsencode(top), folder_name, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as stream:
                stream.write(name)
    (top / "link").symlink_to(os.fsdecode(b"fol\xffder:/100%"))
    (top / "100% link").symlink_to("./plain//aux.c")
    destination = send_across(top, tmp_path / "out")
    assert every_file(tmp_path / "out" / "top") == every_file(top)
    assert (tmp_path / "out" / "top" / "link").read_bytes() == b"100%"
    assert (tmp_path / "out" / "top" / "100% link").read_bytes() == b"aux.c"
    assert not destination.renamed
    assert not destination.left_out


@pytest.mark.skipif(sys.platform != "linux", reason="other systems hold fewer names")
def test_names_that_nobody_should_meet_are_replaced_and_listed(tmp_path: Path) -> None:
    top = tmp_path / "top"
    top.mkdir()
    for name in ("a\x1b[2J", "a\n", "a_", "gnp\u202eexe", "x.peerline-journal"):
        (top / name).write_text(name)
    destination = send_across(top, tmp_path / "out")
    assert tree(tmp_path / "out" / "top") == {
        "a_[2J", "a_ (1)", "a_", "gnp_exe", "x.peerline-journal_"
    }  # fmt: skip
    assert (tmp_path / "out" / "top" / "a_").read_text() == "a_"
    assert destination.renamed.total == 4
    assert {note.name for note in destination.renamed} == {
        "top/a_[2J", "top/a_ (1)", "top/gnp_exe", "top/x.peerline-journal_"
    }  # fmt: skip


def test_deep_folders_arrive(tmp_path: Path) -> None:
    deep = tmp_path / "top" / "/".join(["d"] * 300)
    deep.mkdir(parents=True)
    (deep / "f").write_bytes(b"deep")
    send_across(tmp_path / "top", tmp_path / "out")
    assert every_file(tmp_path / "out" / "top") == every_file(tmp_path / "top")


def test_of_two_paths_with_one_name_the_second_gets_a_number(tmp_path: Path) -> None:
    for where in ("x", "y", "z"):
        (tmp_path / where / "same").mkdir(parents=True)
        (tmp_path / where / "same" / "f").write_text(where)
    sources = Sources.of(
        [tmp_path / "x" / "same", tmp_path / "y" / "same", tmp_path / "x" / "same"]
    )
    assert [entry.path for entry in sources.manifest] == [
        "same", "same/f", "same (1)", "same (1)/f"
    ]  # fmt: skip
    assert sources.read(3, 0, 1) == b"y"
    assert [note.name for note in sources.renamed] == ["same (1)"]
    sources.close()


@contextmanager
def without_permissions() -> Iterator[None]:
    """Be somebody whom root's files keep out; who is nobody special stays who they are."""
    if not ROOT:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def open_path(tmp_path: Path) -> Path:
    """A folder that somebody else can reach: pytest's own are private."""
    for parent in [tmp_path, *tmp_path.parents]:
        if parent == Path("/tmp") or parent == Path("/"):
            break
        parent.chmod(parent.stat().st_mode | 0o055)
    return tmp_path


def test_an_unreadable_file_is_named_before_anything_is_sent(open_path: Path) -> None:
    secret = open_path / "secret"
    secret.write_bytes(b"x")
    secret.chmod(0)
    with without_permissions(), pytest.raises(DiskError) as caught:
        Sources.of([secret])
    assert str(caught.value) == (
        'There is nothing to send.\n"secret" cannot be read: permission denied.'
    )


def test_what_cannot_be_read_is_left_out_or_refused_all_at_once(open_path: Path) -> None:
    top = open_path / "top"
    (top / "closed").mkdir(parents=True)
    for name in ("secret", "closed/x", "good"):
        (top / name).write_bytes(b"x")
    os.mkfifo(top / "pipe")
    (top / "secret").chmod(0)
    (top / "closed").chmod(0)
    with without_permissions():
        sources = Sources.of([top, open_path / "top" / "secret"])
        with pytest.raises(DiskError) as caught:
            Sources.of([top], strict=True)
    (top / "closed").chmod(0o700)
    assert [entry.path for entry in sources.manifest if entry.kind == "file"] == ["top/good"]
    assert {left.path: left.reason for left in sources.left_out} == {
        "top/pipe": "is a pipe",
        "top/secret": "cannot be read: permission denied",
        "top/closed": "is a folder that cannot be read: permission denied",
        "secret": "cannot be read: permission denied",
    }
    assert len(str(caught.value).splitlines()) == 3


def test_all_paths_that_do_not_exist_are_named_in_one_message(tmp_path: Path) -> None:
    (tmp_path / "good").write_bytes(b"x")
    with pytest.raises(DiskError) as caught:
        Sources.of([tmp_path / "one", tmp_path / "good", tmp_path / "two"])
    assert [line.split()[-1] for line in str(caught.value).splitlines()] == [
        f'"{tmp_path / name}".' for name in ("one", "two")
    ]


def test_a_file_that_vanishes_while_the_folder_is_listed_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "gone").write_bytes(b"x")
    (tmp_path / "kept").write_bytes(b"x")
    original = os.lstat

    def lstat(path: str) -> os.stat_result:
        if path.endswith("gone"):
            os.unlink(path)
        return original(path)

    monkeypatch.setattr(os, "lstat", lstat)
    sources = Sources.of([tmp_path])
    assert [left.reason for left in sources.left_out] == ["has vanished"]
    assert sources.manifest.files == 1


# Reading


def test_segments_are_read_from_anywhere_in_the_file(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(bytes(range(256)))
    sources = Sources.of([tmp_path / "f"])
    assert sources.read(0, 200, 56) == bytes(range(200, 256))
    assert sources.read(0, 0, 3) == b"\0\1\2"
    sources.close()
    with pytest.raises(DiskError):
        sources.read(0, 0, 3)


def test_many_files_are_read_without_keeping_them_all_open(tmp_path: Path) -> None:
    for n in range(50):
        (tmp_path / f"{n}").write_text(str(n))
    sources = Sources.of([tmp_path])
    before = len(os.listdir("/proc/self/fd"))
    for index, entry in enumerate(sources.manifest):
        if entry.kind == "file":
            assert sources.read(index, 0, entry.size or 0).decode() == Path(entry.path).name
    assert len(os.listdir("/proc/self/fd")) <= before + 4
    sources.close()
    assert len(os.listdir("/proc/self/fd")) == before


def shrink(path: Path) -> None:
    os.truncate(path, 3)


def grow(path: Path) -> None:
    with path.open("ab") as stream:
        stream.write(b"more")


def replace(path: Path) -> None:
    path.unlink()
    path.write_bytes(bytes(100))


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def redirect(path: Path) -> None:
    path.rename(path.with_name("moved"))
    path.symlink_to("moved")


def test_a_file_that_vanished_since_it_was_listed_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(bytes(100))
    sources = Sources.of([path])
    path.unlink()
    for read in (partial(sources.read, 0, 0, 100), partial(sources.read_whole, 0)):
        with pytest.raises(SourceLost) as caught:
            read()
        assert (caught.value.file, caught.value.reason) == (0, "has vanished")
    sources.close()


@pytest.mark.parametrize("change", [shrink, grow, replace, pipe])
def test_a_file_that_changed_since_it_was_listed_is_noticed(
    tmp_path: Path, change: Callable[[Path], None]
) -> None:
    path = tmp_path / "f"
    path.write_bytes(bytes(100))
    sources = Sources.of([path])
    change(path)
    with pytest.raises(SourceChanged, match='"f" changed') as caught:
        sources.read(0, 0, 100)
    assert caught.value.file == 0
    sources.close()


@pytest.mark.parametrize("change", [shrink, grow])
def test_a_file_that_changes_while_it_is_read_is_noticed(
    tmp_path: Path, change: Callable[[Path], None]
) -> None:
    path = tmp_path / "f"
    path.write_bytes(bytes(100))
    sources = Sources.of([path])
    sources.read(0, 0, 50)
    change(path)
    with pytest.raises(SourceChanged):
        sources.read(0, 50, 50)
    sources.close()


def test_a_file_that_became_a_link_is_not_followed(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(bytes(100))
    sources = Sources.of([path])
    redirect(path)
    with pytest.raises(SourceLost, match="a link is in the way"):
        sources.read(0, 0, 100)
    sources.close()


# Receiving


def test_files_folders_and_links_arrive(tmp_path: Path) -> None:
    out = tmp_path / "new" / "out"
    placed = receive(
        out, folder("a"), folder("a/empty"), file("a/b/c.txt"), link("a/l", "b/c.txt"), file("top")
    )
    assert tree(out) == {"a", "a/empty", "a/b", "a/b/c.txt", "a/l", "top"}
    assert (out / "a" / "l").read_bytes() == (out / "top").read_bytes() == b"hello"
    assert placed == [out / "a", out / "a/empty", out / "a/b/c.txt", out / "top", out / "a/l"]


def test_segments_may_be_written_in_any_order(tmp_path: Path) -> None:
    with Destination(tmp_path, plan(file("f", 6))) as destination:
        destination.write(0, 3, memoryview(b"def"))
        assert destination.partial_paths() == [tmp_path / f".f{PARTIAL_SUFFIX}"]
        destination.write(0, 0, b"abc")
        assert not (tmp_path / "f").exists()
        assert destination.finish(0) == tmp_path / "f"
    assert (tmp_path / "f").read_bytes() == b"abcdef"
    assert tree(tmp_path) == {"f"}


@pytest.mark.skipif(sys.platform != "linux", reason="the advice works on Linux alone")
@pytest.mark.parametrize("flush", [True, False])
def test_the_disk_begins_while_the_file_still_arrives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flush: bool
) -> None:
    told: list[tuple[int, int]] = []

    def advise(_: int, start: int, size: int, __: int) -> None:
        told.append((start, size))
        raise OSError("some file systems take no advice")

    monkeypatch.setattr(os, "posix_fadvise", advise)
    half = 8 << 20
    with Destination(tmp_path, plan(file("f", 5 * half)), flush=flush) as destination:
        for position in (1, 0, 2, 3, 4):
            destination.write(0, position * half, bytes(half))
        destination.finish(0)
    assert told == ([(0, 2 * half), (2 * half, 2 * half)] if flush else [])


def test_an_empty_file_needs_no_write(tmp_path: Path) -> None:
    with Destination(tmp_path, plan(file("f", 0))) as destination:
        destination.finish(0)
    assert (tmp_path / "f").read_bytes() == b""


@pytest.mark.parametrize(
    ("name", "second", "third"),
    [
        ("film.mkv", "film (1).mkv", "film (2).mkv"),
        ("src.tar.gz", "src (1).tar.gz", "src (2).tar.gz"),
        ("plain", "plain (1)", "plain (2)"),
        (".bashrc", ".bashrc (1)", ".bashrc (2)"),
        ("v1.2", "v1 (1).2", "v1 (2).2"),
        ("a" * 251 + ".txt", "a" * 247 + " (1).txt", "a" * 247 + " (2).txt"),
        ("é" * 127, "é" * 125 + " (1)", "é" * 125 + " (2)"),
    ],
)
def test_an_existing_file_is_never_overwritten(
    tmp_path: Path, name: str, second: str, third: str
) -> None:
    for data in (b"first", b"2nd", b"3rd"):
        receive(tmp_path, file(name), data=data)
    assert (tmp_path / name).read_bytes() == b"first"
    assert (tmp_path / second).read_bytes() == b"2nd"
    assert (tmp_path / third).read_bytes() == b"3rd"
    assert tree(tmp_path) == {name, second, third}


def test_an_existing_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "mine").write_bytes(b"mine")
    entries = [folder("photos"), file("photos/sub/theirs"), link("photos/l", "sub/theirs")]
    placed = receive(tmp_path, *entries)
    assert placed[0] == tmp_path / "photos (1)"
    assert tree(tmp_path / "photos") == {"mine"}
    assert tree(tmp_path / "photos (1)") == {"sub", "sub/theirs", "l"}


def test_a_file_in_the_place_of_a_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "photos").write_bytes(b"a file")
    receive(tmp_path, file("photos/x"))
    assert (tmp_path / "photos").read_bytes() == b"a file"
    assert (tmp_path / "photos (1)" / "x").exists()


def test_overwriting_replaces_files_and_merges_folders_when_asked(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "x").write_bytes(b"old")
    (tmp_path / "d" / "kept").write_bytes(b"kept")
    (tmp_path / "d" / "l").write_bytes(b"old")
    receive(tmp_path, file("d/x"), link("d/l", "x"), data=b"new", overwrite=True)
    assert tree(tmp_path) == {"d", "d/x", "d/kept", "d/l"}
    assert (tmp_path / "d" / "x").read_bytes() == b"new"
    assert (tmp_path / "d" / "l").is_symlink()


def test_overwriting_replaces_a_link_and_not_what_it_points_to(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (tmp_path / "precious").write_bytes(b"precious")
    (out / "f").symlink_to("../precious")
    receive(out, file("f"), overwrite=True)
    assert (tmp_path / "precious").read_bytes() == b"precious"
    assert not (out / "f").is_symlink()


def test_a_link_at_the_top_points_to_what_came_with_it(tmp_path: Path) -> None:
    (tmp_path / "v2").mkdir()
    (tmp_path / "v2" / "app").write_bytes(b"old")
    (tmp_path / "notes").write_bytes(b"old")
    receive(tmp_path, file("v2/app"), file("notes"), link("app", "v2/app"), link("n", "notes"))
    assert (tmp_path / "app").read_bytes() == b"hello"
    assert (tmp_path / "n").read_bytes() == b"hello"


@pytest.mark.parametrize("again", [False, True])
def test_a_destination_that_is_moved_meanwhile_is_told(tmp_path: Path, again: bool) -> None:
    out = tmp_path / "out"
    with Destination(out, plan(file("a"))) as destination:
        destination.write(0, 0, b"hello")
        out.rename(tmp_path / "elsewhere")
        if again:
            out.mkdir()
        destination.finish(0)
        with pytest.raises(DiskError, match="was moved or removed"):
            destination.set_folders()
    assert tree(tmp_path) == {"elsewhere", "elsewhere/a"} | ({"out"} if again else set())


def test_a_link_at_the_top_never_points_to_what_was_there_before(tmp_path: Path) -> None:
    (tmp_path / ".netrc").write_bytes(b"private")
    entries = [link(".netrc", "/etc/passwd"), file("skipped"), link("a", ".netrc")]
    entries += [link("b", "skipped"), link("c", "d"), link("d", "a")]
    with Destination(tmp_path, plan(*entries)) as destination:
        for index, entry in enumerate(entries):
            if entry.kind == "link":
                assert not destination.make_link(index)
        assert {each.path for each in destination.left_out} == {".netrc", "a", "b", "c", "d"}
    assert tree(tmp_path) == {".netrc"}


def test_overwriting_does_not_replace_a_folder_by_a_file(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    with pytest.raises(DiskError, match="a folder of that name is in the way"):
        receive(tmp_path, file("x"), overwrite=True)


def test_file_systems_without_hard_links_do_not_overwrite_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("peer.transfer.disk.naming._renameat2", lambda: None)
    monkeypatch.setattr(os, "link", refuse)
    for data in (b"first", b"2nd"):
        receive(tmp_path, file("f.txt"), data=data)
    assert tree(tmp_path) == {"f.txt", "f (1).txt"}
    assert (tmp_path / "f.txt").read_bytes() == b"first"
    assert (tmp_path / "f (1).txt").read_bytes() == b"2nd"


def test_kernels_without_the_rename_that_never_replaces_do_not_overwrite_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for rename in (None, lambda *_: 22, lambda *_: 38):
        monkeypatch.setattr("peer.transfer.disk.naming._renameat2", lambda rename=rename: rename)
        receive(tmp_path, file("f.txt"))
    assert tree(tmp_path) == {"f.txt", "f (1).txt", "f (2).txt"}
    monkeypatch.setattr("peer.transfer.disk.naming._renameat2", lambda: lambda *_: 28)
    with pytest.raises(DiskError, match="The disk is full"):
        receive(tmp_path, file("f.txt"))


# Attacks


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_link_in_the_way_is_never_followed_out(tmp_path: Path, overwrite: bool) -> None:
    outside, out = tmp_path / "outside", tmp_path / "out"
    outside.mkdir()
    out.mkdir()
    (out / "d").symlink_to(outside)
    if overwrite:
        with pytest.raises(DiskError, match="in the way"):
            receive(out, file("d/evil"), overwrite=True)
    else:
        receive(out, file("d/evil"))
        assert (out / "d (1)" / "evil").exists()
    assert tree(outside) == set()


def test_a_link_put_in_the_way_during_the_transfer_is_never_followed(tmp_path: Path) -> None:
    outside, out = tmp_path / "outside", tmp_path / "out"
    outside.mkdir()
    with Destination(out, plan(file("a/b/1"), file("a/b/2"))) as destination:
        destination.write(0, 0, b"12345")
        (out / "a" / "b").rename(out / "a" / "was-b")
        (out / "a" / "b").symlink_to(outside)
        with pytest.raises(DiskError, match="in the way"):
            destination.write(1, 0, b"12345")
        destination.finish(0)
    assert tree(outside) == set()
    assert (out / "a" / "was-b" / "1").exists(), "the open folder is what counts"


def test_a_link_in_the_place_of_a_partial_file_is_never_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    (tmp_path / f".f{PARTIAL_SUFFIX}").symlink_to(victim)
    receive(tmp_path, file("f"))
    assert victim.read_bytes() == b"precious"
    assert (tmp_path / "f").read_bytes() == b"hello"


def test_a_hard_link_in_the_place_of_a_partial_file_is_not_written_to(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    (tmp_path / f".f{PARTIAL_SUFFIX}").hardlink_to(victim)
    receive(tmp_path, file("f"))
    assert victim.read_bytes() == b"precious"


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_other_things_in_the_place_of_a_partial_file_are_left_alone(
    tmp_path: Path, make: Callable[[Path], None]
) -> None:
    make(tmp_path / f".f{PARTIAL_SUFFIX}")
    receive(tmp_path, file("f"))
    assert (tmp_path / "f").read_bytes() == b"hello"


def test_a_partial_file_of_an_earlier_transfer_is_used_again(tmp_path: Path) -> None:
    (tmp_path / f".f{PARTIAL_SUFFIX}").write_bytes(b"longer than what comes now")
    receive(tmp_path, file("f"))
    assert tree(tmp_path) == {"f"}
    assert (tmp_path / "f").read_bytes() == b"hello"


def test_two_receivers_in_one_folder_do_not_disturb_each_other(tmp_path: Path) -> None:
    names = plan(file("f"))
    with Destination(tmp_path, names) as one, Destination(tmp_path, names) as other:
        one.write(0, 0, b"one..")
        other.write(0, 0, b"other")
        assert one.partial_paths() != other.partial_paths()
        assert one.finish(0).name == "f"
        assert other.finish(0).name == "f (1)"
    assert (tmp_path / "f").read_bytes() == b"one.."
    assert (tmp_path / "f (1)").read_bytes() == b"other"


def test_the_name_of_a_partial_file_is_never_too_long(tmp_path: Path) -> None:
    names = ["n" * 255, "é" * 127, "n" * 254 + "m"]
    receive(tmp_path, *[file(name) for name in names])
    assert tree(tmp_path) == set(names)


# Mode and time


@pytest.fixture
def umask() -> Iterator[None]:
    """The usual umask."""
    before = os.umask(0o022)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.usefixtures("umask")
@pytest.mark.parametrize("way", ["write", "put"])
def test_modes_and_times_are_taken_over_and_nothing_is_wider(tmp_path: Path, way: str) -> None:
    modes = {0o6777: 0o755, 0o1755: 0o755, 0o600: 0o600, 0o444: 0o444, 0o400: 0o400, 0o640: 0o640}
    modes |= {0o666: 0o644, 0o700: 0o700, 0: 0, None: 0o644}  # type: ignore[dict-item]
    entries = [file(f"{n}", mode=given, mtime=1000 * n) for n, given in enumerate(modes)]
    with Destination(tmp_path, plan(*entries)) as destination:
        for n, given in enumerate(modes):
            if way == "put":
                destination.put([(n, b"hello")])
            else:
                destination.write(n, 0, b"hello")
                (partial,) = destination.partial_paths()
                assert mode(partial) == 0o600, given
                destination.finish(n)
    for n, wanted in enumerate(modes.values()):
        assert mode(tmp_path / f"{n}") == wanted
        assert (tmp_path / f"{n}").stat().st_mtime == n


def test_odd_times_do_no_harm(tmp_path: Path) -> None:
    receive(tmp_path, file("old", mtime=-1), file("far", mtime=2**53 - 1))
    assert (tmp_path / "old").stat().st_mtime_ns == -1_000_000
    assert (tmp_path / "far").exists()


@pytest.mark.usefixtures("umask")
def test_folders_are_private_while_they_are_filled_and_then_as_they_were(tmp_path: Path) -> None:
    entries = [
        folder("d", mode=0o750, mtime=1_000),
        folder("d/closed", mode=0o500, mtime=2_000),
        folder("d/open", mode=0o2777, mtime=3_000),
        file("d/closed/f"),
        file("d/implied/f"),
    ]
    with Destination(tmp_path, plan(*entries)) as destination:
        for index in range(3):
            assert mode(destination.make_directory(index)) == 0o700
        for index in (3, 4):
            destination.write(index, 0, b"hello")
            assert mode(destination.partial_paths()[0].parent) == 0o700
            destination.finish(index)
        destination.set_folders()
    modes = {"d": 0o750, "d/closed": 0o500, "d/open": 0o755, "d/implied": 0o755}
    assert {name: mode(tmp_path / name) for name in modes} == modes
    times = {"d": 1, "d/closed": 2, "d/open": 3}
    assert {name: (tmp_path / name).stat().st_mtime for name in times} == times


@pytest.mark.usefixtures("umask")
def test_a_folder_that_was_there_keeps_its_mode(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir(mode=0o711)
    receive(tmp_path, folder("d", mode=0o755, mtime=5), file("d/f"), overwrite=True)
    assert mode(tmp_path / "d") == 0o711
    assert (tmp_path / "d").stat().st_mtime > 1000


@pytest.mark.usefixtures("umask")
def test_a_partial_file_of_an_earlier_transfer_becomes_private(tmp_path: Path) -> None:
    left = tmp_path / f".f{PARTIAL_SUFFIX}"
    left.write_bytes(b"x")
    left.chmod(0o644)
    with Destination(tmp_path, plan(file("f", mode=0o600))) as destination:
        destination.write(0, 0, b"hello")
        assert mode(left) == 0o600


def test_a_strict_umask_is_respected(tmp_path: Path) -> None:
    umask = os.umask(0o077)
    try:
        receive(tmp_path, folder("d", mode=0o755), file("d/run", mode=0o777), file("d/none"))
    finally:
        os.umask(umask)
    assert mode(tmp_path / "d") == mode(tmp_path / "d" / "run") == 0o700
    assert mode(tmp_path / "d" / "none") == 0o600


# Full, forbidden


def test_too_little_room_is_seen_before_anything_is_accepted(tmp_path: Path) -> None:
    with pytest.raises(DiskError, match=r"Not enough room in .* needed, .* free\."):
        Destination(tmp_path, plan(file("f", 2**53 - 1)))


def test_a_disk_that_fills_up_is_named_and_keeps_what_arrived(tmp_path: Path) -> None:
    # A limit on the size of files stands in for a full disk: the same call fails in the same place.
    program = """
        import resource, sys
        from peer.errors import DiskError
        from peer.transfer.disk import Destination
        from peer.transfer.protocol import Entry, Manifest
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        entry = Entry(path="film.mkv", kind="file", size=200_000)
        with Destination(sys.argv[1], Manifest([entry])) as destination:
            destination.write(0, 0, bytes(60_000))
            try:
                destination.write(0, 60_000, bytes(60_000))
            except DiskError as exc:
                print(exc, *destination.partial_paths())
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program), str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    partial = tmp_path / f".film.mkv{PARTIAL_SUFFIX}"
    assert done.stdout == f'"film.mkv" is larger than a file may be on this disk. {partial}\n'
    assert partial.stat().st_size == 100_000


def test_a_full_file_system_is_named(tmp_path: Path) -> None:
    # The small file system is mounted in a namespace of its own, and vanishes with it.
    program = """
        import subprocess, sys
        from pathlib import Path
        from peer.errors import DiskError
        from peer.transfer.disk import Destination
        from peer.transfer.protocol import Entry, Manifest
        out = sys.argv[1]
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", out], check=True)
        entries = [Entry(path=path, kind="file", size=10) for path in "ab"]
        with Destination(out, Manifest(entries)) as destination:
            destination.write(0, 0, b"0123456789")
            try:
                destination.write(1, 0, bytes(100_000))
            except DiskError as exc:
                print(exc)
            print(destination.finish(0).read_bytes())
    """
    unshare = ["unshare", "--mount"] if ROOT else ["unshare", "--mount", "--map-root-user"]
    done = subprocess.run(
        [*unshare, sys.executable, "-c", textwrap.dedent(program), str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout == 'The disk is full: "b" could not be written.\n' + "b'0123456789'\n"
    assert tree(tmp_path) == set()


def test_a_folder_without_permission_is_named(open_path: Path) -> None:
    (open_path / "locked").mkdir(mode=0o555)
    for out in (open_path / "locked", open_path / "locked" / "new"):
        with without_permissions(), pytest.raises(DiskError) as caught:
            Destination(out, plan(file("f")))
        assert str(caught.value) == f'No permission to write "{out}".'


def test_a_destination_that_is_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"")
    with pytest.raises(DiskError, match="in the way"):
        Destination(tmp_path / "f", plan(file("x")))


def test_a_file_system_without_a_size_counts_as_large_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Nothing:
        f_blocks = f_bavail = f_frsize = 0

    monkeypatch.setattr(os, "fstatvfs", lambda _: Nothing)
    receive(tmp_path, file("f"))
    assert (tmp_path / "f").exists()


def test_links_are_left_out_where_there_are_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "symlink", refuse)
    with Destination(tmp_path, plan(link("d/l", "x"), link("d/out", "/etc"))) as destination:
        assert not destination.make_link(0)
        assert not destination.make_link(1)
    assert [note.path for note in destination.left_out] == ["d/l", "d/out"]


def test_a_manifest_with_a_path_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TransferError, match="The offer is not valid"):
        Destination(tmp_path, plan(file("f"), file("f")))
    assert tree(tmp_path) == set()


def test_small_files_are_put_together_and_numbered(tmp_path: Path) -> None:
    (tmp_path / "f1").write_bytes(b"mine")
    entries = [file(f"f{n}", mode=0o640, mtime=n) for n in range(50)]
    with Destination(tmp_path, plan(*entries)) as destination:
        destination.put((n, f"{n}".encode()) for n in range(50))
        assert destination.partial_paths() == []
        assert [note.name for note in destination.renamed] == ["f1 (1)"]
    assert (tmp_path / "f1").read_bytes() == b"mine"
    assert (tmp_path / "f1 (1)").read_bytes() == b"1"
    assert len(tree(tmp_path)) == 51


def test_many_small_files_in_many_folders_are_never_all_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from peer.transfer.disk import destination as module

    monkeypatch.setattr(module, "_OPEN_AT_ONCE", 10)
    most = 0
    original = os.fsync

    def fsync(descriptor: int) -> None:
        nonlocal most
        most = max(most, len(os.listdir("/proc/self/fd")))
        original(descriptor)

    monkeypatch.setattr("peer.transfer.disk.flushing._syncfs", lambda: None)
    monkeypatch.setattr(os, "fsync", fsync)
    before = len(os.listdir("/proc/self/fd"))
    with Destination(tmp_path, plan(*[file(f"{n}/f") for n in range(40)])) as destination:
        destination.put((n, b"hello") for n in range(40))
    assert most <= before + 12
    assert len(list(tmp_path.rglob("f"))) == 40


@pytest.mark.parametrize("count", [3, 20])
def test_files_are_flushed_before_they_get_their_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    from peer.transfer.disk import flushing

    flushed: list[set[str]] = []
    monkeypatch.setattr(os, "fsync", lambda _: flushed.append(tree(tmp_path)))
    with Destination(tmp_path, plan(*[file(f"{n}") for n in range(count)])) as destination:
        for sync in (flushing._syncfs(), None):
            monkeypatch.setattr(flushing, "_syncfs", lambda sync=sync: sync)
            flushed.clear()
            destination.put((n, b"hello") for n in range(count))
            finished = {f"{n}" for n in range(count)}
            if sync is None or count < 5:
                assert len(flushed) == count
                assert all("peerline-part" in name for name in flushed[0] - finished)
    assert len(tree(tmp_path)) == 2 * count


def test_a_flush_that_fails_is_told_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from peer.transfer.disk import flushing

    monkeypatch.setattr(flushing, "_syncfs", lambda: lambda _: 28)
    destination = Destination(tmp_path, plan(*[file(f"{n}") for n in range(9)]))
    with destination, pytest.raises(DiskError, match="The disk is full"):
        destination.put((n, b"hello") for n in range(9))
    assert tree(tmp_path) == set()


# Other file systems


@pytest.mark.skipif(sys.platform != "linux", reason="mounts are Linux'")
def test_a_disk_that_ignores_case_gets_numbers_and_portable_names(tmp_path: Path) -> None:
    # A file system of that kind cannot be mounted everywhere: the probe is what would tell.
    from peer.transfer.disk import abilities
    from peer.transfer.protocol.names import PORTABLE

    found = abilities.Abilities(PORTABLE, 0o755)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("peer.transfer.disk.destination.probe", lambda _: found)
        receive(tmp_path, file("d/README"), file("D/readme"), file("d/readme"), file("d/a:b"))
    assert tree(tmp_path) == {"d", "d/README", "D (1)", "D (1)/readme", "d/readme (1)", "d/a_b"}


def test_a_probe_leaves_nothing_behind(tmp_path: Path) -> None:
    from peer.transfer.disk.abilities import probe

    folder = os.open(tmp_path, os.O_RDONLY)
    try:
        found = probe(folder)
    finally:
        os.close(folder)
    assert os.listdir(tmp_path) == []
    assert found.platform.limit <= 255


@pytest.mark.skipif(sys.platform != "linux", reason="other systems are portable anyway")
@pytest.mark.parametrize("refuses", ["odd names", "odd bytes"])
def test_a_disk_that_refuses_odd_names_is_recognised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refuses: str
) -> None:
    from peer.transfer.disk.abilities import probe
    from peer.transfer.protocol.names import PORTABLE

    original = os.open

    def stick(name: str, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        if (":" if refuses == "odd names" else "\udcff") in name:
            raise OSError(22, "Invalid argument")
        return original(name, flags, mode, dir_fd=dir_fd)

    folder = os.open(tmp_path, os.O_RDONLY)
    monkeypatch.setattr(os, "open", stick)
    try:
        assert probe(folder).platform == PORTABLE
    finally:
        os.close(folder)
    assert os.listdir(tmp_path) == []


# Resources


def test_nothing_stays_open(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    receive(tmp_path, folder("d"), *[file(f"d/{n}") for n in range(20)], link("d/l", "1"))
    with Destination(tmp_path, plan(file("half"))) as destination:
        destination.write(0, 0, b"ha")
        partial = destination.partial_paths()
    destination.close()
    assert len(os.listdir("/proc/self/fd")) == before
    assert partial[0].read_bytes() == b"ha", "what arrived is kept"


def test_one_file_may_be_written_by_several_threads(tmp_path: Path) -> None:
    count, size = 32, 10_000
    with Destination(tmp_path, plan(file("d/f", count * size))) as destination:
        threads = [
            Thread(target=destination.write, args=(0, n * size, bytes([n]) * size))
            for n in range(count)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        destination.finish(0)
    assert tree(tmp_path) == {"d", "d/f"}
    assert (tmp_path / "d" / "f").read_bytes() == b"".join(bytes([n]) * size for n in range(count))
