"""A TCP port here that leads to an address at the other side, like `ssh -L`.

    python examples/port_forward.py 127.0.0.1:8000               # prints a code
    python examples/port_forward.py --code 7-guitar-ocean --port 9000 127.0.0.1:8000

Each connection has a channel whose label is the address; an empty message ends one direction.
"""

import argparse
import asyncio
from asyncio import StreamReader, StreamWriter

import peer


async def carry(channel: peer.Channel, reader: StreamReader, writer: StreamWriter) -> None:
    """Carry a TCP connection until both directions have ended; each waits for its writer."""

    async def send() -> None:
        while data := await reader.read(32 * 1024):
            await channel.send(data)
        await channel.send(b"")

    async def receive() -> None:
        while isinstance(data := await channel.receive(), bytes) and data:
            writer.write(data)
            await writer.drain()
        writer.write_eof()

    try:
        async with channel:
            await asyncio.gather(send(), receive())
    except (OSError, peer.PeerError):
        writer.transport.abort()
    writer.close()


async def connect(channel: peer.Channel, allowed: list[str]) -> None:
    async with channel:
        try:
            if channel.label not in allowed:
                raise PermissionError(f"Refused: {channel.label!r}")
            await carry(channel, *await asyncio.open_connection(*channel.label.rsplit(":", 1)))
        except OSError as error:
            print(error)


async def main() -> None:
    parser = argparse.ArgumentParser(description="Forwards a TCP port.")
    parser.add_argument("--server", default="http://127.0.0.1:8080")
    parser.add_argument("--code", help="of the other side; without one, a code is printed")
    parser.add_argument("--port", type=int, default=0, help="to listen on, with --code")
    parser.add_argument("addresses", nargs="+", metavar="HOST:PORT")
    args = parser.parse_args()

    async def accept(reader: StreamReader, writer: StreamWriter) -> None:
        try:
            await carry(await link.open_channel(args.addresses[0]), reader, writer)
        except peer.PeerError as error:
            print(error)
            writer.close()

    async with peer.join(args.server, args.code) if args.code else peer.host(args.server) as room:
        print("Code:", room.code)
        link = await room.link()
        if args.code:
            server = await asyncio.start_server(accept, "127.0.0.1", args.port)
            print("Port:", server.sockets[0].getsockname()[1])
        async with asyncio.TaskGroup() as connections:
            async for channel in link.channels():
                connections.create_task(connect(channel, [] if args.code else args.addresses))


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except* (peer.PeerError, OSError, KeyboardInterrupt) as errors:
        raise SystemExit(str(errors.exceptions[0]) or 130) from None  # Ctrl-C has no text
