"""The files of transcripts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

__all__ = ["Json", "load", "write"]

TRANSCRIPTS: Final = Path(__file__).resolve().parents[2] / "vectors" / "transcripts"

Json = dict[str, Any]


def load(name: str) -> list[Json]:
    """The transcripts of one file."""
    loaded: Json = json.loads((TRANSCRIPTS / f"{name}.json").read_text(encoding="utf-8"))
    transcripts: list[Json] = loaded["transcripts"]
    return transcripts


def write(name: str, about: str, transcripts: list[Json]) -> None:
    """Write a file of transcripts, a line for each step."""
    lines = ["{", f' "about": {json.dumps(about)},', ' "transcripts": [']
    for transcript in transcripts:
        steps = transcript.pop("steps")
        lines.append(f"  {json.dumps(transcript)[:-1]}, " + '"steps": [')
        lines += [f"   {json.dumps(step)}," for step in steps]
        lines[-1] = lines[-1].removesuffix(",")
        lines.append("  ]},")
    lines[-1] = lines[-1].removesuffix(",")
    text = "\n".join([*lines, " ]", "}", ""])
    (TRANSCRIPTS / f"{name}.json").write_text(text, encoding="utf-8")
