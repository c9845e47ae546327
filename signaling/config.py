"""Settings of a signaling server (floor 2: a listener may hold an `ssl.SSLContext`)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .errors import ConfigError
from .ice_servers import IceConfig
from .limits_config import HeartbeatConfig, LimitsConfig

if TYPE_CHECKING:
    from pathlib import Path
    from ssl import SSLContext

__all__ = ["HeartbeatConfig", "LimitsConfig", "Listener", "ServerConfig"]


@dataclass(frozen=True, slots=True)
class Listener:
    """One address to listen on.

    Attributes:
        host: An address or a name; None for every interface, IPv4 and IPv6.
        port: 0 lets the system choose; `SignalingServer.ports` tells the choice.
        ssl: For HTTPS; None for plain HTTP.
    """

    host: str | None = "127.0.0.1"
    port: int = 0
    ssl: SSLContext | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65535:
            raise ConfigError(f"the port must be a number from 0 to 65535, not {self.port}")


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """Settings of a `SignalingServer`.

    Attributes:
        listeners: All of them serve the same rooms.
        ice: The ICE servers that every peer gets in `welcome`.
        page: The directory served at `/`; None serves no page.
        allow_origins: Browser origins (`https://app.example.org`) that may connect beside the
            page's own; `*` for any.
        host_names: The names and addresses that the server answers to, beside `localhost`, the
            loopback addresses and the one a client connected to; requests for others are refused
            (a web page can make its own name lead here). None: any, as behind a proxy.
        taken_numbers: Numbers that code rooms do not get, because other servers on the network use
            them.
    """

    listeners: tuple[Listener, ...] = (Listener(),)
    ice: IceConfig = field(default_factory=IceConfig)
    page: Path | None = None
    limits: LimitsConfig = field(default_factory=LimitsConfig)
    heartbeat: HeartbeatConfig = field(default_factory=HeartbeatConfig)
    allow_origins: tuple[str, ...] = ()
    host_names: tuple[str, ...] | None = None
    taken_numbers: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if not self.listeners:
            raise ConfigError("a server needs at least one address to listen on")
