"""The description of an offer: no dangerous entry hides in a long list."""

from __future__ import annotations

import random
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.cells import cell_len

from peer.cli.terminal.offer_view import danger_of, free_space, offer
from peer.transfer.protocol.manifest import Entry, Manifest

HOLIDAY = tuple(f"holiday-{number}.jpg" for number in range(30))


def file(path: str, size: int = 1, mode: int = 0o644) -> Entry:
    return Entry(path=path, kind="file", size=size, mode=mode)


def lines_of(*entries: Entry, out: Path) -> list[str]:
    said = offer(Manifest(entries), sender="alice", out=out).lines
    return ["".join(part if isinstance(part, str) else part[0] for part in line) for line in said]


@pytest.mark.parametrize(
    ("path", "mode", "said"),
    [
        (".bash_profile", 0o644, "takes effect by itself, hidden"),
        (".ssh/authorized_keys", 0o600, "takes effect by itself, hidden"),
        (".config/autostart/x.desktop", 0o644, "takes effect by itself, hidden"),
        (".BASHRC", 0o644, "takes effect by itself, hidden"),
        ("autostart/x.desktop", 0o644, "takes effect by itself"),
        ("Library/LaunchAgents/x.plist", 0o644, "takes effect by itself"),
        ("photos/.git/hooks/post-checkout", 0o755, "hidden"),
        (".unheard-of", 0o644, "hidden"),
        ("bin/ls", 0o755, "a program"),
        ("holiday.jpg.exe", 0o644, "a program"),
    ],
)
def test_what_acts_or_hides_stands_first_however_long_the_list(
    path: str, mode: int, said: str, tmp_path: Path
) -> None:
    entries = [*(file(name) for name in HOLIDAY), file(path, 5, mode)]
    lines = lines_of(*entries, out=tmp_path)
    first = path if "/." not in f"/{path}" or "/" not in path else path.split("/.")[0].split("/")[0]
    assert lines[0].startswith("alice wants to send you 31 files")
    assert lines[1].startswith(f"    {first}")
    assert said in lines[1]
    assert any(line.startswith("Check before you accept:") for line in lines)


def test_decoys_do_not_bury_what_acts_by_itself(tmp_path: Path) -> None:
    decoys = [file(f".{number}") for number in range(500)]
    decoys += [file(f"tool-{number}", mode=0o755) for number in range(500)]
    decoys += [file(f"project-{number}/.git/config") for number in range(100)]
    entries = [*decoys, file(".zshenv"), *(file(name) for name in HOLIDAY)]
    random.Random(1).shuffle(entries)
    lines = lines_of(*entries, out=tmp_path)
    assert lines[1].startswith("    .zshenv  ")
    assert "    ... and 1,093 more hidden files or programs" in lines
    assert "    ... and 126 more" in lines
    assert "101 may take effect without being opened, 601 hidden, 500 can be run" in "".join(lines)
    assert len(lines) < 20


def test_hidden_folder_is_one_line_with_what_is_in_it(tmp_path: Path) -> None:
    entries = [
        Entry(path="a", kind="dir"),
        Entry(path="a/.cache", kind="dir"),
        file("a/.cache/1", 10),
        file("a/.cache/.2", 20, 0o755),
        file("a/b", 70),
    ]
    lines = lines_of(*entries, out=tmp_path)
    assert lines[1] == "    a/.cache/  30 B, 2 files, hidden, 1 program"
    assert lines[2] == "    a/  100 B, 3 files"


def test_ordinary_files_are_no_cause_for_words(tmp_path: Path) -> None:
    said = offer(Manifest([file("a.jpg"), file("b/c.txt")]), sender="the other side", out=tmp_path)
    assert not said.dangerous
    assert len(said.lines) == 4


def test_hostile_names_are_spelled_out(tmp_path: Path) -> None:
    lines = lines_of(file(".\x1b[2J"), file("a\u202egpj.exe"), file("x" * 4000), out=tmp_path)
    assert all(line.isprintable() and len(line) < 200 for line in lines[1:4])


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("   ", "␣␣␣"),
        (" .bashrc", "␣.bashrc"),
        ("a.jpg" + 90 * " " + ".sh", "a.jpg" + 34 * "␣" + "…" + 17 * "␣" + ".sh"),
        ("a.jpg\u3000\u2003x.sh", "a.jpg␣␣x.sh"),
        ("a b.sh", "a b.sh"),
        ("a/ /b.sh", "a/␣/b.sh"),
    ],
)
def test_blanks_do_not_hide_a_name_or_its_end(path: str, shown: str, tmp_path: Path) -> None:
    (line,) = lines_of(file(path, mode=0o755), out=tmp_path)[1:2]
    assert line.startswith(f"    {shown}  1 B")


def test_wide_characters_and_escapes_do_not_break_a_line(tmp_path: Path) -> None:
    entries = [file("你" * 80 + ".sh"), file("\x1b" * 80), file(".x" + "\u202e" * 80)]
    for line in lines_of(*entries, out=tmp_path)[1:4]:
        assert cell_len(line.partition("  1 B")[0]) <= 4 + 60


def test_what_the_next_login_runs_stands_before_what_waits_for_a_program(tmp_path: Path) -> None:
    decoys = [".emacs", ".exrc", ".gdbinit", ".git/config", ".hg/hgrc", ".idea/x", ".kde/x"]
    entries = map(file, [*decoys, ".lldbinit", ".vimrc", ".bash_profile", ".ssh/authorized_keys"])
    lines = lines_of(*entries, out=tmp_path)
    assert lines[1].startswith("    .bash_profile  ")
    assert lines[2].startswith("    .ssh/  ")


def folders(tmp_path: Path) -> tuple[Path, dict[str, str]]:
    home = tmp_path / "people" / "bob"
    (home / "bin").mkdir(parents=True)
    return home, {"HOME": str(home), "PATH": f"/usr/bin:{home / 'bin'}:relative"}


@pytest.mark.parametrize(
    ("folder", "said"),
    [
        (".", "your home folder"),
        ("Downloads/..", "your home folder"),
        ("..", "the folder that holds all home folders"),
        ("/", "the root folder"),
        (".ssh", "hidden folder"),
        (".config/autostart", "hidden folder"),
        ("Downloads/.x/y", "hidden folder"),
        ("bin", "it is in PATH"),
        ("/usr/bin", "folder of the system"),
        ("/etc/cron.d", "folder of the system"),
        ("/usr/lib/python3/dist-packages", "folder of the system"),
        ("Downloads", ""),
        ("new/folder", ""),
        ("/mnt/disk", ""),
        ("/var/tmp/x", ""),
        ("/run/media/bob/stick", ""),
    ],
)
def test_folders_where_files_take_effect_are_named(folder: str, said: str, tmp_path: Path) -> None:
    home, environ = folders(tmp_path)
    found = danger_of(home / folder, environ)
    assert said in found
    assert bool(found) == bool(said)


def test_link_to_the_home_is_the_home(tmp_path: Path) -> None:
    home, environ = folders(tmp_path)
    (tmp_path / "innocent").symlink_to(home)
    assert "your home folder" in danger_of(tmp_path / "innocent", environ)


def test_without_a_home_nothing_breaks(tmp_path: Path) -> None:
    assert danger_of(tmp_path, {}) == ""


def test_mere_enter_accepts_nothing_that_could_act_in_a_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, _ = folders(tmp_path)
    monkeypatch.setenv("HOME", str(home))
    assert offer(Manifest([file(".profile")]), sender="alice", out=home).dangerous
    assert not offer(Manifest([file("a.jpg")]), sender="alice", out=home).dangerous
    assert not offer(Manifest([file(".profile")]), sender="alice", out=home / "in").dangerous
    lines = lines_of(file("a.jpg"), out=home)
    assert lines[-1].startswith("Careful: this is your home folder")


def test_file_system_without_a_size_does_not_count_what_is_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert free_space(tmp_path / "not" / "yet")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(total=0, used=0, free=0))
    assert free_space(tmp_path) is None
    assert lines_of(file("a"), out=tmp_path)[-1] == f"They go into {tmp_path}."
