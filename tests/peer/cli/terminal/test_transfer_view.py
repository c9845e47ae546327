"""How a transfer ended, as both sides are told."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from peer.cli.terminal.transfer_view import notices, places, status_of, summary, unfinished
from peer.transfer.engine import Progress, TransferStage
from peer.transfer.protocol.manifest import Entry, Manifest
from peer.transfer.protocol.notes import LeftOut, Notes, Renamed


@dataclass
class Ended:
    left_out: Notes[LeftOut] = field(default_factory=Notes)
    renamed: Notes[Renamed] = field(default_factory=Notes)
    paths: tuple[Path, ...] = ()
    partial_paths: tuple[Path, ...] = ()
    not_placed: int = 0
    manifest: Manifest = field(default_factory=Manifest)
    progress: Progress = field(
        default_factory=lambda: Progress(TransferStage.DONE, 0, 0, 0, 0, 0, "")
    )


def text_of(lines: list[tuple[str | tuple[str, str], ...]]) -> list[str]:
    return ["".join(part if isinstance(part, str) else part[0] for part in line) for line in lines]


def said(ended: Ended) -> list[str]:
    return text_of(notices(ended))  # type: ignore[arg-type]  # as far as it is looked at


def test_whole_transfer_has_nothing_to_be_told_and_is_done() -> None:
    assert said(Ended()) == []
    assert status_of(Ended()) == 0  # type: ignore[arg-type]  # as far as it is looked at


def test_what_was_left_out_is_named_and_has_a_status_of_its_own() -> None:
    ended = Ended(left_out=Notes([LeftOut("d/fifo\x1b[2J", "is a pipe")]))
    assert said(ended) == ["Left out (1):", "    d/fifo\\x1b[2J is a pipe"]
    assert status_of(ended) == 10  # type: ignore[arg-type]  # as far as it is looked at


def test_new_names_are_told_and_are_no_failure() -> None:
    ended = Ended(renamed=Notes([Renamed("a:b\u202e", "a_b (1)")]))
    assert said(ended) == ["Renamed (1):", "    a:b\\u202e is now a_b (1)"]
    assert status_of(ended) == 0  # type: ignore[arg-type]  # as far as it is looked at


def test_many_are_counted_whether_or_not_they_were_kept() -> None:
    left_out = Notes(LeftOut(str(number), "is a pipe") for number in range(150))
    left_out.count(1000)
    lines = said(Ended(left_out=left_out, renamed=Notes([Renamed("a", "b")] * 6)))
    assert lines[0] == "Left out (1,150):"
    assert lines[6:8] == ["    ... and 1,145 more", "Renamed (6):"]
    assert lines[-1] == "    ... and 1 more"


def test_what_the_other_side_left_out_and_did_not_name_is_counted() -> None:
    left_out: Notes[LeftOut] = Notes()
    left_out.count(3)
    assert said(Ended(left_out=left_out)) == ["Left out by the other side: 3 files or folders."]
    assert status_of(Ended(left_out=left_out)) == 10  # type: ignore[arg-type]  # as far as it is looked at


def test_places_of_many_files_do_not_fill_the_screen() -> None:
    paths = tuple(Path(f"/x/{number}") for number in range(1000))
    lines = text_of(places(Ended(paths=paths)))  # type: ignore[arg-type]  # as far as it is looked at
    assert len(lines) == 21
    assert lines[-1] == "    ... and 980 more"


def test_what_lies_around_half_is_told() -> None:
    ended = Ended(partial_paths=tuple(Path(f"/x/.{number}.part") for number in range(7)))
    lines = text_of(unfinished(ended))  # type: ignore[arg-type]  # as far as it is looked at
    assert lines[0] == "Unfinished files; another run starts from the beginning:"
    assert lines[1] == "    /x/.0.part"
    assert lines[-1] == "    ... and 2 more"
    assert unfinished(Ended()) == []  # type: ignore[arg-type]  # as far as it is looked at


@pytest.mark.parametrize(
    ("seconds", "took"),
    [(0.0, "less than 0.1 s"), (2.0, "2.0 s (3.5 kB/s)"), (70.0, "1:10 (100 B/s)")],
)
def test_ending_counts_what_came_and_not_what_was_offered(seconds: float, took: str) -> None:
    entries = [Entry(path=f"f{number}", kind="file", size=7000) for number in range(3)]
    entries += [Entry(path=f"l{number}", kind="link", target="f0") for number in range(2)]
    progress = Progress(TransferStage.DONE, 7000, 7000, 0, 1, 1, "")
    ended = Ended(manifest=Manifest(entries), progress=progress, not_placed=1)
    sentence = summary("Received", ended, seconds)  # type: ignore[arg-type]  # as far as it is looked at
    assert sentence == f"Received 1 file, 1 symbolic link, 7 kB in {took}"
