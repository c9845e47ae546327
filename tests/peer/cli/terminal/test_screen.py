"""The screen, as a terminal emulator shows it."""

from __future__ import annotations

import io
import re

import pyte

from peer.cli.terminal.screen import Screen
from tests.support.processes.screens import sized_screen


def shown(text: str, columns: int = 60) -> list[str]:
    display = pyte.Screen(columns, 10)
    pyte.Stream(display).feed(text.replace("\n", "\r\n"))
    return [line.rstrip() for line in display.display if line.strip()]


def terminal(columns: int = 60, **environ: str) -> tuple[Screen, io.StringIO]:
    stream = io.StringIO()
    return sized_screen(stream, columns, 24, environ=environ), stream


def test_pipe_gets_plain_lines() -> None:
    stream = io.StringIO()
    screen = Screen(stream)
    screen.say("Code: ", ("7-guitar-ocean", "code"))
    screen.status("Waiting ...")
    screen.status("Waiting ...")
    screen.clear_status()
    assert stream.getvalue() == "Code: 7-guitar-ocean\nWaiting ...\n"


def test_dumb_terminal_counts_as_a_pipe() -> None:
    class Dumb(io.StringIO):
        def isatty(self) -> bool:
            return True

    assert Screen(Dumb(), environ={"TERM": "xterm"}).terminal
    assert not Screen(Dumb(), environ={"TERM": "dumb"}).terminal


def test_status_line_is_replaced_in_place() -> None:
    screen, stream = terminal()
    screen.status("a long first status")
    screen.status("short")
    assert shown(stream.getvalue()) == ["short"]


def test_line_is_printed_above_the_status() -> None:
    screen, stream = terminal()
    screen.status("working")
    screen.say("a line")
    screen.say("another")
    assert shown(stream.getvalue()) == ["a line", "another", "working"]


def test_status_disappears_when_cleared() -> None:
    screen, stream = terminal()
    screen.say("a line")
    screen.status("working")
    screen.clear_status()
    assert shown(stream.getvalue()) == ["a line"]


def test_status_wider_than_the_terminal_is_cut_instead_of_wrapped() -> None:
    screen, stream = terminal(20)
    screen.status("0123456789" * 5)
    screen.status("done")
    assert shown(stream.getvalue(), columns=20) == ["done"]


def test_wide_characters_do_not_overflow_the_status_line() -> None:
    screen, stream = terminal(20)
    screen.status("日本" * 20)
    screen.status("done")
    assert shown(stream.getvalue(), columns=20) == ["done"]


def test_no_color_leaves_colours_out() -> None:
    screen, stream = terminal(NO_COLOR="1")
    screen.say(("code", "code"))
    assert stream.getvalue() == "code\n"


def test_what_looks_like_markup_is_printed_as_it_is() -> None:
    screen, stream = terminal()
    screen.say("[red]x[/red] [bold", ("[/]", "name"))
    assert shown(stream.getvalue()) == ["[red]x[/red] [bold[/]"]


def test_unprintable_character_does_not_stop_an_ascii_terminal() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    Screen(stream).say("naïve…")
    assert raw.getvalue() == b"na\\xefve\\u2026\n"


def test_prose_is_broken_between_words_and_what_is_copied_is_not() -> None:
    for environ in ({}, {"NO_COLOR": "1"}):
        screen, stream = terminal(20, **environ)
        screen.say("Some words that are wider than this terminal.")
        screen.say("Link: ", ("https://example.org/#7-guitar-ocean", "command"))
        assert screen.rows("Some words that are wider than this terminal.") == 3
        plain = re.sub(r"\x1b\[[0-9;]*m", "", stream.getvalue())
        assert plain.splitlines() == [
            "Some words that are",
            "wider than this",
            "terminal.",
            "Link: https://example.org/#7-guitar-ocean",
        ]
