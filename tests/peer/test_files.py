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
from pathlib import Path
from threading import Thread

import pytest

from peer.errors import DiskError, UnsafeName
from peer.files import PARTIAL_SUFFIX, Destination, SourceChanged, Sources
from peer.files.problems import human_size
from peer.transfer.manifest import Entry
from peer.transfer.names import SafePlan, safe_manifest

ROOT = os.geteuid() == 0


def file(path: str, size: int = 5, mtime: int | None = None, mode: int | None = None) -> Entry:
    return Entry(path=path, kind="file", size=size, mtime=mtime, mode=mode)


def folder(path: str) -> Entry:
    return Entry(path=path, kind="dir")


def link(path: str, target: str) -> Entry:
    return Entry(path=path, kind="link", target=target)


def plan(*entries: Entry) -> SafePlan:
    return safe_manifest(entries)


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
                placed.append(destination.make_link(index))
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
    assert sources.skipped == ()


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
    assert {skipped.path.name for skipped in sources.skipped} == {"absolute", "out"}
    assert all("link" in str(skipped) for skipped in sources.skipped)


def test_pipes_and_sockets_inside_folders_are_skipped(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        sources = Sources.of([tmp_path])
    assert [entry.kind for entry in sources.manifest] == ["dir"]
    assert {skipped.path.name for skipped in sources.skipped} == {"pipe", "socket"}


def test_unfinished_transfers_are_not_sent(tmp_path: Path) -> None:
    (tmp_path / f".film.mkv{PARTIAL_SUFFIX}").write_bytes(b"half")
    sources = Sources.of([tmp_path])
    assert len(sources.manifest) == 1
    assert "unfinished" in str(sources.skipped[0])


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


def test_names_that_the_other_side_would_refuse_are_refused_here(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "a:b").write_bytes(b"")
    with pytest.raises(UnsafeName, match="colon"):
        Sources.of([tmp_path / "one"])
    (tmp_path / "two").mkdir()
    Path(os.fsdecode(bytes(tmp_path / "two") + b"/not-utf8-\xff")).write_bytes(b"")
    with pytest.raises(UnsafeName, match="lone surrogate"):
        Sources.of([tmp_path / "two"])


def test_two_things_of_one_name_are_refused(tmp_path: Path) -> None:
    for where in ("x", "y"):
        (tmp_path / where).mkdir()
        (tmp_path / where / "same").write_bytes(b"")
    with pytest.raises(UnsafeName, match="twice"):
        Sources.of([tmp_path / "x" / "same", tmp_path / "y" / "same"])


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
    assert str(caught.value) == f'"{secret}" cannot be read: permission denied.'


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


@pytest.mark.parametrize("change", [shrink, grow, replace, pipe, Path.unlink])
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
    with pytest.raises(DiskError):
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


def test_overwriting_does_not_replace_a_folder_by_a_file(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    with pytest.raises(DiskError, match="a folder of that name is in the way"):
        receive(tmp_path, file("x"), overwrite=True)


def test_file_systems_without_hard_links_do_not_overwrite_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    for data in (b"first", b"2nd"):
        receive(tmp_path, file("f.txt"), data=data)
    assert tree(tmp_path) == {"f.txt", "f (1).txt"}
    assert (tmp_path / "f.txt").read_bytes() == b"first"
    assert (tmp_path / "f (1).txt").read_bytes() == b"2nd"


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


def test_only_the_x_bits_and_the_time_are_taken_over(tmp_path: Path) -> None:
    receive(
        tmp_path,
        file("run", mode=0o6777, mtime=1_700_000_000_123),
        file("data", mode=0o600, mtime=-1),
        file("none"),
        file("far", mtime=2**53 - 1),
    )
    umask = os.umask(0o022)
    os.umask(umask)
    plain = 0o666 & ~umask
    assert stat.S_IMODE((tmp_path / "run").stat().st_mode) == 0o777 & ~umask
    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == plain
    assert stat.S_IMODE((tmp_path / "none").stat().st_mode) == plain
    assert (tmp_path / "run").stat().st_mtime_ns == 1_700_000_000_123_000_000
    assert (tmp_path / "data").stat().st_mtime_ns == -1_000_000
    assert (tmp_path / "far").exists()


def test_a_strict_umask_is_respected(tmp_path: Path) -> None:
    umask = os.umask(0o077)
    try:
        receive(tmp_path, file("run", mode=0o777))
    finally:
        os.umask(umask)
    assert stat.S_IMODE((tmp_path / "run").stat().st_mode) == 0o700


# Full, forbidden


def test_too_little_room_is_seen_before_anything_is_accepted(tmp_path: Path) -> None:
    with pytest.raises(DiskError, match=r"Not enough room in .* needed, .* free\."):
        Destination(tmp_path, plan(file("f", 2**53 - 1)))


def test_a_disk_that_fills_up_is_named_and_keeps_what_arrived(tmp_path: Path) -> None:
    # A limit on the size of files stands in for a full disk: the same call fails in the same place.
    program = """
        import resource, sys
        from peer.errors import DiskError
        from peer.files import Destination
        from peer.transfer import Entry, safe_manifest
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        entry = Entry(path="film.mkv", kind="file", size=200_000)
        with Destination(sys.argv[1], safe_manifest([entry])) as destination:
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
        from peer.files import Destination
        from peer.transfer import Entry, safe_manifest
        out = sys.argv[1]
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", out], check=True)
        entries = [Entry(path=path, kind="file", size=10) for path in "ab"]
        with Destination(out, safe_manifest(entries)) as destination:
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


@pytest.mark.parametrize(
    ("count", "shown"),
    [(0, "0 bytes"), (1, "1 byte"), (999, "999 bytes"), (1500, "1.5 kB"), (999_600, "1.0 MB")],
)
def test_sizes_are_decimal(count: int, shown: str) -> None:
    assert human_size(count) == shown
