"""The QR code on the terminal says the link, and stays away where it cannot be shown."""

from __future__ import annotations

import io

import pyte
import segno

from peer.cli.terminal import qr
from peer.cli.terminal.screen import Screen
from tests.support.processes.screens import sized_screen

LINK = "https://192.168.100.200:44321/#7-guitar-ocean"
LIGHT = {"█": (True, True), "▀": (True, False), "▄": (False, True), " ": (False, False)}


class Terminal(io.StringIO):
    encoding = "utf-8"


def modules(lines: list[str]) -> list[list[bool]]:
    """Half blocks back to modules, True where dark."""
    rows = []
    for line in lines:
        rows.append([not LIGHT[char][0] for char in line])
        rows.append([not LIGHT[char][1] for char in line])
    return rows


def test_half_blocks_carry_the_code_within_a_quiet_zone() -> None:
    drawn = modules(qr.lines(LINK))
    expected = [
        [bool(module) for module in row]
        for row in segno.make_qr(LINK, error="l", boost_error=False).matrix
    ]
    inner = [row[2:-2] for row in drawn[2 : 2 + len(expected)]]
    assert inner == expected
    border = [*drawn[0], *drawn[1], *(row[0] for row in drawn), *(row[-1] for row in drawn)]
    assert not any(border)


def test_link_fits_a_classic_terminal() -> None:
    lines = qr.lines(LINK)
    assert len(lines) <= 20
    assert len(lines[0]) < 78


def test_code_is_white_on_black_whatever_the_terminal_likes() -> None:
    stream = Terminal()
    screen = Screen(stream, terminal=True, environ={"NO_COLOR": "1"})
    qr.show(screen, qr.lines(LINK))
    display = pyte.Screen(80, 30)
    pyte.Stream(display).feed(stream.getvalue().replace("\n", "\r\n"))
    corner = display.buffer[0][2]
    assert (corner.data, corner.fg, corner.bg) == ("█", "brightwhite", "black")


def fits(stream: io.StringIO, *, terminal: bool = True, columns: int = 80, lines: int = 50) -> bool:
    screen = sized_screen(stream, columns, lines, terminal=terminal)
    return qr.fits(screen, qr.lines(LINK), rows=9)


def test_code_is_for_terminals_that_have_room_for_it_and_what_follows() -> None:
    height = len(qr.lines(LINK)) + 9
    width = len(qr.lines(LINK)[0]) + 2
    assert fits(Terminal(), columns=width, lines=height)
    assert not fits(Terminal(), columns=width, lines=height - 1)
    assert not fits(Terminal(), columns=width - 1, lines=height)
    assert not fits(Terminal(), terminal=False)


def test_terminal_without_block_characters_gets_no_code() -> None:
    class Ascii(io.StringIO):
        encoding = "ascii"

    assert not fits(Ascii())
