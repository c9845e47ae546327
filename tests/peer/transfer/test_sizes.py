"""Byte counts as people read them, by the vectors that the page is tested with, too."""

from __future__ import annotations

import json
from pathlib import Path

from peer.transfer.sizes import format_size

VECTORS = json.loads(
    (Path(__file__).parents[2] / "vectors" / "sizes.json").read_text(encoding="utf-8")
)


def test_sizes_are_written_as_the_vectors_say() -> None:
    written = [
        {"bytes": row["bytes"], "text": format_size(row["bytes"])} for row in VECTORS["sizes"]
    ]
    assert written == VECTORS["sizes"]


def test_no_unit_is_larger_than_a_petabyte() -> None:
    assert format_size(5 * 10**18) == "5000 PB"
