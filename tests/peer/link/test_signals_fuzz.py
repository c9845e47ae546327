"""Signals that a hostile server or a stranger makes up or changes raise and win nothing.

The environment variable ``PEERLINE_FUZZ=1000000`` makes it a long run.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from random import Random

import pytest

from peer.config import LinkConfig
from peer.errors import PeerError
from peer.link.negotiation import (
    AskGuess,
    GuessProved,
    MakeAnswer,
    MakeOffer,
    Negotiation,
    NegotiationEvent,
    NegotiationFailed,
    SetupStage,
)
from peer.link.negotiation.machine import MAX_OFFERS
from peer.security.pake import Pake
from peer.security.sealing import b64u_encode
from signaling.messages import Signal
from tests.support.links.negotiations import ANSWERER, OFFERER, Pair, altered, made

SIGNALS = int(os.environ.get("PEERLINE_FUZZ", "4000"))
KINDS = ("pake", "offer", "answer", "candidate", "end_of_candidates", "restart", "bye", "odd", "")
PIECES = (
    *("{", "}", "[", "]", '"', "\\u0000", "null", "true", "-1", "1e999", "\ud800", "\U0001f600"),
    *('{"sdp":1}', '{"sdp":"v=0","commit":5}', '{"candidate":{}}', '{"reason":["x"]}', "[" * 5000),
    *('{"step":1,"share":""}', '{"step":2,"share":"AA","tag":"AA"}', '{"step":3,"tag":[]}'),
    *(
        json.dumps({"code": code})
        for code in ("wrong_code", "password_mismatch", "too_many_guesses", "no_path")
    ),
)


def mutated(random: Random, data: str) -> str:
    """The text with a few changes; or another one."""
    for _ in range(random.randint(1, 4)):
        at = random.randint(0, len(data))
        match random.randrange(6):
            case 0:
                data = data[:at] + chr(random.randrange(0x20, 0x7F)) + data[at + 1 :]
            case 1:
                data = data[:at]
            case 2:
                data = data[:at] + random.choice(PIECES) + data[at:]
            case 3:
                data = data[at:] + data[:at]
            case 4:
                data = random.choice(PIECES)
            case _:
                data = json.dumps({data[:9]: data, "code": data[9:40]})
    return data


def made_up(random: Random, seen: list[Signal]) -> Signal:
    """A signal like one of those seen, with other fields."""
    signal = random.choice(seen)
    changes: dict[str, object] = {}
    if random.random() < 0.7:
        changes["data"] = mutated(random, signal.data)
    if random.random() < 0.3:
        changes["kind"] = random.choice(KINDS)
    if random.random() < 0.3:
        changes["gen"] = random.choice((-1, 0, 1, 2, 7, 2**16, 2**31, 2**63))
    if random.random() < 0.1:
        changes["link"] = random.choice(("", "L1", "L2", "x" * 64, "\ud800"))
    return altered(signal, **changes)


class Victim:
    """One side, alone with somebody who does not know the password, that does as it is told."""

    def __init__(self, random: Random, password: bytes | None) -> None:
        self.random = random
        self.local, self.remote = random.choice(((OFFERER, ANSWERER), (ANSWERER, OFFERER)))
        self.events: Counter[type[NegotiationEvent]] = Counter()
        self.error: PeerError | None = None
        self.share = ""
        self.now = 0.0
        self.machine = Negotiation(
            local=self.local,
            remote=self.remote,
            room="7",
            password=password,
            link="L1" if self.local == OFFERER else None,
            random=random.randbytes(32),
            config=LinkConfig(attempts=3),
            now=0.0,
            counted=True,
        )
        self.drive()

    def drive(self) -> None:
        """Do what the machine wants done; now and then it takes too long."""
        while (event := self.machine.next_event()) is not None:
            self.events[type(event)] += 1
            match event:
                case AskGuess() if self.random.random() < 0.8:
                    self.machine.answer_share(self.now)
                case MakeOffer(gen) | MakeAnswer(gen, _) if self.random.random() < 0.9:
                    self.machine.description_made(
                        gen, "v=0", random=self.random.randbytes(32), now=self.now
                    )
                case NegotiationFailed(error, _):
                    self.error = error
        for signal in self.machine.signals_to_send():
            if signal.kind == "pake":
                self.share = self.share or signal.data

    def receive(self, signal: Signal) -> None:
        self.machine.receive_signal(signal, self.now)
        self.drive()

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.machine.handle_timer(self.now)
        self.drive()

    def well_formed(self) -> Signal:
        """A signal as the other side would send it, if it knew the password."""
        kind = self.random.choice(KINDS)
        nonce = b64u_encode(self.random.randbytes(32))
        bodies: dict[str, object] = {
            "offer": {"sdp": "v=0", "commit": nonce},
            "answer": {"sdp": "v=0", "nonce": nonce},
            "candidate": {"candidate": "candidate:1 1 udp 1 192.0.2.1 9 typ host"},
            "bye": {"code": self.random.choice(("wrong_code", "too_many_guesses", "failed"))},
        }
        data = self.guess() if kind == "pake" else json.dumps(bodies.get(kind, {}))
        return made("L1", self.random.choice((0, 0, 0, 1, 2, 3, 2**16)), kind, data)

    def guess(self) -> str:
        """A step of somebody who has another password."""
        step = self.random.randrange(1, 4)
        if step == 3:
            return json.dumps({"step": 3, "tag": b64u_encode(self.random.randbytes(64))})
        pake = (Pake.offerer if step == 1 else Pake.answerer)(
            password=b"another",
            room="7",
            link="L1",
            own_id=self.remote,
            peer_id=self.local,
            scalar=self.random.randbytes(32),
        )
        if step == 2:
            pake.receive_message(self.share)
        return "".join(pake.messages_to_send()[:1])


@pytest.mark.parametrize("password", [None, b"7-guitar-ocean"], ids=["open", "password"])
def test_who_does_not_know_the_password_wins_nothing(password: bytes | None) -> None:
    random = Random(20261129)
    stages: Counter[SetupStage] = Counter()
    for _ in range(SIGNALS // 40):
        victim = Victim(random, password)
        for _ in range(10):
            signal = victim.well_formed()
            victim.receive(made_up(random, [signal]) if random.random() < 0.4 else signal)
            if random.random() < 0.05:
                victim.sleep(random.random() * 20)
        stages[victim.machine.stage] += 1
        assert not victim.machine.authenticated
        assert victim.events[GuessProved] == 0
        assert victim.events[AskGuess] <= 1
        assert victim.events[MakeAnswer] <= MAX_OFFERS
        assert victim.events[MakeOffer] <= 3
        if password is not None:
            assert not victim.events[MakeAnswer] and not victim.events[MakeOffer]
        assert (victim.error is not None) is (victim.machine.stage is SetupStage.FAILED)
    assert len(stages) > 1


@pytest.mark.parametrize("password", [None, b"7-guitar-ocean"], ids=["open", "password"])
def test_no_signal_raises_or_grows_anything(password: bytes | None) -> None:
    random = Random(20261127)
    given = 0
    while given < SIGNALS // 2:
        seen: list[Signal] = []

        def tamper(sender: str, signal: Signal, seen: list[Signal] = seen) -> list[Signal]:
            nonlocal given
            seen.append(signal)
            extra = [made_up(random, seen) for _ in range(random.choice((0, 0, 1, 5, 40)))]
            given += len(extra)
            arriving = [signal, *extra]
            random.shuffle(arriving)
            return arriving if random.random() < 0.9 else extra

        pair = Pair(password, tamper=tamper)
        pair.run()
        pair.tick(200.0)
        for side in pair.sides.values():
            assert len(side.done) <= len(seen) * 41 + 10
            if side.failure is not None:
                assert side.machine.stage is SetupStage.FAILED
                assert str(side.failure.error)


def test_with_a_key_made_up_signals_change_nothing() -> None:
    random = Random(20261128)
    for _ in range(max(1, SIGNALS // 1000)):
        seen: list[Signal] = []

        def tamper(sender: str, signal: Signal, seen: list[Signal] = seen) -> list[Signal]:
            seen.append(signal)
            return [signal]

        pair = Pair(tamper=tamper)
        pair.run()
        assert pair.offerer.machine.authenticated
        assert pair.answerer.machine.authenticated
        done = [list(side.done) for side in pair.sides.values()]
        honest = {(signal.link, signal.gen, signal.kind, signal.data) for signal in seen}
        for _ in range(500):
            forged = made_up(random, seen)
            if (forged.link, forged.gen, forged.kind, forged.data) in honest:
                continue
            for side in pair.sides.values():
                pair.deliver(side, forged)
        pair.run()
        assert [side.done for side in pair.sides.values()] == done
        assert pair.offerer.failure is None
        assert pair.answerer.failure is None
