"""Log records of a test that tell of something wrong."""

from __future__ import annotations

import logging

import pytest

__all__ = ["complaints"]


def complaints(caplog: pytest.LogCaptureFixture, level: int = logging.WARNING) -> list[str]:
    """Messages from `level` on, except those about slow callbacks.

    asyncio's debug mode writes these on a busy machine, whatever runs.
    """
    return [
        record.getMessage()
        for record in caplog.records
        if record.levelno >= level and not record.getMessage().startswith("Executing ")
    ]
