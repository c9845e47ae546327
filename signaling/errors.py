"""Exceptions, error codes and close codes (floor 0).

The exceptions::

    SignalingError
    ├── BadMessage         a message that breaks the protocol
    ├── ConfigError        the server's configuration cannot be used
    │   └── IceConfigError     ... the list of STUN and TURN servers
    ├── AssetMissing       the page or the default ICE configuration is not installed
    └── ListenError        the server cannot listen where it was told to
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum, StrEnum

__all__ = [
    "AssetMissing",
    "BadMessage",
    "CloseCode",
    "ConfigError",
    "ErrorCode",
    "IceConfigError",
    "ListenError",
    "Problem",
    "Reconnect",
    "SignalingError",
    "reconnect_after",
]


class ErrorCode(StrEnum):
    """Values of `error.code`. A client treats unknown ones as `internal`."""

    BAD_MESSAGE = "bad_message"
    UNSUPPORTED = "unsupported"
    TOO_LARGE = "too_large"
    FORBIDDEN = "forbidden"
    ORIGIN_REFUSED = "origin_refused"
    NO_SUCH_ROOM = "no_such_room"
    ROOM_FULL = "room_full"
    NOT_IN_ROOM = "not_in_room"
    PEER_NOT_FOUND = "peer_not_found"
    RATE_LIMITED = "rate_limited"
    OVER_CAPACITY = "over_capacity"
    INTERNAL = "internal"


class CloseCode(IntEnum):
    """WebSocket close codes of the protocol (RFC 6455, 7.4.2: 4000-4999 are for private use).

    The hundreds tell clients that do not know the code how to reconnect, see `reconnect_after`.
    """

    BAD_PROTOCOL = 4000
    UNAUTHORIZED = 4001
    TOKEN_EXPIRED = 4002
    FORBIDDEN = 4003
    UNSUPPORTED_VERSION = 4004
    HELLO_TIMEOUT = 4005
    REPLACED = 4006
    KICKED = 4007
    ROOM_CLOSED = 4008
    ORIGIN_REFUSED = 4009
    TOO_MANY_ERRORS = 4010
    OVER_CAPACITY = 4100
    RATE_LIMITED = 4101
    SLOW_CONSUMER = 4102
    INTERNAL = 4103
    NO_PONG = 4105
    ROOM_FULL = 4106
    DRAINING = 4200


class Reconnect(Enum):
    """The reaction of a client to the end of its connection."""

    NEVER = "never"
    BACK_OFF = "back off"
    AT_ONCE = "at once"


def reconnect_after(close_code: int) -> Reconnect:
    """Return the reaction to `close_code`, which may be any number.

    4000-4099: the same hello would fail again. 4200-4299: the server is going away on
    purpose, another one is there. Everything else, a lost connection (1006) included:
    wait at least a second, longer each time, with jitter.
    """
    if 4000 <= close_code <= 4099 or close_code == 1000:
        return Reconnect.NEVER
    if 4200 <= close_code <= 4299:
        return Reconnect.AT_ONCE
    return Reconnect.BACK_OFF


class SignalingError(Exception):
    """Base class of every error that this package raises on purpose."""


class BadMessage(SignalingError):
    """A message breaks the protocol.

    Attributes:
        code: The code of the `error` that answers it.
        message: One sentence, with the place of the wrong field (`$.to`); safe to send back to the
            sender.
        id: The message's `id`, if it could be read.
    """

    def __init__(self, code: ErrorCode, message: str, *, id: int | None = None) -> None:
        super().__init__(f"{code.value}: {message}")
        self.code = code
        self.message = message
        self.id = id


class ConfigError(SignalingError):
    """The configuration cannot be used; the text says which part and why."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One wrong field of a configuration file.

    Attributes:
        place: Such as `ice_servers[1].urls[0]`, or `""` for the file as a whole.
        line: Line in the file, from 1; None if there is no line to show.
        message: The fault and the remedy, without credentials.
    """

    place: str
    line: int | None
    message: str


class IceConfigError(ConfigError):
    """The list of STUN and TURN servers is wrong; names every wrong field, not only the first.

    Attributes:
        source: Name of the file, as given.
        problems: Problems in the order of the file.
    """

    def __init__(self, source: str, problems: tuple[Problem, ...]) -> None:
        self.source = source
        self.problems = problems
        super().__init__("\n".join(self._line(problem) for problem in problems))

    def _line(self, problem: Problem) -> str:
        where = self.source if problem.line is None else f"{self.source}:{problem.line}"
        what = f"{problem.place}: {problem.message}" if problem.place else problem.message
        return f"{where}: {what}"


class AssetMissing(SignalingError):
    """A file that belongs to the installation is not there."""


class ListenError(SignalingError):
    """The server cannot listen on an address: in use, not ours, or not permitted."""
