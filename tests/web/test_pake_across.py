"""Python and JavaScript prove a code to each other and seal signals, in two processes."""

from __future__ import annotations

import json
import secrets
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from peer.security.codes import Code
from peer.security.pake import Pake, PakeDone, PakeEvent, PakeFailed, PakeFailure
from peer.security.sealing import Envelope, Sealer, SealError
from tests.support.browsers.node import node_command

SCRIPT = Path(__file__).with_name("pake_peer.js")
LINK = "bGluaw"
OURS, THEIRS = "p-0001", "p-0002"
TEXTS = ["one", "zwei \u00fc", "\U0001f30a"]


class Page:
    """The page's modules in a Node process; a line each way is a signal."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdin
        assert process.stdout
        self._input, self._output = process.stdin, process.stdout

    def write(self, kind: str, data: str) -> None:
        self._input.write(json.dumps({"kind": kind, "data": data}) + "\n")
        self._input.flush()

    def read(self) -> tuple[str, Any]:
        line = self._output.readline()
        assert line, "the other process ended"
        signal = json.loads(line)
        return signal["kind"], signal["data"]


@contextmanager
def page(code: str, *, offerer: bool) -> Iterator[Page]:
    arguments = {
        "code": code,
        "offerer": offerer,
        "ownId": THEIRS,
        "peerId": OURS,
        "link": LINK,
    }
    process = subprocess.Popen(
        [*node_command(), str(SCRIPT), json.dumps(arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )
    with process:
        try:
            yield Page(process)
        finally:
            process.kill()


def our_side(code: Code, *, offerer: bool) -> Pake:
    make = Pake.offerer if offerer else Pake.answerer
    return make(
        password=code.password,
        room=code.number,
        link=LINK,
        own_id=OURS,
        peer_id=THEIRS,
        scalar=secrets.token_bytes(32),
    )


def run(ours: Pake, theirs: Page) -> tuple[PakeEvent, Any]:
    """Carries signals both ways; returns the outcome here, and the page's report of its outcome."""
    event: PakeEvent | None = None
    end: Any = None
    while event is None or end is None:
        for message in ours.messages_to_send():
            theirs.write("pake", message)
        if event is None and (event := ours.next_event()):
            if isinstance(event, PakeFailed) and event.bye:
                theirs.write("bye", event.bye)
            continue
        kind, data = theirs.read()
        match kind:
            case "pake":
                ours.receive_message(data)
            case "bye":
                ours.receive_bye(data)
            case _:
                assert kind in ("done", "failed")
                end = data
    return event, end


def envelope(sender: str, to: str, kind: str = "candidate") -> Envelope:
    return Envelope(sender=sender, to=to, link=LINK, gen=0, kind=kind)


@pytest.mark.parametrize("offerer", [True, False], ids=["we-offer", "page-offers"])
def test_the_right_code_authenticates_and_signals_open_on_both_sides(offerer: bool) -> None:
    code = Code.parse("7-guitar-ocean")
    with page(" 7 GUITAR ocean ", offerer=not offerer) as theirs:
        event, their_sas = run(our_side(code, offerer=offerer), theirs)
        assert isinstance(event, PakeDone)
        assert list(event.keys.sas) == their_sas

        sealer = Sealer(event.keys, offerer=offerer)
        for text in TEXTS:
            kind, data = theirs.read()
            assert sealer.open(envelope(THEIRS, OURS, kind), data).decode() == text
        sealed = [sealer.seal(envelope(OURS, THEIRS), text.encode()) for text in TEXTS]
        for text, data in zip(TEXTS, sealed, strict=True):
            theirs.write("candidate", data)
            assert theirs.read() == ("opened", text)


@pytest.mark.parametrize("offerer", [True, False], ids=["we-offer", "page-offers"])
def test_a_wrong_code_fails_on_both_sides(offerer: bool) -> None:
    code = Code.parse("7-guitar-olympics")
    with page("7-guitar-ocean", offerer=not offerer) as theirs:
        event, their_reason = run(our_side(code, offerer=offerer), theirs)
        assert isinstance(event, PakeFailed)
        assert event.reason is PakeFailure.WRONG_CODE
        assert their_reason == "wrong_code"


def test_altered_repeated_and_moved_signals_are_dropped() -> None:
    code = Code.parse("7-guitar-ocean")
    with page("7-guitar-ocean", offerer=True) as theirs:
        event, _ = run(our_side(code, offerer=False), theirs)
        assert isinstance(event, PakeDone)
        sealer = Sealer(event.keys, offerer=False)
        received = [theirs.read()[1] for _ in TEXTS]
        assert sealer.open(envelope(THEIRS, OURS), received[1])
        for data in (received[0], received[1], received[2][:-1] + "*"):
            with pytest.raises(SealError):
                sealer.open(envelope(THEIRS, OURS), data)

        sealed = sealer.seal(envelope(OURS, THEIRS), b"text")
        for kind, data in (
            ("offer", sealed),
            ("candidate", sealed[:-2] + ("AA" if sealed[-2:] != "AA" else "QA")),
            ("candidate", received[2]),
            ("candidate", '{"candidate":""}'),
        ):
            theirs.write(kind, data)
            assert theirs.read()[0] == "dropped"
        theirs.write("candidate", sealed)
        assert theirs.read() == ("opened", "text")
        theirs.write("candidate", sealed)
        assert theirs.read()[0] == "dropped"
