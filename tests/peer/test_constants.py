"""The constants that both languages must share, and where each has its home."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

FILE = Path(__file__).parents[1] / "vectors" / "constants.json"
CONSTANTS: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))["constants"]


@pytest.mark.parametrize("name", CONSTANTS)
def test_a_constant_has_its_value_at_its_home(name: str) -> None:
    """A home is `module:name`, also `module:Class().field`."""
    constant = CONSTANTS[name]
    module, _, path = constant["python"].partition(":")
    value: Any = import_module(module)
    for part in path.split("."):
        call = part.removesuffix("()")
        value = getattr(value, call)
        if part != call:
            value = value()
    value = value.decode() if isinstance(value, bytes) else value
    assert value == constant["value"]
