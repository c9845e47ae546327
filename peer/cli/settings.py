"""Settings: flags, then the environment (`PEERLINE_*`), then the config file.

The config file is TOML, `peerline/config.toml` in the configuration folder of the user (or
`PEERLINE_CONFIG`). Its keys are the long options; a table for each command overrides them::

    server = "https://peer.example.org"
    name = "alice"

    [receive]
    out = "~/Downloads"

`load` converts the file to the `default_map` of click, which applies the precedence.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .exit_status import UsageProblem

__all__ = ["COMMANDS", "ENVIRONMENT", "config_path", "load"]

Value = str | int | bool
"""Type of a setting."""


@dataclass(frozen=True, slots=True)
class _Key:
    """One key of the config file."""

    kind: type[str | int | bool]
    commands: tuple[str, ...]
    is_path: bool = False


COMMANDS = ("send", "receive", "chat")
"""The commands that read the config file."""

_EVERYWHERE = COMMANDS
_INVITING = ("send", "chat")
_RECEIVING = ("receive", "chat")

_KEYS: Mapping[str, _Key] = {
    "server": _Key(str, _EVERYWHERE),
    "name": _Key(str, _EVERYWHERE),
    "ice-config": _Key(str, _EVERYWHERE, is_path=True),
    "relay-only": _Key(bool, _EVERYWHERE),
    "no-host-candidates": _Key(bool, _EVERYWHERE),
    "lan": _Key(bool, _EVERYWHERE),
    "engine": _Key(str, _EVERYWHERE),
    "strict": _Key(bool, ("send",)),
    "words": _Key(int, _INVITING),
    "qr": _Key(bool, _INVITING),
    "port": _Key(int, _INVITING),
    "out": _Key(str, _RECEIVING, is_path=True),
    "yes": _Key(bool, _RECEIVING),
    "overwrite": _Key(bool, _RECEIVING),
}

ENVIRONMENT = {key: f"PEERLINE_{key.upper().replace('-', '_')}" for key in _KEYS}
"""The environment variable of each setting; empty counts as unset."""

_NAMES = {str: "a string", int: "a whole number", bool: "true or false"}


def config_path(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the path of the config file, which may not exist."""
    if named := environ.get("PEERLINE_CONFIG"):
        return Path(named).expanduser()
    import platformdirs

    return platformdirs.user_config_path("peerline", appauthor=False) / "config.toml"


def load(path: Path, *, required: bool = False) -> dict[str, dict[str, Value]]:
    """Read the config file.

    Args:
        path: The file; a missing one counts as empty.
        required: Whether the file must exist, because the person named it.

    Returns:
        The settings of each command by parameter name (`ice_config`): a `default_map`.

    Raises:
        UsageProblem: The file cannot be read, or a key or value is wrong.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):  # HOME may be /dev/null
        if required:
            raise UsageProblem(f"There is no config file {path}.") from None
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise UsageProblem(f"The config file {path} cannot be read: {error}.") from error
    import tomllib

    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageProblem(f"The config file {path} is not valid TOML: {error}.") from error
    return _settings(document, path)


def _settings(document: Mapping[str, object], path: Path) -> dict[str, dict[str, Value]]:
    settings: dict[str, dict[str, Value]] = {command: {} for command in COMMANDS}
    tables: list[tuple[str, Mapping[str, object]]] = []
    for key, value in document.items():
        if isinstance(value, dict):
            if key not in COMMANDS:
                raise UsageProblem(f"{path}: there is no command for the table [{key}].")
            tables.append((key, value))
        else:
            found = _check(key, value, key, path)
            for command in _KEYS[key].commands:
                settings[command][key.replace("-", "_")] = found
    for command, table in tables:
        for key, value in table.items():
            place = f"{command}.{key}"
            found = _check(key, value, place, path)
            if command not in _KEYS[key].commands:
                raise UsageProblem(f"{path}: {place}: `peerline {command}` has no --{key}.")
            settings[command][key.replace("-", "_")] = found
    return settings


def _check(key: str, value: object, place: str, path: Path) -> Value:
    known = _KEYS.get(key)
    if known is None:
        close = difflib.get_close_matches(key, _KEYS, n=1)
        hint = f" Did you mean `{close[0]}`?" if close else ""
        raise UsageProblem(f"{path}: {place}: unknown setting.{hint}")
    # type(), not isinstance(): in Python, true is an int.
    if type(value) is not known.kind or not isinstance(value, str | int):
        raise UsageProblem(f"{path}: {place}: this must be {_NAMES[known.kind]}.")
    if known.is_path:
        # A path in the file is relative to the folder of the file.
        return str(path.parent / Path(str(value)).expanduser())
    return value
