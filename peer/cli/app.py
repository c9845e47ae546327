"""The group of commands, with names and one-line helps; the rest is imported on call."""

from __future__ import annotations

import importlib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import click

from .exit_status import UsageProblem, report

__all__ = ["peerline", "run"]

_COMMANDS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "send": ("peer.cli.commands.send:send", "Send files and folders to somebody."),
        "receive": (
            "peer.cli.commands.receive:receive",
            "Receive files and folders from somebody.",
        ),
        "chat": (
            "peer.cli.commands.chat.command:chat",
            "Chat with other people, and exchange files.",
        ),
        "serve": ("signaling.cli:serve", "Run a signaling server for other people."),
    }
)
_ALIASES = {"tx": "send", "rx": "receive", "recv": "receive", "recieve": "receive"}
_CODE = re.compile(r"\d+(-[a-z]+)+|https?://\S+#\S+", re.IGNORECASE)

_EXIT_CODES = """\b
Exit status:
   0  done                         6  no network path
   1  unexpected error             7  connection lost; run the command again
   2  wrong usage                  8  file damaged or changed
   3  server unreachable           9  disk full, file exists, no permission
   4  wrong code                  10  done, but something was left out
   5  refused by the other side  130  interrupted
"""


class _Commands(click.Group):
    """A group that imports a command only when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        where = _COMMANDS.get(_ALIASES.get(cmd_name, cmd_name))
        if where is None:
            return None
        module, _, attribute = where[0].partition(":")
        command = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in _COMMANDS.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if self.get_command(ctx, name) is None and not name.startswith("-"):
            if _CODE.fullmatch(name):
                ctx.fail(f"'{name}' is a code. To receive with it: peerline receive {name}")
            if Path(name).exists():
                ctx.fail(f"There is no command '{name}'. To send it: peerline send {name}")
            if "." in name or os.sep in name:
                ctx.fail(f"There is no command '{name}'. To send a file: peerline send {name}")
            import difflib

            close = difflib.get_close_matches(name, _COMMANDS, n=1)
            hint = f" Did you mean '{close[0]}'?" if close else ""
            ctx.fail(f"There is no command '{name}'.{hint}")
        found, command, rest = super().resolve_command(ctx, args)
        return _ALIASES.get(found or "", found), command, rest


def _version(ctx: click.Context, _parameter: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from peer.version import VERSION

        click.echo(f"peerline {VERSION}")
        ctx.exit()


@click.group(
    cls=_Commands,
    epilog=_EXIT_CODES,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option(
    "--version",
    "-V",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_version,
    help="Show the version and exit.",
)
@click.pass_context
def peerline(ctx: click.Context) -> None:
    """Send files and chat directly between two machines; a short code connects them.

    \b
    On one machine:        peerline send film.mkv
    On the other machine:  peerline receive, and then the code: 7-guitar-ocean
    """  # noqa: D301 -- click needs the control character itself
    from .settings import config_path, load

    ctx.default_map = load(config_path(), required=bool(os.environ.get("PEERLINE_CONFIG")))


def _misused(error: click.ClickException) -> int:
    """Print what is wrong with the command line to stderr."""
    import sys

    context = getattr(error, "ctx", None)
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        print(error.format_message(), file=sys.stderr)
        return error.exit_code
    if context is not None:
        print(context.get_usage(), file=sys.stderr)
        print(f"Try '{context.command_path} --help' for help.\n", file=sys.stderr)
    print(f"Error: {error.format_message()}", file=sys.stderr, flush=True)
    return error.exit_code


def run(argv: list[str]) -> int:
    """Run the command line and return the exit status; click's own errors are usage (2)."""
    try:
        status = peerline.main(argv, prog_name="peerline", standalone_mode=False)
    except click.ClickException as error:
        return _misused(error)
    except (click.Abort, KeyboardInterrupt):
        return report(KeyboardInterrupt(), verbose=False)
    except (UsageProblem, BrokenPipeError) as error:
        return report(error, verbose=False)
    return status if isinstance(status, int) else 0
