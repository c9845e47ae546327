"""The golden messages of the signaling protocol."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

__all__ = ["VECTORS"]

VECTORS: dict[str, Any] = json.loads(
    (Path(__file__).parents[1] / "vectors" / "signaling.json").read_text(encoding="utf-8")
)
