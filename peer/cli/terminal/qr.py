"""A link as a QR code on the terminal, two modules in each character cell."""

from __future__ import annotations

from collections.abc import Sequence

from .screen import Screen

__all__ = ["can_show", "fits", "lines", "show"]

_INDENT = "  "

_BORDER = 2
"""Modules of quiet zone. The standard asks for 4; every scanner reads 2, and it fits 80x24."""
_CELLS = {(False, False): "█", (False, True): "▀", (True, False): "▄", (True, True): " "}
"""Characters by whether the (upper, lower) module is dark, for a light text colour."""


def lines(link: str) -> list[str]:
    """Return the code as lines of half blocks: the glyphs are the light modules."""
    import segno

    matrix = segno.make_qr(link, error="l", boost_error=False).matrix
    width = len(matrix) + 2 * _BORDER
    blank = [False] * width
    side = [False] * _BORDER
    rows = [blank] * _BORDER
    rows += [side + [bool(module) for module in row] + side for row in matrix]
    rows += [blank] * _BORDER
    if len(rows) % 2:
        rows.append(blank)
    return [
        "".join(_CELLS[pair] for pair in zip(upper, lower, strict=True))
        for upper, lower in zip(rows[::2], rows[1::2], strict=True)
    ]


def show(screen: Screen, drawn: Sequence[str]) -> None:
    """Print a code that `lines` made."""
    # Explicit white on black: a light terminal would invert the code, which some scanners do not
    # read. It is not decoration, so NO_COLOR does not apply.
    for line in drawn:
        screen.raw(f"{_INDENT}\x1b[97;40m{line}\x1b[0m\n")


def fits(screen: Screen, drawn: Sequence[str], *, rows: int) -> bool:
    """Return whether a terminal can show a code and `rows` more lines below it, all at once."""
    return can_show(screen, drawn) and len(drawn) + rows <= screen.height


def can_show(screen: Screen, drawn: Sequence[str]) -> bool:
    """Return whether this is a terminal that can show a code, however many lines it has."""
    return screen.terminal and screen.unicode and len(_INDENT) + len(drawn[0]) <= screen.width
