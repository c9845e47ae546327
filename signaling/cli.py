"""The command that runs a signaling server: `peerline serve`, `python -m signaling` (floor 4).

Exit codes: 0 after SIGTERM, 130 after Ctrl-C (SIGINT), 2 for a wrong option or configuration file,
1 when the server cannot listen.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from .config import Listener, ServerConfig
from .errors import AssetMissing, ConfigError, ListenError

if TYPE_CHECKING:
    from .server import SignalingServer

__all__ = ["DEFAULT_PORT", "main", "serve"]

DEFAULT_PORT: Final = 8080


class _CannotStart(click.ClickException):
    """An error with exit code 1: one sentence on stderr."""


class _BadConfiguration(click.ClickException):
    """Wrong usage, exit code 2: one sentence on stderr."""

    exit_code = 2


@click.command()
@click.option(
    "--host",
    metavar="ADDRESS",
    help="Listen on this address or name only.  [default: every address of this machine]",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=DEFAULT_PORT,
    show_default=True,
    help="Listen on this port; 0 takes any that is free.",
)
@click.option(
    "--tls-cert",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Serve HTTPS with this certificate and its chain (PEM).",
)
@click.option(
    "--tls-key",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The certificate's key (PEM), if it is in a file of its own.",
)
@click.option(
    "--ice-config",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Hand out the STUN and TURN servers listed here.  [default: Peerline's stun-config.yaml]",
)
@click.option(
    "--allow-origin",
    "allow_origins",
    multiple=True,
    metavar="ORIGIN",
    help="Let pages of this origin connect too (https://app.example.org; * for any). Repeatable.",
)
@click.option(
    "--host-name",
    "host_names",
    multiple=True,
    metavar="NAME",
    help="Answer only to this name or address, and to this machine's own addresses, so that no "
    "web page reaches the server by a name of its own (DNS rebinding). Repeatable.  "
    "[default: any name]",
)
@click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"], case_sensitive=False),
    default="warning",
    show_default=True,
    help="Level of the log on stderr; `info` logs requests, never their content.",
)
@click.pass_context
def serve(
    context: click.Context,
    host: str | None,
    port: int,
    tls_cert: Path | None,
    tls_key: Path | None,
    ice_config: Path | None,
    allow_origins: tuple[str, ...],
    host_names: tuple[str, ...],
    log_level: str,
) -> None:
    """Run a signaling server: where peers meet, and the page for browsers.

    It passes small sealed messages between peers that want to connect; their files and chats
    go directly from one to the other and never through it.
    """
    logging.basicConfig(
        level=log_level.upper(),
        stream=sys.stderr,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    try:
        config = _configuration(
            host, port, tls_cert, tls_key, ice_config, allow_origins, host_names
        )
    except (ConfigError, AssetMissing) as error:
        raise _BadConfiguration(str(error)) from None
    try:
        context.exit(asyncio.run(_serve(config)))
    except ListenError as error:
        raise _CannotStart(str(error)) from None
    except KeyboardInterrupt:
        # Event loops on Windows have no signal handlers.
        context.exit(130)


def main(argv: Sequence[str] | None = None) -> int:
    """Run `serve` with these arguments (default: the process's); return the exit code."""
    try:
        result = serve.main(
            args=None if argv is None else list(argv),
            prog_name="python -m signaling",
            standalone_mode=False,
        )
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort:
        return 130
    return result if isinstance(result, int) else 0


def _configuration(
    host: str | None,
    port: int,
    tls_cert: Path | None,
    tls_key: Path | None,
    ice_config: Path | None,
    allow_origins: tuple[str, ...],
    host_names: tuple[str, ...],
) -> ServerConfig:
    from .assets import default_ice_config, page_directory, read_ice_config
    from .hosts import is_host_name
    from .tls import server_context

    if tls_cert is None and tls_key is not None:
        raise ConfigError("--tls-key needs --tls-cert")
    for origin in allow_origins:
        if origin not in ("*", "null") and "://" not in origin:
            raise ConfigError(f"--allow-origin {origin}: write the scheme too: https://{origin}")
    for name in host_names:
        if not is_host_name(name):
            raise ConfigError(f"--host-name {name}: write a name or an address, without a port")
    try:
        ice = default_ice_config() if ice_config is None else read_ice_config(ice_config)
    except OSError as error:
        raise ConfigError(f"{ice_config}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{ice_config}: is not a text file in UTF-8") from None
    tls = None if tls_cert is None else server_context(tls_cert, tls_key)
    return ServerConfig(
        listeners=(Listener(host, port, tls),),
        ice=ice,
        page=page_directory(),
        allow_origins=allow_origins,
        host_names=(*host_names, *([host] if host else [])) if host_names else None,
    )


async def _serve(config: ServerConfig) -> int:
    from .descriptors import raise_descriptor_limit
    from .server import SignalingServer

    raise_descriptor_limit()
    stopped: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def stop(code: int) -> None:
        if not stopped.done():
            stopped.set_result(code)

    loop = asyncio.get_running_loop()
    for number, code in ((signal.SIGTERM, 0), (signal.SIGINT, 130)):
        try:
            loop.add_signal_handler(number, stop, code)
        except NotImplementedError:
            # Windows: Ctrl-C arrives as KeyboardInterrupt.
            break
    async with SignalingServer(config) as server:
        _introduce(server, config)
        code = await stopped
        _say("Closing.")
    return code


def _introduce(server: SignalingServer, config: ServerConfig) -> None:
    from .listeners import is_wildcard, lan_address, url_of

    listener = config.listeners[0]
    urls = [server.urls[0]]
    address = lan_address() if is_wildcard(listener) else None
    if address is not None:
        urls.append(url_of(listener, server.port, address))
    _say("Peerline's signaling server is running:", *(f"  {url}" for url in urls), "")
    _say(
        "Open that in a browser, or send a file through it:",
        f"  peerline send --server {urls[-1]} FILE",
        "",
    )
    if listener.ssl is None and address is not None:
        _say(
            "Browsers on other machines open the page over HTTPS only: set --tls-cert,",
            "or put a proxy with a certificate in front of this server.",
            "",
        )
    _say("Ctrl-C stops it.")


def _say(*lines: str) -> None:
    for line in lines:
        click.echo(line, err=True)
