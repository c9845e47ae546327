"""Rates of several engines over several links, as one small hand-written SVG of bars."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path

_LABEL, _WIDTH, _VALUE, _BAR, _GAP, _TOP = 230, 560, 90, 13, 12, 44
_COLOURS = ("#0a6ebd", "#7fb3dd", "#2e8b57", "#d1495b", "#999999", "#cccccc")


@dataclass(frozen=True, slots=True)
class Group:
    """The bars of one situation."""

    title: str
    values: Mapping[str, float]
    """By engine; any unit, the same in a group."""
    limit: float
    """Value of the longest possible bar."""


def draw_bars(title: str, groups: list[Group], unit: str) -> str:
    """Return an SVG: a block of bars for each group, each on its own scale up to its limit."""
    names = list(dict.fromkeys(name for group in groups for name in group.values))
    colours = {name: _COLOURS[index % len(_COLOURS)] for index, name in enumerate(names)}
    out = [f'<text x="8" y="18" font-size="15" font-weight="bold">{escape(title)}</text>']
    for index, name in enumerate(names):
        x = 8 + 150 * index
        out.append(
            f'<rect x="{x}" y="26" width="10" height="10" fill="{colours[name]}"/>'
            f'<text x="{x + 15}" y="35">{escape(name)}</text>'
        )
    y = _TOP + _GAP
    for group in groups:
        height = _BAR * len(group.values)
        out.append(
            f'<text x="{_LABEL - 8}" y="{y + height / 2 + 4:.1f}" text-anchor="end">'
            f"{escape(group.title)}</text>"
            f'<rect x="{_LABEL}" y="{y}" width="{_WIDTH}" height="{height}" fill="#f3f3f3"/>'
        )
        for name, value in group.values.items():
            width = min(value / group.limit, 1.0) * _WIDTH
            out.append(
                f'<rect x="{_LABEL}" y="{y}" width="{width:.1f}" height="{_BAR - 2}" '
                f'fill="{colours[name]}"/>'
                f'<text x="{_LABEL + width + 5:.1f}" y="{y + _BAR - 3}">{value:.3g}</text>'
            )
            y += _BAR
        y += _GAP
    note = f"{unit}; each block is as wide as its link's limit"
    out.append(f'<text x="{_LABEL}" y="{y + 8}" fill="#555">{escape(note)}</text>')
    total = _LABEL + _WIDTH + _VALUE
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {total} {y + 20}" '
        'font-family="sans-serif" font-size="11">'
        '<rect width="100%" height="100%" fill="white"/>' + "\n".join(out) + "</svg>\n"
    )


def write_bars(path: Path, title: str, groups: list[Group], unit: str) -> None:
    """Write the SVG; nothing where there is nothing to draw."""
    if groups:
        path.write_text(draw_bars(title, groups, unit), encoding="utf-8")
