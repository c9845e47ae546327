"""All decisions of the server as a state machine (floor 1).

The server tells the `Hub` what happens on its connections and what time it is; the hub answers with
effects to carry out. Connections are numbers that the server chooses and never uses twice. After a
`Close` the hub has forgotten the connection.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final

from .errors import BadMessage, CloseCode, ErrorCode
from .messages import (
    Draining,
    Error,
    Heartbeat,
    Hello,
    Ice,
    IceOffer,
    IceUpdate,
    Leave,
    LeaveReason,
    Limits,
    Ping,
    Signal,
    parse_client,
)
from .rate_limit import AddressRates, ErrorBudget, TokenBucket, address_key, is_loopback
from .rooms import Close, Effect, RandomBytes, Rooms, RoomsConfig, Send

if TYPE_CHECKING:
    from .limits_config import HeartbeatConfig, LimitsConfig

__all__ = ["Hub", "Refusal"]

# These answers tell of bad luck, not of bad behaviour: a client that sends candidates to a peer
# that has just left, or that others flood, must not lose its own connection.
_FORGIVEN: Final = frozenset({ErrorCode.PEER_NOT_FOUND, ErrorCode.OVER_CAPACITY})


class Refusal(Enum):
    """Reasons to refuse the upgrade to a WebSocket."""

    OVER_CAPACITY = "the server is full"
    TOO_MANY_CONNECTIONS = "too many connections from this address"
    DRAINING = "the server is going away"


class _Waiting(Enum):
    """The event that a client's deadline waits for."""

    HELLO = "hello"
    PING = "ping"
    PONG = "pong"


@dataclass(slots=True, eq=False)
class _Client:
    address: str
    is_spared: bool
    rate: TokenBucket
    errors: ErrorBudget
    waiting: _Waiting
    deadline: float


class Hub:
    """Rooms, rates, heartbeats and errors of all connections.

    Args:
        limits, heartbeat: The bounds.
        ice: The ICE servers that peers get.
        random_bytes: `os.urandom` outside of tests.
        is_flooded: See `Rooms`.
    """

    def __init__(
        self,
        limits: LimitsConfig,
        heartbeat: HeartbeatConfig,
        ice: IceOffer,
        random_bytes: RandomBytes,
        is_flooded: Callable[[int], bool] = lambda connection: False,
    ) -> None:
        self._limits = limits
        self._heartbeat = heartbeat
        self._ice = ice
        told = Limits(
            rate=limits.messages_per_second,
            burst=limits.burst,
            peers=limits.peers_per_room,
            queue_bytes=limits.queue_bytes,
        )
        self._rooms = Rooms(
            RoomsConfig(
                limits=told,
                heartbeat=Heartbeat(interval=heartbeat.interval, timeout=heartbeat.timeout),
                code_lifetime=limits.code_lifetime,
                rooms=limits.rooms,
            ),
            random_bytes,
            is_flooded,
        )
        self._clients: dict[int, _Client] = {}
        self._per_address: Counter[str] = Counter()
        self._joins = AddressRates(limits.joins_per_minute)
        self._code_joins = AddressRates(limits.code_joins_per_minute)
        self._missed_codes = AddressRates(limits.missed_codes_per_hour, 3600.0)
        # (time, connection); an entry counts only while it is its client's deadline.
        self._deadlines: list[tuple[float, int]] = []
        self._is_draining = False

    @property
    def connections(self) -> int:
        """Number of clients, including those that have not said hello."""
        return len(self._clients)

    @property
    def rooms(self) -> int:
        """Number of rooms."""
        return len(self._rooms)

    @property
    def is_draining(self) -> bool:
        """Whether the server is going away."""
        return self._is_draining

    def avoid_numbers(self, numbers: frozenset[str]) -> None:
        """Exclude these numbers from new code rooms."""
        self._rooms.avoid_numbers(numbers)

    # --- connections ---

    def refuses(self, address: str | None) -> Refusal | None:
        """The reason to refuse a connection from `address`; None: it is admitted."""
        if self._is_draining:
            return Refusal.DRAINING
        if len(self._clients) >= self._limits.connections:
            return Refusal.OVER_CAPACITY
        taken = self._per_address[address_key(address)]
        if taken >= self._limits.connections_per_address and not self._is_spared(address):
            return Refusal.TOO_MANY_CONNECTIONS
        return None

    def connect(self, connection: int, address: str | None, now: float) -> list[Effect]:
        """Take a new connection; its hello must come in time."""
        if self._is_draining:
            # The server began to drain after it had admitted the request.
            return _goodbye(connection)
        limits = self._limits
        client = _Client(
            address=address_key(address),
            is_spared=self._is_spared(address),
            rate=TokenBucket(limits.messages_per_second, limits.burst, now),
            errors=ErrorBudget(limits.errors, limits.error_window),
            waiting=_Waiting.HELLO,
            deadline=now + limits.hello_timeout,
        )
        self._clients[connection] = client
        self._per_address[client.address] += 1
        heapq.heappush(self._deadlines, (client.deadline, connection))
        return []

    def disconnect(self, connection: int, reason: LeaveReason) -> list[Effect]:
        """Forget a connection that is gone, or that the server aborts. Idempotent."""
        self._forget(connection)
        return self._rooms.disconnect(connection, reason)

    def drain(self) -> list[Effect]:
        """Drain: tell every client that the server is going away, and close."""
        self._is_draining = True
        effects: list[Effect] = []
        for connection in list(self._clients):
            self._forget(connection)
            effects += _goodbye(connection)
        # Clients hear nothing of each other's leaving, since all of them have to go elsewhere.
        return effects

    # --- messages ---

    def receive_text(self, connection: int, text: str, now: float) -> list[Effect]:
        """Take a text frame."""
        client = self._clients.get(connection)
        if client is None:
            return []
        self._is_alive(connection, client, now)
        wait = client.rate.take(now)
        if wait > 0:
            limited = Error(
                code=ErrorCode.RATE_LIMITED,
                message="too many messages",
                retryable=True,
                retry_after=round(wait, 3),
            )
            return self._settle([Send(connection, limited)], connection, now)
        try:
            message = parse_client(text)
        except BadMessage as error:
            wrong = Error(code=error.code, message=error.message, retryable=False, id=error.id)
            return self._settle([Send(connection, wrong)], connection, now)
        if isinstance(message, Hello):
            effects = self._hello(connection, client, message, now)
        elif isinstance(message, Signal):
            effects = self._rooms.signal(connection, message)
        elif isinstance(message, Leave):
            effects = self._rooms.leave(connection, message)
        elif isinstance(message, Ice):
            effects = self._renew_ice(connection, message)
        else:
            # `pong` takes effect by its arrival; `ack` and `stats` need no answer yet.
            effects = []
        return self._settle(effects, connection, now)

    def receive_binary(self, connection: int, now: float) -> list[Effect]:
        """Take a binary frame: version 1 has no binary frames, so this is another protocol."""
        if connection not in self._clients:
            return []
        what = "this protocol has only text frames"
        error = Error(code=ErrorCode.BAD_MESSAGE, message=what, retryable=False)
        effects: list[Effect] = [Send(connection, error)]
        effects.append(Close(connection, CloseCode.BAD_PROTOCOL, what))
        return self._settle(effects, connection, now)

    def receive_ping(self, connection: int, now: float) -> list[Effect] | None:
        """Take a WebSocket ping; None: answer it with a WebSocket pong."""
        client = self._clients.get(connection)
        if client is None:
            return []
        self._is_alive(connection, client, now)
        if client.rate.take(now) > 0:
            what = "too many pings"
            return self._settle([Close(connection, CloseCode.RATE_LIMITED, what)], connection, now)
        return None

    # --- time ---

    def next_deadline(self) -> float | None:
        """Latest time at which `tick` must be called; None if nothing is due."""
        while self._deadlines and self._is_stale(*self._deadlines[0]):
            heapq.heappop(self._deadlines)
        candidates = [self._deadlines[0][0]] if self._deadlines else []
        expiry = self._rooms.next_deadline()
        if expiry is not None:
            candidates.append(expiry)
        return min(candidates, default=None)

    def tick(self, now: float) -> list[Effect]:
        """Do everything that is due: pings, dead connections, code rooms that nobody joined."""
        effects: list[Effect] = []
        while self._deadlines and self._deadlines[0][0] <= now:
            when, connection = heapq.heappop(self._deadlines)
            if not self._is_stale(when, connection):
                effects += self._deadline(connection, self._clients[connection], now)
        expired = self._rooms.expire(now)
        for effect in expired:
            if isinstance(effect, Close):
                self._forget(effect.connection)
        return effects + expired

    def _deadline(self, connection: int, client: _Client, now: float) -> list[Effect]:
        if client.waiting is _Waiting.PING:
            self._wait_for(connection, client, _Waiting.PONG, now + self._heartbeat.timeout)
            return [Send(connection, Ping())]
        if client.waiting is _Waiting.PONG:
            close = Close(connection, CloseCode.NO_PONG, "no answer to pings")
        else:
            close = Close(connection, CloseCode.HELLO_TIMEOUT, "no hello in time")
        return [close, *self.disconnect(connection, LeaveReason.TIMEOUT)]

    def _is_stale(self, when: float, connection: int) -> bool:
        client = self._clients.get(connection)
        return client is None or client.deadline != when

    def _is_alive(self, connection: int, client: _Client, now: float) -> None:
        # Any message is as good as a pong.
        if client.waiting is _Waiting.PONG:
            self._wait_for(connection, client, _Waiting.PING, now + self._heartbeat.interval)

    def _wait_for(self, connection: int, client: _Client, what: _Waiting, deadline: float) -> None:
        client.waiting = what
        client.deadline = deadline
        heapq.heappush(self._deadlines, (deadline, connection))

    # --- parts ---

    def _hello(self, connection: int, client: _Client, hello: Hello, now: float) -> list[Effect]:
        wait = 0.0
        is_code = isinstance(hello.code, str)
        if not client.is_spared:
            wait = self._joins.take(client.address, now)
            if wait == 0.0 and is_code:
                wait = self._code_joins.take(client.address, now)
            if wait == 0.0 and is_code:
                wait = self._missed_codes.wait(client.address, now)
        if wait > 0:
            what = "too many attempts from this address"
            limited = Error(
                code=ErrorCode.RATE_LIMITED,
                message=what,
                retryable=True,
                retry_after=round(wait, 3),
                id=hello.id,
            )
            return [Send(connection, limited), Close(connection, CloseCode.RATE_LIMITED, what)]
        effects = self._rooms.hello(connection, hello, now, self._ice)
        if is_code and not client.is_spared and not self._rooms.is_in_room(connection):
            self._missed_codes.take(client.address, now)
        if client.waiting is _Waiting.HELLO and self._rooms.is_in_room(connection):
            self._wait_for(connection, client, _Waiting.PING, now + self._heartbeat.interval)
        return effects

    def _renew_ice(self, connection: int, ice: Ice) -> list[Effect]:
        if self._rooms.is_in_room(connection):
            return [Send(connection, IceUpdate(ice=self._ice, id=ice.id))]
        what = "say `hello` first"
        error = Error(code=ErrorCode.NOT_IN_ROOM, message=what, retryable=False, id=ice.id)
        return [Send(connection, error)]

    def _settle(self, effects: list[Effect], connection: int, now: float) -> list[Effect]:
        """Count the errors among the answers to `connection`; forget it if it is being closed."""
        own = [effect for effect in effects if effect.connection == connection]
        if any(isinstance(effect, Close) for effect in own):
            return effects + self.disconnect(connection, LeaveReason.DISCONNECTED)
        client = self._clients[connection]
        for effect in own:
            message = effect.message if isinstance(effect, Send) else None
            if not isinstance(message, Error) or message.code in _FORGIVEN:
                continue
            if not client.errors.spend(now):
                code = CloseCode.TOO_MANY_ERRORS
                if message.code == ErrorCode.RATE_LIMITED:
                    code = CloseCode.RATE_LIMITED
                effects.append(Close(connection, code, "too many errors"))
                return effects + self.disconnect(connection, LeaveReason.DISCONNECTED)
        return effects

    def _forget(self, connection: int) -> None:
        client = self._clients.pop(connection, None)
        if client is None:
            return
        self._per_address[client.address] -= 1
        if not self._per_address[client.address]:
            del self._per_address[client.address]

    def _is_spared(self, address: str | None) -> bool:
        return self._limits.spare_loopback and is_loopback(address)


def _goodbye(connection: int) -> list[Effect]:
    return [
        Send(connection, Draining()),
        Close(connection, CloseCode.DRAINING, "the server is going away"),
    ]
