"""Cost of the association itself: two of them back to back in memory, no sockets, no DTLS.

    python bench/sctp_core.py [--megabytes 256] [--message 65536] [--datagram 1188] [--foreign]

Prints microseconds per packet on the sender's and the receiver's side (each clocked apart),
and the payload rate if each side had a core of its own.
"""

from __future__ import annotations

import argparse
import gc
import os
import time

from peer.sctp import Association, DataChannelMessage, SctpConfig


def _exchange(a: Association, z: Association, now: float) -> None:
    while True:
        to_z, to_a = a.datagrams_to_send(now), z.datagrams_to_send(now)
        if not to_z and not to_a:
            return
        z.receive_datagrams(to_z, now)
        a.receive_datagrams(to_a, now)


def _run(
    total: int, size: int, datagram: int, *, same_implementation: bool
) -> tuple[float, float, int]:
    """Return seconds in the sender, seconds in the receiver, and packets."""
    config = SctpConfig(
        datagram_size=datagram,
        max_datagram_size=datagram,
        recognise_implementation=same_implementation,
        interleaving=same_implementation,
        zero_checksum=same_implementation,
    )
    a = Association(config, random=os.urandom)
    z = Association(SctpConfig(
        client=False, datagram_size=datagram, max_datagram_size=datagram,
        recognise_implementation=same_implementation, interleaving=same_implementation,
        zero_checksum=same_implementation,
    ), random=os.urandom)  # fmt: skip
    now = 0.0
    a.connect(now)
    z.connect(now)
    for _ in range(100):
        now += 0.001
        _exchange(a, z, now)
        for side in (a, z):
            side.handle_timer(now)
    data = os.urandom(size)
    queued = received = packets = 0
    sending = receiving = 0.0
    clock = time.thread_time  # CPU seconds: what else runs must not count
    gc.collect()
    while received < total:
        now += 0.0003
        t0 = clock()
        while queued < total and a.buffered_amount(0) < 1 << 20:
            a.send(0, 53, data, now=now)
            queued += size
        a.handle_timer(now)
        to_z = a.datagrams_to_send(now)
        t1 = clock()
        if to_z:
            packets += len(to_z)
            z.receive_datagrams(to_z, now)
        z.handle_timer(now)
        while (event := z.next_event()) is not None:
            if isinstance(event, DataChannelMessage):
                received += len(event.data)
                z.consume(event.stream_id, event.size)
        to_a = z.datagrams_to_send(now)
        t2 = clock()
        if to_a:
            a.receive_datagrams(to_a, now)
        while a.next_event() is not None:
            pass
        t3 = clock()
        sending += t1 - t0 + t3 - t2
        receiving += t2 - t1
    return sending, receiving, packets


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--megabytes", type=int, default=256)
    parser.add_argument("--message", type=int, default=65536)
    parser.add_argument("--datagram", type=int, default=1188)
    parser.add_argument("--foreign", action="store_true", help="as toward another stack")
    parser.add_argument("--profile", action="store_true")
    arguments = parser.parse_args()
    total = arguments.megabytes * 1_000_000
    if arguments.profile:
        import cProfile

        profile = cProfile.Profile()
        profile.enable()
    sending, receiving, packets = _run(
        total, arguments.message, arguments.datagram, same_implementation=not arguments.foreign
    )
    if arguments.profile:
        profile.disable()
        profile.print_stats("tottime")
    slower = max(sending, receiving)
    print(f"{packets} packets of up to {arguments.datagram} bytes")
    print(f"sender   {sending / packets * 1e6:6.2f} us a packet")
    print(f"receiver {receiving / packets * 1e6:6.2f} us a packet")
    print(f"payload  {total / slower / 1e6:6.0f} MB/s with a core for each side,", end=" ")
    print(f"{total / (sending + receiving) / 1e6:.0f} MB/s on one core")


if __name__ == "__main__":
    main()
