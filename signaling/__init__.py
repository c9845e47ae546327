"""Peerline's signaling: the small messages that let two peers find each other.

Messages, errors and settings are on floor 0; rooms, sessions and rate limits are machines
(floor 1); sockets and aiohttp are on floor 2, the public names on floor 3, the command on floor 4.

The package is cheap to import: its modules are loaded on first use, and only
`signaling.server`, `signaling.service` and the modules under them need aiohttp. A peer that speaks
the protocol imports `signaling.messages` and `signaling.ice_servers` alone.

The protocol is described in `PROTOCOL.md` beside this file.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .assets import default_ice_config, page_directory, read_ice_config
    from .config import Listener, ServerConfig
    from .errors import (
        AssetMissing,
        BadMessage,
        CloseCode,
        ConfigError,
        ErrorCode,
        IceConfigError,
        ListenError,
        Problem,
        Reconnect,
        SignalingError,
        reconnect_after,
    )
    from .ice_servers import IceConfig, IceServer, parse_ice_config
    from .limits_config import HeartbeatConfig, LimitsConfig
    from .server import SignalingServer
    from .service import create_app
    from .tls import server_context

__all__ = [
    "AssetMissing",
    "BadMessage",
    "CloseCode",
    "ConfigError",
    "ErrorCode",
    "HeartbeatConfig",
    "IceConfig",
    "IceConfigError",
    "IceServer",
    "LimitsConfig",
    "ListenError",
    "Listener",
    "Problem",
    "Reconnect",
    "ServerConfig",
    "SignalingError",
    "SignalingServer",
    "create_app",
    "default_ice_config",
    "page_directory",
    "parse_ice_config",
    "read_ice_config",
    "reconnect_after",
    "server_context",
]

_HOME = {
    "AssetMissing": "errors",
    "BadMessage": "errors",
    "CloseCode": "errors",
    "ConfigError": "errors",
    "ErrorCode": "errors",
    "HeartbeatConfig": "limits_config",
    "IceConfig": "ice_servers",
    "IceConfigError": "errors",
    "IceServer": "ice_servers",
    "LimitsConfig": "limits_config",
    "ListenError": "errors",
    "Listener": "config",
    "Problem": "errors",
    "Reconnect": "errors",
    "ServerConfig": "config",
    "SignalingError": "errors",
    "SignalingServer": "server",
    "create_app": "service",
    "default_ice_config": "assets",
    "page_directory": "assets",
    "parse_ice_config": "ice_servers",
    "read_ice_config": "assets",
    "reconnect_after": "errors",
    "server_context": "tls",
}


def __getattr__(name: str) -> Any:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{home}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
