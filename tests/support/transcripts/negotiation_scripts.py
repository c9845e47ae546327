"""The courses of set-ups that the golden transcripts of the negotiation show."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final
from unittest.mock import patch

from peer.security.sealing import Envelope, Sealer

from .files import Json
from .negotiation import Replay

__all__ = ["ABOUT", "transcripts"]

ABOUT: Final = (
    "Set-ups of links. One side does each step at `now` seconds; `then` is what it sends, what it "
    "wants done (`events`), its stage, and when its timer is due. `take` is a signal that was "
    "sent before (counted from 0 over both sides), `signal` one that was made up. `says` is the "
    "plaintext of what is sealed, for readers. `explained` is whether an error says more than "
    "usually. Made by tests/support/transcripts, read by the Python and the JavaScript tests."
)


SAID: dict[str, str] = {}
"""Plaintexts of sealed signals, for readers of the file."""


@contextmanager
def recorded() -> Iterator[None]:
    """Note what is sealed meanwhile."""
    seal = Sealer.seal

    def recording(sealer: Sealer, envelope: Envelope, plaintext: bytes) -> str:
        data = seal(sealer, envelope, plaintext)
        SAID[data] = plaintext.decode()
        return data

    with patch.object(Sealer, "seal", recording):
        yield


def made_bytes(label: str) -> str:
    return hashlib.shake_256(label.encode()).hexdigest(32)


OFFERER, ANSWERER = "00000001", "00000002"
CODE = "7-guitar-ocean"
FINGERPRINTS = {"offerer": "aa" * 32, "answerer": "bb" * 32}


class Script:
    """One transcript in the making."""

    def __init__(
        self,
        name: str,
        *,
        password: str | None = CODE,
        other: str | None = "",
        counted: bool = False,
    ) -> None:
        self.name = name
        self.now = 0.0
        self.steps: list[Json] = []
        common = {"room": "7", "counted": counted}
        self.sides: Json = {
            "offerer": common
            | {"local": OFFERER, "remote": ANSWERER, "link": "L1", "password": password}
            | {"random": made_bytes("offerer")},
            "answerer": common
            | {"local": ANSWERER, "remote": OFFERER, "link": None}
            | {"password": password if other == "" else other, "random": made_bytes("answerer")},
        }
        self._replay = Replay(self.sides)

    def do(self, side: str, what: str, **arguments: Any) -> Script:
        """One step."""
        step = {"side": side, "now": self.now, "do": what, **arguments}
        then = self._replay.step(step)
        for each in then["send"]:
            if each["data"] in SAID:
                each["says"] = SAID[each["data"]]
        then["send"] = [dict(each) for each in then["send"]]
        self.steps.append(step | {"then": then})
        return self

    @property
    def last(self) -> int:
        """The newest signal."""
        return len(self._replay.wire) - 1

    def take(self, side: str, number: int | None = None) -> Script:
        """Give a signal that was sent to a side: the newest unless another is named."""
        return self.do(side, "signal", take=self.last if number is None else number)

    def signal(self, side: str, kind: str, data: str, *, gen: int = 0, link: str = "L1") -> Script:
        """Give a signal to a side that the other one has not sent."""
        return self.do(
            side, "signal", signal={"link": link, "gen": gen, "kind": kind, "data": data}
        )

    def begin(self) -> Script:
        return self.do("answerer", "begin").do("offerer", "begin")

    def prove(self) -> Script:
        """Begin, and let both prove the code."""
        self.begin().take("answerer").take("offerer").take("answerer")
        return self

    def described(self, side: str, gen: int = 0) -> Script:
        kind = "offer" if side == "offerer" else "answer"
        random = made_bytes(f"nonce of {kind} {gen}")
        return self.do(side, "described", gen=gen, sdp=f"{kind} {gen}", random=random)

    def describe(self, gen: int = 0) -> Script:
        """Both descriptions."""
        self.described("offerer", gen).take("answerer")
        return self.described("answerer", gen).take("offerer")

    def connect(self) -> Script:
        """All until a path is looked for."""
        self.prove() if self.sides["offerer"]["password"] is not None else self.begin()
        return self.describe()

    def fail(self, side: str, gen: int = 0, error: str = "no_path", **more: Any) -> Script:
        return self.do(side, "connection_failed", gen=gen, error=error, **more)

    def verify(self, side: str, reveal: str | None) -> Script:
        other = "answerer" if side == "offerer" else "offerer"
        local, remote = FINGERPRINTS[side], FINGERPRINTS[other]
        return self.do(side, "verify", reveal=reveal, local=local, remote=remote)


def transcripts() -> list[Json]:
    """Every transcript."""
    with recorded():
        made = [write() for write in SCRIPTS]
    return [{"name": each.name, "sides": each.sides, "steps": each.steps} for each in made]


SCRIPTS: Final[list[Callable[[], Script]]] = []


def script(write: Callable[[], Script]) -> Callable[[], Script]:
    SCRIPTS.append(write)
    return write


# The course of things


@script
def with_a_code() -> Script:
    it = Script("a code is proved, described, connected").prove()
    it.described("offerer").do("offerer", "candidate", gen=0, candidate="candidate:1")
    it.take("answerer", 3).take("answerer", 4)
    it.described("answerer").do("answerer", "candidate", gen=0, candidate=None)
    it.take("offerer", 5).take("offerer", 6)
    it.verify("offerer", None).verify("answerer", None)
    it.do("offerer", "established").do("answerer", "established")
    # A better path may still be found; nothing else is listened to.
    it.do("offerer", "candidate", gen=0, candidate="candidate:2").take("answerer")
    it.take("answerer", 3).do("answerer", "peer_left").do("answerer", "timer")
    return it.do("offerer", "give_up", error="closed")


@script
def with_guesses_counted() -> Script:
    it = Script("guesses are counted before shares are answered", counted=True).begin()
    it.take("answerer").do("answerer", "answer_share")
    it.take("offerer").do("offerer", "answer_share")
    return it.take("answerer")


@script
def without_a_password() -> Script:
    it = Script("no password: a commitment, a nonce, and words to compare", password=None)
    it.connect().verify("offerer", None)
    # The offerer's hello shows its nonce.
    reveal = it.steps[-1]["then"]["reveal"]
    it.verify("answerer", reveal)
    it.verify("answerer", None).verify("answerer", "AAAA").verify("answerer", reveal[::-1])
    return it


@script
def text_in_descriptions() -> Script:
    it = Script("descriptions and candidates of any text", password=None).begin()
    text = 'v=0\r\n"\\\u0000\u001f\u007f\u00e9\u2028\U0001f44b/<>'
    it.do("offerer", "described", gen=0, sdp=text, random="11" * 32).take("answerer")
    it.do("answerer", "described", gen=0, sdp=text, random="22" * 32).take("offerer")
    return it.do("answerer", "candidate", gen=0, candidate=text).take("offerer")


# Generations


@script
def another_offer() -> Script:
    it = Script("the offerer offers again").connect().fail("offerer").describe(gen=1)
    # Signals of the older generation are dropped, and so are those that come too early.
    it.fail("offerer").do("offerer", "described", gen=0, sdp="late", random="33" * 32)
    it.do("answerer", "candidate", gen=0, candidate="candidate:old")
    it.do("answerer", "candidate", gen=1, candidate="candidate:new").take("offerer")
    return it.do("answerer", "candidate", gen=2, candidate="candidate:early")


@script
def a_restart() -> Script:
    it = Script("the answerer asks for another offer").connect().fail("answerer").take("offerer")
    it.describe(gen=1)
    # Two connections are tried: after the second one both sides are told.
    return it.fail("answerer", gen=1).take("offerer")


@script
def both_fail() -> Script:
    it = Script("both sides fail at once: one new generation").connect()
    it.fail("answerer").fail("offerer")
    it.take("offerer", 5)  # of a generation that is over
    return it.describe(gen=1)


@script
def old_signals() -> Script:
    it = Script("signals of an older generation", password=None).connect()
    it.do("offerer", "candidate", gen=0, candidate="candidate:old")
    late = it.last
    it.fail("offerer").describe(gen=1).take("answerer", late)
    it.signal("offerer", "answer", '{"sdp":"old"}', gen=0)
    it.signal("answerer", "offer", '{"sdp":"old","commit":"x"}', gen=0)
    it.signal("offerer", "restart", "{}", gen=0)
    # A goodbye counts in whatever generation it is said.
    return it.signal("answerer", "bye", "{}", gen=0)


@script
def early_and_late_candidates() -> Script:
    it = Script("candidates before a description, after the end, and of no sense", password=None)
    it.begin().do("offerer", "candidate", gen=0, candidate="before")
    it.signal("answerer", "candidate", '{"candidate":"early"}')
    it.describe()
    for body in (
        '{"candidate":"candidate:1","sdpMid":null,"sdpMLineIndex":7,"more":[1]}',
        '{"candidate":""}',
        '{"candidate":7}',
        "{}",
        "[]",
        "nonsense",
        "",
    ):
        it.signal("offerer", "candidate", body)
    it.signal("offerer", "end_of_candidates", "").signal("offerer", "end_of_candidates", "{}")
    it.signal("offerer", "candidate", '{"candidate":"after"}')
    return it.signal("offerer", "candidate", '{"candidate":"next"}', gen=1)


@script
def many_offers() -> Script:
    it = Script("offers without end: eight are answered", password=None).do("answerer", "begin")
    for gen in (*range(8), 7, 8, 9):
        it.signal("answerer", "offer", f'{{"sdp":"offer {gen}","commit":"c"}}', gen=gen)
    return it


@script
def far_generation() -> Script:
    it = Script("a generation that nobody reaches", password=None).do("answerer", "begin")
    it.signal("answerer", "offer", '{"sdp":"x","commit":"c"}', gen=65537)
    return it.signal("answerer", "offer", '{"sdp":"x","commit":"c"}', gen=65536)


@script
def answerer_fails_before_it_answers() -> Script:
    it = Script("a connection that fails before the answer is made").prove()
    it.described("offerer").take("answerer").fail("answerer", error="timeout").take("offerer")
    return it.describe(gen=1)


# Failures


@script
def wrong_code() -> Script:
    it = Script("a wrong code", other="7-guitar-river").begin()
    # The offerer sees it first; the answerer has confirmed, and is told.
    return it.take("answerer").take("offerer").take("answerer")


@script
def wrong_code_counted() -> Script:
    it = Script("a wrong code, with guesses counted", other="7-guitar-river", counted=True).begin()
    it.take("answerer").do("answerer", "answer_share").take("offerer")
    return it.do("offerer", "answer_share").take("answerer")


@script
def refused_offerer() -> Script:
    it = Script("no guess is free at the answerer's", counted=True).begin()
    return it.take("answerer").do("answerer", "refuse_share").take("offerer")


@script
def refused_answerer() -> Script:
    it = Script("no guess is free at the offerer's", counted=True).begin()
    it.take("answerer").do("answerer", "answer_share").take("offerer")
    return it.do("offerer", "refuse_share").take("answerer")


@script
def password_at_the_offerer() -> Script:
    it = Script("only the offerer has a password", other=None).begin()
    return it.take("answerer").take("offerer")


@script
def password_at_the_answerer() -> Script:
    it = Script("only the answerer has a password", password=None, other="secret").begin()
    return it.described("offerer").take("answerer").take("offerer")


@script
def silence() -> Script:
    it = Script("silence while the code is proved").begin()
    it.now = 14.999
    it.do("offerer", "timer").do("answerer", "timer")
    it.now = 15.0
    return it.do("offerer", "timer").do("answerer", "timer").take("answerer")


@script
def silence_after_the_answer() -> Script:
    it = Script("silence after the answerer has confirmed: a guess").begin().take("answerer")
    it.now = 15.0
    return it.do("answerer", "timer").take("offerer")


@script
def silence_after_the_offer() -> Script:
    it = Script("silence after the offer").prove()
    it.now = 3.0
    it.described("offerer")
    it.now = 18.0
    return it.do("offerer", "timer").take("answerer")


@script
def leaves_unproved() -> Script:
    it = Script("the other side takes a confirmation and leaves: a guess").begin()
    return it.take("answerer").do("answerer", "peer_left")


@script
def leaves() -> Script:
    it = Script("the other side leaves").prove()
    return it.do("offerer", "peer_left").do("offerer", "peer_left").take("offerer", 1)


@script
def gives_up() -> Script:
    it = Script("our side gives up").connect()
    return it.do("answerer", "give_up", error="closed").take("offerer")


@script
def gives_up_unproved() -> Script:
    it = Script("our side gives up while the code is proved").begin()
    return it.do("offerer", "give_up", error="closed").take("answerer")


@script
def wrong_certificate() -> Script:
    it = Script("a wrong certificate is not tried again").connect()
    return it.fail("answerer", error="verification_failed").take("offerer")


@script
def bad_description() -> Script:
    it = Script("a description that makes no sense is not tried again").prove()
    it.described("offerer").take("answerer")
    return it.fail("answerer", error="protocol").take("offerer")


@script
def conclusive() -> Script:
    it = Script("another attempt would fail as well, for a reason that only one side sees")
    it.connect().fail("answerer", conclusive=True, reason="no_relay")
    return it.take("offerer")


@script
def conclusive_without_a_reason() -> Script:
    it = Script("another attempt would fail as well, as both can see").connect()
    return it.fail("offerer", conclusive=True).take("answerer")


@script
def lost_before_the_hello() -> Script:
    return Script("a connection breaks before its hello").connect().fail("answerer", error="lost")


# A server in the middle, and peers that send nonsense


@script
def forged() -> Script:
    it = Script("what the server makes up is dropped once there is a key").connect()
    for side in ("offerer", "answerer"):
        it.signal(side, "bye", '{"code":"wrong_code"}').signal(side, "restart", "{}")
        it.signal(side, "offer", '{"sdp":"evil"}', gen=1).signal(
            side, "candidate", '{"candidate":"x"}'
        )
        it.signal(side, "pake", '{"step":1,"share":"AAAA"}').signal(side, "bye", "{}", link="L2")
    return it


@script
def moved() -> Script:
    it = Script("sealed signals under another label, repeated, and out of order").prove()
    it.described("offerer")
    offer = dict(it.steps[-1]["then"]["send"][0])
    for changes in ({"gen": 1}, {"kind": "bye"}, {"kind": "candidate"}, {"link": "L2"}):
        moved = {**{key: offer[key] for key in ("link", "gen", "kind", "data")}, **changes}
        it.do("answerer", "signal", signal=moved)
    it.do("offerer", "candidate", gen=0, candidate="candidate:1")
    it.do("offerer", "candidate", gen=0, candidate="candidate:2")
    it.take("answerer", 3).take("answerer", 3).take("answerer", 5)
    return it.take("answerer", 4)  # older than the last one that was opened


@script
def goodbyes_before_anything() -> Script:
    it = Script("a goodbye before anything of us was seen, whatever it says").do(
        "answerer", "begin"
    )
    return it.signal("answerer", "bye", '{"code":"wrong_code"}')


@script
def goodbye_to_the_offerer() -> Script:
    it = Script("a goodbye to the offerer's first step").begin()
    return it.signal(
        "offerer", "bye", '{"code":"verification_failed","message":"too_many_guesses"}'
    )


@script
def goodbye_after_the_confirmation() -> Script:
    it = Script("a goodbye after the answerer's confirmation").begin().take("answerer")
    return it.signal("answerer", "bye", '{"code":"no_path"}')


@script
def guess_that_is_denied() -> Script:
    it = Script("a goodbye after the answerer's confirmation that hides a guess").begin()
    return it.take("answerer").signal("answerer", "bye", '{"code":"password_mismatch"}')


@script
def too_many_after_the_confirmation() -> Script:
    it = Script("too many guesses, told after our confirmation").begin().take("answerer")
    return it.signal("answerer", "bye", '{"code":"too_many_guesses"}')


@script
def long_goodbye() -> Script:
    it = Script("a goodbye that is too long to be read").begin().take("answerer")
    return it.signal("answerer", "bye", json.dumps({"code": "wrong_code", "x": " " * 600}))


def nonsense(name: str, data: str) -> None:
    def write() -> Script:
        return (
            Script(f"nonsense in the proof: {name}", counted=True)
            .begin()
            .signal("answerer", "pake", data)
        )

    SCRIPTS.append(write)


for what, body in (
    ("no JSON", "nonsense"),
    ("nothing", ""),
    ("another step", '{"step":3,"tag":"AAAA"}'),
    ("a share of low order", '{"step":1,"share":"' + "A" * 43 + '"}'),
    ("a share that is too short", '{"step":1,"share":"AAAA"}'),
):
    nonsense(what, body)


@script
def reflected() -> Script:
    it = Script("our own share", counted=True).begin().take("answerer")
    it.do("answerer", "answer_share")
    share = json.loads(it.steps[1]["then"]["send"][0]["data"])["share"]
    tag = json.loads(it.steps[-1]["then"]["send"][0]["data"])["tag"]
    body = json.dumps({"step": 2, "share": share, "tag": tag})
    return it.signal("offerer", "pake", body)


def bad_body(kind: str, body: str, side: str) -> None:
    def write() -> Script:
        it = Script(f"an open link, {kind} of no sense: {body}", password=None).begin()
        if side == "offerer":
            it.described("offerer").take("answerer").described("answerer")
        return it.signal(side, kind, body)

    SCRIPTS.append(write)


NONCE = "A" * 43
for body in (
    "",
    "[]",
    "null",
    '{"sdp":"x"}',
    '{"sdp":"x","commit":""}',
    '{"sdp":"","commit":"c"}',
    '{"sdp":7,"commit":"c"}',
    '{"sdp":"x","commit":7}',
    '{"sdp":"\\ud800","commit":"c"}',
    '{"commit":"c"}',
):
    bad_body("offer", body, "answerer")
for body in (
    "nonsense",
    '{"sdp":"x"}',
    '{"sdp":"x","nonce":"!"}',
    '{"sdp":"x","nonce":"AAAA"}',
    '{"sdp":"x","nonce":null}',
    f'{{"sdp":"","nonce":"{NONCE}"}}',
):
    bad_body("answer", body, "offerer")
for body in (
    "",
    "{}",
    '{"code":7}',
    '{"code":"no_path"}',
    '{"code":"no_path","reason":"no_relay"}',
    '{"code":"no_path","reason":"no_address"}',
    '{"code":"no_path","reason":"toString"}',
    '{"code":"no_path","reason":7}',
    '{"code":"verification_failed"}',
    '{"code":"password_mismatch"}',
    '{"code":"wrong_code"}',
    '{"code":"too_many_guesses"}',
    '{"code":"constructor"}',
):
    bad_body("bye", body, "offerer")


@script
def unknown_kinds() -> Script:
    it = Script("kinds that are of the other side, or of nobody", password=None).connect()
    it.signal("offerer", "offer", "nonsense").signal("answerer", "answer", "nonsense")
    it.signal("answerer", "restart", "nonsense").signal("offerer", "hello", "nonsense")
    it.signal("offerer", "pake", '{"step":1,"share":"AAAA"}').signal(
        "offerer", "bye", "{}", link=""
    )
    return it.signal("offerer", "answer", f'{{"sdp":"again","nonce":"{NONCE}"}}')


@script
def nothing_after_the_end() -> Script:
    it = Script("nothing happens after the end").connect()
    it.do("offerer", "give_up", error="closed").take("offerer", 4)
    it.fail("offerer").do("offerer", "peer_left").do("offerer", "give_up", error="closed")
    it.do("offerer", "candidate", gen=0, candidate="x").described("offerer").do("offerer", "timer")
    return (
        it.do("offerer", "established").do("offerer", "refuse_share").do("offerer", "answer_share")
    )


@script
def another_room() -> Script:
    it = Script("the same words of another code", other=CODE.replace("7", "8")).begin()
    return it.take("answerer").take("offerer").take("answerer")
