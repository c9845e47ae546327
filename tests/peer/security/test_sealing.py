"""Sealing: what the server relays it can neither read nor alter, move, repeat nor reorder."""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from peer.errors import ExitCode, VerificationFailed
from peer.security.sealing import (
    MAX_PLAINTEXT,
    Envelope,
    LinkKeys,
    Sealer,
    SealError,
    b64u_decode,
    b64u_encode,
    check_reveal,
    commitment,
    lv_cat,
    open_link_sas,
    sas_words,
)
from peer.security.words import WORDS
from tests.support.security import vectors
from tests.support.security.vectors import envelope_of, keys_of, made_bytes

VECTORS = vectors.load("sealing.json")
DRAFT = vectors.load("cpace_draft.json")
KEYS = keys_of(VECTORS["keys"])
ENVELOPE = Envelope(sender="p-0001", to="p-0002", link="l", gen=0, kind="offer")
BACK = replace(ENVELOPE, sender="p-0002", to="p-0001", kind="answer")

texts = st.text(max_size=20)
envelopes = st.builds(
    Envelope, sender=texts, to=texts, link=texts, gen=st.integers(0, 2**53), kind=texts
)
quick = settings(max_examples=150, deadline=None)


def pair() -> tuple[Sealer, Sealer]:
    return Sealer(KEYS, offerer=True), Sealer(KEYS, offerer=False)


# Both directions


@quick
@given(envelopes, st.lists(st.binary(max_size=200), max_size=5))
def test_what_one_side_seals_the_other_opens(envelope: Envelope, plaintexts: list[bytes]) -> None:
    offerer, answerer = pair()
    for plaintext in plaintexts:
        assert answerer.open(envelope, offerer.seal(envelope, plaintext)) == plaintext
        assert offerer.open(envelope, answerer.seal(envelope, plaintext)) == plaintext


def test_signals_may_be_lost_on_the_way() -> None:
    offerer, answerer = pair()
    sealed = [offerer.seal(ENVELOPE, bytes([n])) for n in range(10)]
    assert [answerer.open(ENVELOPE, sealed[n]) for n in (0, 3, 4, 9)] == [
        b"\0",
        b"\3",
        b"\4",
        b"\t",
    ]


def test_the_same_plaintext_looks_different_each_time() -> None:
    offerer, answerer = pair()
    sealed = {offerer.seal(ENVELOPE, b"same") for _ in range(50)}
    sealed |= {answerer.seal(ENVELOPE, b"same") for _ in range(50)}
    assert len(sealed) == 100


def test_the_counter_is_in_front_and_starts_at_zero() -> None:
    offerer, _ = pair()
    prefixes = [b64u_decode(offerer.seal(ENVELOPE, b"x"))[:8] for _ in range(3)]
    assert [int.from_bytes(prefix, "big") for prefix in prefixes] == [0, 1, 2]


def test_the_longest_plaintext_fits_into_a_signal() -> None:
    offerer, answerer = pair()
    sealed = offerer.seal(ENVELOPE, bytes(MAX_PLAINTEXT))
    assert len(sealed) == 48 * 1024
    assert answerer.open(ENVELOPE, sealed) == bytes(MAX_PLAINTEXT)
    with pytest.raises(SealError, match="limit"):
        offerer.seal(ENVELOPE, bytes(MAX_PLAINTEXT + 1))


# Attacks on the way


@pytest.mark.parametrize(
    "changes",
    [
        {"sender": "p-0003"},
        {"to": "p-0003"},
        {"sender": "p-0002", "to": "p-0001"},
        {"link": "m"},
        {"gen": 1},
        {"kind": "answer"},
        {"sender": "p-0001p", "to": "-0002"},
        {"link": "l\0", "gen": 0},
    ],
    ids=str,
)
def test_a_signal_in_another_envelope_does_not_open(changes: dict[str, Any]) -> None:
    offerer, answerer = pair()
    sealed = offerer.seal(ENVELOPE, b"v=0")
    with pytest.raises(SealError):
        answerer.open(replace(ENVELOPE, **changes), sealed)
    assert answerer.open(ENVELOPE, sealed) == b"v=0"


@quick
@given(envelopes, envelopes)
def test_no_other_envelope_opens_it(right: Envelope, wrong: Envelope) -> None:
    assume(right != wrong)
    offerer, answerer = pair()
    sealed = offerer.seal(right, b"v=0")
    with pytest.raises(SealError):
        answerer.open(wrong, sealed)


@quick
@given(st.binary(max_size=40), st.data())
def test_no_flipped_bit_goes_unnoticed(plaintext: bytes, data: st.DataObject) -> None:
    """Neither in the counter, the ciphertext nor the tag."""
    offerer, answerer = pair()
    sealed = b64u_decode(offerer.seal(ENVELOPE, plaintext))
    bit = data.draw(st.integers(0, len(sealed) * 8 - 1))
    altered = bytearray(sealed)
    altered[bit // 8] ^= 1 << bit % 8
    with pytest.raises(SealError):
        answerer.open(ENVELOPE, b64u_encode(bytes(altered)))
    assert answerer.open(ENVELOPE, b64u_encode(sealed)) == plaintext


@quick
@given(st.integers(0, 60), st.binary(max_size=4))
def test_a_cut_or_lengthened_signal_does_not_open(size: int, more: bytes) -> None:
    offerer, answerer = pair()
    sealed = b64u_decode(offerer.seal(ENVELOPE, b"x" * 20))
    altered = sealed[:size] + more
    assume(altered != sealed)
    with pytest.raises(SealError):
        answerer.open(ENVELOPE, b64u_encode(altered))


@quick
@given(st.one_of(st.text(max_size=100), st.from_regex("[A-Za-z0-9_-]{0,80}", fullmatch=True)))
def test_anything_else_is_refused_and_does_no_harm(data: str) -> None:
    offerer, answerer = pair()
    with pytest.raises(SealError):
        answerer.open(ENVELOPE, data)
    assert answerer.open(ENVELOPE, offerer.seal(ENVELOPE, b"x")) == b"x"


def test_too_long_data_is_refused_before_any_work() -> None:
    _, answerer = pair()
    with pytest.raises(SealError, match="too long"):
        answerer.open(ENVELOPE, "A" * (48 * 1024 + 1))


def test_a_replay_is_refused() -> None:
    offerer, answerer = pair()
    sealed = offerer.seal(ENVELOPE, b"once")
    answerer.open(ENVELOPE, sealed)
    with pytest.raises(SealError, match="repeated"):
        answerer.open(ENVELOPE, sealed)


@quick
@given(st.lists(st.integers(0, 7), max_size=30))
def test_each_signal_opens_at_most_once_and_never_after_a_later_one(order: list[int]) -> None:
    offerer, answerer = pair()
    sealed = [offerer.seal(ENVELOPE, bytes([n])) for n in range(8)]
    opened = []
    for n in order:
        try:
            opened.append(answerer.open(ENVELOPE, sealed[n])[0])
        except SealError:
            assert opened
            assert n <= opened[-1]
    assert opened == sorted(set(opened))


def test_ones_own_signal_sent_back_does_not_open() -> None:
    offerer, answerer = pair()
    for sealer in (offerer, answerer):
        sealed = sealer.seal(ENVELOPE, b"mine")
        for envelope in (ENVELOPE, BACK):
            with pytest.raises(SealError):
                sealer.open(envelope, sealed)


def test_a_forged_counter_does_not_block_what_follows() -> None:
    offerer, answerer = pair()
    sealed = offerer.seal(ENVELOPE, b"real")
    forged = b64u_encode(b"\xff" * 8 + b64u_decode(sealed)[8:])
    with pytest.raises(SealError):
        answerer.open(ENVELOPE, forged)
    assert answerer.open(ENVELOPE, sealed) == b"real"


def test_a_signal_in_the_clear_is_not_taken_for_a_sealed_one() -> None:
    _, answerer = pair()
    with pytest.raises(SealError, match="not sealed"):
        answerer.open(ENVELOPE, '{"sdp":"v=0"}')


def test_keys_of_another_link_open_nothing() -> None:
    offerer, _ = pair()
    stranger = Sealer(LinkKeys.derive(made_bytes("another isk", 64)), offerer=False)
    with pytest.raises(SealError):
        stranger.open(ENVELOPE, offerer.seal(ENVELOPE, b"x"))


def test_a_seal_error_ends_the_command_as_failed_verification() -> None:
    assert issubclass(SealError, VerificationFailed)
    assert SealError.exit_code is ExitCode.WRONG_CODE


# Golden vectors


@pytest.mark.parametrize("role", ["offerer", "answerer"])
def test_sealed_signals_match_the_golden_ones(role: str) -> None:
    sender = Sealer(KEYS, offerer=role == "offerer")
    receiver = Sealer(KEYS, offerer=role != "offerer")
    for signal in VECTORS[role]:
        envelope, plaintext = envelope_of(signal["envelope"]), signal["plaintext"].encode()
        assert sender.seal(envelope, plaintext) == signal["data"]
        assert receiver.open(envelope, signal["data"]) == plaintext


def test_golden_sealing_is_what_the_code_makes() -> None:
    committed = (vectors.VECTORS / "sealing.json").read_text(encoding="utf-8")
    assert committed == vectors.rendered("sealing.json")


def test_length_prefixes_are_those_of_the_draft() -> None:
    vector = DRAFT["lv_cat"]
    assert lv_cat(*(part.encode() for part in vector["parts"])).hex() == vector["joined"]
    for case in VECTORS["lv_cat"]:
        assert lv_cat(*(bytes.fromhex(part) for part in case["parts"])).hex() == case["joined"]


def test_length_prefixes_keep_parts_apart() -> None:
    assert len({lv_cat(b"ab", b"c"), lv_cat(b"a", b"bc"), lv_cat(b"abc"), lv_cat(b"abc", b"")}) == 4
    assert lv_cat(b"x" * 300)[:2] == bytes([300 & 0x7F | 0x80, 300 >> 7])


@quick
@given(st.binary(max_size=100))
def test_base64url_reads_back(data: bytes) -> None:
    text = b64u_encode(data)
    assert b64u_decode(text) == data
    assert text == base64.urlsafe_b64encode(data).decode().rstrip("=")


@pytest.mark.parametrize("text", VECTORS["b64u"]["invalid"])
def test_only_canonical_base64url_is_read(text: str) -> None:
    with pytest.raises(ValueError, match="base64url"):
        b64u_decode(text)


def test_base64url_matches_the_golden_cases() -> None:
    for data, text in VECTORS["b64u"]["valid"].items():
        assert b64u_encode(bytes.fromhex(data)) == text
        assert b64u_decode(text).hex() == data


# Keys


def reference_hkdf(ikm: bytes, info: bytes) -> bytes:
    """RFC 5869 for one block, written out."""
    prk = hmac.digest(bytes(32), ikm, "sha256")
    return hmac.digest(prk, info + b"\x01", "sha256")


def test_keys_are_hkdf_of_the_session_key() -> None:
    isk = bytes.fromhex(VECTORS["isk"])
    keys = LinkKeys.derive(isk)
    assert keys.seal_offerer == reference_hkdf(isk, b"peerline.1 seal offerer")
    assert keys.seal_answerer == reference_hkdf(isk, b"peerline.1 seal answerer")
    assert keys.resume == reference_hkdf(isk, b"peerline.1 resume")
    assert keys.sas == sas_words(reference_hkdf(isk, b"peerline.1 sas"))
    assert vectors.keys_json(keys) == VECTORS["keys"]


def test_keys_do_not_show_in_the_repr() -> None:
    shown = repr(KEYS)
    assert "seal" not in shown
    assert "resume" not in shown


@pytest.mark.parametrize("size", [0, 32, 63, 65])
def test_a_session_key_of_another_size_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match="64 bytes"):
        LinkKeys.derive(bytes(size))


# Words to compare


def test_words_are_digits_to_the_base_of_the_list_least_significant_first() -> None:
    words = WORDS
    number = 5 + 7 * 1296 + 11 * 1296**2 + 1295 * 1296**3 + 1296**4 * 3
    key = number.to_bytes(8, "big") + bytes(24)
    assert sas_words(key) == (words[5], words[7], words[11], words[1295])


def open_link(**changes: bytes) -> tuple[str, ...]:
    names = ("offerer_nonce", "answerer_nonce", "offerer_fingerprint", "answerer_fingerprint")
    parts = {name: bytes.fromhex(VECTORS["open_link"][name]) for name in names}
    return open_link_sas(**{**parts, **changes})


def test_words_of_an_open_link_match_the_golden_ones() -> None:
    assert list(open_link()) == VECTORS["open_link"]["sas"]


@pytest.mark.parametrize(
    "name", ["offerer_nonce", "answerer_nonce", "offerer_fingerprint", "answerer_fingerprint"]
)
def test_words_of_an_open_link_depend_on_every_part(name: str) -> None:
    assert open_link(**{name: made_bytes("other")}) != open_link()
    with pytest.raises(ValueError, match="32 bytes"):
        open_link(**{name: bytes(31)})


def test_roles_do_not_commute() -> None:
    vector = VECTORS["open_link"]
    swapped = open_link(
        offerer_nonce=bytes.fromhex(vector["answerer_nonce"]),
        answerer_nonce=bytes.fromhex(vector["offerer_nonce"]),
        offerer_fingerprint=bytes.fromhex(vector["answerer_fingerprint"]),
        answerer_fingerprint=bytes.fromhex(vector["offerer_fingerprint"]),
    )
    assert swapped != open_link()


def test_a_revealed_nonce_is_checked_against_its_commitment() -> None:
    vector = VECTORS["commitment"]
    nonce = bytes.fromhex(vector["nonce"])
    assert commitment(nonce) == vector["commit"] == b64u_encode(hashlib.sha256(nonce).digest())
    assert check_reveal(vector["commit"], vector["reveal"]) == nonce


@pytest.mark.parametrize(
    "reveal",
    ["", "A", "A" * 43, "A" * 42, "!" * 43, b64u_encode(bytes(64)), "\ud800", "é" * 43],
    ids=ascii,
)
def test_another_nonce_than_the_committed_one_is_refused(reveal: str) -> None:
    with pytest.raises(VerificationFailed):
        check_reveal(VECTORS["commitment"]["commit"], reveal)


@pytest.mark.parametrize("committed", ["", "A", "\ud800", "é"], ids=ascii)
def test_a_broken_commitment_is_refused(committed: str) -> None:
    with pytest.raises(VerificationFailed):
        check_reveal(committed, VECTORS["commitment"]["reveal"])


@pytest.mark.parametrize("size", [0, 31, 33])
def test_a_nonce_has_32_bytes(size: int) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        commitment(bytes(size))
