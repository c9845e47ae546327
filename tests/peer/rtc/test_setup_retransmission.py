"""A lost packet of a set-up is repeated before aioice or OpenSSL would."""

from __future__ import annotations

import asyncio
import re
from collections import Counter

import pytest

from lab.lossy_relay import LossyRelay
from tests.support.links.connections import unconnected_pair
from tests.support.processes.leftovers import nothing_left_behind

_CANDIDATE = re.compile(r"^a=(?:candidate:.*|end-of-candidates)\r?\n", re.MULTILINE)
STUN_SIZE = 20


def what(data: bytes) -> str:
    """Identity of a datagram: STUN's kind and transaction, or the bytes of a DTLS flight."""
    if data[0] < 4:
        return f"STUN {data[:STUN_SIZE].hex()}"
    return data.hex()


class Witness:
    """Drops the first copies of chosen datagrams, and counts those that followed."""

    def __init__(self, chosen: range, copies: int) -> None:
        """Creates a witness of both directions.

        Args:
            chosen: Which of the different datagrams of each direction, by order of appearance.
            copies: How many of each to drop.
        """
        self._chosen = chosen
        self._copies = copies
        self._seen: dict[str, Counter[str]] = {"ours": Counter(), "theirs": Counter()}
        self.dropped: set[tuple[str, str]] = set()
        self.repeated: set[tuple[str, str]] = set()

    def drop(self, data: bytes, whose: str) -> bool:
        if data[0] in (21, 23):
            return False  # alerts and application data: the handshake is over
        seen, key = self._seen[whose], what(data)
        seen[key] += 1
        if list(seen).index(key) not in self._chosen:
            return False
        if seen[key] <= self._copies:
            self.dropped.add((whose, key))
            return True
        self.repeated.add((whose, key))
        return False


@pytest.mark.parametrize(
    ("chosen", "copies"),
    [(range(n, n + 1), 1) for n in range(4)] + [(range(100), 1), (range(2, 100), 2)],
    ids=[*(f"datagram {n + 1}" for n in range(4)), "the first of each", "two of each flight"],
)
async def test_what_is_lost_is_sent_again_as_it_was(chosen: range, copies: int) -> None:
    """Byte for byte: OpenSSL's own repeats, after a second, have other record numbers."""
    witness = Witness(chosen, copies)
    path = LossyRelay(drop=witness.drop)
    async with nothing_left_behind(), unconnected_pair() as (offerer, answerer, greet):
        offer = await path.rewrite(await offerer.offer(), "ours")
        await greet(_CANDIDATE.sub("", await answerer.answer(offer)))
        await path.close()
    flights = {(whose, key) for whose, key in witness.dropped if not key.startswith("STUN")}
    assert witness.dropped
    assert flights <= witness.repeated


async def test_a_handshake_that_never_ends_is_repeated_a_few_times_and_no_more() -> None:
    flights: Counter[str] = Counter()
    repeated = asyncio.Event()

    def drop(data: bytes, whose: str) -> bool:
        if data[0] < 20:
            return False
        flights[data.hex()] += 1
        if len(flights) == 2:
            repeated.set()
        return True

    path = LossyRelay(drop=drop)
    async with nothing_left_behind(), unconnected_pair() as (offerer, answerer, _):
        offer = await path.rewrite(await offerer.offer(), "ours")
        await offerer.accept_answer(_CANDIDATE.sub("", await answerer.answer(offer)))
        await repeated.wait()  # by OpenSSL, which is later than all of ours
        assert max(flights.values()) <= 6
        await path.close()
