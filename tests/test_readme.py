"""The commands that the README names exist."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_commands_that_it_names_exist() -> None:
    from peer.cli.app import peerline

    for command in set(re.findall(r"\bpeerline ([a-z]+)", README)):
        assert command in peerline.list_commands(None), f"peerline {command}"  # type: ignore[arg-type]
