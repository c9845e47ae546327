"""CPace: the draft's vectors, an independent implementation, and everything a stranger may send."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from cpace import CPace, CPaceRole
from hypothesis import example, given, settings
from hypothesis import strategies as st

from peer.errors import ExitCode, VerificationFailed, WrongCode
from peer.security.cpace import (
    elligator2,
    generator,
    generator_string,
    password_bytes,
    scalar_mult_vfy,
    session_key,
)
from peer.security.pake import Pake, PakeDone, PakeFailed, PakeFailure
from peer.security.sealing import LinkKeys, b64u_decode, b64u_encode, lv_cat
from tests.support.security import vectors
from tests.support.security.vectors import (
    answerer_of,
    converse,
    keys_json,
    made_bytes,
    offerer_of,
    waiting_for,
)

VECTORS = vectors.load("pake.json")
RUN = VECTORS["runs"][0]
DRAFT_TEXT = vectors.load("cpace_draft.json")
DRAFT = {
    name: bytes.fromhex(value)
    for name, value in DRAFT_TEXT.items()
    if isinstance(value, str) and name != "about"
}
Q = 2**255 - 19

quick = settings(max_examples=100, deadline=None)


# The draft's vectors


def test_generator_string_is_the_drafts() -> None:
    made = generator_string(DRAFT["PRS"], DRAFT["CI"], DRAFT["sid"])
    assert made == DRAFT["generator_string"]
    assert len(made) == 170


def test_generator_is_the_drafts() -> None:
    digest = hashlib.sha512(DRAFT["generator_string"]).digest()[:32]
    field_element = int.from_bytes(digest, "little") % 2**255
    assert field_element.to_bytes(32, "little") == DRAFT["field_element"]
    assert elligator2(field_element) == DRAFT["g"]
    assert generator(DRAFT["PRS"], DRAFT["CI"], DRAFT["sid"]) == DRAFT["g"]


def test_shares_and_secret_are_the_drafts() -> None:
    assert scalar_mult_vfy(DRAFT["ya"], DRAFT["g"]) == DRAFT["Ya"]
    assert scalar_mult_vfy(DRAFT["yb"], DRAFT["g"]) == DRAFT["Yb"]
    assert scalar_mult_vfy(DRAFT["ya"], DRAFT["Yb"]) == DRAFT["K"]
    assert scalar_mult_vfy(DRAFT["yb"], DRAFT["Ya"]) == DRAFT["K"]


def test_session_key_is_the_drafts() -> None:
    parts = [DRAFT[name] for name in ("sid", "K", "Ya", "ADa", "Yb", "ADb")]
    assert session_key(*parts) == DRAFT["ISK_IR"]


@pytest.mark.parametrize("point", DRAFT_TEXT["low_order"]["points"], ids=lambda it: it["u"][:8])
def test_points_of_low_order_are_those_of_the_draft(point: dict[str, str | None]) -> None:
    expected = None if point["q"] is None else bytes.fromhex(point["q"])
    scalar = bytes.fromhex(DRAFT_TEXT["low_order"]["s"])
    assert scalar_mult_vfy(scalar, bytes.fromhex(str(point["u"]))) == expected


@quick
@given(st.integers(0, 2**255 - 1))
@example(0)
@example(Q)
@example(2**255 - 1)
def test_elligator2_finds_points_of_the_curve(r: int) -> None:
    """u is on the curve itself, not its twist: u^3 + A u^2 + u is a square."""
    u = int.from_bytes(elligator2(r), "little")
    assert u < Q
    square = (u**3 + 486662 * u * u + u) % Q
    assert pow(square, (Q - 1) // 2, Q) in (0, 1)
    assert elligator2(r) == elligator2(Q - r) == elligator2(r + Q)


# Runs


@pytest.mark.parametrize("run", VECTORS["runs"], ids=lambda run: ascii(run["password"])[:20])
def test_runs_match_the_golden_ones(run: dict[str, Any]) -> None:
    offerer, answerer = offerer_of(run), answerer_of(run)
    assert converse(offerer, answerer) == run["messages"]
    done = offerer.next_event()
    assert isinstance(done, PakeDone)
    assert keys_json(done.keys) == run["keys"]
    assert answerer.next_event() == done


def test_golden_runs_are_what_the_code_makes() -> None:
    committed = (vectors.VECTORS / "pake.json").read_text(encoding="utf-8")
    assert committed == vectors.rendered("pake.json")
    for case in VECTORS["elligator2"]:
        assert elligator2(int(case["r"], 16)).hex() == case["u"]


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


@quick
@given(texts, texts, texts, texts, texts, st.binary(min_size=32, max_size=32))
def test_the_same_inputs_lead_to_the_same_keys(
    password: str, room: str, link: str, offerer_id: str, answerer_id: str, random: bytes
) -> None:
    run = {
        **RUN,
        "password": password,
        "room": room,
        "link": link,
        "offerer": offerer_id,
        "answerer": answerer_id,
        "offerer_scalar": random.hex(),
        # X25519 ignores five bits of a scalar: two that differ there only have the same share.
        "answerer_scalar": made_bytes(random.hex()).hex(),
    }
    offerer, answerer = offerer_of(run), answerer_of(run)
    assert len(converse(offerer, answerer)) == 3
    done = offerer.next_event()
    assert isinstance(done, PakeDone)
    assert answerer.next_event() == done
    assert offerer.next_event() is answerer.next_event() is None


@pytest.mark.parametrize(
    "changes",
    [
        {"password": "7-guitar-oceanic"},
        {"password": "8-guitar-ocean"},
        {"room": "8"},
        {"link": "other"},
        {"offerer": "p-0003"},
        {"answerer": "p-0003"},
        {"offerer": "p-0002", "answerer": "p-0001"},
    ],
    ids=str,
)
def test_any_other_input_is_a_wrong_code_on_both_sides(changes: dict[str, str]) -> None:
    offerer, answerer = offerer_of(RUN), answerer_of(RUN, **changes)
    assert len(converse(offerer, answerer)) == 2
    failed = offerer.next_event()
    assert isinstance(failed, PakeFailed)
    assert failed.reason is PakeFailure.WRONG_CODE
    assert failed.bye == '{"code":"wrong_code"}'
    assert answerer.next_event() is None

    answerer.receive_bye(failed.bye)
    told = answerer.next_event()
    assert isinstance(told, PakeFailed)
    assert told.reason is PakeFailure.WRONG_CODE
    assert told.bye is None
    assert isinstance(told.error(), WrongCode)
    assert told.error().exit_code is ExitCode.WRONG_CODE


def test_an_offerer_that_does_not_check_tags_learns_nothing_from_the_answerer() -> None:
    """Somebody without the code plays the offerer: the answerer fails on the third message."""
    offerer, answerer = offerer_of(RUN, password="7-guitar-olympics"), answerer_of(RUN)
    answerer.receive_message(offerer.messages_to_send()[0])
    answerer.messages_to_send()
    answerer.receive_message(json.dumps({"step": 3, "tag": b64u_encode(made_bytes("tag", 64))}))
    failed = answerer.next_event()
    assert isinstance(failed, PakeFailed)
    assert failed.reason is PakeFailure.WRONG_CODE
    assert answerer.messages_to_send() == []


def test_passwords_typed_on_different_keyboards_are_the_same() -> None:
    assert password_bytes("\u00fc") == password_bytes("u\u0308") == b"\xc3\xbc"


@pytest.mark.parametrize("size", [0, 31, 33])
def test_a_scalar_has_32_bytes(size: int) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        offerer_of(RUN, offerer_scalar="00" * size)


def test_secrets_do_not_show_in_reprs() -> None:
    offerer = offerer_of(RUN)
    shown = repr(offerer) + repr(offerer._inputs)
    assert RUN["password"] not in shown
    assert RUN["offerer_scalar"] not in shown
    assert "\\x" not in shown


# An independent other end


class Independent:
    """PyPI's `cpace`, speaking our messages."""

    def __init__(self, run: dict[str, Any], *, offerer: bool) -> None:
        ours = lv_cat(b"offerer", run["offerer"].encode())
        theirs = lv_cat(b"answerer", run["answerer"].encode())
        if not offerer:
            ours, theirs = theirs, ours
        self.peer_ad = theirs
        self.cpace = CPace.start(
            role=CPaceRole.INITIATOR if offerer else CPaceRole.RESPONDER,
            prs=password_bytes(run["password"]),
            ci=lv_cat(b"peerline.1", run["room"].encode()),
            sid=run["link"].encode(),
            ad=ours,
        )

    def derive(self, message: dict[str, Any]) -> None:
        self.cpace.derive(b64u_decode(message["share"]), self.peer_ad)

    def verifies(self, message: dict[str, Any]) -> bool:
        return bool(self.cpace.verify(b64u_decode(message["tag"])))

    def message(self, step: int) -> str:
        fields: dict[str, Any] = {"step": step}
        if step < 3:
            fields["share"] = b64u_encode(self.cpace.public_share)
        if step > 1:
            fields["tag"] = b64u_encode(self.cpace.tag())
        return json.dumps(fields)


@pytest.mark.parametrize("run", VECTORS["runs"], ids=lambda run: ascii(run["password"])[:20])
def test_the_independent_implementation_answers_us(run: dict[str, Any]) -> None:
    ours, theirs = offerer_of(run), Independent(run, offerer=False)
    theirs.derive(json.loads(ours.messages_to_send()[0]))
    ours.receive_message(theirs.message(2))
    done = ours.next_event()
    assert isinstance(done, PakeDone)
    assert done.keys == LinkKeys.derive(theirs.cpace.isk)
    assert theirs.verifies(json.loads(ours.messages_to_send()[0]))


@pytest.mark.parametrize("run", VECTORS["runs"], ids=lambda run: ascii(run["password"])[:20])
def test_we_answer_the_independent_implementation(run: dict[str, Any]) -> None:
    ours, theirs = answerer_of(run), Independent(run, offerer=True)
    ours.receive_message(theirs.message(1))
    answer = json.loads(ours.messages_to_send()[0])
    theirs.derive(answer)
    assert theirs.verifies(answer)
    ours.receive_message(theirs.message(3))
    done = ours.next_event()
    assert isinstance(done, PakeDone)
    assert done.keys == LinkKeys.derive(theirs.cpace.isk)


@pytest.mark.parametrize("offerer", [True, False])
def test_the_independent_implementation_with_another_code_fails(offerer: bool) -> None:
    theirs = Independent({**RUN, "password": "7-guitar-olympics"}, offerer=not offerer)
    ours: Pake
    if offerer:
        ours = offerer_of(RUN)
        theirs.derive(json.loads(ours.messages_to_send()[0]))
        ours.receive_message(theirs.message(2))
    else:
        ours = answerer_of(RUN)
        ours.receive_message(theirs.message(1))
        answer = json.loads(ours.messages_to_send()[0])
        theirs.derive(answer)
        assert not theirs.verifies(answer)
        ours.receive_message(theirs.message(3))
    failed = ours.next_event()
    assert isinstance(failed, PakeFailed)
    assert failed.reason is PakeFailure.WRONG_CODE


# Messages of strangers


@pytest.mark.parametrize(
    "case", VECTORS["rejected"], ids=lambda case: f"{case['due']}-{case['text'][:40]!a}"
)
def test_a_bad_message_fails_the_run_with_its_reason(case: dict[str, Any]) -> None:
    machine = waiting_for(case["due"], RUN)
    machine.messages_to_send()
    machine.receive_message(case["text"])
    failed = machine.next_event()
    assert isinstance(failed, PakeFailed)
    assert failed.reason.value == case["reason"]
    assert failed.detail
    assert machine.messages_to_send() == []


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
steps = st.fixed_dictionaries(
    {},
    optional={
        "step": st.sampled_from([1, 2, 3]) | json_values,
        "share": st.from_regex("[A-Za-z0-9_-]{40,44}", fullmatch=True) | json_values,
        "tag": st.from_regex("[A-Za-z0-9_-]{84,88}", fullmatch=True) | json_values,
    },
)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from([1, 2, 3]), st.one_of(st.text(max_size=200), steps.map(json.dumps)))
@example(1, '{"step":1,"share":"\ud800"}')
@example(1, '{"step":1,"share":"\\ud800"}')
@example(3, "[" * 100_000)
def test_garbage_never_raises_and_never_succeeds(due: int, text: str) -> None:
    machine = waiting_for(due, RUN)
    machine.messages_to_send()
    machine.receive_message(text)
    event = machine.next_event()
    if event is None:  # any point of the curve may be somebody's share
        assert due == 1
        assert len(machine.messages_to_send()) == 1
    else:
        assert isinstance(event, PakeFailed)
        assert machine.messages_to_send() == []


@pytest.mark.parametrize("due", [1, 2, 3])
def test_a_failed_run_stays_failed(due: int) -> None:
    machine = waiting_for(due, RUN)
    machine.receive_message("garbage")
    assert isinstance(machine.next_event(), PakeFailed)
    for text in RUN["messages"]:
        machine.receive_message(text)
    machine.receive_bye('{"code":"wrong_code"}')
    assert machine.next_event() is None
    assert machine.messages_to_send() == []


def test_messages_after_the_end_change_nothing() -> None:
    offerer, answerer = offerer_of(RUN), answerer_of(RUN)
    converse(offerer, answerer)
    for machine in (offerer, answerer):
        assert isinstance(machine.next_event(), PakeDone)
        for text in (*RUN["messages"], "garbage"):
            machine.receive_message(text)
        machine.receive_bye('{"code":"wrong_code"}')
        assert machine.next_event() is None
        assert machine.messages_to_send() == []


def test_a_peer_that_echoes_everything_fails() -> None:
    offerer = offerer_of(RUN)
    first = offerer.messages_to_send()[0]
    offerer.receive_message(first)
    failed = offerer.next_event()
    assert isinstance(failed, PakeFailed)
    assert failed.reason is PakeFailure.OUT_OF_ORDER


def test_a_peer_that_echoes_our_share_fails() -> None:
    offerer = offerer_of(RUN)
    share = json.loads(offerer.messages_to_send()[0])["share"]
    tag = b64u_encode(bytes(64))
    offerer.receive_message(json.dumps({"step": 2, "share": share, "tag": tag}))
    failed = offerer.next_event()
    assert isinstance(failed, PakeFailed)
    assert failed.reason is PakeFailure.REFLECTED


def test_two_offerers_do_not_end_up_with_each_other() -> None:
    """A server that tells both sides they are the offerer gets a failed run, no loop."""
    one, other = offerer_of(RUN), offerer_of(RUN, offerer_scalar="11" * 32)
    converse(one, other)
    assert isinstance(one.next_event(), PakeFailed)
    assert isinstance(other.next_event(), PakeFailed)


def test_a_replayed_run_fails() -> None:
    """Messages of an earlier run, with the same code, convince nobody: scalars are fresh."""
    offerer = offerer_of(RUN, offerer_scalar=made_bytes("fresh").hex())
    offerer.messages_to_send()
    offerer.receive_message(RUN["messages"][1])
    failed = offerer.next_event()
    assert isinstance(failed, PakeFailed)
    assert failed.reason is PakeFailure.WRONG_CODE

    answerer = answerer_of(RUN, answerer_scalar=made_bytes("fresh").hex())
    answerer.receive_message(RUN["messages"][0])
    answerer.receive_message(RUN["messages"][2])
    failed = answerer.next_event()
    assert isinstance(failed, PakeFailed)
    assert failed.reason is PakeFailure.WRONG_CODE


def test_ids_with_broken_characters_fail_like_any_wrong_id() -> None:
    offerer, answerer = offerer_of(RUN, answerer="\ud800"), answerer_of(RUN)
    converse(offerer, answerer)
    assert isinstance(offerer.next_event(), PakeFailed)


# Goodbyes instead of messages


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"code":"wrong_code"}', PakeFailure.WRONG_CODE),
        ('{"code":"wrong_code","message":"x"}', PakeFailure.WRONG_CODE),
        ('{"code":"pake_failed"}', PakeFailure.PEER_GAVE_UP),
        ('{"code":"cancelled"}', PakeFailure.PEER_GAVE_UP),
        ("{}", PakeFailure.PEER_GAVE_UP),
        ("", PakeFailure.PEER_GAVE_UP),
        ('{"code":1}', PakeFailure.PEER_GAVE_UP),
        ("[" * 100_000, PakeFailure.PEER_GAVE_UP),
        ("\ud800", PakeFailure.PEER_GAVE_UP),
    ],
    ids=lambda it: ascii(it)[:30],
)
@pytest.mark.parametrize("due", [1, 2, 3])
def test_a_goodbye_ends_the_run(due: int, text: str, reason: PakeFailure) -> None:
    machine = waiting_for(due, RUN)
    machine.receive_bye(text)
    failed = machine.next_event()
    assert isinstance(failed, PakeFailed)
    assert failed.reason is reason
    assert failed.bye is None


@pytest.mark.parametrize("reason", [it for it in PakeFailure if it.name != "WRONG_CODE"])
def test_every_other_failure_is_a_failed_verification(reason: PakeFailure) -> None:
    error = PakeFailed(reason, "detail", bye=None).error()
    assert isinstance(error, VerificationFailed)
    assert error.exit_code is ExitCode.WRONG_CODE
    assert str(error).endswith(".")
