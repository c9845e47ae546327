"""Which shapes of datagrams are read at all."""

from __future__ import annotations

import struct
from itertools import islice

import pytest
from aioice import stun
from hypothesis import given
from hypothesis import strategies as st

from peer.rtc.demultiplexing import MAX_STUN, are_records, is_records, is_stun
from tests.support.links.strangers import (
    attribute,
    datagrams,
    fingerprint,
    record,
    stun_message,
)

TRANSACTION = bytes(range(12))
"""Fixed, so that the tests' names are the same in every process."""


def request(nominate: bool = True) -> bytes:
    message = stun.Message(
        message_method=stun.Method.BINDING,
        message_class=stun.Class.REQUEST,
        transaction_id=TRANSACTION,
    )
    message.attributes["USERNAME"] = "theirs:ours"
    message.attributes["PRIORITY"] = 1
    message.attributes["ICE-CONTROLLING"] = 7
    if nominate:
        message.attributes["USE-CANDIDATE"] = None
    message.add_message_integrity(b"password")
    return bytes(message)


def response(**attributes: object) -> bytes:
    names = {name.replace("_", "-"): value for name, value in attributes.items()}
    message = stun.Message(
        message_method=stun.Method.BINDING,
        message_class=stun.Class.RESPONSE,
        transaction_id=TRANSACTION,
        attributes=names,
    )
    return bytes(message)


@pytest.mark.parametrize(
    "message",
    [
        request(),
        request(nominate=False),
        response(XOR_MAPPED_ADDRESS=("192.0.2.1", 5)),
        response(XOR_MAPPED_ADDRESS=("2001:db8::1", 5), SOFTWARE="a server"),
        response(ERROR_CODE=(401, "Unauthenticated"), REALM="r", NONCE=b"n"),
        stun_message(b""),
        stun_message(attribute(0xC057, b"abcd") + attribute(0x0024, b"abcd")),
    ],
)
def test_messages_of_the_protocol_pass(message: bytes) -> None:
    assert is_stun(message)
    stun.parse_message(message)


@pytest.mark.parametrize(
    "message",
    [
        b"",
        bytes(20),
        stun_message(b"")[:19],
        stun_message(b"", length=4),
        stun_message(bytes(3)),
        stun_message(attribute(0x0024, b"")),  # PRIORITY
        stun_message(attribute(0x0024, b"12345")),
        stun_message(attribute(0x8029, b"1234")),  # ICE-CONTROLLED
        stun_message(attribute(0x0025, b"1234")),  # USE-CANDIDATE
        stun_message(attribute(0x0020, bytes(6))),  # XOR-MAPPED-ADDRESS
        stun_message(attribute(0x0009, b"")),  # ERROR-CODE
        stun_message(attribute(0x0006, b"abcd", length=2000)),
        stun_message(attribute(0xC057, b"") * 33),
        fingerprint(fingerprint(stun_message(b""))),
        stun_message(bytes(MAX_STUN)),
        b"\x40" + stun_message(b"")[1:],
    ],
)
def test_what_only_looks_like_a_message_does_not(message: bytes) -> None:
    assert not is_stun(message)


@given(st.integers(0, 2**32))
def test_what_passes_can_be_read_or_is_a_plain_mistake(seed: int) -> None:
    for data in islice(datagrams(seed), 20):
        if is_stun(data, 65535):
            try:
                stun.parse_message(data)
            except ValueError:
                continue


@given(st.binary(max_size=200))
def test_no_bytes_at_all_raise(data: bytes) -> None:
    is_stun(stun_message(data))
    is_stun(data)
    is_records(data)


@pytest.mark.parametrize(
    ("data", "passes"),
    [
        (record(23, 1, b"x" * 30), True),
        (record(22, 0, b"hello") + record(20, 0, b"\1") + record(22, 1, b"y" * 40), True),
        (record(21, 1, b"x" * 26), True),
        (record(21, 0, b"\1\0"), False),  # close_notify in the clear
        (record(22, 0, b"hello") + record(21, 0, b"\2\x28"), False),
        (record(23, 1, b"x", length=2), False),
        (record(23, 1, b"xy", length=1), False),
        (record(23, 1, b""), False),
        (record(23, 1, bytes(20_000)), False),
        (record(23, 1, bytes(2000)) * 20, False),
        (b"\x17\x03\x03" + record(23, 1, b"x")[3:], False),
        (b"", False),
        (b"\x17", False),
        (b"\x2e\x01\x02\x00\x05hello", True),  # DTLS 1.3: sequence of 16 bits, with a length
        (b"\x2e\x01\x02\x00\x06hello", False),
        (b"\x2a\x01\x02hello", True),  # DTLS 1.3: the rest of the datagram
        (b"\x2a\x01\x02", False),
        (b"\x3e\x01\x02\x00\x05hello", False),  # with a connection id
        (b"\x80rtp", False),
    ],
)
def test_only_whole_records_that_may_count_pass(data: bytes, passes: bool) -> None:
    assert is_records(data) is passes
    assert are_records(memoryview(data), len(data) or 1) is (passes or not data)


@given(
    st.lists(st.sampled_from([record(23, 1, b"12345"), record(22, 1, b"12345"), bytes(18)])),
    st.sampled_from([b"", record(23, 1, b"1"), b"x"]),
)
def test_a_batch_passes_as_its_datagrams_do(datagrams: list[bytes], last: bytes) -> None:
    batch = b"".join(datagrams) + last
    pieces = [*datagrams, *([last] if last else [])]
    assert are_records(memoryview(batch), 18) is all(map(is_records, pieces))


def test_a_batch_of_data_with_one_wrong_length_does_not_pass() -> None:
    data = [record(23, 1, bytes(100))] * 30
    assert are_records(memoryview(b"".join(data)), 113)
    data[7] = record(23, 1, bytes(100), length=99)
    assert not are_records(memoryview(b"".join(data)), 113)


def test_a_header_that_announces_more_than_any_record_has_does_not_pass() -> None:
    data = bytearray(record(23, 1, bytes(20_000)))
    struct.pack_into("!H", data, 11, 20_000)
    assert not are_records(memoryview(data * 3), len(data))
