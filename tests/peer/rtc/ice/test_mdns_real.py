"""Multicast DNS on a real socket, against aioice's own responder."""

from __future__ import annotations

import asyncio
import json

from lab.namespaces import loopback_only, python_in, run

PROGRAM = """
import asyncio, json
from aioice import mdns
from peer.rtc.ice.mdns import MdnsResolver

NAME = "1b2c3d4e-1111-4222-8333-444455556666.local"

async def main():
    responder = await mdns.create_mdns_protocol()
    hear, asked = responder.datagram_received, asyncio.Event()

    def listen(data, address):
        hear(data, address)
        asked.set()

    responder.datagram_received = listen
    resolver = MdnsResolver(["127.0.0.1"])
    lookup = asyncio.create_task(resolver.resolve(NAME))
    # The first question finds nobody, as in a browser that has just begun to gather.
    await asked.wait()
    await responder.publish(NAME, "10.7.0.1")
    found = await lookup
    missing = await resolver.resolve("0" * 8 + ".local")
    await resolver.close()
    await responder.close()
    print(json.dumps([found, missing]))

asyncio.run(main())
"""


async def test_a_name_is_found_although_the_first_question_was_missed() -> None:
    async with loopback_only() as namespace, asyncio.timeout(60):
        await run("ip", "-n", namespace, "link", "set", "lo", "multicast", "on")
        await run("ip", "-n", namespace, "route", "add", "224.0.0.0/4", "dev", "lo")
        async with python_in(namespace, PROGRAM) as process:
            output, problems = await process.communicate()
    assert process.returncode == 0, problems.decode()
    assert json.loads(output) == ["10.7.0.1", None]
