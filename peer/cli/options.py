"""Flags that several commands share, each with its environment variable."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import click

from peer.config import ENGINES, EngineName

from .settings import ENVIRONMENT

__all__ = [
    "ReachFlags",
    "code_fd_option",
    "out_option",
    "overwrite_option",
    "port_option",
    "qr_option",
    "reaching",
    "strict_option",
    "words_option",
    "yes_option",
]

Decorator = Callable[[Callable[..., int]], Callable[..., int]]


def _option(*names: str, key: str = "", **settings: Any) -> Decorator:
    envvar = ENVIRONMENT.get(key or names[0].removeprefix("--"))
    return click.option(*names, envvar=envvar, show_envvar=envvar is not None, **settings)


_server_option = _option(
    "--server",
    metavar="URL",
    help="Signaling server to use; without it, one that runs on this network.",
)
_name_option = _option("--name", metavar="TEXT", help="Your name, as the other side sees it.")
code_fd_option = click.option(
    "--code-fd",
    type=click.IntRange(min=0),
    metavar="N",
    help="Read the code from file descriptor N, hidden from other users; for scripts.",
)
_ice_config_option = _option(
    "--ice-config",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="File that lists the STUN and TURN servers to use instead of the server's.",
)
_relay_only_option = _option(
    "--relay-only",
    is_flag=True,
    help="Hide this machine's addresses: connect through TURN servers only.",
)
_lan_option = _option(
    "--lan/--no-lan",
    key="lan",
    default=True,
    help="Find the other side on the local network, or on this machine only.",
)
_no_host_candidates_option = _option(
    "--no-host-candidates",
    is_flag=True,
    help="Tell the other side only the addresses that STUN and TURN servers see.",
)
_engine_option = _option(
    "--engine",
    type=click.Choice(ENGINES),
    help="Implementation of data channels; Peerline's own by default.",
)
words_option = _option(
    "--words",
    type=click.IntRange(2, 8),
    default=2,
    show_default=True,
    help="Number of words in the code; each adds 10 bits.",
)
qr_option = _option(
    "--qr/--no-qr",
    key="qr",
    default=None,
    help="Show the link as a QR code; by default, if the terminal has room for it.",
)
port_option = _option(
    "--port",
    type=click.IntRange(0, 65535),
    default=0,
    help="Port of the server inside this command; by default, any free one.",
)
out_option = _option(
    "--out",
    "-o",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(),
    help="Folder for the files; created if missing.",
)
yes_option = _option("--yes", "-y", is_flag=True, help="Accept the files without asking.")
overwrite_option = _option(
    "--overwrite",
    is_flag=True,
    help="Replace existing files; otherwise new ones are called 'name (1)'.",
)
strict_option = _option("--strict", is_flag=True, help="Send everything or nothing.")
_verbose_option = click.option(
    "--verbose", "-v", is_flag=True, help="Log to stderr, and show where errors come from."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReachFlags:
    """Values of the flags that `reaching` adds, as typed."""

    server: str | None
    name: str | None
    lan: bool
    ice_config: Path | None
    relay_only: bool
    no_host_candidates: bool
    engine: EngineName | None


def reaching(command: Callable[..., int]) -> Callable[..., int]:
    """Add the flags of every command that connects to other people.

    The command gets them as `flags`, and `verbose` apart.
    """

    @functools.wraps(command)
    def with_flags(**given: Any) -> int:
        flags = ReachFlags(**{field.name: given.pop(field.name) for field in fields(ReachFlags)})
        return command(flags=flags, **given)

    decorated: Callable[..., int] = with_flags
    for option in (
        _verbose_option,
        _engine_option,
        _relay_only_option,
        _no_host_candidates_option,
        _ice_config_option,
        _name_option,
        _lan_option,
        _server_option,
    ):
        decorated = option(decorated)
    return decorated
