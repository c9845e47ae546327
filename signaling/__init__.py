"""Peerline's signaling: the small messages that let two peers find each other.

The package is cheap to import: nothing below is loaded before it is asked for, and only
`signaling.server` and the modules under it need aiohttp. A peer that speaks the protocol
imports `signaling.messages` and `signaling.ice_servers` alone.

The protocol is described in `PROTOCOL.md` beside this file.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .bounds import HeartbeatConfig, LimitsConfig
    from .config import Listener, ServerConfig
    from .errors import (
        BadMessage,
        CloseCode,
        ConfigError,
        ErrorCode,
        IceConfigError,
        ListenError,
        SignalingError,
    )
    from .ice_servers import IceConfig, IceServer, parse_ice_config
    from .server import SignalingServer

__all__ = [
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
    "ServerConfig",
    "SignalingError",
    "SignalingServer",
    "parse_ice_config",
]

_HOME = {
    "BadMessage": "errors",
    "CloseCode": "errors",
    "ConfigError": "errors",
    "ErrorCode": "errors",
    "HeartbeatConfig": "bounds",
    "IceConfig": "ice_servers",
    "IceConfigError": "errors",
    "IceServer": "ice_servers",
    "LimitsConfig": "bounds",
    "ListenError": "errors",
    "Listener": "config",
    "ServerConfig": "config",
    "SignalingError": "errors",
    "SignalingServer": "server",
    "parse_ice_config": "ice_servers",
}


def __getattr__(name: str) -> Any:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{home}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
