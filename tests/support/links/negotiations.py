"""Two negotiations, and a server between them that does as the test says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from peer.config import LinkConfig
from peer.link.negotiation import (
    MakeAnswer,
    MakeOffer,
    Negotiation,
    NegotiationEvent,
    NegotiationFailed,
    TakeAnswer,
    TakeCandidate,
)
from signaling.messages import Signal, SignalKind

__all__ = ["ANSWERER", "OFFERER", "Pair", "Side", "altered", "made"]

OFFERER = "p1"
ANSWERER = "p2"

Tamper = Callable[[str, Signal], list[Signal]]
"""Returns the signals that the server delivers for one of `OFFERER` or `ANSWERER`."""


@dataclass
class Side:
    """One side: its machine and what it was told to do."""

    machine: Negotiation
    done: list[NegotiationEvent]

    @property
    def failure(self) -> NegotiationFailed | None:
        return next((e for e in self.done if isinstance(e, NegotiationFailed)), None)

    def taken(self, gen: int | None = None) -> list[str]:
        """The candidates it was given."""
        return [
            event.candidate
            for event in self.done
            if isinstance(event, TakeCandidate)
            and gen in (None, event.gen)
            and event.candidate is not None
        ]

    def descriptions(self) -> list[tuple[int, str]]:
        """The other side's descriptions that it was given, with their generations."""
        return [
            (event.gen, event.sdp)
            for event in self.done
            if isinstance(event, (MakeAnswer, TakeAnswer))
        ]


def as_sent(sender: str, signal: Signal) -> list[Signal]:
    """An honest server."""
    return [signal]


class Pair:
    """Both sides of one link, with a clock that only `tick` moves."""

    def __init__(
        self,
        password: bytes | None = b"7-guitar-ocean",
        other_password: bytes | None = b"",
        *,
        tamper: Tamper = as_sent,
        config: LinkConfig | None = None,
    ) -> None:
        config = config or LinkConfig()
        if other_password == b"":
            other_password = password
        self.now = 0.0
        self.tamper = tamper
        self.describe = True
        self.wire: list[tuple[str, Signal]] = []
        self.offerer = Side(
            Negotiation(
                local=OFFERER,
                remote=ANSWERER,
                room="7",
                password=password,
                link="L1",
                random=b"\x11" * 32,
                config=config,
                now=0.0,
            ),
            [],
        )
        self.answerer = Side(
            Negotiation(
                local=ANSWERER,
                remote=OFFERER,
                room="7",
                password=other_password,
                link=None,
                random=b"\x22" * 32,
                config=config,
                now=0.0,
            ),
            [],
        )

    @property
    def sides(self) -> dict[str, Side]:
        return {OFFERER: self.offerer, ANSWERER: self.answerer}

    def run(self) -> None:
        """Carry signals and make descriptions until nothing moves any more."""
        moved = True
        while moved:
            moved = False
            for name, side in self.sides.items():
                other = self.sides[ANSWERER if name == OFFERER else OFFERER]
                while (event := side.machine.next_event()) is not None:
                    moved = True
                    side.done.append(event)
                    if self.describe and isinstance(event, (MakeOffer, MakeAnswer)):
                        kind = "offer" if isinstance(event, MakeOffer) else "answer"
                        side.machine.description_made(
                            event.gen,
                            f"{kind} {event.gen}",
                            random=(event.gen + 1).to_bytes(32, "big"),
                            now=self.now,
                        )
                for signal in side.machine.signals_to_send():
                    moved = True
                    self.wire.append((name, signal))
                    for arriving in self.tamper(name, signal):
                        self.deliver(other, arriving)

    def deliver(self, side: Side, signal: Signal) -> None:
        side.machine.receive_signal(signal, self.now)

    def tick(self, seconds: float) -> None:
        """Let time pass, and whatever is due happen."""
        self.now += seconds
        for side in self.sides.values():
            timer = side.machine.get_timer()
            if timer is not None and timer <= self.now:
                side.machine.handle_timer(self.now)
        self.run()

    def sent(self, kind: str) -> list[tuple[str, Signal]]:
        return [(name, signal) for name, signal in self.wire if signal.kind == kind]


def altered(signal: Signal, **changes: object) -> Signal:
    """The signal with other fields."""
    return msgspec.structs.replace(signal, **changes)


def made(link: str, gen: int, kind: str, data: str) -> Signal:
    """A signal of somebody; a kind that does not exist is one that the server lets through."""
    known = SignalKind(kind) if kind in set(SignalKind) else kind
    return Signal(to="", link=link, gen=gen, kind=known, data=data)  # type: ignore[arg-type]
