"""A link as a QR code on the terminal, two modules a character cell."""

from __future__ import annotations

from .screen import Screen

__all__ = ["lines", "show"]

_BORDER = 2
"""Modules of quiet zone. The standard asks for 4; every scanner reads 2, and it fits 80x24."""
_CELLS = {(False, False): "█", (False, True): "▀", (True, False): "▄", (True, True): " "}
"""(upper, lower) is dark -> what to print where the text colour is light."""


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


def show(screen: Screen, link: str) -> bool:
    """Print the code if this is a terminal that can show it; return whether it was."""
    if not (screen.terminal and screen.unicode):
        return False
    drawn = lines(link)
    if len(drawn[0]) >= screen.width:
        return False
    # Explicit white on black: on a light terminal the code would come out inverted, which
    # some scanners do not read. It is not decoration, so NO_COLOR does not apply.
    screen.say()
    for line in drawn:
        screen.raw(f"  \x1b[97;40m{line}\x1b[0m\n")
    return True
