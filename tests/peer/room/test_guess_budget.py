"""How often strangers and servers may guess at a code or a password, and what people are told."""

from __future__ import annotations

import asyncio
import contextlib
import os

import pytest

import peer
from peer.config import LinkConfig, Timeouts
from peer.errors import CodeSpent, Guessed, PeerError, TooManyGuesses, WrongCode
from peer.link.guess_budget import Budget
from peer.room.room import Room
from peer.security.codes import DEFAULT_WORDS, RANDOM_BYTES, Code, make_words
from peer.security.guesses import ROOM_GUESSES
from peer.security.pake import Pake, PakeDone
from signaling.messages import PeerEvent, Signal, SignalFrom, SignalKind
from signaling.server import SignalingServer
from tests.support.processes.leftovers import nothing_left_behind
from tests.support.servers.clients import Client, open_client
from tests.support.servers.hostile_server import VICTIM, Victim, hostile_server
from tests.support.waiting import until

CONFIG = LinkConfig(timeouts=Timeouts(pake=0.5))
EARLIER, LATER = "{:08x}-deadbeef", "f0000000-feedbeef"


def is_pake(signal: Signal) -> bool:
    return signal.kind is SignalKind.PAKE


def offering(room: str, link: str, own: str, guess: bytes = b"guess") -> Pake:
    """A guess of somebody who plays the offerer."""
    return Pake.offerer(
        password=guess,
        room=room,
        link=link,
        own_id=own,
        peer_id=VICTIM,
        scalar=os.urandom(32),
    )


def fresh_code() -> Code:
    """A code that nobody has tried yet."""
    return Code("7", make_words(os.urandom(RANDOM_BYTES), DEFAULT_WORDS))


async def told(room: Room) -> PeerError:
    with pytest.raises(PeerError) as caught:
        await room.link(timeout=10)
    return caught.value


# Codes and servers


@pytest.mark.parametrize("same_id", [True, False], ids=["one id", "many ids"])
@pytest.mark.parametrize("leaves", [True, False], ids=["leaving", "staying"])
async def test_a_server_has_one_guess_at_a_code(same_id: bool, leaves: bool) -> None:
    """However many peers it makes up, and however often they come and go."""
    tags: list[str] = []

    async def attack(victim: Victim) -> None:
        await victim.welcome(code="7")
        for number in range(30):
            own, link = EARLIER.format(0 if same_id else number), f"L{number}"
            await victim.joined(own)
            share = offering("7", link, own).messages_to_send()[0]
            await victim.signal(own, SignalKind.PAKE, share, link)
            if leaves:
                await victim.left(own)
        await victim.heard(is_pake)
        tags.extend(signal.link for signal in victim.signals if is_pake(signal))

    async with nothing_left_behind(), hostile_server(attack) as url:
        async with peer.host(url, config=CONFIG) as room:
            error = await told(room)
        assert isinstance(error, Guessed)
        assert error.exit_code == 4
        assert "Somebody tried" in str(error)
        assert len(tags) <= 1


async def test_a_room_that_is_being_closed_answers_no_more_shares() -> None:
    heard: list[Signal] = []
    attacked = asyncio.Event()

    async def attack(victim: Victim) -> None:
        await victim.welcome(code="7")
        await victim.joined(EARLIER.format(0))
        share = offering("7", "L", EARLIER.format(0)).messages_to_send()[0]
        await victim.signal(EARLIER.format(0), SignalKind.PAKE, share, "L")
        await victim.heard(is_pake)
        await victim.left(EARLIER.format(0))
        for number in range(1, 30):
            await victim.joined(EARLIER.format(number))
            share = offering("7", "L", EARLIER.format(number)).messages_to_send()[0]
            await victim.signal(EARLIER.format(number), SignalKind.PAKE, share, "L")
        attacked.set()
        await victim.heard(lambda signal: False)

    async def remember(victim: Victim) -> None:
        try:
            await attack(victim)
        finally:
            attacked.set()
            heard.extend(filter(is_pake, victim.signals))

    async with nothing_left_behind(), hostile_server(remember) as url:
        async with peer.host(url, config=CONFIG) as room:
            assert isinstance(await told(room), Guessed)
            await asyncio.gather(room.close(), attacked.wait())
        assert len(heard) == 1


async def test_a_server_that_calls_a_code_a_named_room_has_one_guess_too() -> None:
    tags: list[Signal] = []

    async def attack(victim: Victim) -> None:
        others = tuple(EARLIER.format(number) for number in range(20))
        await victim.welcome(code=None, peers=others)
        for own in others:
            share = offering("7", "L", own).messages_to_send()[0]
            await victim.signal(own, SignalKind.PAKE, share, "L")
        await victim.heard(is_pake)
        tags.extend(filter(is_pake, victim.signals))

    async with nothing_left_behind(), hostile_server(attack) as url:
        async with peer.join(url, fresh_code(), config=CONFIG) as room:
            assert isinstance(await told(room), Guessed)
        assert len(tags) == 1


@pytest.mark.parametrize(
    "ending",
    [
        ("pake", '{"step":3,"tag":"AAAA"}'),
        ("pake", '{"step":1,"share":"AAAA"}'),
        ("pake", "nonsense"),
        ("bye", "{}"),
        ("bye", '{"code":"failed"}'),
        ("bye", "nonsense"),
        ("left", ""),
        ("silence", ""),
        ("hang up", ""),
    ],
    ids=lambda ending: " ".join(ending)[:24],
)
async def test_whatever_follows_our_confirmation_but_a_valid_one_was_a_guess(
    ending: tuple[str, str],
) -> None:
    own = EARLIER.format(0)

    async def attack(victim: Victim) -> None:
        await victim.welcome(code="7")
        await victim.joined(own)
        share = offering("7", "L", own).messages_to_send()[0]
        await victim.signal(own, SignalKind.PAKE, share, "L")
        await victim.heard(is_pake)
        match ending:
            case ("left", _):
                await victim.left(own)
            case ("hang up", _):
                await victim.hang_up()
            case (("pake" | "bye") as kind, data):
                await victim.signal(own, SignalKind(kind), data, "L")

    async with (
        nothing_left_behind(),
        hostile_server(attack) as url,
        peer.host(url, config=CONFIG) as room,
    ):
        assert isinstance(await told(room), Guessed)


async def test_a_wrong_tag_of_a_later_peer_is_told_as_a_wrong_code() -> None:
    own = LATER

    async def attack(victim: Victim) -> None:
        await victim.welcome(code="7")
        await victim.joined(own)
        first = await victim.heard(is_pake)
        guess = Pake.answerer(
            password=b"guess",
            room="7",
            link=first.link,
            own_id=own,
            peer_id=VICTIM,
            scalar=os.urandom(32),
        )
        guess.receive_message(first.data)
        await victim.signal(own, SignalKind.PAKE, guess.messages_to_send()[0], first.link)

    async with (
        nothing_left_behind(),
        hostile_server(attack) as url,
        peer.host(url, config=CONFIG) as room,
    ):
        error = await told(room)
        assert type(error) is WrongCode
        assert room._wrong_guesses == 1


async def test_who_hosts_hears_that_the_code_is_spent_by_somebody_who_only_came() -> None:
    async def attack(victim: Victim) -> None:
        await victim.welcome(code="7")
        await victim.joined(LATER)
        await victim.heard(is_pake)
        await victim.left(LATER)

    async with (
        nothing_left_behind(),
        hostile_server(attack) as url,
        peer.host(url, config=CONFIG) as room,
    ):
        error = await told(room)
        assert isinstance(error, CodeSpent)
        assert error.exit_code == 4
        assert room._wrong_guesses == 0


async def test_a_code_that_failed_leaves_the_server_at_once(server: SignalingServer) -> None:
    async with peer.host(server.urls[0], config=CONFIG) as room, open_client(http(server)) as guest:
        assert room.code is not None
        await guest.join(code=room.code.number)
        await guest.receive()
        await guest.send(
            Signal(to=room_owner(guest), link="L", gen=0, kind=SignalKind.PAKE, data="x")
        )
        await told_or_left(guest)
        assert isinstance(await told(room), PeerError)


# Passwords and strangers


async def test_eight_guesses_an_hour_at_a_password_whoever_leaves_first(
    server: SignalingServer,
) -> None:
    """Strangers who were there before test a guess each, and never say how it went."""
    seen: dict[bytes, bool] = {}
    async with nothing_left_behind(), asyncio.TaskGroup() as group:
        ready = asyncio.Semaphore(0)
        guesses = [b"guess %d" % number for number in range(19)] + [b"hunter2"]
        for guess in guesses:
            group.create_task(guess_and_leave(server, guess, seen, ready))
        for _ in guesses:
            await ready.acquire()
        async with peer.join(server.urls[0], room="team", password="hunter2") as room:
            error = await told(room)
            assert isinstance(error, WrongCode)
            assert len(seen) <= 8
            assert room._wrong_guesses <= 8


async def test_a_stranger_who_guesses_and_leaves_sends_no_newcomer_away(
    server: SignalingServer,
) -> None:
    where = {"room": "team", "password": "right"}
    ready, seen = asyncio.Semaphore(0), dict[bytes, bool]()
    async with nothing_left_behind(), asyncio.TaskGroup() as group:
        group.create_task(guess_and_leave(server, b"guess", seen, ready))
        await ready.acquire()
        async with peer.join(server.urls[0], **where) as room:  # type: ignore[arg-type]
            waiting = asyncio.create_task(room.link())
            await until(lambda: room.failures)
            assert all(isinstance(error, Guessed) for error in room.failures.values())
            async with peer.join(server.urls[0], **where) as friend:  # type: ignore[arg-type]
                assert (await waiting).peer.id == friend.me
    assert seen == {b"guess": False}


async def guess_and_leave(
    server: SignalingServer, guess: bytes, seen: dict[bytes, bool], ready: asyncio.Semaphore
) -> None:
    pake, victim = None, ""
    async with open_client(http(server)) as stranger:
        await stranger.join(room="team")
        ready.release()
        while True:
            event = await stranger.receive()
            # Other strangers come, too; the victim is who answers.
            if isinstance(event, PeerEvent) and event.event == "joined":
                link = f"L{stranger.peer}"
                pake = Pake.offerer(
                    password=guess,
                    room="team",
                    link=link,
                    own_id=stranger.peer,
                    peer_id=event.peer,
                    scalar=os.urandom(32),
                )
                share = pake.messages_to_send()[0]
                await stranger.send(
                    Signal(to=event.peer, link=link, gen=0, kind=SignalKind.PAKE, data=share)
                )
                victim = event.peer
            elif isinstance(event, SignalFrom) and event.kind is SignalKind.PAKE:
                if pake is None or event.from_ != victim or '"step":2' not in event.data:
                    continue
                pake.receive_message(event.data)
                seen[guess] = isinstance(pake.next_event(), PakeDone)
                return
            elif isinstance(event, SignalFrom) and event.kind is SignalKind.BYE:
                return


async def test_once_all_guesses_are_spent_newcomers_are_refused_and_those_inside_go_on(
    server: SignalingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("peer.link.guess_budget.ROOM_GUESSES", 2)
    where = {"room": "team", "password": "right"}
    async with (
        peer.join(server.urls[0], **where) as first,  # type: ignore[arg-type]
        peer.join(server.urls[0], **where) as second,  # type: ignore[arg-type]
    ):
        ours, theirs = await asyncio.gather(first.link(), second.link())
        waiting = asyncio.create_task(first.link())
        for word in ("red", "green", "blue"):
            async with peer.join(server.urls[0], room="team", password=word) as wrong:
                await told(wrong)
        async with peer.join(server.urls[0], **where) as late:  # type: ignore[arg-type]
            assert isinstance(await told(late), TooManyGuesses)
        await ours.chat.send("still here")
        assert (await theirs.chat.receive()).text == "still here"
        assert first._wrong_guesses == second._wrong_guesses == 2
        assert not waiting.done()
        waiting.cancel()


async def test_newcomers_wait_in_line_while_all_guesses_are_taken(
    server: SignalingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("peer.link.guess_budget.ROOM_GUESSES", 1)
    config = LinkConfig(timeouts=Timeouts(pake=30.0))
    async with nothing_left_behind(), asyncio.timeout(60):
        rooms = [
            await peer.join(server.urls[0], room="team", password="right", config=config)
            for _ in range(4)
        ]
        for room in rooms:
            links = [await room.link() for _ in range(3)]
            assert all(link.authenticated for link in links)
            assert room._wrong_guesses == 0
        await asyncio.gather(*(room.close() for room in rooms))


@pytest.mark.parametrize(
    "bye",
    ["{}", '{"code":"wrong_code"}', '{"code":"password_mismatch"}', '{"code":"too_many_guesses"}'],
)
async def test_a_goodbye_that_is_not_sealed_is_no_guess_and_ends_nobody_elses_link(
    server: SignalingServer, bye: str
) -> None:
    where = {"room": "team", "password": "right"}
    async with (
        peer.join(server.urls[0], **where) as first,  # type: ignore[arg-type]
        peer.join(server.urls[0], **where) as second,  # type: ignore[arg-type]
    ):
        ours, theirs = await asyncio.gather(first.link(), second.link())
        for _ in range(10):
            async with open_client(http(server)) as stranger:
                await stranger.join(room="team")
                for _ in range(2):
                    signal = await stranger.expect(SignalFrom)
                    await stranger.send(
                        Signal(
                            to=signal.from_,
                            link=signal.link,
                            gen=0,
                            kind=SignalKind.BYE,
                            data=bye,
                        )
                    )
        assert first._wrong_guesses == second._wrong_guesses == 0
        await ours.chat.send("still here")
        assert (await theirs.chat.receive()).text == "still here"
        async with peer.join(server.urls[0], **where) as third:  # type: ignore[arg-type]
            await asyncio.gather(first.link(), second.link(), third.link(), third.link())


async def guess_at(victim: Victim, room: str, tags: list[Signal], *, hangs_up: bool) -> None:
    """Play twelve peers who came before, and take all the confirmations that there are."""
    try:
        for number in range(12):
            own = EARLIER.format(number)
            share = offering(room, "L", own).messages_to_send()[0]
            await victim.signal(own, SignalKind.PAKE, share, "L")
        if hangs_up:
            # A victim that has used all its guesses up, or refuses one, confirms nothing more.
            await victim.heard(
                lambda signal: (
                    signal.kind is SignalKind.BYE
                    or sum(map(is_pake, victim.signals)) == ROOM_GUESSES
                )
            )
            await victim.hang_up()
        await victim.heard(lambda signal: False)
    finally:
        tags += filter(is_pake, victim.signals)


@pytest.mark.parametrize("ending", ["hangs up", "waits", "names it anew"])
async def test_coming_back_to_a_room_gives_nobody_new_guesses(ending: str) -> None:
    """A room has eight guesses, whichever side ends it and whatever the server calls it."""
    tags: list[Signal] = []
    rooms = iter(f"team{number}" for number in range(9))

    async def attack(victim: Victim) -> None:
        room = next(rooms) if ending == "names it anew" else "team"
        others = tuple(EARLIER.format(number) for number in range(12))
        await victim.welcome(code=None, peers=others, room=room)
        await guess_at(victim, room, tags, hangs_up=ending != "waits")

    async with nothing_left_behind(), hostile_server(attack) as url:
        for _ in range(4):
            async with peer.join(url, room="team", password="right", config=CONFIG) as room:
                with contextlib.suppress(PeerError):
                    await room.link(timeout=0.2)
        assert len(tags) == 8


async def cancelled(room: Room, victim: Victim) -> None:
    """Enter a room, and be cancelled there as by Ctrl-C once a guess was answered."""
    async with room:
        task = asyncio.create_task(room.link())
        await until(lambda: task.done() or victim.signals)
        task.cancel()
        await asyncio.wait({task})


@pytest.mark.parametrize("how", ["again", "at once", "elsewhere", "cancelled"])
async def test_a_code_is_guessed_at_once_wherever_it_is_tried(how: str) -> None:
    tags: list[Signal] = []
    errors: list[PeerError] = []
    victims: list[Victim] = []
    code = fresh_code()

    async def attack(victim: Victim) -> None:
        victims.append(victim)
        others = tuple(EARLIER.format(number) for number in range(12))
        await victim.welcome(code=None, peers=others)
        await guess_at(victim, "7", tags, hangs_up=False)

    async def attempt(url: str) -> None:
        room = await peer.join(url, code, config=CONFIG)
        if how == "cancelled":
            await cancelled(room, victims[-1])
        else:
            async with room:
                errors.append(await told(room))

    async with (
        nothing_left_behind(),
        hostile_server(attack) as url,
        hostile_server(attack) as other,
    ):
        urls = [url, other, url] if how == "elsewhere" else [url] * 4
        if how == "at once":
            await asyncio.gather(*map(attempt, urls))
        else:
            for each in urls:
                await attempt(each)
        assert len(tags) == 1
        assert all(isinstance(error, Guessed) for error in errors)


async def test_an_attempt_at_a_code_that_proved_itself_is_no_guess(
    server: SignalingServer,
) -> None:
    async with peer.host(server.urls[0]) as first:
        code = first.code
        assert code is not None
        async with peer.join(server.urls[0], code) as second:
            await asyncio.gather(first.link(), second.link())
        assert Budget.of_code(code.password).taken == 0


def http(server: SignalingServer) -> str:
    return server.urls[0].rstrip("/")


def room_owner(guest: Client) -> str:
    assert guest.welcome is not None
    (owner,) = guest.welcome.peers
    return owner.peer


async def told_or_left(guest: Client) -> None:
    """Wait until the room's owner has left."""
    while True:
        event = await guest.receive()
        if isinstance(event, PeerEvent) and event.event == "left":
            return


async def test_a_guess_that_comes_too_late_is_given_to_the_next_in_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("peer.link.guess_budget.ROOM_GUESSES", 1)
    budget, went = Budget.of_room("server", "team", b"right"), []

    def waits(name: str, wants: bool) -> int:
        def decide(granted: bool) -> bool:
            went.append((name, granted))
            return wants

        run = budget.begin(decide)
        budget.ask(run)
        return run

    runs = [waits("first", True), waits("gone", False), waits("third", True)]
    budget.proved(runs[0])
    assert went == [("first", True), ("gone", True), ("third", True)]
    assert budget.taken == 1
    for run in runs:
        budget.end(run)
    waits("late", True)
    assert went[-1] == ("late", False)


def test_of_members_that_have_left_the_one_with_most_guesses_of_the_last_hour_counts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 0.0
    monkeypatch.setattr("peer.link.guess_budget.monotonic", lambda: now)

    def guessed_at(budget: Budget, times: int) -> None:
        for _ in range(times):
            run = budget.begin(lambda granted: True)
            budget.ask(run)
            budget.end(run)

    where = ("server", "hourly", b"right")
    few, many = Budget.of_room(*where), Budget.of_room(*where)
    guessed_at(many, 6)
    guessed_at(few, 2)
    assert (few.taken, many.taken, Budget.of_room(*where).taken) == (2, 6, 6)
    now = 3601.0
    guessed_at(few, 3)
    assert Budget.of_room(*where).taken == 3
    assert Budget.of_room("server", "hourly", b"wrong").taken == 0
