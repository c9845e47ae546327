"""A command loads what it needs and no more; nothing here depends on how long that takes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[4]

# Modules that are costly to import and not used to send over a server.
HEAVY = (
    "aiohttp",
    "attr",
    "av._core",
    "dns",
    "prompt_toolkit",
    "pygments",
    "segno",
    "signaling.server",
    "uvloop",
    "yaml",
    "zeroconf",
)

SCRIPT = """
import json, sys
from peer.cli.startup.import_stubs import leave_out_unused
leave_out_unused()
import {modules}
{more}
print(json.dumps(sorted(sys.modules)))
"""


def loaded(modules: str, more: str = "") -> set[str]:
    """The modules that a fresh interpreter has after importing some."""
    found = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(modules=modules, more=more)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return set(json.loads(found.stdout))


@pytest.mark.parametrize("command", ["send", "receive"])
def test_what_others_need_is_not_loaded(command: str) -> None:
    names = loaded(
        f"peer.cli.commands.{command}, peer.cli.rendezvous, peer.cli.terminal.transfer_view,"
        "peer.cli.terminal.prompts, peer.cli.terminal.stdin, peer.room.room, peer.link.setup"
    )
    assert {"aiortc", "aioice.ice", "peer.rtc.connection"} <= names
    assert not names & set(HEAVY)


def test_the_command_itself_leaves_them_out() -> None:
    script = (
        "import sys; from peer.cli import main\n"
        "try: main(['--version'])\n"
        "except SystemExit: pass\n"
        "import aiortc; print('av._core' in sys.modules, 'dns' in sys.modules)"
    )
    found = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert found.stdout.splitlines()[1:] == ["False False"]


def test_a_connection_comes_about_without_what_is_left_out() -> None:
    connecting = """
import asyncio
from peer.config import ChannelParameters
from peer.rtc import Connection
async def main():
    one, other = Connection(), Connection()
    for end in (one, other):
        end.create_channel(ChannelParameters(label="x", id=0))
    await one.accept_answer(await other.answer(await one.offer()))
    one.add_candidate("candidate:1 1 udp 1 1b2c3d4e-0000-4000-8000-000000000000.local 9 typ host")
    await asyncio.gather(one.connected(), other.connected())
    await asyncio.gather(one.close(), other.close())
asyncio.run(main())
"""
    assert not loaded("peer.rtc", connecting) & set(HEAVY)


def test_a_program_that_uses_the_libraries_itself_keeps_them_whole() -> None:
    more = "import av; leave_out_unused(); import aiortc, aioice.mdns; av.VideoFrame(8, 8)"
    script = SCRIPT.replace("leave_out_unused()\n", "", 1)
    names = json.loads(
        subprocess.run(
            [sys.executable, "-c", script.format(modules="json", more=more)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    )
    assert {"av._core", "dns"} <= set(names)


def test_what_was_left_out_says_so() -> None:
    more = """
import av
try:
    av.VideoFrame(8, 8)
except RuntimeError:
    pass
else:
    raise AssertionError
"""
    assert "av" in loaded("aiortc", more)
