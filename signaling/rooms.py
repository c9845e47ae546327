"""Rooms and their members, and relaying between them, as a state machine (floor 1).

`Rooms` takes the requests of clients (`hello`, `signal`, `leave`, `disconnect`) and the time
(`expire`), and returns a list of `Send` and `Close`. It has no other outputs, so a test can play
hours of meetings in microseconds.

A *named* room has up to N places and lasts while somebody is in it. A *code* room has two places,
is used once, and ends as soon as one of the two is gone; until then its number is nobody else's.
"""

from __future__ import annotations

import base64
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final, TypeAlias

import msgspec

from .errors import CloseCode, ErrorCode
from .messages import (
    MAX_ROOM,
    Error,
    Heartbeat,
    Hello,
    IceOffer,
    Leave,
    LeaveReason,
    Limits,
    Ok,
    PeerEvent,
    PeerInfo,
    ServerMessage,
    Signal,
    SignalFrom,
    Welcome,
)

__all__ = ["Close", "Effect", "RandomBytes", "Rooms", "RoomsConfig", "Send"]

RandomBytes: TypeAlias = Callable[[int], bytes]
"""Returns a number of random bytes; `os.urandom` outside of tests."""

MAX_DIGITS: Final = 6


@dataclass(frozen=True, slots=True)
class RoomsConfig:
    """Bounds of the rooms of a server.

    Attributes:
        limits: Sent to clients; `limits.peers` is the number of places in a named room.
        heartbeat: Sent to clients.
        code_lifetime: Seconds for which a code room waits for its second peer.
        rooms: Largest number of rooms.
    """

    limits: Limits = field(default_factory=Limits)
    heartbeat: Heartbeat = field(default_factory=Heartbeat)
    code_lifetime: float = 3600.0
    rooms: int = 10_000


@dataclass(frozen=True, slots=True)
class Send:
    """Send `message` on `connection`."""

    connection: int
    message: ServerMessage


@dataclass(frozen=True, slots=True)
class Close:
    """Close `connection` after everything sent before; it has left its room."""

    connection: int
    code: int
    reason: str


Effect: TypeAlias = Send | Close


class RoomState(Enum):
    """States of a room: a named room is OPEN while it lives; the others belong to code rooms."""

    OPEN = "open"
    WAITING = "waiting"
    PAIRED = "paired"
    ENDED = "ended"


class RoomInput(Enum):
    """Events in the life of a room."""

    JOINED = "joined"
    LEFT = "left"
    EMPTIED = "emptied"
    EXPIRED = "expired"


_TRANSITIONS: Final = {
    (RoomState.OPEN, RoomInput.JOINED): RoomState.OPEN,
    (RoomState.OPEN, RoomInput.LEFT): RoomState.OPEN,
    (RoomState.OPEN, RoomInput.EMPTIED): RoomState.ENDED,
    (RoomState.WAITING, RoomInput.JOINED): RoomState.PAIRED,
    (RoomState.WAITING, RoomInput.EMPTIED): RoomState.ENDED,
    (RoomState.WAITING, RoomInput.EXPIRED): RoomState.ENDED,
    (RoomState.PAIRED, RoomInput.LEFT): RoomState.ENDED,
    (RoomState.ENDED, RoomInput.EMPTIED): RoomState.ENDED,
}


@dataclass(slots=True, eq=False)
class _Room:
    name: str
    state: RoomState
    places: int
    expires_at: float | None = None
    arrivals: int = 0
    members: dict[str, _Session] = field(default_factory=dict)

    @property
    def is_code(self) -> bool:
        return self.state is not RoomState.OPEN

    def is_over(self, now: float) -> bool:
        """Whether the time for the second peer has run out."""
        if self.state is not RoomState.WAITING or self.expires_at is None:
            return False
        return self.expires_at <= now

    def happens(self, what: RoomInput) -> None:
        self.state = _TRANSITIONS[self.state, what]


@dataclass(slots=True, eq=False)
class _Session:
    """One client's stay in a room."""

    id: str
    resume_token: str
    connection: int
    room: _Room
    peer: str
    name: str | None
    meta: dict[str, Any] | None
    seq: int = 0

    def info(self) -> PeerInfo:
        return PeerInfo(peer=self.peer, name=self.name, meta=self.meta)

    def next_seq(self) -> int:
        self.seq += 1
        return self.seq


class Rooms:
    """All rooms of a server.

    Args:
        config: The bounds.
        random_bytes: The source of numbers, ids and tokens.
        is_flooded: Whether so much waits for a connection that it gets no more signals.
    """

    def __init__(
        self,
        config: RoomsConfig,
        random_bytes: RandomBytes,
        is_flooded: Callable[[int], bool] = lambda connection: False,
    ) -> None:
        self._config = config
        self._random = random_bytes
        self._is_flooded = is_flooded
        self._named: dict[str, _Room] = {}
        self._codes: dict[str, _Room] = {}
        # Code rooms without a second peer, in the order in which they expire.
        self._waiting: dict[str, _Room] = {}
        self._sessions: dict[int, _Session] = {}
        self._avoided: frozenset[str] = frozenset()

    def __len__(self) -> int:
        """How many rooms there are."""
        return len(self._named) + len(self._codes)

    def avoid_numbers(self, numbers: Iterable[str]) -> None:
        """Exclude these numbers from new code rooms; replaces those of the last call."""
        self._avoided = frozenset(numbers)

    def is_in_room(self, connection: int) -> bool:
        """Whether `connection` has said hello and was admitted."""
        return connection in self._sessions

    # --- requests of clients ---

    def hello(self, connection: int, hello: Hello, now: float, ice: IceOffer) -> list[Effect]:
        """Admit a client: it gets `welcome`, the others get `peer joined`.

        `hello.resume` is ignored so far: the client gets a new session, and the welcome says so
        (`resumed: false`).
        """
        if connection in self._sessions:
            return [_error(connection, ErrorCode.BAD_MESSAGE, "already in a room", hello.id)]
        room = self._room_for(hello, now)
        if isinstance(room, _Refused):
            return [
                _error(connection, room.code, room.message, hello.id, retryable=room.retryable),
                Close(connection, room.close, room.message),
            ]
        others = list(room.members.values())
        session = _Session(
            id=self._token(16),
            resume_token=self._token(24),
            connection=connection,
            room=room,
            peer=self._peer_id(room),
            name=hello.name,
            meta=hello.meta,
        )
        room.members[session.peer] = session
        self._sessions[connection] = session
        if others or not room.is_code:
            room.happens(RoomInput.JOINED)
            if room.is_code:
                self._waiting.pop(room.name, None)
        welcome = Welcome(
            session=session.id,
            resume_token=session.resume_token,
            peer=session.peer,
            room=room.name,
            seq=session.seq,
            peers=tuple(other.info() for other in others),
            ice=ice,
            limits=msgspec.structs.replace(self._config.limits, peers=room.places),
            heartbeat=self._config.heartbeat,
            resumed=False,
            recovered=False,
            code=room.name if room.is_code else None,
            id=hello.id,
        )
        effects: list[Effect] = [Send(connection, welcome)]
        effects += (self._event(other, "joined", session) for other in others)
        return effects

    def signal(self, connection: int, signal: Signal) -> list[Effect]:
        """Pass a signal on to one other peer of the same room."""
        session = self._sessions.get(connection)
        if session is None:
            return [_not_in_room(connection, signal.id)]
        other = session.room.members.get(signal.to)
        if other is None or other is session:
            what = "there is no such peer in the room"
            return [_error(connection, ErrorCode.PEER_NOT_FOUND, what, signal.id)]
        if self._is_flooded(other.connection):
            if signal.id is None:
                return []
            what = "that peer reads too slowly"
            error = _error(connection, ErrorCode.OVER_CAPACITY, what, signal.id, retryable=True)
            return [error]
        relayed = SignalFrom(
            from_=session.peer,
            to=signal.to,
            link=signal.link,
            gen=signal.gen,
            kind=signal.kind,
            data=signal.data,
            seq=other.next_seq(),
        )
        effects: list[Effect] = [Send(other.connection, relayed)]
        if signal.id is not None:
            effects.append(Send(connection, Ok(id=signal.id)))
        return effects

    def leave(self, connection: int, leave: Leave) -> list[Effect]:
        """Remove a client that said goodbye."""
        if connection not in self._sessions:
            return [_not_in_room(connection, leave.id)]
        effects: list[Effect] = []
        if leave.id is not None:
            effects.append(Send(connection, Ok(id=leave.id)))
        effects.append(Close(connection, 1000, "goodbye"))
        return effects + self.disconnect(connection, LeaveReason.LEAVE)

    def disconnect(self, connection: int, reason: LeaveReason) -> list[Effect]:
        """Tell the others that a client is gone; does nothing for a client without a room."""
        session = self._sessions.pop(connection, None)
        if session is None:
            return []
        room = session.room
        del room.members[session.peer]
        room.happens(RoomInput.LEFT if room.members else RoomInput.EMPTIED)
        self._forget_if_ended(room)
        return [self._event(other, "left", session, reason) for other in room.members.values()]

    # --- time ---

    def next_deadline(self) -> float | None:
        """Latest time at which `expire` must be called; None if nothing is due."""
        for room in self._waiting.values():
            return room.expires_at
        return None

    def expire(self, now: float) -> list[Effect]:
        """Close the code rooms that nobody joined in time."""
        effects: list[Effect] = []
        for room in list(self._waiting.values()):
            if not room.is_over(now):
                break
            for session in room.members.values():
                del self._sessions[session.connection]
                what = "nobody came in time; the code is no longer valid"
                error = _error(session.connection, ErrorCode.NO_SUCH_ROOM, what, None)
                effects += (error, Close(session.connection, CloseCode.ROOM_CLOSED, what))
            room.members.clear()
            room.happens(RoomInput.EXPIRED)
            self._forget_if_ended(room)
        return effects

    # --- rooms ---

    def _room_for(self, hello: Hello, now: float) -> _Room | _Refused:
        if isinstance(hello.code, str):
            return self._code_room(hello.code, now)
        if hello.room is not None:
            # Two systems may compose the same typed name differently.
            name = unicodedata.normalize("NFC", hello.room)
            if len(name) > MAX_ROOM:
                return _LONG_NAME
            room = self._named.get(name)
            if room is not None:
                return _NAMED_FULL if len(room.members) >= room.places else room
            if len(self) >= self._config.rooms:
                return _NO_CAPACITY
            room = _Room(name, RoomState.OPEN, self._config.limits.peers)
            self._named[name] = room
            return room
        number = self._free_number() if len(self) < self._config.rooms else None
        if number is None:
            return _NO_CAPACITY
        room = _Room(number, RoomState.WAITING, 2, now + self._config.code_lifetime)
        self._codes[number] = self._waiting[number] = room
        return room

    def _code_room(self, number: str, now: float) -> _Room | _Refused:
        room = self._codes.get(number)
        if room is None or room.is_over(now):
            return _NO_SUCH_ROOM
        return room if room.state is RoomState.WAITING else _CODE_FULL

    def _forget_if_ended(self, room: _Room) -> None:
        if room.state is not RoomState.ENDED:
            return
        for rooms in (self._codes, self._waiting, self._named):
            # When the second of a pair leaves, the number may belong to another room.
            if rooms.get(room.name) is room:
                del rooms[room.name]

    def _free_number(self) -> str | None:
        """Return the shortest free number, at random among those of its length."""
        for digits in range(1, MAX_DIGITS + 1):
            first, count = 10 ** (digits - 1), 9 * 10 ** (digits - 1)
            # Long numbers are nearly all free: a few attempts find one without a list.
            for _ in range(32 if digits > 3 else 0):
                number = str(first + self._below(count))
                if self._is_free(number):
                    return number
            free = [n for n in map(str, range(first, first + count)) if self._is_free(n)]
            if free:
                return free[self._below(len(free))]
        return None

    def _is_free(self, number: str) -> bool:
        return number not in self._codes and number not in self._avoided

    # --- small parts ---

    def _event(
        self, to: _Session, event: str, about: _Session, reason: LeaveReason | None = None
    ) -> Send:
        seq = to.next_seq()
        if event == "joined":
            name, meta = about.name, about.meta
            joined = PeerEvent(event="joined", peer=about.peer, seq=seq, name=name, meta=meta)
            return Send(to.connection, joined)
        return Send(to.connection, PeerEvent(event="left", peer=about.peer, seq=seq, reason=reason))

    def _peer_id(self, room: _Room) -> str:
        # The count makes ids sort by arrival. The random part prevents signals for a member of an
        # earlier room of this name from reaching a member of this one.
        room.arrivals += 1
        return f"{room.arrivals:08x}-{self._random(4).hex()}"

    def _token(self, length: int) -> str:
        return base64.urlsafe_b64encode(self._random(length)).rstrip(b"=").decode()

    def _below(self, bound: int) -> int:
        """Return a random int in [0, bound); rejection keeps every number equally likely."""
        limit = (1 << 32) - (1 << 32) % bound
        while True:
            value = int.from_bytes(self._random(4), "big")
            if value < limit:
                return value % bound


@dataclass(frozen=True, slots=True)
class _Refused:
    code: ErrorCode
    close: CloseCode
    message: str
    retryable: bool


_NO_SUCH_ROOM: Final = _Refused(
    ErrorCode.NO_SUCH_ROOM, CloseCode.FORBIDDEN, "no such code, or it was used already", False
)
_CODE_FULL: Final = _Refused(
    ErrorCode.ROOM_FULL, CloseCode.ROOM_FULL, "somebody else has used this code", False
)
_NAMED_FULL: Final = _Refused(ErrorCode.ROOM_FULL, CloseCode.ROOM_FULL, "the room is full", True)
_LONG_NAME: Final = _Refused(
    ErrorCode.BAD_MESSAGE,
    CloseCode.BAD_PROTOCOL,
    f"the room's name has more than {MAX_ROOM} characters in normal form C",
    False,
)
_NO_CAPACITY: Final = _Refused(
    ErrorCode.OVER_CAPACITY, CloseCode.OVER_CAPACITY, "the server has no room left", True
)


def _error(
    connection: int, code: ErrorCode, message: str, id: int | None, *, retryable: bool = False
) -> Send:
    return Send(connection, Error(code=code, message=message, retryable=retryable, id=id))


def _not_in_room(connection: int, id: int | None) -> Send:
    return _error(connection, ErrorCode.NOT_IN_ROOM, "say `hello` first", id)
