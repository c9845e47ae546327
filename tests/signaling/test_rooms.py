"""Rooms, told what happens and what time it is."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, TypeVar

import pytest

from signaling.errors import CloseCode, ErrorCode
from signaling.ice_servers import IceServer
from signaling.messages import (
    Error,
    Heartbeat,
    Hello,
    IceOffer,
    Leave,
    LeaveReason,
    Limits,
    Ok,
    PeerEvent,
    Signal,
    SignalFrom,
    SignalKind,
    Welcome,
)
from signaling.rooms import Close, Effect, Rooms, RoomsConfig, Send

HOUR = 3600.0
ICE = IceOffer(servers=(IceServer(("stun:s",)),))

M = TypeVar("M")


def new_rooms(seed: int = 1, **config: Any) -> Rooms:
    return Rooms(RoomsConfig(**config), random.Random(seed).randbytes)


def join(rooms: Rooms, connection: int, now: float = 0.0, **hello: Any) -> list[Effect]:
    return rooms.hello(connection, Hello(**hello), now, ICE)


def welcome(rooms: Rooms, connection: int, now: float = 0.0, **hello: Any) -> Welcome:
    return only(join(rooms, connection, now, **hello), connection, Welcome)


def only(effects: list[Effect], connection: int, kind: type[M]) -> M:
    """The one message of this kind to this connection."""
    found = [
        effect.message
        for effect in effects
        if isinstance(effect, Send) and effect.connection == connection
    ]
    found = [message for message in found if isinstance(message, kind)]
    assert len(found) == 1, effects
    return found[0]  # type: ignore[return-value]  # narrowed by the isinstance above


def signal(to: str, **changes: Any) -> Signal:
    fields: dict[str, Any] = {"link": "l", "gen": 0, "kind": SignalKind.OFFER, "data": "sealed"}
    return Signal(to=to, **(fields | changes))


def refused(effects: list[Effect]) -> tuple[str, int | None]:
    """The error's code and the close code."""
    assert isinstance(effects[0], Send)
    assert isinstance(effects[0].message, Error)
    close = effects[1] if len(effects) > 1 else None
    assert close is None or isinstance(close, Close)
    return effects[0].message.code, None if close is None else close.code


# --- named rooms ---


def test_the_first_peer_of_a_named_room_finds_nobody() -> None:
    rooms = new_rooms()
    effects = join(rooms, 1, room="demo", name="alice", id=7)
    assert len(effects) == 1
    message = only(effects, 1, Welcome)
    assert (message.room, message.code, message.peers, message.seq) == ("demo", None, (), 0)
    assert (message.resumed, message.recovered, message.id) == (False, False, 7)
    assert message.ice == ICE
    assert message.session
    assert message.resume_token


def test_a_newcomer_sees_who_is_there_and_they_see_it() -> None:
    rooms = new_rooms()
    first = welcome(rooms, 1, room="demo", name="alice", meta={"a": 1})
    effects = join(rooms, 2, room="demo", name="bob", meta={"b": 2})
    second = only(effects, 2, Welcome)
    assert [(p.peer, p.name, p.meta, p.state) for p in second.peers] == [
        (first.peer, "alice", {"a": 1}, "online")
    ]
    event = only(effects, 1, PeerEvent)
    assert (event.event, event.peer, event.name, event.meta, event.seq) == (
        "joined", second.peer, "bob", {"b": 2}, 1,
    )  # fmt: skip


def test_peer_ids_sort_by_arrival_also_after_others_left() -> None:
    rooms = new_rooms()
    ids = []
    for connection in range(1, 300):
        ids.append(welcome(rooms, connection, room="demo").peer)
        if connection > 10:
            rooms.disconnect(connection - 5, LeaveReason.DISCONNECTED)
    assert ids == sorted(ids)
    assert len(set(ids)) == len(ids)


def test_a_room_of_the_same_name_has_other_peer_ids_than_the_one_before() -> None:
    rooms = new_rooms()
    before = welcome(rooms, 1, room="demo").peer
    rooms.disconnect(1, LeaveReason.DISCONNECTED)
    assert welcome(rooms, 2, room="demo").peer != before


def test_a_named_room_has_as_many_places_as_configured() -> None:
    rooms = new_rooms(limits=Limits(peers=3))
    for connection in (1, 2, 3):
        assert welcome(rooms, connection, room="demo").limits.peers == 3
    effects = join(rooms, 4, room="demo", id=5)
    assert refused(effects) == (ErrorCode.ROOM_FULL, CloseCode.ROOM_FULL)
    error = only(effects, 4, Error)
    assert error.retryable
    assert error.id == 5
    rooms.disconnect(2, LeaveReason.DISCONNECTED)
    assert len(welcome(rooms, 4, room="demo").peers) == 2


def test_names_composed_differently_are_the_same_room() -> None:
    rooms = new_rooms()
    first = welcome(rooms, 1, room="café")
    second = welcome(rooms, 2, room="café")
    assert first.room == second.room == "café"
    assert len(second.peers) == 1


def test_a_name_that_grows_when_composed_is_refused() -> None:
    rooms = new_rooms()
    # U+0958 is one character and two in normal form C.
    assert refused(join(rooms, 1, room="\u0958" * 64))[0] == ErrorCode.BAD_MESSAGE


def test_a_named_room_called_7_is_not_code_7() -> None:
    rooms = new_rooms()
    welcome(rooms, 1, room="7")
    assert refused(join(rooms, 2, code="7")) == (ErrorCode.NO_SUCH_ROOM, CloseCode.FORBIDDEN)


def test_names_need_not_be_unique() -> None:
    rooms = new_rooms()
    welcome(rooms, 1, room="demo", name="alice")
    assert welcome(rooms, 2, room="demo", name="alice").peers[0].name == "alice"


# --- code rooms ---


def test_a_new_code_room_has_a_number_of_one_digit() -> None:
    rooms = new_rooms()
    message = welcome(rooms, 1, code=True)
    assert message.code == message.room
    assert message.code in set("123456789")
    assert message.limits.peers == 2


def test_the_second_peer_joins_by_the_number() -> None:
    rooms = new_rooms()
    first = welcome(rooms, 1, code=True)
    effects = join(rooms, 2, code=first.code)
    second = only(effects, 2, Welcome)
    assert second.room == first.room
    assert [peer.peer for peer in second.peers] == [first.peer]
    assert first.peer < second.peer
    assert only(effects, 1, PeerEvent).peer == second.peer


def test_third_peer_is_refused_by_a_code_room() -> None:
    rooms = new_rooms()
    number = welcome(rooms, 1, code=True).code
    welcome(rooms, 2, code=number)
    effects = join(rooms, 3, code=number)
    assert refused(effects) == (ErrorCode.ROOM_FULL, CloseCode.ROOM_FULL)
    assert not only(effects, 3, Error).retryable
    assert all(effect.connection == 3 for effect in effects), "the pair hears nothing of it"


def test_a_number_that_nobody_has_is_refused() -> None:
    effects = join(new_rooms(), 1, code="7", id=1)
    assert refused(effects) == (ErrorCode.NO_SUCH_ROOM, CloseCode.FORBIDDEN)
    assert only(effects, 1, Error).id == 1


def test_the_shortest_free_numbers_are_used_each_once() -> None:
    rooms = new_rooms()
    numbers = [welcome(rooms, connection, code=True).code for connection in range(1, 109)]
    assert {*numbers[:9]} == {str(n) for n in range(1, 10)}
    assert {*numbers[9:99]} == {str(n) for n in range(10, 100)}
    assert all(100 <= int(str(number)) <= 999 for number in numbers[99:])
    assert len(set(numbers)) == len(numbers)
    assert numbers[:9] != sorted(str(number) for number in numbers[:9]), "at random"


def test_every_free_number_of_a_length_is_chosen_about_as_often() -> None:
    counts = dict.fromkeys("123456789", 0)
    rooms = new_rooms()
    for connection in range(1, 1801):
        counts[str(welcome(rooms, connection, code=True).code)] += 1
        rooms.disconnect(connection, LeaveReason.DISCONNECTED)
    assert min(counts.values()) > 140
    assert max(counts.values()) < 260


def test_numbers_of_four_digits_and_more_are_found_when_the_short_ones_are_taken() -> None:
    rooms = new_rooms()
    rooms.avoid_numbers(map(str, range(1, 9_998)))
    numbers = [str(welcome(rooms, connection, code=True).code) for connection in (1, 2, 3)]
    assert sorted(numbers[:2]) == ["9998", "9999"]
    assert len(numbers[2]) == 5


def test_numbers_that_others_use_are_avoided() -> None:
    rooms = new_rooms()
    rooms.avoid_numbers({"1", "2", "3", "4", "5", "6", "7", "8"})
    assert welcome(rooms, 1, code=True).code == "9"
    assert len(str(welcome(rooms, 2, code=True).code)) == 2
    rooms.avoid_numbers(())
    assert len(str(welcome(rooms, 3, code=True).code)) == 1


def test_a_code_room_nobody_joined_ends_after_an_hour() -> None:
    rooms = new_rooms()
    number = welcome(rooms, 1, now=10.0, code=True).code
    assert rooms.next_deadline() == 10.0 + HOUR
    assert rooms.expire(9.9 + HOUR) == []
    effects = rooms.expire(10.0 + HOUR)
    assert refused(effects) == (ErrorCode.NO_SUCH_ROOM, CloseCode.ROOM_CLOSED)
    assert not rooms.is_in_room(1)
    assert len(rooms) == 0
    assert rooms.next_deadline() is None
    assert refused(join(rooms, 2, now=11.0 + HOUR, code=number))[0] == ErrorCode.NO_SUCH_ROOM


def test_nobody_joins_an_hour_later_even_if_expire_was_not_called_yet() -> None:
    rooms = new_rooms()
    number = welcome(rooms, 1, code=True).code
    assert refused(join(rooms, 2, now=HOUR, code=number))[0] == ErrorCode.NO_SUCH_ROOM


def test_a_joined_code_room_outlives_the_hour() -> None:
    rooms = new_rooms()
    number = welcome(rooms, 1, code=True).code
    second = welcome(rooms, 2, now=HOUR - 1, code=number)
    assert rooms.next_deadline() is None
    assert rooms.expire(100 * HOUR) == []
    assert only(rooms.signal(1, signal(second.peer)), 2, SignalFrom)


def test_rooms_expire_in_the_order_they_were_made() -> None:
    rooms = new_rooms()
    for connection in (1, 2, 3):
        welcome(rooms, connection, now=float(connection), code=True)
    assert rooms.next_deadline() == 1 + HOUR
    closed = [effect.connection for effect in rooms.expire(2 + HOUR) if isinstance(effect, Close)]
    assert closed == [1, 2]
    assert rooms.next_deadline() == 3 + HOUR


@pytest.mark.parametrize("leaver", [1, 2])
def test_a_code_room_ends_when_one_of_the_two_leaves(leaver: int) -> None:
    rooms = new_rooms()
    number = welcome(rooms, 1, code=True).code
    welcome(rooms, 2, code=number)
    rest = 3 - leaver
    event = only(rooms.disconnect(leaver, LeaveReason.DISCONNECTED), rest, PeerEvent)
    assert (event.event, event.reason) == ("left", "disconnected")
    assert refused(join(rooms, 3, code=number))[0] == ErrorCode.NO_SUCH_ROOM
    assert len(rooms) == 0


def test_the_number_of_an_ended_room_is_free_while_its_last_peer_is_still_there() -> None:
    rooms = new_rooms()
    rooms.avoid_numbers(set("23456789"))
    first = welcome(rooms, 1, code=True)
    welcome(rooms, 2, code="1")
    rooms.disconnect(1, LeaveReason.LEAVE)
    again = welcome(rooms, 3, code=True)
    assert again.code == "1"
    # The last of the old room is nobody's company, and going it takes nothing with it.
    assert again.peers == ()
    assert refused(rooms.signal(2, signal(again.peer)))[0] == ErrorCode.PEER_NOT_FOUND
    assert rooms.disconnect(2, LeaveReason.LEAVE) == []
    assert welcome(rooms, 4, code="1").peers[0].peer == again.peer
    assert first.peer != again.peer


def test_a_code_room_whose_host_left_before_anybody_came_is_gone() -> None:
    rooms = new_rooms()
    number = welcome(rooms, 1, code=True).code
    assert rooms.disconnect(1, LeaveReason.DISCONNECTED) == []
    assert refused(join(rooms, 2, code=number))[0] == ErrorCode.NO_SUCH_ROOM


# --- signals ---


def test_a_signal_arrives_as_it_was_sent_and_says_who_sent_it() -> None:
    rooms = new_rooms()
    first, second = welcome(rooms, 1, room="demo"), welcome(rooms, 2, room="demo")
    effects = rooms.signal(
        2, signal(first.peer, link="q8", gen=3, kind=SignalKind.PAKE, data="☃", id=9)
    )
    assert only(effects, 1, SignalFrom) == SignalFrom(
        from_=second.peer, to=first.peer, link="q8", gen=3, kind=SignalKind.PAKE, data="☃", seq=2
    )
    assert only(effects, 2, Ok).id == 9


def test_a_signal_without_id_is_not_answered() -> None:
    rooms = new_rooms()
    welcome(rooms, 1, room="demo")
    other = welcome(rooms, 2, room="demo")
    assert [effect.connection for effect in rooms.signal(1, signal(other.peer))] == [2]


def test_signals_do_not_leave_their_room() -> None:
    rooms = new_rooms()
    welcome(rooms, 1, room="demo")
    stranger = welcome(rooms, 2, room="other")
    effects = rooms.signal(1, signal(stranger.peer, id=4))
    assert refused(effects) == (ErrorCode.PEER_NOT_FOUND, None)
    assert only(effects, 1, Error).id == 4
    assert all(effect.connection == 1 for effect in effects)


def test_nobody_signals_to_itself() -> None:
    rooms = new_rooms()
    me = welcome(rooms, 1, room="demo")
    assert refused(rooms.signal(1, signal(me.peer))) == (ErrorCode.PEER_NOT_FOUND, None)


def test_a_signal_to_a_peer_that_has_left_is_an_error_at_once() -> None:
    rooms = new_rooms()
    welcome(rooms, 1, room="demo")
    gone = welcome(rooms, 2, room="demo")
    rooms.disconnect(2, LeaveReason.TIMEOUT)
    assert refused(rooms.signal(1, signal(gone.peer))) == (ErrorCode.PEER_NOT_FOUND, None)


@pytest.mark.parametrize(
    "act", [lambda rooms: rooms.signal(9, signal("p", id=1)), lambda rooms: rooms.leave(9, Leave())]
)
def test_who_is_in_no_room_is_told_so(act: Callable[[Rooms], list[Effect]]) -> None:
    assert refused(act(new_rooms())) == (ErrorCode.NOT_IN_ROOM, None)


def test_numbers_of_a_session_count_what_it_is_told_without_gaps() -> None:
    rooms = new_rooms()
    me = welcome(rooms, 1, room="demo")
    seqs = []
    for connection in (2, 3, 4):
        seqs.append(only(join(rooms, connection, room="demo"), 1, PeerEvent).seq)
        seqs.append(only(rooms.signal(connection, signal(me.peer)), 1, SignalFrom).seq)
    seqs.append(only(rooms.disconnect(3, LeaveReason.LEAVE), 1, PeerEvent).seq)
    assert seqs == list(range(1, 8))


# --- coming and going ---


def test_leaving_is_answered_closed_and_told() -> None:
    rooms = new_rooms()
    welcome(rooms, 1, room="demo")
    me = welcome(rooms, 2, room="demo")
    effects = rooms.leave(2, Leave(id=3))
    assert effects[:2] == [Send(2, Ok(id=3)), Close(2, 1000, "goodbye")]
    event = only(effects, 1, PeerEvent)
    assert (event.event, event.peer, event.reason) == ("left", me.peer, "leave")
    assert rooms.disconnect(2, LeaveReason.DISCONNECTED) == [], "once is enough"


def test_a_second_hello_is_an_error_and_changes_nothing() -> None:
    rooms = new_rooms()
    welcome(rooms, 1, room="demo")
    assert refused(join(rooms, 1, room="other", id=2)) == (ErrorCode.BAD_MESSAGE, None)
    assert len(welcome(rooms, 2, room="demo").peers) == 1
    assert len(rooms) == 1


def test_disconnecting_who_was_in_no_room_does_nothing() -> None:
    assert new_rooms().disconnect(5, LeaveReason.DISCONNECTED) == []


def test_asking_to_resume_gives_a_fresh_session_that_says_so() -> None:
    rooms = new_rooms()
    old = welcome(rooms, 1, room="demo")
    resume = {"session": old.session, "token": old.resume_token, "last_seq": 0}
    fresh = welcome(rooms, 2, room="demo", resume=resume)
    assert (fresh.resumed, fresh.recovered) == (False, False)
    assert fresh.session != old.session


def test_sessions_and_tokens_are_all_different() -> None:
    rooms = new_rooms()
    messages = [welcome(rooms, connection, room="demo") for connection in range(1, 50)]
    assert len({m.session for m in messages} | {m.resume_token for m in messages}) == 98


def test_a_server_with_too_many_rooms_says_it_is_full() -> None:
    rooms = new_rooms(rooms=2)
    welcome(rooms, 1, room="a")
    number = welcome(rooms, 2, code=True).code
    full = (ErrorCode.OVER_CAPACITY, CloseCode.OVER_CAPACITY)
    assert refused(join(rooms, 3, room="b")) == full
    assert refused(join(rooms, 3, code=True)) == full
    assert len(welcome(rooms, 4, room="a").peers) == 1, "rooms that are there can be joined"
    assert len(welcome(rooms, 5, code=number).peers) == 1


def test_the_welcome_tells_what_is_configured() -> None:
    heartbeat = Heartbeat(interval=5.0, timeout=2.0)
    message = welcome(new_rooms(limits=Limits(rate=7.0), heartbeat=heartbeat), 1, room="demo")
    assert message.heartbeat == heartbeat
    assert message.limits.rate == 7.0
