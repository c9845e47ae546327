"""The server's decisions, in virtual time."""

from __future__ import annotations

import json
import random
from typing import Any, TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from signaling.errors import CloseCode, ErrorCode
from signaling.hub import Hub, Refusal
from signaling.ice_servers import IceServer
from signaling.limits_config import HeartbeatConfig, LimitsConfig
from signaling.messages import (
    Draining,
    Error,
    IceOffer,
    IceUpdate,
    LeaveReason,
    PeerEvent,
    Ping,
    ServerMessage,
    SignalFrom,
    Welcome,
)
from signaling.rooms import Close, Effect, Send
from tests.support.signaling_vectors import VECTORS

M = TypeVar("M")

SOMEWHERE = "192.0.2.7"
ICE = IceOffer(servers=(IceServer(("stun:s",)),))
HEARTBEAT = HeartbeatConfig(interval=20.0, timeout=10.0)


class World:
    """A hub, a clock, and what everybody was sent."""

    def __init__(self, **limits: Any) -> None:
        self.hub = Hub(LimitsConfig(**limits), HEARTBEAT, ICE, random.Random(1).randbytes)
        self.now = 1000.0
        self.sent: dict[int, list[ServerMessage]] = {}
        self.closed: dict[int, int] = {}

    def apply(self, effects: list[Effect]) -> None:
        for effect in effects:
            assert effect.connection not in self.closed, "nothing comes after a close"
            if isinstance(effect, Close):
                self.closed[effect.connection] = effect.code
            else:
                self.sent.setdefault(effect.connection, []).append(effect.message)

    def connect(self, *connections: int, address: str = SOMEWHERE) -> None:
        for connection in connections:
            assert self.hub.refuses(address) is None
            self.apply(self.hub.connect(connection, address, self.now))

    def join(self, *connections: int, address: str = SOMEWHERE, room: str = "demo") -> None:
        for connection in connections:
            self.connect(connection, address=address)
            self.say(connection, t="hello", room=room)
            self.last(connection, Welcome)

    def say(self, connection: int, **fields: Any) -> None:
        self.text(connection, json.dumps(fields))

    def text(self, connection: int, text: str) -> None:
        self.apply(self.hub.receive_text(connection, text, self.now))

    def wait(self, seconds: float) -> None:
        """Let time go by as a server does: woken at each deadline."""
        end = self.now + seconds
        while (deadline := self.hub.next_deadline()) is not None and deadline <= end:
            self.now = max(self.now, deadline)
            self.apply(self.hub.tick(self.now))
        self.now = end

    def last(self, connection: int, kind: type[M]) -> M:
        message = self.sent[connection][-1]
        assert isinstance(message, kind), message
        return message

    def errors(self, connection: int) -> list[str]:
        return [m.code for m in self.sent.get(connection, []) if isinstance(m, Error)]


# --- hello and heartbeat ---


def test_a_connection_without_hello_is_closed_in_time() -> None:
    world = World(hello_timeout=10.0)
    world.connect(1)
    world.wait(9.9)
    assert not world.closed
    world.wait(0.1)
    assert world.closed == {1: CloseCode.HELLO_TIMEOUT}
    assert world.hub.connections == 0


def test_bad_messages_do_not_put_off_the_hello_deadline() -> None:
    world = World(hello_timeout=10.0, errors=100)
    world.connect(1)
    for _ in range(9):
        world.wait(1.0)
        world.text(1, "garbage")
    world.wait(1.0)
    assert world.closed == {1: CloseCode.HELLO_TIMEOUT}


def test_who_said_hello_is_not_timed_out() -> None:
    world = World()
    world.join(1)
    world.wait(11.0)
    assert not world.closed


def test_a_ping_goes_out_at_every_interval_and_a_pong_keeps_the_connection() -> None:
    world = World()
    world.join(1)
    for count in range(1, 6):
        world.wait(20.0)
        assert [type(m) for m in world.sent[1]].count(Ping) == count
        world.say(1, t="pong")
    assert not world.closed


def test_without_pong_the_connection_is_closed_and_the_others_hear_of_it() -> None:
    world = World()
    world.join(1, 2)
    world.wait(20.0)
    world.say(1, t="pong")
    world.wait(10.0)
    assert world.closed == {2: CloseCode.NO_PONG}
    event = world.last(1, PeerEvent)
    assert (event.event, event.reason) == ("left", "timeout")


def test_any_message_is_a_sign_of_life() -> None:
    world = World()
    world.join(1)
    world.wait(25.0)
    world.text(1, "garbage")
    world.wait(6.0)
    assert not world.closed
    world.wait(14.0)
    world.last(1, Ping)


def test_a_websocket_ping_is_a_sign_of_life_and_is_answered_by_a_pong_frame() -> None:
    world = World()
    world.join(1)
    world.wait(25.0)
    assert world.hub.receive_ping(1, world.now) is None
    world.wait(6.0)
    assert not world.closed


def test_talking_does_not_stop_the_pings() -> None:
    world = World()
    world.join(1)
    for _ in range(25):
        world.wait(1.0)
        world.say(1, t="pong")
    assert [type(m) for m in world.sent[1]].count(Ping) == 1


def test_nothing_is_due_when_nobody_is_there() -> None:
    world = World()
    assert world.hub.next_deadline() is None
    world.join(1)
    world.apply(world.hub.disconnect(1, LeaveReason.DISCONNECTED))
    assert world.hub.next_deadline() is None


def test_a_room_nobody_joined_is_closed_by_the_clock() -> None:
    world = World(code_lifetime=50.0)
    world.connect(1)
    world.say(1, t="hello", code=True)
    for _ in range(10):
        world.wait(5.0)
        world.say(1, t="pong")
    assert world.closed == {1: CloseCode.ROOM_CLOSED}
    assert world.errors(1) == ["no_such_room"]
    assert (world.hub.connections, world.hub.rooms) == (0, 0)


# --- errors ---


@pytest.mark.parametrize("vector", VECTORS["bad_client"], ids=lambda v: v["text"][:60])
def test_a_bad_message_gets_its_error_and_nobody_else_hears_of_it(vector: dict[str, Any]) -> None:
    world = World()
    world.join(1, 2)
    before = len(world.sent[1])
    world.text(2, vector["text"])
    assert world.last(2, Error).code == vector["code"]
    assert world.last(2, Error).id == vector.get("id")
    assert len(world.sent[1]) == before
    assert not world.closed


def test_the_tenth_error_within_ten_seconds_closes() -> None:
    world = World()
    world.join(1, 2)
    for _ in range(9):
        world.text(2, "garbage")
    assert not world.closed
    world.text(2, "garbage")
    assert world.closed == {2: CloseCode.TOO_MANY_ERRORS}
    assert world.last(1, PeerEvent).event == "left"


def test_errors_far_apart_are_forgiven() -> None:
    world = World()
    world.join(1)
    for _ in range(50):
        world.wait(1.2)
        world.text(1, "garbage")
    assert not world.closed


def test_signals_to_peers_that_have_left_are_never_held_against_anybody() -> None:
    world = World()
    world.join(1)
    for n in range(60):
        world.say(1, t="signal", to="gone", link="l", gen=0, kind="candidate", data="", id=n)
    assert world.errors(1) == ["peer_not_found"] * 60
    assert not world.closed


def test_before_the_hello_everything_else_is_an_error() -> None:
    world = World()
    world.connect(1)
    world.say(1, t="signal", to="p", link="l", gen=0, kind="offer", data="", id=1)
    world.say(1, t="ice", id=2)
    world.say(1, t="leave", id=3)
    assert world.errors(1) == ["not_in_room"] * 3
    assert [m.id for m in world.sent[1] if isinstance(m, Error)] == [1, 2, 3]


def test_pong_ack_and_stats_are_taken_without_an_answer() -> None:
    world = World()
    world.join(1)
    before = len(world.sent[1])
    world.say(1, t="pong")
    world.say(1, t="ack", seq=5)
    world.say(1, t="stats", link="l", result="direct", open_ms=31)
    assert len(world.sent[1]) == before


def test_a_binary_frame_is_another_protocol() -> None:
    world = World()
    world.join(1, 2)
    world.apply(world.hub.receive_binary(2, world.now))
    assert world.errors(2) == ["bad_message"]
    assert world.closed == {2: CloseCode.BAD_PROTOCOL}
    assert world.last(1, PeerEvent).event == "left"


def test_ice_servers_are_told_again_when_asked() -> None:
    world = World()
    world.join(1)
    world.say(1, t="ice", id=4)
    assert world.last(1, IceUpdate) == IceUpdate(ice=ICE, id=4)


def test_what_comes_from_a_closed_connection_is_not_looked_at() -> None:
    world = World()
    world.join(1, 2)
    world.say(2, t="leave")
    assert world.closed == {2: 1000}
    world.say(2, t="hello", room="demo")
    world.apply(world.hub.receive_binary(2, world.now))
    assert world.hub.receive_ping(2, world.now) == []
    world.apply(world.hub.disconnect(2, LeaveReason.DISCONNECTED))
    assert world.closed == {2: 1000}


# --- rates ---


def test_messages_over_the_rate_are_refused_with_the_time_to_wait() -> None:
    world = World(messages_per_second=10.0, burst=3)
    world.join(1, 2)
    peer = world.sent[1][0]
    assert isinstance(peer, Welcome)
    for _ in range(3):
        world.say(2, t="signal", to=peer.peer, link="l", gen=0, kind="offer", data="")
    error = world.last(2, Error)
    assert (error.code, error.retryable) == ("rate_limited", True)
    assert error.retry_after == pytest.approx(0.1)
    assert sum(isinstance(m, SignalFrom) for m in world.sent[1]) == 2
    world.wait(0.1)
    world.say(2, t="signal", to=peer.peer, link="l", gen=0, kind="offer", data="")
    world.last(1, SignalFrom)


def test_a_flood_is_closed_with_the_code_that_says_back_off() -> None:
    world = World(messages_per_second=10.0, burst=3)
    world.join(1)
    for _ in range(12):
        world.say(1, t="pong")
    assert world.closed == {1: CloseCode.RATE_LIMITED}


def test_a_flood_of_websocket_pings_is_closed() -> None:
    world = World(messages_per_second=10.0, burst=3)
    world.join(1, 2)
    for _ in range(3):
        world.apply(world.hub.receive_ping(2, world.now) or [])
    assert world.closed == {2: CloseCode.RATE_LIMITED}
    assert world.last(1, PeerEvent).event == "left"


def test_joins_are_counted_per_address() -> None:
    world = World(joins_per_minute=3)
    world.join(1, 2, 3)
    world.connect(4)
    world.say(4, t="hello", room="demo", id=9)
    error = world.last(4, Error)
    assert (error.code, error.id) == ("rate_limited", 9)
    assert error.retry_after == pytest.approx(20.0)
    assert world.closed == {4: CloseCode.RATE_LIMITED}
    world.join(5, address="192.0.2.8")
    world.wait(20.0)
    world.join(6)


def test_guessing_codes_is_bounded_per_address_before_other_joins_are() -> None:
    world = World(code_joins_per_minute=5)
    for guess in range(1, 7):
        world.connect(guess)
        world.say(guess, t="hello", code=str(guess + 100))
    assert [world.closed[n] for n in range(1, 6)] == [CloseCode.FORBIDDEN] * 5
    assert world.closed[6] == CloseCode.RATE_LIMITED
    world.join(7, room="named")
    world.connect(8)
    world.say(8, t="hello", code=True)
    world.last(8, Welcome)


def test_numbers_that_lead_nowhere_are_bounded_for_an_hour() -> None:
    world = World(missed_codes_per_hour=3)
    for guess in range(1, 6):
        world.connect(guess)
        world.say(guess, t="hello", code=str(guess + 100))
        world.wait(30.0)
    assert [world.closed[n] for n in range(1, 4)] == [CloseCode.FORBIDDEN] * 3
    assert [world.closed[n] for n in range(4, 6)] == [CloseCode.RATE_LIMITED] * 2
    # Clients that make codes, and others that join them, are not shut out.
    world.connect(6)
    world.say(6, t="hello", code=True)
    code = world.last(6, Welcome).code
    world.connect(7)
    world.say(7, t="hello", code=code)
    assert world.closed[7] == CloseCode.RATE_LIMITED
    world.connect(8, address="192.0.2.8")
    world.say(8, t="hello", code=code)
    world.last(8, Welcome)


def test_a_number_that_leads_somewhere_is_no_miss() -> None:
    world = World(missed_codes_per_hour=1)
    for pair in range(1, 9, 2):
        world.connect(pair)
        world.say(pair, t="hello", code=True)
        code = world.last(pair, Welcome).code
        world.connect(pair + 1)
        world.say(pair + 1, t="hello", code=code)
        world.last(pair + 1, Welcome)


def test_one_ipv6_network_counts_as_one_address() -> None:
    world = World(joins_per_minute=2)
    world.join(1, address="2001:db8::1")
    world.join(2, address="2001:db8::2")
    world.connect(3, address="2001:db8::3")
    world.say(3, t="hello", room="demo")
    assert world.closed == {3: CloseCode.RATE_LIMITED}


def test_this_machine_is_spared_the_limits_per_address() -> None:
    world = World(joins_per_minute=1, code_joins_per_minute=1, connections_per_address=1)
    world.join(1, 2, 3, address="127.0.0.1")
    world.join(4, 5, address="::1")


def test_this_machine_is_not_spared_when_so_configured() -> None:
    world = World(joins_per_minute=1, spare_loopback=False)
    world.join(1, address="127.0.0.1")
    world.connect(2, address="127.0.0.1")
    world.say(2, t="hello", room="demo")
    assert world.closed == {2: CloseCode.RATE_LIMITED}


# --- admission ---


def test_connections_are_counted_per_address_and_freed() -> None:
    world = World(connections_per_address=2)
    world.connect(1, 2)
    assert world.hub.refuses(SOMEWHERE) is Refusal.TOO_MANY_CONNECTIONS
    assert world.hub.refuses("192.0.2.8") is None
    world.apply(world.hub.disconnect(1, LeaveReason.DISCONNECTED))
    world.apply(world.hub.disconnect(1, LeaveReason.DISCONNECTED))
    assert world.hub.refuses(SOMEWHERE) is None
    world.connect(3)
    assert world.hub.refuses(SOMEWHERE) is Refusal.TOO_MANY_CONNECTIONS


def test_a_full_server_refuses_everybody() -> None:
    world = World(connections=2)
    world.connect(1, 2, address="127.0.0.1")
    assert world.hub.refuses("127.0.0.1") is Refusal.OVER_CAPACITY


def test_draining_tells_everybody_once_and_refuses_newcomers() -> None:
    world = World()
    world.join(1, 2)
    world.connect(3)
    world.apply(world.hub.drain())
    assert world.closed == dict.fromkeys((1, 2, 3), CloseCode.DRAINING)
    for connection in (1, 2, 3):
        world.last(connection, Draining)
    assert world.hub.refuses(SOMEWHERE) is Refusal.DRAINING
    assert world.hub.next_deadline() is None
    world.apply(world.hub.connect(4, SOMEWHERE, world.now))
    assert world.closed[4] == CloseCode.DRAINING


# --- anything at all ---

clients = st.integers(1, 4)
frames = st.sampled_from(
    [vector["text"] for vector in VECTORS["client"] + VECTORS["bad_client"]]
    + ['{"t":"hello","room":"demo"}'] * 8
    + ['{"t":"hello","code":true}'] * 4
)
events = st.one_of(
    st.tuples(st.just("connect"), clients),
    st.tuples(st.just("text"), clients, frames),
    st.tuples(st.just("binary"), clients),
    st.tuples(st.just("ping"), clients),
    st.tuples(st.just("gone"), clients),
    st.tuples(st.just("wait"), st.sampled_from([0.01, 1.0, 10.0, 30.0])),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(events, max_size=80))
def test_whatever_happens_nobody_is_closed_for_what_another_did(history: list[Any]) -> None:
    world = World(burst=20, code_lifetime=60.0)
    # A bystander that behaves: it must outlive everything.
    world.join(99)
    alive: dict[int, int] = {}
    fresh = 100
    for what, *arguments in history:
        number = alive.get(arguments[0]) if what != "wait" else None
        if what == "connect":
            fresh += 1
            alive[arguments[0]] = fresh
            world.connect(fresh)
        elif what == "wait":
            for _ in range(3):
                world.wait(arguments[0] / 3)
                world.say(99, t="pong")
        elif number is None or number in world.closed:
            continue
        elif what == "text":
            world.text(number, arguments[1])
        elif what == "binary":
            world.apply(world.hub.receive_binary(number, world.now))
        elif what == "ping":
            world.apply(world.hub.receive_ping(number, world.now) or [])
        else:
            world.apply(world.hub.disconnect(number, LeaveReason.DISCONNECTED))
            del alive[arguments[0]]
    assert 99 not in world.closed
    numbered = [m.seq for m in world.sent[99] if isinstance(m, PeerEvent | SignalFrom)]
    assert numbered == list(range(1, len(numbered) + 1))


def test_effects_are_plain_values() -> None:
    assert Send(1, Ping()) == Send(1, Ping())
    assert Close(1, 4000, "") != Close(1, 4001, "")


def test_signals_to_somebody_who_is_flooded_are_refused_and_cost_nobody_a_connection() -> None:
    flooded: set[int] = set()
    world = World()
    world.hub = Hub(
        LimitsConfig(), HEARTBEAT, ICE, random.Random(1).randbytes, flooded.__contains__
    )
    world.join(1)
    one = world.last(1, Welcome)
    world.join(2)
    told = len(world.sent[1])
    signal = {"t": "signal", "to": one.peer, "link": "l", "gen": 0, "kind": "bye", "data": ""}
    flooded.add(1)
    for number in range(20):
        world.say(2, **signal, id=number)
    world.say(2, **signal)
    assert world.errors(2) == [ErrorCode.OVER_CAPACITY] * 20
    assert (len(world.sent[1]), world.closed) == (told, {})
    flooded.clear()
    world.say(2, **signal)
    # Nothing is missing in the numbers of what is told.
    assert world.last(1, SignalFrom).seq == 2
