"""Drives two negotiations by a transcript."""

from __future__ import annotations

from collections.abc import Iterator

from peer.config import LinkConfig
from peer.errors import (
    LinkClosed,
    LinkLost,
    NoPath,
    PeerError,
    PeerTimeout,
    ProtocolError,
    VerificationFailed,
    WrongCode,
)
from peer.link.negotiation import (
    AskGuess,
    GuessProved,
    MakeAnswer,
    MakeOffer,
    Negotiation,
    NegotiationEvent,
    NegotiationFailed,
    TakeAnswer,
    TakeCandidate,
)
from peer.security.cpace import password_bytes
from tests.support.links.negotiations import made

from .files import Json

__all__ = ["Replay", "outcomes"]


def code_of(error: PeerError) -> str:
    """The name of an error in transcripts, and in JavaScript."""
    if isinstance(error, LinkClosed):  # its own code is what the other side says
        return "closed" if str(error) == str(LinkClosed()) else "bye"
    return error.code


def error_of(step: Json) -> PeerError:
    """The error that a step of a transcript names."""
    match step["error"]:
        case "no_path":
            conclusive = bool(step.get("conclusive"))
            return NoPath(conclusive=conclusive, reason=step.get("reason", ""))
        case "verification_failed":
            return VerificationFailed("The certificate is another one.")
        case "protocol":
            return ProtocolError("The description makes no sense.")
        case "timeout":
            return PeerTimeout("hello")
        case "lost":
            return LinkLost()
        case _:
            return LinkClosed()


def event_json(event: NegotiationEvent) -> Json:
    """An event as transcripts hold it."""
    match event:
        case AskGuess():
            return {"event": "ask_guess"}
        case GuessProved():
            return {"event": "guess_proved"}
        case MakeOffer(gen):
            return {"event": "make_offer", "gen": gen}
        case MakeAnswer(gen, sdp):
            return {"event": "make_answer", "gen": gen, "sdp": sdp}
        case TakeAnswer(gen, sdp):
            return {"event": "take_answer", "gen": gen, "sdp": sdp}
        case TakeCandidate(gen, candidate):
            return {"event": "take_candidate", "gen": gen, "candidate": candidate}
        case NegotiationFailed(error, stage):
            said: Json = {"event": "failed", "error": code_of(error), "stage": stage.value}
            if type(error) in (NoPath, WrongCode):
                # Whether it says more than that: what the other side wants, or lacks.
                said["explained"] = str(error) != str(type(error)())
            return said


class Replay:
    """The machines of one transcript, and the signals that they have sent."""

    def __init__(self, sides: Json) -> None:
        self.wire: list[Json] = []
        self.machines: dict[str, Negotiation] = {}
        self._sides = sides

    def step(self, step: Json) -> Json:
        """Take one step; what the machine makes of it."""
        if step["do"] == "begin":
            self.machines[step["side"]] = self._begin(self._sides[step["side"]], step["now"])
        negotiation = self.machines[step["side"]]
        outcome = self._do(negotiation, step)
        send = [
            {"link": each.link, "gen": each.gen, "kind": each.kind, "data": each.data}
            for each in negotiation.signals_to_send()
        ]
        self.wire += send
        events = []
        while (event := negotiation.next_event()) is not None:
            events.append(event_json(event))
        outcome |= {"send": send, "events": events}
        outcome |= {"stage": negotiation.stage.value, "deadline": negotiation.get_timer()}
        return outcome

    def _begin(self, side: Json, now: float) -> Negotiation:
        password = side["password"]
        return Negotiation(
            local=side["local"],
            remote=side["remote"],
            room=side["room"],
            password=None if password is None else password_bytes(password),
            link=side["link"],
            random=bytes.fromhex(side["random"]),
            config=LinkConfig(),
            now=now,
            counted=side["counted"],
        )

    def _do(self, negotiation: Negotiation, step: Json) -> Json:
        now = step["now"]
        match step["do"]:
            case "signal":
                signal = self.wire[step["take"]] if "take" in step else step["signal"]
                signal = {key: signal[key] for key in ("link", "gen", "kind", "data")}
                negotiation.receive_signal(made(**signal), now)
            case "answer_share":
                negotiation.answer_share(now)
            case "refuse_share":
                negotiation.refuse_share()
            case "described":
                random = bytes.fromhex(step["random"])
                negotiation.description_made(step["gen"], step["sdp"], random=random, now=now)
            case "candidate":
                negotiation.candidate_found(step["gen"], step["candidate"])
            case "connection_failed":
                negotiation.connection_failed(step["gen"], error_of(step), now=now)
            case "established":
                negotiation.established()
            case "peer_left":
                negotiation.peer_left()
            case "give_up":
                negotiation.give_up(error_of(step))
            case "timer":
                negotiation.handle_timer(now)
            case "verify":
                reveal = negotiation.reveal if step["reveal"] == "own" else step["reveal"]
                try:
                    words = negotiation.verify(
                        reveal,
                        local_fingerprint=bytes.fromhex(step["local"]),
                        remote_fingerprint=bytes.fromhex(step["remote"]),
                    )
                except VerificationFailed as error:
                    return {"error": code_of(error)}
                return {"words": list(words), "reveal": negotiation.reveal}
        return {}


def outcomes(transcript: Json) -> Iterator[tuple[Json, Json]]:
    """For each step: what the machine makes of it, and what the transcript says."""
    replay = Replay(transcript["sides"])
    for step in transcript["steps"]:
        expected = dict(step["then"])
        expected["send"] = [
            {key: value for key, value in each.items() if key != "says"}
            for each in expected["send"]
        ]
        yield replay.step(step), expected
