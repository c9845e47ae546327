"""Line plots as small hand-written SVG files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

__all__ = ["Panel", "write_svg"]

_WIDTH, _HEIGHT = 900, 190
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 20, 28, 24
_COLOURS = ("#0a6ebd", "#d1495b", "#2e8b57", "#b8860b", "#7a5195", "#555555")

Line = Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Panel:
    """One diagram: lines over the same horizontal axis (seconds)."""

    title: str
    lines: Mapping[str, Line]
    limit: float = 0.0
    """A dashed horizontal line; 0 for none."""


def _panel(panel: Panel, top: int, until: float) -> list[str]:
    highest = max((y for line in panel.lines.values() for _, y in line), default=1.0)
    highest = max(highest, panel.limit) * 1.05 or 1.0
    width, height = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM
    base = top + _TOP + height

    def place(x: float, y: float) -> str:
        return f"{_LEFT + x / until * width:.1f},{base - y / highest * height:.1f}"

    out = [f'<text x="{_LEFT}" y="{top + 18}" font-weight="bold">{escape(panel.title)}</text>']
    for part in range(5):
        y = base - part / 4 * height
        out.append(
            f'<path d="M{_LEFT},{y:.1f}h{width}" stroke="#ddd"/>'
            f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">'
            f"{highest * part / 4:.3g}</text>"
        )
    for part in range(11):
        x = _LEFT + part / 10 * width
        out.append(
            f'<text x="{x:.1f}" y="{base + 16}" text-anchor="middle">{until * part / 10:.3g}</text>'
        )
    if panel.limit:
        y = base - panel.limit / highest * height
        out.append(f'<path d="M{_LEFT},{y:.1f}h{width}" stroke="#888" stroke-dasharray="6 4"/>')
    for index, (name, line) in enumerate(panel.lines.items()):
        colour = _COLOURS[index % len(_COLOURS)]
        points = " ".join(place(x, y) for x, y in line)
        out.append(
            f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.3"/>'
            f'<text x="{_LEFT + 330 + 110 * index}" y="{top + 18}" fill="{colour}">'
            f"{escape(name)}</text>"
        )
    return out


def write_svg(path: Path, title: str, panels: Sequence[Panel], until: float) -> None:
    """Draw panels below each other; the horizontal axis ends at `until` seconds."""
    height = 30 + _HEIGHT * len(panels)
    body = [f'<text x="10" y="20" font-size="15" font-weight="bold">{escape(title)}</text>']
    for index, panel in enumerate(panels):
        body += _panel(panel, 30 + _HEIGHT * index, until)
    path.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" '
        f'font-family="sans-serif" font-size="11">'
        f'<rect width="100%" height="100%" fill="white"/>' + "\n".join(body) + "</svg>\n"
    )
