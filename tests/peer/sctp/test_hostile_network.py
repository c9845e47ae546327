"""Two associations over a network that loses, reorders, duplicates and corrupts.

Never wrong data, never a stall, always an end (RFC 9260 as a whole).
"""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lab.association_pair import AssociationPair
from lab.link import Link
from peer.sctp import AssociationEnded, DataChannelMessage, Ending, SctpConfig, State

# Corruption is caught by the checksum only when there is one: over DTLS there need not be.
# So many that on the worst of these networks not one set-up in a million fails by chance.
CHECKED = SctpConfig(zero_checksum=False, max_init_retransmissions=40)
CONFIGS = [
    CHECKED,
    replace(CHECKED, interleaving=False),
    replace(CHECKED, recognise_implementation=False),
    replace(CHECKED, recognise_implementation=False, interleaving=False),
]

links = st.builds(
    Link,
    delay=st.sampled_from([0.0, 0.001, 0.02, 0.1]),
    jitter=st.sampled_from([0.0, 0.005, 0.05]),
    loss=st.sampled_from([0.0, 0.01, 0.1, 0.3]),
    duplicate=st.sampled_from([0.0, 0.05, 0.3]),
    corrupt=st.sampled_from([0.0, 0.02, 0.1]),
)
messages = st.lists(
    st.tuples(
        st.integers(0, 4),  # stream
        st.booleans(),  # ordered
        st.sampled_from([1, 3, 100, 1156, 1160, 1161, 5000, 40_000]),  # bytes
    ),
    min_size=1,
    max_size=30,
)


def _content(index: int, size: int) -> bytes:
    seed = hashlib.sha256(index.to_bytes(4, "big")).digest()
    return (index.to_bytes(4, "big") + seed * (size // 32 + 1))[: max(size, 4)]


@pytest.mark.parametrize("config", CONFIGS, ids=["same", "data", "others-idata", "others"])
@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(link=links, sent=messages, seed=st.integers(0, 1 << 30))
def test_reliable_messages_all_arrive_whole_and_each_stream_in_order(
    config: SctpConfig, link: Link, sent: list[tuple[int, bool, int]], seed: int
) -> None:
    pair = AssociationPair(config, link=link, seed=seed)
    pair.connect()
    for sender in (pair.a, pair.z):
        for index, (stream, ordered, size) in enumerate(sent):
            sender.association.send(
                stream, 53, _content(index, size), now=pair.now, ordered=ordered
            )
    pair.drive(
        until=lambda: all(len(e.of(DataChannelMessage)) >= len(sent) for e in (pair.a, pair.z))
    )
    for receiver in (pair.a, pair.z):
        received = [(m.stream_id, m.data) for m in receiver.of(DataChannelMessage)]
        expected = [(stream, _content(i, size)) for i, (stream, _, size) in enumerate(sent)]
        assert sorted(received) == sorted(expected)
        ordered_only = {_content(i, size) for i, (_, o, size) in enumerate(sent) if o}
        for stream in range(5):
            want = [d for s, d in expected if s == stream and d in ordered_only]
            assert [d for s, d in received if s == stream and d in ordered_only] == want
    pair.a.association.shutdown(pair.now)
    pair.drive(until=lambda: bool(pair.a.of(AssociationEnded)))
    assert pair.a.association.state is State.ENDED


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    config=st.sampled_from(CONFIGS),
    link=links,
    sent=messages,
    limit=st.sampled_from([(0, None), (1, None), (None, 0.05), (None, 0.5)]),
    seed=st.integers(0, 1 << 30),
)
def test_abandoned_messages_never_stall_what_follows(
    config: SctpConfig,
    link: Link,
    sent: list[tuple[int, bool, int]],
    limit: tuple[int | None, float | None],
    seed: int,
) -> None:
    pair = AssociationPair(config, link=link, seed=seed)
    pair.connect()
    for index, (stream, ordered, size) in enumerate(sent):
        pair.a.association.send(
            stream, 53, _content(index, size), now=pair.now, ordered=ordered,
            max_retransmits=limit[0], max_lifetime=limit[1],
        )  # fmt: skip
        if index % 3 == 0:
            pair.step()
    for stream in range(5):
        pair.a.association.send(stream, 53, b"the last one", now=pair.now)

    def last_ones() -> int:
        return sum(m.data == b"the last one" for m in pair.z.of(DataChannelMessage))

    pair.drive(until=lambda: last_ones() == 5)
    possible = {(stream, _content(i, size)) for i, (stream, _, size) in enumerate(sent)}
    seen = [(m.stream_id, m.data) for m in pair.z.of(DataChannelMessage) if m.data[:3] != b"the"]
    assert set(seen) <= possible
    pair.drive(until=lambda: pair.a.association.stats().unacked_chunks == 0)
    assert pair.z.association.stats().reassembling == 0


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(config=st.sampled_from(CONFIGS), after=st.integers(0, 60), seed=st.integers(0, 1 << 30))
def test_an_association_over_a_dead_link_comes_to_an_end(
    config: SctpConfig, after: int, seed: int
) -> None:
    pair = AssociationPair(config, seed=seed)
    pair.a.association.connect(pair.now)
    pair.a.association.open_channel("doomed")
    pair.a.association.send(7, 53, bytes(100_000), now=pair.now)
    for _ in range(after):
        pair.step()
    pair.a_to_z.change(loss=1.0)
    pair.z_to_a.change(loss=1.0)
    pair.a.association.send(7, 53, bytes(1000), now=pair.now)
    pair.drive(until=lambda: bool(pair.a.of(AssociationEnded)), seconds=3600)
    assert pair.a.of(AssociationEnded)[0].ending is Ending.UNREACHABLE


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    config=st.sampled_from(CONFIGS),
    window=st.sampled_from([20_000, 100_000, 8 << 20]),
    link=links,
    sent=st.lists(
        st.tuples(
            st.integers(0, 4),
            st.booleans(),
            st.sampled_from([1, 100, 1160, 5000, 40_000]),
            st.sampled_from([(None, None), (None, None), (0, None), (2, None), (None, 0.05)]),
            st.integers(0, 4),  # steps of the clock before the next one
        ),
        min_size=1,
        max_size=40,
    ),
    seed=st.integers(0, 1 << 30),
)
def test_reliable_messages_arrive_beside_limited_ones(
    config: SctpConfig,
    window: int,
    link: Link,
    sent: list[tuple[int, bool, int, tuple[int | None, float | None], int]],
    seed: int,
) -> None:
    pair = AssociationPair(replace(config, receive_window=window), link=link, seed=seed)
    pair.connect()
    for index, (stream, ordered, size, (retransmits, lifetime), steps) in enumerate(sent):
        pair.a.association.send(
            stream, 53, _content(index, size), now=pair.now, ordered=ordered,
            max_retransmits=retransmits, max_lifetime=lifetime,
        )  # fmt: skip
        for _ in range(steps):
            pair.step()

    def is_done() -> bool:
        stats = pair.a.association.stats()
        return stats.unacked_chunks == stats.buffered == 0

    pair.drive(until=is_done, seconds=3000)
    received = [(m.stream_id, m.data) for m in pair.z.of(DataChannelMessage)]
    assert len(set(received)) == len(received)
    reliable = [
        (stream, _content(i, size), ordered)
        for i, (stream, ordered, size, limit, _) in enumerate(sent)
        if limit == (None, None)
    ]
    assert {(s, d) for s, d, _ in reliable} <= set(received)
    for stream in range(5):
        want = [d for s, d, ordered in reliable if s == stream and ordered]
        assert [d for s, d in received if s == stream and d in want] == want
    stats = pair.z.association.stats()
    assert stats.reassembling == stats.unread == 0
