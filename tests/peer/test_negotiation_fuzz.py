"""Signals that a stranger or the server makes up, in every stage: nothing raises, nothing is won.

The environment variable ``SIGNAL_FUZZ_INPUTS=1000000`` makes it a long run.
"""

from __future__ import annotations

import json
import os
import random
from collections import Counter

import pytest

from peer.config import LinkConfig
from peer.errors import PeerError
from peer.negotiation import (
    AskGuess,
    GuessProved,
    MakeAnswer,
    MakeOffer,
    Negotiation,
    NegotiationEvent,
    NegotiationFailed,
    OutgoingSignal,
    Stage,
)
from peer.negotiation.machine import MAX_OFFERS
from peer.pake import Pake
from peer.sealing import b64u_encode

INPUTS = int(os.environ.get("SIGNAL_FUZZ_INPUTS", "4000"))
IDS = {"offerer": ("p1", "p2"), "answerer": ("p2", "p1")}
KINDS = ("pake", "offer", "answer", "candidate", "end_of_candidates", "restart", "bye", "odd")
WORDS = ("", "{}", "[]", "null", "\ud800", "[" * 5000, '{"step":', "{" * 2000, "A" * 600)


class Victim:
    """One side that goes on by itself as far as it is let."""

    def __init__(self, source: random.Random, password: bytes | None) -> None:
        self.role = source.choice(list(IDS))
        local, remote = IDS[self.role]
        self.source = source
        self.events: Counter[type[NegotiationEvent]] = Counter()
        self.error: PeerError | None = None
        self.shares: list[str] = []
        self.now = 0.0
        self.machine = Negotiation(
            local=local,
            remote=remote,
            room="7",
            password=password,
            link="L" if self.role == "offerer" else None,
            random=source.randbytes(32),
            config=LinkConfig(attempts=3),
            now=0.0,
            counted=True,
        )
        self.drive()

    def drive(self) -> None:
        """Do what the machine wants done; now and then it takes a while."""
        while (event := self.machine.next_event()) is not None:
            self.events[type(event)] += 1
            match event:
                case AskGuess() if self.source.random() < 0.8:
                    self.machine.answer_share(self.now)
                case MakeOffer(gen) | MakeAnswer(gen, _) if self.source.random() < 0.9:
                    self.machine.description_made(
                        gen, "v=0", random=self.source.randbytes(32), now=self.now
                    )
                case NegotiationFailed(error, _):
                    self.error = error
        for signal in self.machine.signals_to_send():
            if signal.kind == "pake":
                self.shares.append(signal.data)

    def receive(self, signal: OutgoingSignal) -> None:
        self.machine.receive_signal(
            link=signal.link, gen=signal.gen, kind=signal.kind, data=signal.data, now=self.now
        )
        self.drive()


def invented(source: random.Random, victim: Victim) -> OutgoingSignal:
    """A signal that is more or less in order."""
    kind = source.choice(KINDS)
    gen = source.choice((0, 0, 0, 1, 2, 3, 2**16, 2**31))
    link = "L" if source.random() < 0.95 else source.choice(("", "M", "\u2028"))
    match kind:
        case "pake":
            data = guess(source, victim)
        case "offer":
            data = json.dumps({"sdp": "v=0", "commit": b64u_encode(source.randbytes(32))})
        case "answer":
            data = json.dumps({"sdp": "v=0", "nonce": b64u_encode(source.randbytes(32))})
        case "candidate":
            data = json.dumps({"candidate": "candidate:1 1 udp 1 192.0.2.1 9 typ host"})
        case "bye":
            codes = ("wrong_code", "password_mismatch", "too_many_guesses", "no_path", "failed")
            data = json.dumps({"code": source.choice(codes)})
        case _:
            data = "{}"
    if source.random() < 0.4:
        at = source.randrange(len(data) + 1)
        data = source.choice(
            (
                data[:at],
                data[:at] + source.choice(WORDS) + data[at:],
                source.choice(WORDS),
                b64u_encode(source.randbytes(source.randrange(80))),
            )
        )
    return OutgoingSignal(link, gen, kind, data)


def guess(source: random.Random, victim: Victim) -> str:
    """A step of somebody who does not know the password."""
    step = source.randrange(1, 4)
    if step == 3:
        return json.dumps({"step": 3, "tag": b64u_encode(source.randbytes(64))})
    local, remote = IDS[victim.role]
    make = Pake.offerer if step == 1 else Pake.answerer
    pake = make(
        password=b"another",
        room="7",
        link="L",
        own_id=remote,
        peer_id=local,
        scalar=source.randbytes(32),
    )
    if step == 2 and victim.shares:
        pake.receive_message(victim.shares[0])
    messages = pake.messages_to_send()
    return messages[0] if messages else "{}"


@pytest.mark.parametrize("password", [b"7-guitar-ocean", None], ids=["password", "open"])
def test_made_up_signals_win_nothing(password: bytes | None) -> None:
    source = random.Random(8445)
    stages: Counter[Stage] = Counter()
    for _ in range(INPUTS // 20):
        victim = Victim(source, password)
        for _ in range(10):
            victim.receive(invented(source, victim))
            if source.random() < 0.05:
                victim.now += source.random() * 20
                victim.machine.handle_timer(victim.now)
                victim.drive()
        stages[victim.machine.stage] += 1
        assert not victim.machine.authenticated
        assert victim.events[GuessProved] == 0
        assert victim.events[AskGuess] <= 1
        assert victim.events[MakeAnswer] <= MAX_OFFERS
        assert victim.events[MakeOffer] <= 3
        if password is not None:
            assert not victim.events[MakeAnswer] and not victim.events[MakeOffer]
        assert (victim.error is not None) is (victim.machine.stage is Stage.FAILED)
    assert len(stages) > 1
