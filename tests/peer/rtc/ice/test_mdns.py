"""Multicast DNS: what is asked, what is understood, and what nonsense does."""

from __future__ import annotations

import asyncio
import socket
import struct

import dns.message
import dns.rdatatype
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from peer.rtc.ice import mdns
from peer.rtc.ice.candidates import is_mdns_name
from peer.rtc.ice.mdns import TYPE_AAAA, MdnsResolver, build_query, parse_answers
from tests.support.processes.leftovers import nothing_left_behind

NAME = "1b2c3d4e-1111-4222-8333-444455556666.local"
ADDRESS = "10.7.0.1"


def encoded(name: str) -> bytes:
    return b"".join(bytes([len(part)]) + part.encode() for part in name.split(".")) + b"\0"


def record(name: bytes, kind: int, data: bytes, rdclass: int = 0x8001) -> bytes:
    return name + struct.pack("!HHIH", kind, rdclass, 120, len(data)) + data


# As Chromium answers: the address, then an NSEC record whose name inside the data is a
# compression pointer, which dnspython 2.9.1 and later refuses to read.
CHROMIUM_ANSWER = (
    struct.pack("!6H", 0, 0x8400, 0, 1, 0, 1)
    + record(encoded(NAME), 1, socket.inet_aton(ADDRESS))
    + record(b"\xc0\x0c", 47, b"\xc0\x0c\x00\x01\x40")
)


def test_the_query_is_one_that_others_can_read() -> None:
    message = dns.message.from_wire(build_query(NAME))
    assert [str(question.name) for question in message.question] == [f"{NAME}."]
    assert message.question[0].rdtype == dns.rdatatype.A
    assert message.flags == 0
    assert dns.message.from_wire(build_query(NAME, TYPE_AAAA)).question[0].rdtype == TYPE_AAAA


def test_an_answer_with_a_compressed_name_in_its_data_is_understood() -> None:
    assert list(parse_answers(CHROMIUM_ANSWER)) == [(NAME, ADDRESS)]


def test_ipv6_addresses_are_understood() -> None:
    data = socket.inet_pton(socket.AF_INET6, "2001:db8::7")
    answer = struct.pack("!6H", 0, 0x8400, 0, 1, 0, 0) + record(encoded(NAME), TYPE_AAAA, data)
    assert list(parse_answers(answer)) == [(NAME, "2001:db8::7")]


def test_names_are_compared_without_case() -> None:
    answer = struct.pack("!6H", 0, 0x8400, 0, 1, 0, 0) + record(
        encoded(NAME.upper()), 1, socket.inet_aton(ADDRESS)
    )
    assert list(parse_answers(answer)) == [(NAME, ADDRESS)]


def test_a_question_is_not_an_answer() -> None:
    assert list(parse_answers(build_query(NAME))) == []


def test_a_name_that_points_to_itself_ends() -> None:
    answer = struct.pack("!6H", 0, 0x8400, 0, 1, 0, 0) + record(b"\xc0\x0c", 1, bytes(4))
    assert list(parse_answers(answer)) == []


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
@example(CHROMIUM_ANSWER)
def test_any_datagram_gives_addresses_or_nothing(datagram: bytes) -> None:
    for name, address in parse_answers(datagram):
        assert name == name.lower()
        assert address


@settings(max_examples=100, deadline=None)
@given(st.integers(0, len(CHROMIUM_ANSWER) - 1), st.integers(0, 255))
def test_a_damaged_answer_never_raises(position: int, value: int) -> None:
    damaged = CHROMIUM_ANSWER[:position] + bytes([value]) + CHROMIUM_ANSWER[position + 1 :]
    list(parse_answers(damaged))
    list(parse_answers(CHROMIUM_ANSWER[:position]))


def header(records: int) -> bytes:
    return struct.pack("!6H", 0, 0x8400, 0, records, 0, 0)


CHAIN_AT = 12 + len(encoded(NAME)) + 10
CHAIN = struct.pack("!4000H", 0xC00C, *(0xC000 + CHAIN_AT + 2 * n for n in range(3999)))
"""4000 pointers, each to the one before it, the first to the name."""


@pytest.mark.parametrize(
    "answer",
    [
        header(2) + record(encoded(NAME), 16, CHAIN) + record(b"\xdf\x00", 1, b"1234"),
        header(65535) + record(encoded(NAME), 1, b"1234"),
        header(1) + record(encoded(NAME), 1, b"1234") + bytes(9000),
        header(1) + record(b"\x40" + b"a" * 64 + b"\0", 1, b"1234"),
        header(1) + record((b"\x3f" + b"a" * 63) * 5 + b"\0", 1, b"1234"),
    ],
    ids=["pointers", "records", "size", "label", "name"],
)
def test_an_answer_that_costs_more_than_any_real_one_is_not_read(answer: bytes) -> None:
    assert list(parse_answers(answer)) == []


async def test_an_answer_that_leads_to_everybody_is_none() -> None:
    resolver = MdnsResolver([])
    waiter: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    resolver._waiters[NAME] = {waiter}
    answer = header(1) + record(encoded(NAME), 1, socket.inet_aton("224.0.0.251"))
    resolver.datagram_received(answer, ("127.0.0.1", 5353))
    assert not waiter.done()


async def test_what_nobody_waits_for_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mdns, "parse_answers", None)
    MdnsResolver([]).datagram_received(CHROMIUM_ANSWER, ("127.0.0.1", 5353))


def test_only_random_looking_local_names_are_looked_up() -> None:
    assert is_mdns_name(NAME)
    assert not is_mdns_name("10.0.0.1")
    assert not is_mdns_name("host.example.local")
    assert not is_mdns_name("local")
    assert not is_mdns_name("x.local\n")


class AnsweredResolver(MdnsResolver):
    """Hears nonsense and then the answer, whenever it has asked."""

    def _ask(self, name: str) -> None:
        super()._ask(name)
        self.datagram_received(b"nonsense", ("127.0.0.1", 5353))
        self.datagram_received(CHROMIUM_ANSWER, ("127.0.0.1", 5353))


async def test_an_answer_resolves_the_waiting_lookup() -> None:
    async with nothing_left_behind():
        resolver = AnsweredResolver(["127.0.0.1"])
        assert await resolver.resolve(NAME.upper()) == ADDRESS
        await resolver.close()


async def test_a_closed_resolver_answers_nothing() -> None:
    async with nothing_left_behind():
        resolver = MdnsResolver(["127.0.0.1"])
        await resolver.close()
        assert await resolver.resolve(NAME) is None
