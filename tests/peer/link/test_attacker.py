"""A server in an attacker's hands gets a failed connection, or words that do not match."""

from __future__ import annotations

import asyncio
import json
import os
import re
from dataclasses import dataclass

import msgspec
import pytest

import peer
from peer.config import LinkConfig, Timeouts
from peer.errors import PeerError, PeerTimeout, ProtocolError, VerificationFailed, WrongCode
from peer.link.link import Link
from peer.room.room import Room
from peer.security.codes import Code
from signaling.messages import PeerEvent, ServerMessage, SignalFrom, SignalKind, Welcome
from tests.support.processes.leftovers import nothing_left_behind
from tests.support.servers.attacker import Attack, Deliver, attacked_server, on_signals
from tests.support.waiting import until

CONFIG = LinkConfig(timeouts=Timeouts(pake=1.0, description=1.0, path=3.0, hello=1.0))
FINGERPRINT = re.compile(r"(a=fingerprint:sha-256 )([0-9A-F:]+)")


@dataclass
class Outcome:
    """How it ended for the two people."""

    host: Link | BaseException
    guest: Link | BaseException

    @property
    def errors(self) -> tuple[BaseException, BaseException]:
        assert isinstance(self.host, PeerError)
        assert isinstance(self.guest, PeerError)
        return self.host, self.guest


async def told(room: Room) -> Link | PeerError:
    """The outcome for a person in the room: the link, or the error."""
    waiting = asyncio.create_task(room.link(timeout=20))
    # Those in a named room go on waiting for others.
    await until(lambda: room.failures or waiting.done())
    waiting.cancel()
    await asyncio.wait({waiting})
    failures = list(room.failures.values())
    if not waiting.cancelled():
        return await waiting if waiting.exception() is None else failures[0]
    return failures[0]


async def meet(attack: Attack, *, code: bool = True) -> Outcome:
    """Let two people meet on a server that does `attack`, and try the link they get."""
    async with nothing_left_behind(), attacked_server(attack) as url, asyncio.timeout(60):
        opened = (
            peer.host(url, name="alice", config=CONFIG)
            if code
            else peer.join(url, room="demo", name="alice", config=CONFIG)
        )
        async with opened as first:
            entered = (
                peer.join(url, first.code, name="bob", config=CONFIG)
                if code
                else peer.join(url, room="demo", name="bob", config=CONFIG)
            )
            async with entered as second:
                waiting = asyncio.create_task(told(first))
                guest = await told(second)
                if isinstance(guest, PeerError) and not code:
                    # The earlier peer of a named room goes on waiting for others.
                    await until(lambda: first.failures or waiting.done())
                    failure = first.failures.get(second.me)
                    host: Link | BaseException = failure or await waiting
                    waiting.cancel()
                else:
                    host = await waiting
                if isinstance(host, Link) and isinstance(guest, Link):
                    await host.chat.send("hello")
                    assert (await guest.chat.receive()).text == "hello"
                return Outcome(host, guest)


def changed(signal: SignalFrom, **fields: object) -> SignalFrom:
    return msgspec.structs.replace(signal, **fields)


def other_fingerprint(sdp: str) -> str:
    """The description with the fingerprint of somebody else's certificate."""
    return FINGERPRINT.sub(lambda match: match[1] + os.urandom(32).hex(":").upper(), sdp)


async def test_an_honest_proxy_changes_nothing() -> None:
    outcome = await meet(on_signals(lambda signal: [signal]))
    assert isinstance(outcome.host, Link) and isinstance(outcome.guest, Link)
    assert outcome.host.sas == outcome.guest.sas


# The fingerprint


async def test_with_a_code_there_is_no_fingerprint_to_swap() -> None:
    seen: list[str] = []

    def tamper(signal: SignalFrom) -> list[SignalFrom]:
        seen.append(signal.data)
        return [changed(signal, data=other_fingerprint(signal.data))]

    outcome = await meet(on_signals(tamper))
    assert isinstance(outcome.host, Link) and isinstance(outcome.guest, Link)
    assert outcome.host.authenticated and outcome.guest.authenticated
    assert seen and not any("fingerprint" in data or "candidate:" in data for data in seen)


@pytest.mark.parametrize("kind", [SignalKind.OFFER, SignalKind.ANSWER])
async def test_with_a_code_a_description_made_up_by_the_server_is_dropped(
    kind: SignalKind,
) -> None:
    def tamper(signal: SignalFrom) -> list[SignalFrom]:
        if signal.kind is kind:
            return [changed(signal, data=json.dumps({"sdp": "v=0\r\n"}))]
        return [signal]

    outcome = await meet(on_signals(tamper))
    assert isinstance(outcome.errors[0], PeerError)
    assert any(isinstance(error, PeerTimeout) for error in outcome.errors)


@pytest.mark.parametrize("kind", [SignalKind.OFFER, SignalKind.ANSWER])
async def test_without_a_code_a_swapped_fingerprint_is_not_connected_to(kind: SignalKind) -> None:
    def tamper(signal: SignalFrom) -> list[SignalFrom]:
        if signal.kind is kind:
            return [changed(signal, data=other_fingerprint(signal.data))]
        return [signal]

    outcome = await meet(on_signals(tamper), code=False)
    assert any(isinstance(error, VerificationFailed) for error in outcome.errors)


@pytest.mark.parametrize(
    "disguised",
    ["A=fingerprint:sha-256 ", "a=Fingerprint:sha-256 ", "a=fingerprint:SHA-256 "],
)
async def test_without_a_code_a_second_fingerprint_in_disguise_is_refused(disguised: str) -> None:
    """One that only the words see, or only DTLS sees, would hide a server in the middle."""

    def tamper(signal: SignalFrom) -> list[SignalFrom]:
        if signal.kind is not SignalKind.OFFER:
            return [signal]
        body = json.loads(signal.data)
        match = FINGERPRINT.search(body["sdp"])
        assert match is not None
        hidden = f"\r\n{disguised}{match[2]}\r\n"
        body["sdp"] = other_fingerprint(body["sdp"]).replace("\r\n", hidden, 1)
        return [changed(signal, data=json.dumps(body))]

    outcome = await meet(on_signals(tamper), code=False)
    assert isinstance(outcome.guest, ProtocolError | VerificationFailed)
    assert isinstance(outcome.host, PeerError)


async def test_without_a_code_a_changed_nonce_shows_in_the_words_or_fails() -> None:
    def tamper(signal: SignalFrom) -> list[SignalFrom]:
        if signal.kind is SignalKind.ANSWER:
            body = json.loads(signal.data)
            body["nonce"] = "A" * len(body["nonce"])
            return [changed(signal, data=json.dumps(body))]
        return [signal]

    outcome = await meet(on_signals(tamper), code=False)
    assert isinstance(outcome.host, Link) and isinstance(outcome.guest, Link)
    assert not outcome.host.authenticated and not outcome.guest.authenticated
    assert outcome.host.sas != outcome.guest.sas


async def test_without_a_code_a_changed_commitment_fails_verification() -> None:
    def tamper(signal: SignalFrom) -> list[SignalFrom]:
        if signal.kind is SignalKind.OFFER:
            body = json.loads(signal.data)
            body["commit"] = "A" * len(body["commit"])
            return [changed(signal, data=json.dumps(body))]
        return [signal]

    outcome = await meet(on_signals(tamper), code=False)
    assert isinstance(outcome.guest, VerificationFailed)
    # The other side had a link by then; it is told why it is over.
    assert isinstance(outcome.host, Link)
    with pytest.raises(VerificationFailed):
        await outcome.host.wait_closed()


# Replays, order, losses


async def test_repeated_signals_change_nothing() -> None:
    def tamper(signal: SignalFrom) -> list[SignalFrom]:
        copies = 1 if signal.kind is SignalKind.PAKE else 3
        return [signal] * copies

    outcome = await meet(on_signals(tamper))
    assert isinstance(outcome.host, Link) and isinstance(outcome.guest, Link)


async def test_an_old_offer_under_a_new_number_is_dropped() -> None:
    def tamper(signal: SignalFrom) -> list[SignalFrom]:
        if signal.kind is SignalKind.OFFER:
            return [signal, changed(signal, gen=signal.gen + 1)]
        return [signal]

    outcome = await meet(on_signals(tamper))
    assert isinstance(outcome.host, Link) and isinstance(outcome.guest, Link)


async def test_signals_of_one_meeting_are_worth_nothing_in_the_next() -> None:
    recorded: list[SignalFrom] = []
    await meet(on_signals(lambda signal: recorded.append(signal) or [signal]))  # type: ignore[func-returns-value]

    old = [signal.data for signal in recorded]
    outcome = await meet(on_signals(lambda signal: [changed(signal, data=old.pop(0))]))
    assert any(isinstance(error, WrongCode) for error in outcome.errors)
    assert all(isinstance(error, (WrongCode, VerificationFailed)) for error in outcome.errors)


async def test_signals_in_another_order_end_in_no_link() -> None:
    held: dict[str, SignalFrom] = {}

    def tamper(signal: SignalFrom) -> list[SignalFrom]:
        first = held.pop(signal.from_, None)
        if first is None:
            held[signal.from_] = signal
            return []
        return [signal, first]

    outcome = await meet(on_signals(tamper))
    assert all(isinstance(error, PeerError) for error in outcome.errors)


async def test_a_server_that_relays_nothing_gets_a_timeout_with_the_stage() -> None:
    outcome = await meet(on_signals(lambda signal: []))
    assert any(isinstance(error, PeerTimeout) and error.stage == "pake" for error in outcome.errors)


async def test_a_server_that_flips_every_message_ends_in_no_link() -> None:
    def tamper(signal: SignalFrom) -> list[SignalFrom]:
        middle = len(signal.data) // 2
        flipped = "A" if signal.data[middle] != "A" else "B"
        return [changed(signal, data=signal.data[:middle] + flipped + signal.data[middle + 1 :])]

    outcome = await meet(on_signals(tamper))
    assert all(isinstance(error, PeerError) for error in outcome.errors)


# Playing a peer


async def test_a_code_room_listens_to_one_peer_however_many_the_server_invents() -> None:
    def invent(message: ServerMessage, deliver: Deliver) -> None:
        deliver(message)
        if isinstance(message, Welcome):
            for number in range(1, 4):
                deliver(PeerEvent(event="joined", peer=f"9-impostor-{number}", seq=number))

    async with (
        nothing_left_behind(),
        attacked_server(invent) as url,
        peer.host(url, name="alice", config=CONFIG) as room,
    ):
        # The first does not know the words, and says nothing at all.
        with pytest.raises(PeerTimeout):
            await room.link(timeout=20)
        assert list(room.failures) == ["9-impostor-1"]
        assert len(room.peers) == 3


async def test_a_wrong_guess_by_a_guest_of_the_server_is_a_wrong_code() -> None:
    """The impostor answers with the right protocol and the wrong words."""
    async with nothing_left_behind(), attacked_server(on_signals(lambda s: [s])) as url:
        async with peer.host(url, config=CONFIG) as room, asyncio.timeout(30):
            assert room.code is not None
            guess = Code(room.code.number, ("acid", "acid", "acid"))
            async with peer.join(url, guess, config=CONFIG) as impostor:
                outcomes = await asyncio.gather(
                    room.link(), impostor.link(), return_exceptions=True
                )
        assert all(isinstance(outcome, WrongCode) for outcome in outcomes)
