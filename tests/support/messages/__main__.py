"""Write `tests/messages.txt` anew."""

from __future__ import annotations

from .collect import FILE, written

if __name__ == "__main__":
    FILE.write_text(written(), encoding="utf-8")
