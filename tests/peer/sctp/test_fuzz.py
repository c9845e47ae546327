"""Mutated packets into ``receive_datagram``: no exception, bounded memory, whatever they say.

A bounded number runs with the suite; the environment variable ``PEERLINE_FUZZ=1000000``
makes it the long run.
"""

from __future__ import annotations

import os
import random
import tracemalloc
from collections.abc import Callable
from dataclasses import replace

import pytest

from lab.association_pair import AssociationPair
from peer.sctp import Association, SctpConfig, State
from peer.sctp.wire.chunks import (
    BEGIN,
    END,
    UNORDERED,
    ChunkType,
    DataChunk,
    ForwardTsn,
    OutgoingReset,
    Response,
    Sack,
    Skipped,
    serialize_chunk,
)
from peer.sctp.wire.chunks.control import heartbeat, shutdown
from peer.sctp.wire.chunks.reconfig import reconfig
from peer.sctp.wire.crc32c import crc32c

PACKETS = int(os.environ.get("PEERLINE_FUZZ", "20000"))
MEMORY = (8 << 20) + (1 << 20)
CONFIG = SctpConfig(receive_window=8 << 20, max_message_size=1 << 20, keep_early=1 << 20)
CONFIGS = [CONFIG, replace(CONFIG, interleaving=False, recognise_implementation=False)]


def _established(config: SctpConfig, seed: int) -> AssociationPair:
    pair = AssociationPair(config, seed=seed)
    pair.connect()
    channel = pair.a.association.open_channel("fuzz")
    pair.a.association.send_message(channel, "hello" * 1000, pair.now)
    pair.z.association.send(3, 53, bytes(20_000), now=pair.now, max_retransmits=1)
    for _ in range(seed % 12):  # how far the conversation has come when the fuzzing begins
        pair.step()
    return pair


def _with_checksum(packet: bytes) -> bytes:
    crc = crc32c(packet[:8] + bytes(4) + packet[12:])
    return packet[:8] + crc.to_bytes(4, "little") + packet[12:]


def _invented(source: random.Random, near: int, interleaving: bool) -> bytes:
    """Return a chunk that is well formed and says something wild."""
    tsn = (near + source.choice([0, 1, 2, 3, 50, 1000, 70_000, 1 << 31, -1, -5])) & 0xFFFFFFFF
    number = source.choice([0, 1, 2, 0xFFFF, source.randrange(1 << 16)])
    stream = source.choice([0, 1, 3, 65535, source.randrange(1 << 16)])
    kind = source.randrange(9)
    if kind == 0:
        data = source.randbytes(source.choice([0, 1, 4, 100, 1100]))
        flags = source.randrange(16)
        ppid = source.choice([50, 51, 53, 56])
        return DataChunk(
            tsn, stream, number, number, ppid, flags, data, source.random() < 0.1 or interleaving
        ).serialize()
    if kind == 1:
        edges = sorted(source.randrange(1 << 16) for _ in range(2 * source.randrange(20)))
        if source.random() < 0.3:
            source.shuffle(edges)
        return Sack(tsn, source.randrange(1 << 32), edges, [tsn] * source.randrange(3)).serialize()
    if kind == 2:
        skipped = tuple(Skipped(stream, source.random() < 0.5, number) for _ in range(3))
        chosen = ChunkType.I_FORWARD_TSN if interleaving else ChunkType.FORWARD_TSN
        return ForwardTsn(tsn, skipped).serialize(chosen)
    if kind == 3:
        return reconfig(OutgoingReset(tsn, tsn, tsn, (stream,) * source.randrange(3)).param())
    if kind == 4:
        return reconfig(Response(tsn, source.randrange(8)).param())
    if kind == 5:
        return heartbeat(source.randbytes(source.randrange(30)))
    if kind == 6:
        return shutdown(tsn)
    if kind == 7:
        flags = source.randrange(256)
        return serialize_chunk(source.randrange(256), flags, source.randbytes(source.randrange(40)))
    return serialize_chunk(source.choice([1, 2, 10, 11, 9]), 0, source.randbytes(60))


def _mutated(source: random.Random, packets: list[bytes]) -> bytes:
    packet = bytearray(source.choice(packets))
    for _ in range(source.choice([1, 1, 1, 2, 8])):
        action = source.randrange(5)
        position = source.randrange(len(packet)) if packet else 0
        if action == 0 and packet:
            packet[position] ^= 1 << source.randrange(8)
        elif action == 1 and packet:
            packet[position] = source.choice([0, 1, 0x7F, 0x80, 0xFF])
        elif action == 2:
            del packet[position:]
        elif action == 3:
            packet[position:position] = source.randbytes(source.randrange(1, 9))
        else:
            packet += source.choice(packets)[12:]
    return bytes(packet)


def _check(association: Association) -> None:
    stats = association.stats()
    assert stats.reassembling <= MEMORY
    assert stats.unread <= 2 * MEMORY
    assert stats.in_flight >= 0
    assert stats.buffered >= 0


@pytest.mark.parametrize("config", CONFIGS, ids=["same", "other"])
def test_no_packet_raises_or_makes_memory_grow(config: SctpConfig) -> None:
    done = seed = 0
    while done < PACKETS // 2:
        seed += 1
        source = random.Random(seed)
        pair = _established(config, seed)
        corpus = pair.z.sent + pair.a.sent
        target = pair.a.association
        header = next(p for p in reversed(pair.z.sent))[:8]
        for _ in range(200):
            done += 1
            if source.random() < 0.5:
                packet = _mutated(source, corpus)
                if source.random() < 0.8:
                    packet = header + packet[8:]
            else:
                last = [p for p in pair.z.sent if len(p) > 19 and p[12] in (0, 64)]
                near = int.from_bytes(last[-1][16:20], "big") if last else 0
                chunks = b"".join(
                    _invented(source, near, config.interleaving)
                    for _ in range(source.choice([1, 1, 1, 4]))
                )
                packet = header + bytes(4) + chunks
            if len(packet) >= 12 and source.random() < 0.9:
                packet = _with_checksum(packet)
            target.receive_datagram(packet, pair.now)
            pair.flush(pair.a)
            if source.random() < 0.2:
                pair.step()
            _check(target)
            if target.state is State.ENDED:
                break  # the peer broke the protocol, and an ABORT said so
        if seed % 8 == 0:
            pair.drive(seconds=100, steps=20_000)


BEGUN, WHOLE = BEGIN, BEGIN | END
FLOODS: dict[str, tuple[bool, Callable[[int], tuple[int, int, int, int, int]]]] = {
    # I-DATA or not; the TSN (from the first), stream, message, fragment and flags of each chunk.
    "unread messages": (False, lambda i: (i, 1, i & 0xFFFF, 0, WHOLE)),
    "unread I-DATA": (True, lambda i: (i, 1, i, 0, WHOLE)),
    "waiting messages": (False, lambda i: (i, i // 30_000, 1 + i % 30_000, 0, WHOLE)),
    "waiting I-DATA": (True, lambda i: (i, i // 30_000, 1 + i % 30_000, 0, WHOLE)),
    "unread above a hole": (False, lambda i: (i + 1, 1, 0, 0, WHOLE | UNORDERED)),
    "begun above a hole": (False, lambda i: (2 * i + 1, 1, 0, 0, BEGUN)),
    "begun I-DATA": (True, lambda i: (i, i & 0xFFF, i >> 12, 0, BEGUN)),
    "one message": (False, lambda i: (i, 1, 0, 0, 0 if i else BEGUN)),
    "one I-DATA message": (True, lambda i: (i, 1, 0, i, 0 if i else BEGUN)),
    "one without its begin": (True, lambda i: (i, 1, 0, i + 1, 0)),
}


@pytest.mark.parametrize("flood", FLOODS)
def test_what_tiny_chunks_cost_is_bounded_in_bytes_of_real_memory(flood: str) -> None:
    """RFC 9260, 6.2: the window counts what it costs to keep a message, not its bytes alone."""
    interleaving, chunk_of = FLOODS[flood]
    size = 256 << 10
    config = SctpConfig(
        receive_window=size,
        max_message_size=size,
        interleaving=interleaving,
        recognise_implementation=False,
    )
    pair = AssociationPair(config)
    pair.connect()
    target = pair.z.association
    header = pair.a.sent[-1][:8] + bytes(4)
    tcb = pair.z.tcb
    first = tcb.receiver.tsns.cumulative + 1
    tracemalloc.start()
    for start in range(0, 50_000, 50):
        body = b""
        for i in range(start, start + 50):
            tsn, stream, message, fragment, flags = chunk_of(i)
            body += DataChunk(
                (first + tsn) & 0xFFFFFFFF,
                stream,
                message,
                fragment,
                53,
                flags,
                b"xx",
                interleaving,
            ).serialize()
        target.receive_datagram(header + body, pair.now)
        target.datagrams_to_send(pair.now)
        if target.state is State.ENDED:
            break
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # Unread messages stay with the application; everything else ends with an ABORT.
    assert peak < 4 * size + (1 << 20)


def test_random_bytes_are_ignored_in_every_state() -> None:
    source = random.Random(7)
    fresh = Association(CONFIG, random=source.randbytes)
    waiting = Association(CONFIG, random=source.randbytes)
    waiting.connect(0.0)
    for association in (fresh, waiting):
        for _ in range(1000):
            association.receive_datagram(source.randbytes(source.randrange(200)), 0.0)
        association.datagrams_to_send(0.0)
        assert association.next_event() is None
