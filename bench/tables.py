"""Tables that are printed while measuring and written into `bench/RESULTS.md` afterwards."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table as RichTable

__all__ = ["Table", "cell", "console", "write_section"]

console = Console(width=150)


def cell(value: float | None, scale: float = 1.0, digits: int = 1) -> str:
    """A figure, or a dash."""
    return "-" if value is None else f"{value * scale:.{digits}f}"


@dataclass(slots=True)
class Table:
    """Rows of text under a title; the first column is words, the others are figures."""

    title: str
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]] = field(default_factory=list)
    note: str = ""
    """A sentence below it."""

    def show(self) -> None:
        """Print it."""
        table = RichTable(title=self.title, title_justify="left")
        for index, name in enumerate(self.columns):
            table.add_column(name, justify="right" if index else "left")
        for row in self.rows:
            table.add_row(*row)
        console.print(table)
        if self.note:
            console.print(f"  {self.note}")
        console.print()

    def markdown(self) -> str:
        """The same for a page."""
        lines = [
            f"{self.title}:",
            "",
            f"| {' | '.join(self.columns)} |",
            "|" + "---|" * len(self.columns),
            *(f"| {' | '.join(row)} |" for row in self.rows),
        ]
        return "\n".join([*lines, "", self.note] if self.note else lines)


def write_section(page: Path, name: str, origin: str, tables: list[Table]) -> None:
    """Replace what stands between the marks of a section by newer tables.

    Args:
        page: Markdown.
        name: Of the section.
        origin: A sentence above them: the program, the time and the computer.
        tables: In order.

    Raises:
        ValueError: The page has no such section.
    """
    text = page.read_text(encoding="utf-8")
    body = "\n\n".join([origin, *(table.markdown() for table in tables)])
    marks = (f"<!-- measured: {name} -->", f"<!-- end: {name} -->")
    pattern = re.escape(marks[0]) + ".*?" + re.escape(marks[1])
    replaced, count = re.subn(
        pattern, lambda _: f"{marks[0]}\n{body}\n{marks[1]}", text, flags=re.DOTALL
    )
    if not count:
        raise ValueError(f"{page} has no section {name!r}")
    page.write_text(replaced, encoding="utf-8")
