"""DTLS records in batches: both record layers, against each other and against OpenSSL's own."""

from __future__ import annotations

import contextlib
from itertools import product

import pytest
from aiortc.rtcdtlstransport import SRTP_PROFILES, RTCCertificate
from OpenSSL import SSL

from peer.rtc.dtls.records import (
    NativeRecords,
    PlainRecords,
    RecordLayer,
    early_packets,
    record_layer,
)

SIZE = 1 << 17
KINDS = [NativeRecords, PlainRecords]


def _ends() -> tuple[SSL.Connection, SSL.Connection]:
    """A client and a server that have not begun."""
    ends = []
    for accept in (False, True):
        context = RTCCertificate.generateCertificate()._create_ssl_context(SRTP_PROFILES)
        end = SSL.Connection(context)
        end.set_accept_state() if accept else end.set_connect_state()
        ends.append(end)
    return ends[0], ends[1]


def shake(end: SSL.Connection) -> bool:
    """Go on with the handshake; whether it is over for this end."""
    try:
        end.do_handshake()
    except SSL.WantReadError:
        return False
    return True


def established() -> tuple[SSL.Connection, SSL.Connection]:
    """A client and a server that have shaken hands through memory."""
    ends = _ends()
    done = [False, False]
    for turn in range(20):
        end, other = ends[turn % 2], ends[1 - turn % 2]
        done[turn % 2] = done[turn % 2] or shake(end)
        with contextlib.suppress(SSL.WantReadError):
            other.bio_write(end.bio_read(SIZE))
        if all(done):
            return ends
    raise AssertionError("no handshake")


def carry(
    sender: RecordLayer, receiver: RecordLayer, packets: list[bytes], max_segments: int = 64
) -> list[bytes]:
    """Seal, send and open; check what a segmented send demands of each run."""
    received: list[bytes] = []
    for run, segment in sender.seal(packets, max_segments):
        data = bytes(run)
        assert len(data) <= 65_507
        assert -(-len(data) // segment) <= max_segments
        received += receiver.open(memoryview(data), segment)
    return received


@pytest.mark.parametrize(("kind_a", "kind_b"), list(product(KINDS, KINDS)))
def test_packets_arrive_as_they_were(
    kind_a: type[NativeRecords | PlainRecords], kind_b: type[NativeRecords | PlainRecords]
) -> None:
    client, server = established()
    a, b = kind_a(client), kind_b(server)
    sizes = [1188] * 100 + [40, 1188, 1188, 12, 13, 1188, 9000, 9000, 16000, 1] + [52] * 70
    packets = [bytes([n % 251]) * size for n, size in enumerate(sizes)]
    assert carry(a, b, packets) == packets
    assert carry(b, a, packets, max_segments=16) == packets
    assert a.pending() == b.pending() == b""


def test_the_native_layer_makes_long_runs() -> None:
    client, server = established()
    runs = [
        (len(run), segment)
        for run, segment in NativeRecords(client).seal([b"x" * 1188] * 50 + [b"end"], 64)
    ]
    (run,) = runs
    assert run[1] == 1188 + 37
    assert run[0] == 50 * run[1] + 3 + 37
    assert isinstance(record_layer(server), NativeRecords)


@pytest.mark.parametrize("kind", KINDS)
def test_a_bad_record_is_dropped_and_the_others_arrive(
    kind: type[NativeRecords | PlainRecords],
) -> None:
    client, server = established()
    a, b = kind(client), kind(server)
    packets = [bytes([n]) * 100 for n in range(10)]
    wire = bytearray()
    for run, segment in a.seal(packets, 64):
        assert segment == 137
        wire += run
    wire[3 * 137 + 60] ^= 1
    wire[5 * 137 : 6 * 137] = wire[4 * 137 : 5 * 137]  # one twice, one missing
    expected = [p for n, p in enumerate(packets) if n not in (3, 5)]
    assert b.open(memoryview(wire), 137) == expected
    assert b.open(memoryview(b"\x17garbage"), 8) == []
    assert b.ended is False


@pytest.mark.parametrize("kind", KINDS)
def test_close_notify_ends_the_layer(kind: type[NativeRecords | PlainRecords]) -> None:
    client, server = established()
    layer = kind(server)
    client.shutdown()
    alert = client.bio_read(1 << 16)
    assert layer.open(memoryview(alert), len(alert)) == []
    assert layer.ended is True


def test_the_plain_layer_serves_when_the_binding_has_moved(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client, _ = established()
    monkeypatch.delattr(SSL, "_lib")
    assert isinstance(record_layer(client), PlainRecords)


def test_packets_that_overtook_the_end_of_the_handshake_are_not_one_behind_for_ever() -> None:
    """RFC 6347, 4.1: records of the next epoch may come first; OpenSSL keeps them."""
    client, server = _ends()
    shake(client)
    server.bio_write(client.bio_read(SIZE))
    while not shake(server):
        client.bio_write(server.bio_read(SIZE))
        shake(client)
        server.bio_write(client.bio_read(SIZE))
    # Only the server's last flight is missing now.
    finished = server.bio_read(SIZE)
    early = [b"first", b"second"]
    for run, _ in NativeRecords(server).seal(early, 1):
        client.bio_write(bytes(run))
        assert not shake(client)
    client.bio_write(finished)
    assert shake(client)
    assert early_packets(client) == early
    assert early_packets(client) == []
    assert carry(NativeRecords(server), NativeRecords(client), [b"third"]) == [b"third"]
