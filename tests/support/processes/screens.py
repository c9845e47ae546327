"""The command's screen in this process, on a terminal of a given size."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TextIO

import pytest

from peer.cli.terminal.screen import Screen

__all__ = ["sized_screen"]


def sized_screen(
    stream: TextIO,
    columns: int,
    rows: int,
    *,
    terminal: bool = True,
    environ: Mapping[str, str] | None = None,
) -> Screen:
    """Return a screen that takes the stream for a terminal of so many columns and rows."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", str(columns))
        patch.setenv("LINES", str(rows))
        screen = Screen(stream, terminal=terminal, environ=environ or {})
        # They are read with the first look at the size.
        assert not terminal or (screen.width, screen.height) == (columns, rows)
    return screen
