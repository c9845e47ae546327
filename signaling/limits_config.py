"""Bounds of a signaling server, and their defaults (floor 0)."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Final

from .errors import ConfigError

__all__ = ["MAX_PEERS", "HeartbeatConfig", "LimitsConfig"]

MAX_PEERS: Final = 512
"""Most peers in a room: with the longest names and `meta`, they fit in the longest message."""


@dataclass(frozen=True, slots=True)
class HeartbeatConfig:
    """Seconds between two pings, and seconds for a sign of life after a ping."""

    interval: float = 20.0
    timeout: float = 10.0

    def __post_init__(self) -> None:
        _check_positive(self)


@dataclass(frozen=True, slots=True)
class LimitsConfig:
    """Bounds for one connection, for one address, and for all clients together.

    Attributes:
        messages_per_second: Per connection, in the long run. WebSocket frames may come four times
            as fast, with as many bytes as if each message had the greatest length; the excess
            waits.
        burst: Messages per connection at once.
        queue_bytes: Bytes that may wait for a client that does not read; more closes it with 4102.
        queue_bytes_in_all: Bytes that may wait for all such clients; beyond it they are closed
            with 4102 from 64 KiB on.
        held_bytes_in_all: Bytes that may wait from all clients that exceed their rates; beyond it
            they are closed with 4101 from 64 KiB on.
        errors: Protocol errors within `error_window` seconds that close with 4010.
        hello_timeout: Seconds from the connection to the `hello`.
        write_timeout: Seconds that one message may take to leave; then 4102.
        close_timeout: Seconds for the closing handshake; then the connection is aborted.
        joins_per_minute: `hello`s per address.
        code_joins_per_minute: `hello`s per address that name a code room.
        missed_codes_per_hour: Those of these that found no room, or a full one, per address:
            guesses at numbers. After that the address may join no code room for a while.
        connections_per_address: WebSockets that are open at the same time, and as many other
            connections beside them.
        connections: WebSockets in all.
        visitors: Other connections than WebSockets, in all; the idlest gives way to a new one.
        visits_per_minute: New connections per address.
        requests_per_minute: HTTP requests per address.
        request_timeout: Seconds from the connection (TLS: from its handshake, which has as long)
            to the end of the first request.
        idle_timeout: Seconds to the next request on the same connection.
        spare_loopback: The limits per address exempt programs of this machine.
            (Behind a reverse proxy on the same machine everybody is loopback: let it limit.)
        peers_per_room: Places in a named room, at most `MAX_PEERS`.
        rooms: In all.
        code_lifetime: Seconds for which a code room waits for its second peer.
    """

    messages_per_second: float = 50.0
    burst: int = 100
    queue_bytes: int = 1024 * 1024
    queue_bytes_in_all: int = 256 * 1024 * 1024
    held_bytes_in_all: int = 64 * 1024 * 1024
    errors: int = 10
    error_window: float = 10.0
    hello_timeout: float = 10.0
    write_timeout: float = 10.0
    close_timeout: float = 3.0
    joins_per_minute: int = 60
    code_joins_per_minute: int = 20
    missed_codes_per_hour: int = 30
    connections_per_address: int = 64
    connections: int = 10_000
    visitors: int = 1024
    visits_per_minute: int = 600
    requests_per_minute: int = 1200
    request_timeout: float = 10.0
    idle_timeout: float = 30.0
    spare_loopback: bool = True
    peers_per_room: int = 64
    rooms: int = 10_000
    code_lifetime: float = 3600.0

    def __post_init__(self) -> None:
        _check_positive(self)
        if self.peers_per_room > MAX_PEERS:
            raise ConfigError(f"peers_per_room must be at most {MAX_PEERS}")


def _check_positive(config: HeartbeatConfig | LimitsConfig) -> None:
    for item in fields(config):
        value = getattr(config, item.name)
        # `not >` also catches NaN.
        if not isinstance(value, bool) and not value > 0:
            raise ConfigError(f"{item.name} must be more than 0, not {value}")
