"""The set-up of a link: its course, its failures, and servers that meddle."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from peer.config import LinkConfig
from peer.errors import (
    LinkClosed,
    NoPath,
    PeerLeft,
    PeerTimeout,
    ProtocolError,
    VerificationFailed,
    WrongCode,
)
from peer.link.negotiation import MakeAnswer, MakeOffer, Negotiation, SetupStage
from peer.link.negotiation.types import Offer, TakeCandidate, serialize_body
from signaling.messages import Signal
from tests.support.links.negotiations import ANSWERER, OFFERER, Pair, altered, made

FINGERPRINTS = (b"\xaa" * 32, b"\xbb" * 32)


def words(pair: Pair) -> tuple[tuple[str, ...], tuple[str, ...]]:
    ours, theirs = FINGERPRINTS
    reveal = pair.offerer.machine.reveal
    return (
        pair.offerer.machine.verify(None, local_fingerprint=ours, remote_fingerprint=theirs),
        pair.answerer.machine.verify(reveal, local_fingerprint=theirs, remote_fingerprint=ours),
    )


# The course of things


def test_a_code_leads_to_descriptions_on_both_sides() -> None:
    pair = Pair()
    pair.run()
    assert pair.answerer.descriptions() == [(0, "offer 0")]
    assert pair.offerer.descriptions() == [(0, "answer 0")]
    for side in pair.sides.values():
        assert side.machine.stage is SetupStage.PATH
        assert side.machine.authenticated
    assert [signal.kind for _, signal in pair.wire] == ["pake"] * 3 + ["offer", "answer"]


def test_the_earlier_peer_offers() -> None:
    pair = Pair()
    pair.run()
    assert pair.offerer.done[0] == MakeOffer(0)
    assert pair.answerer.done[0] == MakeAnswer(0, "offer 0")


def test_without_a_password_there_is_no_pake_and_nothing_is_sealed() -> None:
    pair = Pair(None)
    pair.run()
    assert [signal.kind for _, signal in pair.wire] == ["offer", "answer"]
    assert json.loads(pair.wire[0][1].data)["sdp"] == "offer 0"
    assert not pair.offerer.machine.authenticated
    assert not pair.answerer.machine.authenticated


def test_with_a_password_nobody_on_the_way_can_read_a_description() -> None:
    pair = Pair()
    pair.run()
    for _, signal in pair.wire:
        assert "sdp" not in signal.data
        assert "offer" not in signal.data


@pytest.mark.parametrize("password", [b"7-guitar-ocean", None])
def test_both_sides_see_the_same_four_words(password: bytes | None) -> None:
    pair = Pair(password)
    pair.run()
    ours, theirs = words(pair)
    assert ours == theirs
    assert len(ours) == 4


def test_a_reveal_that_was_not_committed_to_fails_verification() -> None:
    pair = Pair(None)
    pair.run()
    for reveal in (None, "", "AAAA", "\ud800"):
        with pytest.raises(VerificationFailed):
            pair.answerer.machine.verify(
                reveal, local_fingerprint=FINGERPRINTS[1], remote_fingerprint=FINGERPRINTS[0]
            )


def test_candidates_travel_both_ways_in_their_connection() -> None:
    pair = Pair()
    pair.run()
    pair.offerer.machine.candidate_found(0, "candidate:1")
    pair.answerer.machine.candidate_found(0, "candidate:2")
    pair.answerer.machine.candidate_found(0, None)
    pair.answerer.machine.candidate_found(5, "candidate:3")
    pair.run()
    assert pair.answerer.taken() == ["candidate:1"]
    assert pair.offerer.taken() == ["candidate:2"]
    assert len(pair.sent("end_of_candidates")) == 1
    assert TakeCandidate(0, None) in pair.offerer.done + pair.answerer.done


def test_candidates_of_a_page_are_understood() -> None:
    pair = Pair(None)
    pair.run()
    body = {"candidate": "candidate:9", "sdpMid": "0", "sdpMLineIndex": 0, "more": 1}
    pair.deliver(pair.answerer, made("L1", 0, "candidate", json.dumps(body)))
    pair.deliver(pair.answerer, made("L1", 0, "candidate", '{"candidate":"x","sdpMid":null}'))
    pair.run()
    assert pair.answerer.taken() == ["candidate:9", "x"]


def test_established_ends_the_timers_and_ignores_what_comes_after() -> None:
    pair = Pair()
    pair.run()
    for side in pair.sides.values():
        side.machine.established()
        assert side.machine.stage is SetupStage.ESTABLISHED
        assert side.machine.get_timer() is None
        side.machine.peer_left()
        side.machine.give_up(NoPath())
        side.machine.connection_failed(0, NoPath(), now=0.0)
    pair.run()
    assert pair.offerer.failure is None and pair.answerer.failure is None


# Generations


def test_a_failed_connection_is_followed_by_another_offer() -> None:
    pair = Pair()
    pair.run()
    pair.offerer.machine.connection_failed(0, NoPath(), now=pair.now)
    pair.run()
    assert pair.answerer.descriptions() == [(0, "offer 0"), (1, "offer 1")]
    assert pair.offerer.descriptions() == [(0, "answer 0"), (1, "answer 1")]
    assert pair.offerer.machine.gen == pair.answerer.machine.gen == 1


def test_the_answerer_asks_for_another_offer() -> None:
    pair = Pair()
    pair.run()
    pair.answerer.machine.connection_failed(0, NoPath(), now=pair.now)
    pair.run()
    assert [name for name, _ in pair.sent("restart")] == [ANSWERER]
    assert pair.offerer.descriptions() == [(0, "answer 0"), (1, "answer 1")]


def test_both_sides_failing_at_once_make_one_new_generation() -> None:
    pair = Pair(config=LinkConfig(attempts=5))
    pair.run()
    pair.answerer.machine.connection_failed(0, NoPath(), now=pair.now)
    pair.offerer.machine.connection_failed(0, NoPath(), now=pair.now)
    pair.run()
    assert pair.offerer.machine.gen == pair.answerer.machine.gen == 1


@pytest.mark.parametrize("side", ["offerer", "answerer"])
def test_a_second_attempt_that_would_fail_as_well_is_not_made(side: str) -> None:
    pair = Pair(config=LinkConfig(attempts=5))
    pair.run()
    error = NoPath(hint="a TURN server is needed.", conclusive=True)
    getattr(pair, side).machine.connection_failed(0, error, now=pair.now)
    pair.run()
    assert pair.offerer.descriptions() == [(0, "answer 0")]
    for end in (pair.offerer, pair.answerer):
        assert end.failure is not None
        assert isinstance(end.failure.error, NoPath)


def test_the_other_side_learns_what_it_cannot_see() -> None:
    pair = Pair()
    pair.run()
    error = NoPath(conclusive=True, reason="no_relay")
    pair.offerer.machine.connection_failed(0, error, now=pair.now)
    pair.run()
    assert pair.answerer.failure is not None
    assert "TURN server only" in str(pair.answerer.failure.error)


def test_the_last_attempt_failing_is_no_path_on_both_sides() -> None:
    pair = Pair(config=LinkConfig(attempts=2))
    pair.run()
    for gen in (0, 1):
        pair.offerer.machine.connection_failed(gen, NoPath(hint="no STUN."), now=pair.now)
        pair.run()
    assert pair.offerer.failure is not None and pair.answerer.failure is not None
    assert "no STUN" in str(pair.offerer.failure.error)
    assert isinstance(pair.answerer.failure.error, NoPath)
    assert pair.offerer.failure.stage is SetupStage.PATH


def test_signals_of_an_older_generation_are_dropped() -> None:
    pair = Pair()
    pair.run()
    pair.offerer.machine.candidate_found(0, "candidate:old")
    (old,) = pair.offerer.machine.signals_to_send()
    pair.offerer.machine.connection_failed(0, NoPath(), now=pair.now)
    pair.run()
    pair.deliver(pair.answerer, old)
    pair.answerer.machine.connection_failed(0, NoPath(), now=pair.now)
    pair.run()
    assert pair.answerer.taken() == []
    assert pair.offerer.machine.gen == pair.answerer.machine.gen == 1


def test_a_failure_of_an_older_generation_changes_nothing() -> None:
    pair = Pair()
    pair.run()
    pair.offerer.machine.connection_failed(0, NoPath(), now=pair.now)
    pair.run()
    pair.offerer.machine.connection_failed(0, NoPath(), now=pair.now)
    pair.offerer.machine.description_made(0, "late", random=bytes(32), now=pair.now)
    pair.run()
    assert pair.offerer.machine.gen == 1
    assert pair.offerer.failure is None


def test_new_words_are_drawn_for_each_generation_of_an_open_link() -> None:
    pair = Pair(None)
    pair.run()
    before, _ = words(pair)
    pair.offerer.machine.connection_failed(0, NoPath(), now=pair.now)
    pair.run()
    ours, theirs = words(pair)
    assert ours == theirs != before


def test_a_wrong_certificate_is_not_tried_again() -> None:
    pair = Pair()
    pair.run()
    pair.offerer.machine.connection_failed(0, VerificationFailed("swapped"), now=pair.now)
    pair.run()
    for side in pair.sides.values():
        assert side.failure is not None
        assert isinstance(side.failure.error, VerificationFailed)


# Failures


def test_a_wrong_code_fails_on_both_sides_and_sends_no_description() -> None:
    pair = Pair(b"7-guitar-ocean", b"7-guitar-river")
    pair.run()
    for side in pair.sides.values():
        assert side.failure is not None
        assert isinstance(side.failure.error, WrongCode)
        assert side.failure.stage is SetupStage.PAKE
        assert side.descriptions() == []
    assert {signal.kind for _, signal in pair.wire} == {"pake", "bye"}


@pytest.mark.parametrize("passwords", [(b"secret", None), (None, b"secret")])
def test_a_password_on_one_side_only_is_told_to_both(
    passwords: tuple[bytes | None, bytes | None],
) -> None:
    pair = Pair(*passwords)
    pair.run()
    for side in pair.sides.values():
        assert side.failure is not None
        assert isinstance(side.failure.error, WrongCode)
        assert "password" in str(side.failure.error)


def test_silence_ends_with_an_error_that_names_the_stage() -> None:
    pair = Pair(tamper=lambda name, signal: [])
    pair.run()
    pair.tick(LinkConfig().timeouts.pake)
    for side in pair.sides.values():
        assert side.failure is not None
        assert isinstance(side.failure.error, PeerTimeout)
        assert side.failure.error.stage == "pake"
        assert side.machine.get_timer() is None


def test_a_missing_answer_ends_with_an_error_that_names_the_stage() -> None:
    pair = Pair(tamper=lambda name, signal: [] if signal.kind == "answer" else [signal])
    pair.run()
    pair.tick(LinkConfig().timeouts.description)
    assert pair.offerer.failure is not None
    assert isinstance(pair.offerer.failure.error, PeerTimeout)
    assert pair.offerer.failure.error.stage == "description"
    # The answerer is told, and does not wait for a path that cannot be.
    assert pair.answerer.failure is not None


def test_a_timer_that_is_not_due_does_nothing() -> None:
    pair = Pair(tamper=lambda name, signal: [])
    pair.run()
    pair.offerer.machine.handle_timer(LinkConfig().timeouts.pake - 0.001)
    assert pair.offerer.machine.stage is SetupStage.PAKE


@pytest.mark.parametrize("describe", [True, False])
def test_a_peer_that_leaves_during_set_up_fails_it(describe: bool) -> None:
    pair = Pair()
    pair.describe = describe
    pair.run()
    pair.offerer.machine.peer_left()
    pair.run()
    assert pair.offerer.failure is not None
    assert isinstance(pair.offerer.failure.error, PeerLeft)


def test_giving_up_tells_the_other_side() -> None:
    pair = Pair()
    pair.run()
    pair.answerer.machine.give_up(LinkClosed())
    pair.run()
    assert pair.offerer.failure is not None
    assert isinstance(pair.offerer.failure.error, LinkClosed)


def test_roles_follow_from_the_ids() -> None:
    arguments = {"room": "7", "password": None, "random": bytes(32), "now": 0.0}
    with pytest.raises(ValueError, match="offerer"):
        Negotiation(local="a", remote="b", link=None, config=LinkConfig(), **arguments)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="offerer"):
        Negotiation(local="b", remote="a", link="L", config=LinkConfig(), **arguments)  # type: ignore[arg-type]


# A server in the middle


def test_a_repeated_signal_changes_nothing() -> None:
    pair = Pair(tamper=lambda name, signal: [signal] * 2 if signal.kind != "pake" else [signal])
    pair.run()
    assert pair.answerer.descriptions() == [(0, "offer 0")]
    assert pair.offerer.descriptions() == [(0, "answer 0")]
    assert pair.offerer.failure is None and pair.answerer.failure is None


def test_a_repeated_offer_of_an_open_link_changes_nothing() -> None:
    pair = Pair(None, tamper=lambda name, signal: [signal] * 3)
    pair.run()
    assert pair.answerer.descriptions() == [(0, "offer 0")]
    assert pair.offerer.descriptions() == [(0, "answer 0")]


def test_an_altered_sealed_signal_is_dropped() -> None:
    def tamper(name: str, signal: Signal) -> list[Signal]:
        if signal.kind != "offer":
            return [signal]
        middle = len(signal.data) // 2
        swapped = "A" if signal.data[middle] != "A" else "B"
        return [altered(signal, data=signal.data[:middle] + swapped + signal.data[middle + 1 :])]

    pair = Pair(tamper=tamper)
    pair.run()
    assert pair.answerer.descriptions() == []
    pair.tick(100.0)
    assert pair.offerer.failure is not None and pair.answerer.failure is not None


@pytest.mark.parametrize("changes", [{"gen": 1}, {"kind": "answer"}, {"kind": "bye"}])
def test_a_sealed_signal_under_another_label_is_dropped(changes: dict[str, object]) -> None:
    pair = Pair(
        tamper=lambda name, signal: [
            altered(signal, **changes) if signal.kind == "offer" else signal
        ]
    )
    pair.run()
    assert pair.answerer.descriptions() == []
    assert pair.answerer.failure is None


def test_signals_that_the_server_makes_up_are_dropped_once_keys_exist() -> None:
    pair = Pair()
    pair.run()
    forged = [
        made("L1", 1, "offer", serialize_body(Offer("evil")).decode()),
        made("L1", 0, "candidate", '{"candidate":"evil"}'),
        made("L1", 0, "bye", '{"code":"wrong_code"}'),
        made("L1", 0, "restart", "{}"),
        made("L1", 0, "pake", '{"step":1,"share":"AAAA"}'),
        made("L2", 0, "bye", "{}"),
    ]
    for signal in forged:
        pair.deliver(pair.answerer, signal)
        pair.deliver(pair.offerer, signal)
    pair.run()
    assert pair.answerer.descriptions() == [(0, "offer 0")]
    assert pair.answerer.taken() == []
    assert pair.offerer.failure is None and pair.answerer.failure is None


def test_signals_handed_over_in_another_order_never_go_back() -> None:
    held: list[Signal] = []

    def tamper(name: str, signal: Signal) -> list[Signal]:
        if name != OFFERER or signal.kind in ("pake", "offer"):
            return [signal]
        held.append(signal)
        return []

    pair = Pair(tamper=tamper)
    pair.run()
    for number in range(3):
        pair.offerer.machine.candidate_found(0, f"candidate:{number}")
    pair.run()
    for signal in reversed(held):
        pair.deliver(pair.answerer, signal)
    pair.run()
    assert pair.answerer.taken() == ["candidate:2"]


def test_a_server_that_plays_the_other_peer_has_one_guess() -> None:
    attacker = Negotiation(
        local=ANSWERER,
        remote=OFFERER,
        room="7",
        password=b"7-guitar-river",
        link=None,
        random=b"\x33" * 32,
        config=LinkConfig(),
        now=0.0,
    )

    def tamper(name: str, signal: Signal) -> list[Signal]:
        if name == OFFERER:
            attacker.receive_signal(signal, 0.0)
            for answer in attacker.signals_to_send():
                pair.deliver(pair.offerer, answer)
        return []

    pair = Pair(tamper=tamper)
    pair.run()
    assert pair.offerer.failure is not None
    assert isinstance(pair.offerer.failure.error, WrongCode)
    assert not pair.offerer.machine.authenticated
    # Another try on the same link is not listened to.
    for answer in attacker.signals_to_send():
        pair.deliver(pair.offerer, answer)
    assert pair.offerer.machine.stage is SetupStage.FAILED


def test_nonsense_from_a_verified_peer_fails_the_set_up() -> None:
    pair = Pair(None)
    pair.describe = False
    pair.run()
    pair.deliver(pair.answerer, made("L1", 0, "offer", '{"nothing":1}'))
    pair.run()
    assert pair.answerer.failure is not None
    assert isinstance(pair.answerer.failure.error, ProtocolError)


@pytest.mark.parametrize(
    "body", ['{"sdp":"x"}', '{"sdp":"x","nonce":"!"}', '{"sdp":"x","nonce":"AAAA"}']
)
def test_an_answer_of_an_open_link_needs_its_nonce(body: str) -> None:
    pair = Pair(
        None,
        tamper=lambda name, signal: [
            altered(signal, data=body) if signal.kind == "answer" else signal
        ],
    )
    pair.run()
    assert pair.offerer.failure is not None
    assert isinstance(pair.offerer.failure.error, ProtocolError)


KINDS = ["pake", "offer", "answer", "candidate", "end_of_candidates", "restart", "bye", "x"]
SIGNALS = st.builds(
    made,
    st.sampled_from(["L1", "L2"]),
    st.integers(0, 3) | st.integers(0, 2**31),
    st.sampled_from(KINDS),
    st.text(max_size=40)
    | st.sampled_from(
        [
            "{}",
            "null",
            '{"sdp":"x"}',
            '{"sdp":"x","commit":"A"}',
            '{"sdp":"\ud800"}',
            '{"candidate":"x"}',
            '{"step":1,"share":""}',
            "[" * 3000,
        ]
    ),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(SIGNALS, max_size=12), st.sampled_from([b"7-guitar-ocean", None]), st.booleans())
def test_no_signal_from_anywhere_raises(
    signals: list[Signal], password: bytes | None, after: bool
) -> None:
    pair = Pair(password)
    if after:
        pair.run()
    for signal in signals:
        for side in pair.sides.values():
            pair.deliver(side, signal)
        pair.run()
    pair.tick(1000.0)
    for side in pair.sides.values():
        assert side.machine.stage in (SetupStage.FAILED, SetupStage.PATH)


@settings(max_examples=50, deadline=None)
@given(st.lists(SIGNALS, max_size=12), st.sampled_from([b"7-guitar-ocean", None]))
def test_no_signal_touches_a_link_that_is_there(
    signals: list[Signal], password: bytes | None
) -> None:
    pair = Pair(password)
    pair.run()
    sent = len(pair.wire)
    for side in pair.sides.values():
        side.machine.established()
        for signal in signals:
            pair.deliver(side, signal)
    pair.run()
    for side in pair.sides.values():
        assert side.machine.stage is SetupStage.ESTABLISHED
        assert side.failure is None
    assert len(pair.wire) == sent
