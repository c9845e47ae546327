"""Sentences about people, paths and files."""

from __future__ import annotations

import io

from peer.cli.terminal import wording
from peer.cli.terminal.offer_view import listing
from peer.cli.terminal.screen import Screen
from peer.transfer.protocol.manifest import Entry
from peer.types import NetworkPath, PeerInfo


def shown(entries: list[Entry]) -> str:
    stream = io.StringIO()
    screen = Screen(stream)
    for line in listing(entries):
        screen.say(*line)
    return stream.getvalue()


def file(path: str, size: int) -> Entry:
    return Entry(path=path, kind="file", size=size)


def test_listing_sums_up_folders_and_names_files() -> None:
    entries = [
        Entry(path="holiday", kind="dir"),
        file("holiday/a.jpg", 1_000_000),
        file("holiday/more/b.jpg", 500_000),
        file("notes.txt", 17),
    ]
    assert shown(entries) == "    holiday/  1.5 MB, 2 files\n    notes.txt  17 B\n"


def test_long_listing_says_how_many_more_there_are() -> None:
    lines = shown([file(f"{number:03}", 1) for number in range(30)]).splitlines()
    assert len(lines) == 9
    assert lines[-1] == "    ... and 22 more"


def test_hostile_name_cannot_move_the_cursor() -> None:
    assert "\x1b" not in shown([file("evil\x1b[2J.txt", 1)])
    assert "\x1b" not in wording.who(PeerInfo("1", "al\x1b[2Jice"))


def test_nameless_peer_is_the_other_side_and_long_names_are_cut() -> None:
    assert wording.who(PeerInfo("1", "")) == "the other side"
    assert wording.begin(wording.who(PeerInfo("1", " "))) == "The other side"
    assert len(wording.who(PeerInfo("1", "x" * 1000))) == 40


def test_batch_counts_what_there_is() -> None:
    assert wording.batch(1, 0, 0, 5) == "1 file, 5 B"
    assert wording.batch(3, 2, 1, 64_000_000) == "3 files, 1 symbolic link, 2 folders, 64 MB"
    assert wording.batch(0, 1, 0, 0) == "1 folder, 0 B"


def test_path_tells_direct_from_relayed() -> None:
    direct = NetworkPath("direct", "host", "srflx", "10.0.0.1:5", "203.0.113.7:6")
    assert wording.path_in_full(direct) == (
        "direct, 10.0.0.1:5 to 203.0.113.7:6 (own address to address seen by STUN)"
    )
    relayed = NetworkPath("relayed", "relay", "host", "203.0.113.9:7", "10.0.0.2:8")
    assert wording.path_in_full(relayed) == (
        "relayed by a TURN server (203.0.113.9:7 to 10.0.0.2:8)"
    )
    assert wording.path_in_short(relayed) == "relayed"
    assert wording.path_in_short(None) == ""
