"""Rooms against a model: whatever happens, everybody knows the same about everybody."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from signaling.messages import (
    Error,
    Hello,
    IceOffer,
    Leave,
    LeaveReason,
    Limits,
    PeerEvent,
    Signal,
    SignalFrom,
    SignalKind,
    Welcome,
)
from signaling.rooms import Close, Effect, Rooms, RoomsConfig, Send

PLACES = 4
LIFETIME = 100.0
# Few numbers, so that they are used again and again.
AVOIDED = frozenset(map(str, range(3, 98)))
NUMBERS = ["1", "2", "98", "99"]


@dataclass
class ModelClient:
    """The state that one client has been told."""

    connection: int
    room: tuple[str, int] | None = None
    peer: str = ""
    roster: set[str] = field(default_factory=set)
    seq: int = 0
    inbox: list[tuple[str, str]] = field(default_factory=list)
    expected: list[tuple[str, str]] = field(default_factory=list)
    is_closed: bool = False


class RoomsModel(RuleBasedStateMachine):
    """Clients that believe what they are told, and an omniscient list of who is where."""

    clients = Bundle("clients")

    def __init__(self) -> None:
        super().__init__()
        config = RoomsConfig(limits=Limits(peers=PLACES), code_lifetime=LIFETIME)
        self.rooms = Rooms(config, random.Random(7).randbytes)
        self.rooms.avoid_numbers(AVOIDED)
        self.now = 0.0
        self.everybody: dict[int, ModelClient] = {}
        # The incarnation of each name: a room that ended is not the next one of that name.
        self.incarnations: dict[str, int] = {}
        self.made_at: dict[tuple[str, int], float] = {}
        self.paired: set[tuple[str, int]] = set()
        self.texts = 0

    # --- the model ---

    def members(self, room: tuple[str, int]) -> list[ModelClient]:
        return [client for client in self.everybody.values() if client.room == room]

    def live_code_rooms(self) -> set[tuple[str, int]]:
        """Code rooms whose number is taken."""
        rooms = {c.room for c in self.everybody.values() if c.room and c.room[0].isdigit()}
        return {room for room in rooms if room not in self.paired or len(self.members(room)) == 2}

    def carry_out(self, effects: list[Effect]) -> None:
        for effect in effects:
            client = self.everybody[effect.connection]
            assert not client.is_closed, "nothing comes after a close"
            if isinstance(effect, Close):
                client.is_closed = True
                client.room = None
                continue
            message = effect.message
            if isinstance(message, PeerEvent | SignalFrom):
                assert message.seq == client.seq + 1
                client.seq = message.seq
            if isinstance(message, PeerEvent) and message.event == "joined":
                assert message.peer not in client.roster
                assert message.peer > max(client.roster)
                client.roster.add(message.peer)
            elif isinstance(message, PeerEvent):
                client.roster.remove(message.peer)
            elif isinstance(message, SignalFrom):
                assert message.from_ in client.roster
                client.inbox.append((message.from_, message.data))

    def say_hello(self, connection: int, hello: Hello) -> ModelClient:
        client = self.everybody[connection] = ModelClient(connection)
        effects = self.rooms.hello(connection, hello, self.now, IceOffer())
        first = effects[0]
        assert isinstance(first, Send)
        assert first.connection == connection
        if isinstance(first.message, Welcome):
            self.enter(client, hello, first.message)
        else:
            assert isinstance(first.message, Error)
            assert self.must_be_refused(hello)
        self.carry_out(effects)
        return client

    def must_be_refused(self, hello: Hello) -> bool:
        if hello.room is not None:
            room = (hello.room, self.incarnations.get(hello.room, 0))
            return len(self.members(room)) >= PLACES
        numbers = {room[0]: room for room in self.live_code_rooms()}
        if hello.code not in numbers:
            return hello.code is not True
        room = numbers[str(hello.code)]
        return len(self.members(room)) != 1 or self.now >= self.made_at[room] + LIFETIME

    def enter(self, client: ModelClient, hello: Hello, welcome: Welcome) -> None:
        assert not self.must_be_refused(hello)
        name = welcome.room
        is_new = not welcome.peers
        if hello.code is True:
            assert is_new
            assert name not in {room[0] for room in self.live_code_rooms()}, "unique"
            taken = AVOIDED | {room[0] for room in self.live_code_rooms()}
            assert all(str(n) in taken for n in range(1, 10 ** (len(name) - 1))), "shortest"
        if is_new:
            self.incarnations[name] = self.incarnations.get(name, 0) + 1
            self.made_at[name, self.incarnations[name]] = self.now
        room = (name, self.incarnations[name])
        if name.isdigit() and not is_new:
            self.paired.add(room)
        client.room = room
        client.peer = welcome.peer
        client.seq = welcome.seq
        client.roster = {peer.peer for peer in welcome.peers} | {welcome.peer}
        assert [peer.peer for peer in welcome.peers] == sorted(client.roster - {welcome.peer})
        assert welcome.peer == max(client.roster)

    # --- what can happen ---

    @rule(target=clients, room=st.sampled_from(["demo", "lobby"]))
    def join_named(self, room: str) -> int:
        return self.say_hello(len(self.everybody) + 1, Hello(room=room)).connection

    @rule(target=clients)
    def make_code(self) -> int:
        return self.say_hello(len(self.everybody) + 1, Hello(code=True)).connection

    @rule(target=clients, number=st.sampled_from(NUMBERS))
    def join_code(self, number: str) -> int:
        return self.say_hello(len(self.everybody) + 1, Hello(code=number)).connection

    @rule(target=clients, whom=clients)
    def join_the_code_of(self, whom: int) -> int:
        room = self.everybody[whom].room
        number = room[0] if room and room[0].isdigit() else "1"
        return self.say_hello(len(self.everybody) + 1, Hello(code=number)).connection

    @rule(whom=consumes(clients), how=st.sampled_from([*LeaveReason]))
    def go(self, whom: int, how: LeaveReason) -> None:
        client = self.everybody[whom]
        if how is LeaveReason.LEAVE and client.room is not None:
            effects = self.rooms.leave(whom, Leave())
        else:
            effects = self.rooms.disconnect(whom, how)
        client.room = None
        self.carry_out(effects)

    @rule(sender=clients, receiver=clients)
    def signal(self, sender: int, receiver: int) -> None:
        mine, other = self.everybody[sender], self.everybody[receiver]
        if mine.is_closed or not other.peer:
            return
        self.texts += 1
        text = str(self.texts)
        if mine.room is not None and mine.room == other.room and mine is not other:
            other.expected.append((mine.peer, text))
        self.carry_out(
            self.rooms.signal(
                sender,
                Signal(to=other.peer, link="l", gen=0, kind=SignalKind.OFFER, data=text),
            )
        )

    @rule(seconds=st.sampled_from([1.0, 50.0, 150.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.carry_out(self.rooms.expire(self.now))

    # --- what always holds ---

    @invariant()
    def everybody_knows_the_same(self) -> None:
        for client in self.everybody.values():
            if client.room is not None:
                assert client.roster == {other.peer for other in self.members(client.room)}

    @invariant()
    def signals_arrive_once_in_order_and_nowhere_else(self) -> None:
        for client in self.everybody.values():
            assert client.inbox == client.expected

    @invariant()
    def no_unjoined_room_is_older_than_its_lifetime(self) -> None:
        for room in self.live_code_rooms() - self.paired:
            assert self.now < self.made_at[room] + LIFETIME
        deadline = self.rooms.next_deadline()
        waiting = [self.made_at[room] for room in self.live_code_rooms() - self.paired]
        assert deadline == (min(waiting) + LIFETIME if waiting else None)

    @invariant()
    def nothing_is_kept_for_nobody(self) -> None:
        named = {c.room for c in self.everybody.values() if c.room and not c.room[0].isdigit()}
        assert len(self.rooms) == len(named) + len(self.live_code_rooms())


TestRoomsModel = RoomsModel.TestCase
TestRoomsModel.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)
