"""Signals that a hostile server or a stranger makes up or changes raise nothing, in any stage.

The environment variable ``PEERLINE_FUZZ=1000000`` makes it a long run.
"""

from __future__ import annotations

import json
import os
from random import Random

import pytest

from peer.negotiation import OutgoingSignal, Stage
from tests.support.negotiations import Pair, altered

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


def made_up(random: Random, seen: list[OutgoingSignal]) -> OutgoingSignal:
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


@pytest.mark.parametrize("password", [None, b"7-guitar-ocean"], ids=["open", "password"])
def test_no_signal_raises_or_grows_anything(password: bytes | None) -> None:
    random = Random(20261127)
    given = 0
    while given < SIGNALS // 2:
        seen: list[OutgoingSignal] = []

        def tamper(
            sender: str, signal: OutgoingSignal, seen: list[OutgoingSignal] = seen
        ) -> list[OutgoingSignal]:
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
                assert side.machine.stage is Stage.FAILED
                assert str(side.failure.error)


def test_with_a_key_made_up_signals_change_nothing() -> None:
    random = Random(20261128)
    for _ in range(max(1, SIGNALS // 1000)):
        seen: list[OutgoingSignal] = []

        def tamper(
            sender: str, signal: OutgoingSignal, seen: list[OutgoingSignal] = seen
        ) -> list[OutgoingSignal]:
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
