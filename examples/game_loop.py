"""Two players in one world: a fixed tick, states that may be lost, events that may not.

    python examples/game_loop.py                          # prints a code
    python examples/game_loop.py --code 7-guitar-ocean    # for the other player

The players run until they meet. At each tick a player sends its place on an unordered, unreliable
channel: the newest wins. That a player has stopped is an event, on a reliable channel.
"""

import argparse
import asyncio
import contextlib
import itertools
import random
import struct

import peer

TICK = 1 / 30  # seconds
STEP = 20 * TICK  # a player runs 20 units a second
REACH = 2.0  # players who are so near have met
STATE = struct.Struct("!Idd")  # tick, x, y
STOPPED = 0xFFFF_FFFF  # the tick of the event: newer than all states


async def play(link: peer.Link, here: complex) -> None:
    """Run from a place (x + yj) until both players have stopped."""
    # Both sides open these channels with the same ids, so neither waits for the other.
    states = await link.open_channel("states", ordered=False, max_retransmits=0, id=10)
    events = await link.open_channel("events", id=11)
    newest, there = 0, None

    async def follow(channel: peer.Channel) -> None:
        nonlocal newest, there
        with contextlib.suppress(peer.PeerError):  # the next state that is sent raises it, too
            async for message in channel:
                if isinstance(message, bytes) and len(message) == STATE.size:
                    tick, x, y = STATE.unpack(message)
                    if tick > newest:
                        newest, there = tick, complex(x, y)

    following = [asyncio.create_task(follow(channel)) for channel in (states, events)]
    stopped = False
    clock = asyncio.get_running_loop().time
    start = clock()
    for tick in itertools.count(1):
        if stopped and newest == STOPPED:
            break
        if not stopped and there is not None:
            if abs(way := there - here) > REACH:
                here += way / abs(way) * STEP
            else:
                stopped = True
                await events.send(STATE.pack(STOPPED, here.real, here.imag))
        if not states.buffered:  # a state that has to wait is old when it leaves
            states.send_now(STATE.pack(tick, here.real, here.imag))
        await asyncio.sleep(start + tick * TICK - clock())  # a slow tick does not delay the next
    for task in following:
        task.cancel()
    print(f"I stopped at {here:.3f}, the other player at {there:.3f}.")


async def main() -> None:
    parser = argparse.ArgumentParser(description="Meets the other player.")
    parser.add_argument("--server", default="http://127.0.0.1:8080")
    parser.add_argument("--code", help="of the other player; without one, a code is printed")
    anywhere = complex(random.uniform(0, 100), random.uniform(0, 100))
    parser.add_argument("--start", type=complex, default=anywhere, help="such as 3+4j")
    args = parser.parse_args()
    async with peer.join(args.server, args.code) if args.code else peer.host(args.server) as room:
        print("Code:", room.code)
        await play(await room.link(), args.start)


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except (peer.PeerError, KeyboardInterrupt) as error:
        raise SystemExit(str(error) or 130) from None  # Ctrl-C has no text
