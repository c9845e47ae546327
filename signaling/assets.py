"""Finds the files that belong to the installation: the page and the default ICE servers (floor 2).

In an installed wheel they lie in this package, in a source tree beside it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from .errors import AssetMissing
from .ice_servers import IceConfig, parse_ice_config

__all__ = ["default_ice_config", "ice_config_file", "page_directory", "read_ice_config"]

_PACKAGE: Final = Path(__file__).resolve().parent


def page_directory() -> Path:
    """Return the directory of the page: `index.html` and everything it needs.

    Raises:
        AssetMissing: The installation is incomplete.
    """
    return _find("web", "index.html")


def ice_config_file() -> Path:
    """Return the path of the default `stun-config.yaml`.

    Raises:
        AssetMissing: The installation is incomplete.
    """
    return _find("stun-config.yaml")


def default_ice_config() -> IceConfig:
    """Read `ice_config_file`.

    Raises:
        AssetMissing: The installation is incomplete.
        IceConfigError: The file was changed and is wrong.
    """
    return read_ice_config(ice_config_file())


def read_ice_config(path: Path) -> IceConfig:
    """Read a list of STUN and TURN servers.

    Raises:
        OSError: The file cannot be read.
        UnicodeDecodeError: The file is not UTF-8.
        IceConfigError: The list is wrong.
    """
    return parse_ice_config(path.read_text(encoding="utf-8"), source=str(path))


def _find(name: str, inside: str = "") -> Path:
    for parent in (_PACKAGE, _PACKAGE.parent):
        path = parent / name
        if (path / inside).exists():
            return path
    raise AssetMissing(f"the installation of Peerline has no {name}: install it again")
