"""An invitation on terminals of many sizes: the code and the command are always in sight."""

from __future__ import annotations

import io
from dataclasses import dataclass

import pyte
import pytest

from peer.cli.terminal import wording
from peer.security.codes import Code
from tests.support.processes.screens import sized_screen


@dataclass
class Certificate:
    fingerprint: str = ":".join(["AB"] * 32)


@dataclass
class Embedded:
    tls_port: int | None = 44321
    certificate: Certificate | None = None
    announced: bool = True
    addresses: tuple[str, ...] = ("192.168.100.200",)


@dataclass
class Invited:
    code: Code
    link: str
    embedded: Embedded | None


def display(
    columns: int, rows: int, *, qr: bool | None, words: int, lan: bool, announced: bool = True
) -> list[str]:
    """The lines of a terminal after `peerline send` with nine names."""
    code = Code("7", ("guitar", "ocean", *["leprechaun"] * 6)[:words])
    stream = io.TextIOWrapper(io.BytesIO(), "utf-8")
    screen = sized_screen(stream, columns, rows)
    embedded = Embedded(certificate=Certificate(), announced=announced) if lan else None
    server = "https://192.168.100.200:44321" if lan else "https://peerline.example.org"
    invited = Invited(code, f"{server}/#{code}", embedded)
    for _ in range(10):
        screen.say("    something that is sent")
    wording.invitation(screen, invited, command="peerline receive", show_qr=qr)  # type: ignore[arg-type]
    screen.status("Waiting for the other side ... (Ctrl-C gives up)")
    stream.flush()
    terminal = pyte.Screen(columns, rows)
    drawn = stream.buffer.getvalue().decode()
    pyte.Stream(terminal).feed(drawn.replace("\n", "\r\n"))
    return [line.rstrip() for line in terminal.display]


@pytest.mark.parametrize("lan", [True, False])
@pytest.mark.parametrize("words", [2, 8])
@pytest.mark.parametrize("qr", [None, True, False])
@pytest.mark.parametrize(
    ("columns", "rows"), [(80, 24), (80, 50), (40, 24), (120, 40), (200, 60), (60, 15), (80, 10)]
)
def test_code_and_command_are_in_sight(
    columns: int, rows: int, qr: bool | None, words: int, lan: bool
) -> None:
    shown = display(columns, rows, qr=qr, words=words, lan=lan)
    whole = "".join(shown)
    assert "    peerline receive" in shown
    assert "Code: 7-guitar-ocean" in whole
    assert shown.index("    peerline receive") < next(
        index for index, line in enumerate(shown) if line.startswith("Code: 7-guitar-ocean")
    )
    assert "Waiting for the other side" in whole


@pytest.mark.parametrize("rows", range(15, 61))
def test_code_for_cameras_is_whole_or_not_there(rows: int) -> None:
    shown = display(80, rows, qr=None, words=2, lan=True)
    drawn = [line for line in shown if "█" in line]
    assert len(drawn) in (0, 17, 19)
    if drawn:
        assert any("192.168.100.200" in line for line in shown)


@pytest.mark.parametrize(("qr", "told"), [(None, True), (False, False)])
def test_room_that_is_lacking_is_told(qr: bool | None, told: bool) -> None:
    lines = display(80, 24, qr=qr, words=2, lan=True)
    assert any("has room for a QR code" in line for line in lines) == told


def test_network_without_announcements_is_told() -> None:
    shown = display(80, 24, qr=None, words=2, lan=True, announced=False)
    assert any("carries no announcements" in line for line in shown)
    assert "Code: 7-guitar-ocean" in shown
