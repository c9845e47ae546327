"""The version of this distribution: the package, the command and the page (floor 0)."""

from __future__ import annotations

from typing import Final

__all__ = ["VERSION"]

VERSION: Final = "0.2.0"
"""The only place: pyproject.toml reads it, and a test compares `web/client/version.js`."""
