"""The set-up of one link through an untrusted server, as a state machine (floor 1).

The peer that came to the room first is the offerer, for the pair's life. With a code or a
password the two prove it to each other first (`peer.security.pake`) and seal everything after
that (`peer.security.sealing`); without one, descriptions travel in the clear and both sides show
words to compare. A connection that does not come about is followed by another one, the next
*generation*: the offerer offers again, the answerer can only ask for it (`restart`). Signals of
an older generation are dropped.

    offerer                                     answerer
    pake 1  ----------------------------------->
            <-----------------------------------  pake 2
    pake 3, offer (gen 0)  -------------------->
            <-----------------------------------  answer (gen 0)
    candidate ...  <--------------------------->  candidate ...
            <-----------------------------------  restart (gen 0)
    offer (gen 1)  ---------------------------->                       and so on

A share that wants an answer is a guess until the other side has proved itself: the machine asks
(`AskGuess`) before it answers one, and tells when the proof has come (`GuessProved`).

The machine is told what happens (`receive_signal`, `description_made`, `connection_failed`,
`established`, `handle_timer`) and says what to do: after every call, send what
`signals_to_send` returns, and carry out what `next_event` returns until it returns None.
"""

from __future__ import annotations

from .machine import Negotiation
from .types import (
    AskGuess,
    GuessProved,
    MakeAnswer,
    MakeOffer,
    NegotiationEvent,
    NegotiationFailed,
    SetupStage,
    TakeAnswer,
    TakeCandidate,
)

__all__ = [
    "AskGuess",
    "GuessProved",
    "MakeAnswer",
    "MakeOffer",
    "Negotiation",
    "NegotiationEvent",
    "NegotiationFailed",
    "SetupStage",
    "TakeAnswer",
    "TakeCandidate",
]
