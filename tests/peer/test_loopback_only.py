"""Two programs on a machine that has no network but `lo`."""

from __future__ import annotations

import asyncio
import json

from lab.namespaces import loopback_only, python_in

HOST = """
import asyncio, json
import peer
from signaling.config import ServerConfig
from signaling.server import SignalingServer

async def main():
    async with SignalingServer(ServerConfig()) as server, peer.host(server.urls[0]) as room:
        print(json.dumps([server.urls[0], str(room.code)]), flush=True)
        link = await room.link(timeout=60)
        message = await link.chat.receive()
        await link.chat.send(message.text.upper())
        await link.wait_closed()
        print(json.dumps([link.path.kind, link.path.local_address]), flush=True)

asyncio.run(main())
"""

GUEST = """
import asyncio, sys
import peer

async def main():
    async with peer.join(sys.argv[1], sys.argv[2]) as room:
        link = await room.link(timeout=60)
        await link.chat.send("hello")
        print((await link.chat.receive()).text, flush=True)

asyncio.run(main())
"""


async def test_two_processes_meet_where_there_is_only_lo() -> None:
    async with (
        loopback_only() as namespace,
        asyncio.timeout(90),
        python_in(namespace, HOST) as host,
    ):
        assert host.stdout is not None
        url, code = json.loads(await host.stdout.readline())
        async with python_in(namespace, GUEST, url, code) as guest:
            output, problems = await guest.communicate()
            assert output.decode() == "HELLO\n", problems.decode()
        output, problems = await host.communicate()
        kind, address = json.loads(output)
        assert kind == "direct", problems.decode()
        assert address.startswith(("127.0.0.1:", "[::1]:"))
        assert problems.decode() == ""
