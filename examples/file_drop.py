"""Stores what others send into a folder, within limits, until Ctrl-C.

    python examples/file_drop.py inbox                # one code after another, each for one guest
    python examples/file_drop.py inbox --room drop    # for all who know PEERLINE_PASSWORD

Guests open the link in a browser, or run `peerline chat LINK` (or ROOM) and type `/send FILE`.
"""

import argparse
import asyncio
import os
from pathlib import Path

import peer


class Drop:
    """A folder with room for so many bytes, and a limit for each offer."""

    def __init__(self, folder: Path, limit: int, room: int) -> None:
        self._folder, self._limit, self._room = folder, limit, room

    async def welcome(self, link: peer.Link) -> None:
        """Store what a guest offers, for ten minutes at most."""
        try:
            async with asyncio.timeout(600), link:
                async for offer in link.transfers():
                    await self._store(offer)
        except (peer.PeerError, TimeoutError) as error:
            print(f"A guest is gone: {error!r}")

    async def _store(self, offer: peer.IncomingTransfer) -> None:
        size = offer.bytes_total + 4096 * len(offer.manifest)  # an entry takes room of its own
        if size > min(self._limit, self._room):
            print(f"Declined: {', '.join(offer.names)}")
            return await offer.decline("That is more than this drop takes.")
        self._room -= size
        try:
            await offer.accept(self._folder)
            await offer.done()
            print(f"Stored: {', '.join(offer.names)}")
        except peer.TransferError as error:
            print(f"Not stored: {error}")
        finally:
            self._room += offer.bytes_total - offer.progress.bytes_done  # whole files stay
            for path in offer.partial_paths:
                path.unlink(missing_ok=True)


async def main() -> None:
    parser = argparse.ArgumentParser(description="Stores what others send.")
    parser.add_argument("--server", default="http://127.0.0.1:8080")
    parser.add_argument("--room", help="a named room instead of codes")
    parser.add_argument("--limit", type=int, default=10**9, help="bytes of an offer")
    parser.add_argument("--total", type=int, default=10**10, help="bytes of all offers")
    parser.add_argument("folder", type=Path)
    args = parser.parse_args()
    drop = Drop(args.folder, args.limit, args.total)
    password = os.environ.get("PEERLINE_PASSWORD")
    while True:
        try:
            entering = peer.host(args.server, name="drop")
            if args.room:
                entering = peer.join(args.server, room=args.room, password=password, name="drop")
            async with entering as room, asyncio.TaskGroup() as guests:
                print(f"Link: {room.server}#{room.code}" if room.code else "Ready")
                async for link in room:
                    guests.create_task(drop.welcome(link))
        except* peer.PeerError as errors:
            print(errors.exceptions[0])
            await asyncio.sleep(1)  # before the next attempt


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        raise SystemExit(130) from None
