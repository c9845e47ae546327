"""Remote calls over a channel, in both directions: many at once, with errors and timeouts.

python examples/rpc.py                               # prints a code, and answers calls
python examples/rpc.py --code 7-guitar-ocean '["divide", 1, 4]' '["wait", 60]'
"""

import argparse
import asyncio
import itertools
import json
from typing import Any

import peer

FUNCTIONS: dict[str, Any] = {"divide": lambda a, b: a / b, "wait": asyncio.sleep}


class Rpc:
    """Calls functions at the other side, and answers its calls, while `run` runs."""

    def __init__(self, channel: peer.Channel) -> None:
        self.channel, self._ids = channel, itertools.count(1)
        self._replies: dict[int, asyncio.Queue[dict[Any, Any]]] = {}
        self._answering: set[asyncio.Task[None]] = set()

    async def call(self, method: str, *params: Any, timeout: float = 2.0) -> Any:
        number = next(self._ids)
        replies = self._replies[number] = asyncio.Queue()
        try:
            await self.channel.send(json.dumps({"id": number, "method": method, "params": params}))
            reply = await asyncio.wait_for(replies.get(), timeout)
        finally:
            del self._replies[number]  # a reply that comes later is ignored
        if "error" in reply:
            raise RuntimeError(reply["error"])
        return reply.get("result")

    async def run(self) -> None:
        async for message in self.channel:
            match json.loads(message):
                case {"id": int(number), "method": str(method), "params": list(params)}:
                    task = asyncio.create_task(self._answer(number, method, params))
                    self._answering.add(task)
                    task.add_done_callback(self._answering.discard)
                case {"id": int(number), **reply} if number in self._replies:
                    self._replies[number].put_nowait(reply)

    async def _answer(self, number: int, method: str, params: list[Any]) -> None:
        try:
            result = FUNCTIONS[method](*params)
            reply = {"result": await result if asyncio.iscoroutine(result) else result}
        except (ArithmeticError, LookupError, TypeError, ValueError) as error:
            reply = {"error": repr(error)}
        if not self.channel.closed:
            self.channel.send_now(json.dumps({"id": number, **reply}))


async def main() -> None:
    parser = argparse.ArgumentParser(description="Answers calls, or calls the other side.")
    parser.add_argument("--server", default="http://127.0.0.1:8080")
    parser.add_argument("--code", help="of the other side; without one, a code is printed")
    parser.add_argument("calls", nargs="*", type=json.loads, help="as JSON")
    args = parser.parse_args()
    async with peer.join(args.server, args.code) if args.code else peer.host(args.server) as room:
        print("Code:", room.code)
        rpc = Rpc(await (await room.link()).open_channel("rpc", id=10))
        running = asyncio.create_task(rpc.run())
        if args.code:
            calls = [rpc.call(*call) for call in args.calls]
            print(*map(repr, await asyncio.gather(*calls, return_exceptions=True)), sep="\n")
            await rpc.channel.close()
        await running


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except (peer.PeerError, ValueError, KeyboardInterrupt) as error:
        raise SystemExit(str(error) or 130) from None  # Ctrl-C has no text
