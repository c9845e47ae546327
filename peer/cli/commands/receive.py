"""``peerline receive``: from a code to files in a folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from peer.cli import options
from peer.cli.exit_status import run
from peer.cli.secret import given_code

if TYPE_CHECKING:
    from peer.config import EngineName

__all__ = ["receive"]


@click.command(short_help="Receive what somebody sends you.")
@click.argument("words", metavar="[CODE|LINK]", nargs=-1)
@options.code_fd_option
@options.out_option
@options.yes_option
@options.overwrite_option
@options.reaching
def receive(
    words: tuple[str, ...],
    code_fd: int | None,
    out: Path,
    yes: bool,
    overwrite: bool,
    server: str | None,
    name: str | None,
    lan: bool,
    ice_config: Path | None,
    relay_only: bool,
    no_host_candidates: bool,
    engine: EngineName | None,
    verbose: bool,
) -> int:
    """Receive what somebody sends you.

    The command asks for the code that the sender's screen shows, such as 7-guitar-ocean; the
    link that is shown beside it does as well. Either may follow the command instead, and other
    users of this machine might then see it there for a blink. Scripts put it into the environment
    variable PEERLINE_CODE, or name a descriptor to read it from with --code-fd; they need --yes,
    too.

    Without --server, the sender is looked for on this machine and on the local network.
    """

    # Before there is an event loop: it has descriptors of its own.
    code = given_code(words, code_fd)

    async def body() -> int:
        from peer.cli.rendezvous import Reach

        from .receiving import receive_files

        reach = Reach.from_flags(
            server=server,
            name=name,
            lan=lan,
            ice_config=ice_config,
            relay_only=relay_only,
            host_candidates=not no_host_candidates,
            engine=engine,
        )
        return await receive_files(code, reach, out=out, yes=yes, overwrite=overwrite)

    return run(body, verbose=verbose)
