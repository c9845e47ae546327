"""Files and chat through a real coturn, between peers that show nothing but its address."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from peer.link.link import Link
from peer.transfer.engine import IncomingTransfer
from signaling.ice_servers import IceConfig
from tests.support.links.rooms import linked
from tests.support.processes.leftovers import nothing_left_behind
from tests.support.servers.coturn import running_coturn
from tests.support.servers.stun import running_stun_server

pytestmark = pytest.mark.turn

SIZE = 3_000_000


async def receive(link: Link, folder: Path) -> IncomingTransfer:
    incoming = await anext(link.transfers())
    await incoming.accept(folder)
    await incoming.done()
    return incoming


async def test_relay_only_peers_send_a_file_through_the_server(tmp_path: Path) -> None:
    source = tmp_path / "source.bin"
    source.write_bytes(os.urandom(SIZE))
    async with running_coturn(tmp_path) as coturn, nothing_left_behind():
        ice = IceConfig((coturn.entry(),), "relay")
        async with linked(ice) as pair, asyncio.timeout(60):
            for link in (pair.host, pair.guest):
                assert link.path is not None
                assert link.path.kind == "relayed"
            outgoing = await pair.host.send_files(source)
            await asyncio.gather(outgoing.done(), receive(pair.guest, tmp_path / "there"))
            await pair.guest.chat.send("thank you")
            assert (await pair.host.chat.receive()).text == "thank you"
    assert (tmp_path / "there" / "source.bin").read_bytes() == source.read_bytes()


async def test_the_flag_relays_although_the_servers_policy_would_not(tmp_path: Path) -> None:
    async with (
        running_coturn(tmp_path) as coturn,
        linked(IceConfig((coturn.entry(),)), relay_only=True) as pair,
    ):
        assert pair.host.path is not None
        assert pair.host.path.kind == "relayed"


async def test_dead_servers_beside_the_live_one_do_not_matter(tmp_path: Path) -> None:
    async with (
        running_coturn(tmp_path) as coturn,
        running_stun_server(answering=False) as dead,
        linked(IceConfig((dead.entry, coturn.entry("tcp")), "relay")) as pair,
    ):
        await pair.host.chat.send("hello")
        assert (await pair.guest.chat.receive()).text == "hello"
