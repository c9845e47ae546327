"""The flags that several commands share, each with its environment variable."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from peer.config import ENGINES

from .settings import ENVIRONMENT

__all__ = [
    "code_fd_option",
    "engine_option",
    "ice_config_option",
    "lan_option",
    "name_option",
    "no_host_candidates_option",
    "out_option",
    "overwrite_option",
    "port_option",
    "qr_option",
    "reaching",
    "relay_only_option",
    "server_option",
    "strict_option",
    "verbose_option",
    "words_option",
    "yes_option",
]

Command = TypeVar("Command", bound=Callable[..., Any])
Decorator = Callable[[Command], Command]


def _option(*names: str, key: str = "", **settings: Any) -> Decorator[Any]:
    envvar = ENVIRONMENT.get(key or names[0].removeprefix("--"))
    return click.option(*names, envvar=envvar, show_envvar=envvar is not None, **settings)


server_option = _option(
    "--server",
    metavar="URL",
    help="Signaling server to meet on; without one, a server of your own on this network.",
)
name_option = _option("--name", metavar="TEXT", help="What the other side calls you.")
code_fd_option = click.option(
    "--code-fd",
    type=click.IntRange(min=0),
    metavar="N",
    help="Read the code from descriptor N, so that no other user sees it; for scripts.",
)
ice_config_option = _option(
    "--ice-config",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="File with the STUN and TURN servers to use, in place of the server's.",
)
relay_only_option = _option(
    "--relay-only", is_flag=True, help="Hide this machine's addresses: go through TURN only."
)
lan_option = _option(
    "--lan/--no-lan",
    key="lan",
    default=True,
    help="Be found, or look, on the local network; otherwise on this machine alone.",
)
no_host_candidates_option = _option(
    "--no-host-candidates",
    is_flag=True,
    help="Tell the other side only the addresses that STUN and TURN servers see.",
)
engine_option = _option(
    "--engine",
    type=click.Choice(ENGINES),
    help="What carries the data: Peerline's own SCTP, unless you ask for aiortc's.",
)
words_option = _option(
    "--words",
    type=click.IntRange(2, 8),
    default=2,
    show_default=True,
    help="Words in the code: each adds 10 bits.",
)
qr_option = _option(
    "--qr/--no-qr",
    key="qr",
    default=None,
    help="Show the link as a QR code; if not given, on a terminal that has room for it.",
)
port_option = _option(
    "--port",
    type=click.IntRange(0, 65535),
    default=0,
    help="Port of your own server, for a firewall; a free one if not given.",
)
out_option = _option(
    "--out",
    "-o",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(),
    help="Folder to put the files into; made if missing.",
)
yes_option = _option("--yes", "-y", is_flag=True, help="Accept the files without asking.")
overwrite_option = _option(
    "--overwrite", is_flag=True, help="Replace existing files; otherwise they become 'name (1)'."
)
strict_option = _option("--strict", is_flag=True, help="Send everything or nothing at all.")
verbose_option = click.option(
    "--verbose", "-v", is_flag=True, help="Log what happens, and show where an error came from."
)


def reaching(command: Command) -> Command:
    """Add what every command has that reaches for another person."""
    for option in (
        verbose_option,
        engine_option,
        relay_only_option,
        no_host_candidates_option,
        ice_config_option,
        name_option,
        lan_option,
        server_option,
    ):
        command = option(command)
    return command
