"""BBR over single paths, whole associations in virtual time.

Deterministic: the network is seeded and there is no other clock, so amounts may be asserted.
Scaled down from 100 Mbit to 20 Mbit with queues and round trips kept in proportion.
"""

from __future__ import annotations

import pytest

from lab.flows import Bottleneck, Flow
from lab.link import Link
from lab.virtual_network import Stalls
from peer.sctp.congestion import BBR

_RATE = 2_500_000.0  # bytes per second: 20 Mbit
_DELAY = 0.025
_PRODUCT = 100  # packets: what the path holds without a queue
_LIMIT = _RATE * 1156 / 1253  # payload

pytestmark = pytest.mark.timeout(300)


def _run(
    link: Link,
    seconds: float,
    *,
    same_implementation: bool = True,
    tick: float = 0.0,
    stalls: Stalls | None = None,
    seed: int = 3,
) -> tuple[Bottleneck, Flow]:
    network = Bottleneck(link, seed=seed, tick=tick, stalls=stalls)
    flow = network.add(BBR, same_implementation=same_implementation)
    network.run(seconds)
    return network, flow


@pytest.fixture(scope="module")
def quiet() -> tuple[Bottleneck, Flow]:
    """A path that loses nothing and has a queue of ten times its product."""
    return _run(Link(delay=_DELAY, rate=8 * _RATE, queue=1000), 12.0)


def test_quiet_path_is_filled(quiet: tuple[Bottleneck, Flow]) -> None:
    _, flow = quiet
    assert flow.goodput(1.0) >= 0.97 * _LIMIT


def test_nothing_is_lost_or_repeated_on_a_quiet_path(quiet: tuple[Bottleneck, Flow]) -> None:
    network, flow = quiet
    stats = flow.sender.stats()
    assert network.there.dropped == 0
    assert (stats.chunks_retransmitted, stats.spurious_losses, stats.timeouts) == (0, 0, 0)


def test_deep_queue_stays_short(quiet: tuple[Bottleneck, Flow]) -> None:
    network, _ = quiet
    assert network.mean_queue_delay(1.0) < 0.005
    assert network.max_queue_delay(1.0) < 0.020


def test_startup_does_not_flood(quiet: tuple[Bottleneck, Flow]) -> None:
    # STARTUP's window is twice the product (draft, 5.6.1): the queue gets little more than one.
    network, _ = quiet
    assert network.max_queue_delay(0.0) < 4 * _DELAY


def test_all_phases_of_the_cycle_take_their_turn(quiet: tuple[Bottleneck, Flow]) -> None:
    # Draft, 5.3.3. PROBE_RTT is not needed: CRUISE sees the queue empty.
    _, flow = quiet
    phases = {sample.phase for sample in flow.samples}
    assert phases - {"", "probe_rtt"} == {"startup", "drain", "down", "cruise", "refill", "up"}


@pytest.mark.parametrize(
    ("loss", "share"), [(0.01, 0.93), (0.02, 0.88), (0.05, 0.80)], ids=["1 %", "2 %", "5 %"]
)
def test_random_loss_costs_only_what_is_lost(loss: float, share: float) -> None:
    _, flow = _run(Link(delay=_DELAY, rate=8 * _RATE, loss=loss), 8.0)
    assert flow.goodput(2.0) >= share * _LIMIT * (1 - loss)
    assert flow.sender.stats().timeouts == 0


def test_loss_in_bursts_is_survived() -> None:
    _, flow = _run(Link(delay=_DELAY, rate=8 * _RATE, loss=0.01, burst=8), 8.0)
    assert flow.goodput(2.0) >= 0.75 * _LIMIT


def test_half_a_round_trip_of_queue_is_enough() -> None:
    network, flow = _run(Link(delay=_DELAY, rate=8 * _RATE, queue=_PRODUCT // 10), 12.0)
    assert flow.goodput() >= 0.80 * _LIMIT
    assert network.drop_rate < 0.02


def test_reordering_is_noticed_and_does_not_slow() -> None:
    network, flow = _run(Link(delay=_DELAY, rate=8 * _RATE, reorder=0.02, reorder_delay=0.004), 8.0)
    stats = flow.sender.stats()
    assert flow.goodput(1.0) >= 0.95 * _LIMIT
    assert network.there.lost == network.there.dropped == 0
    assert stats.chunks_retransmitted <= stats.spurious_losses
    assert stats.chunks_retransmitted < 0.005 * stats.chunks_sent


@pytest.mark.parametrize("same_implementation", [True, False], ids=["same", "other"])
@pytest.mark.parametrize("seed", [2, 3, 5])
def test_reordering_does_not_end_startup(seed: int, same_implementation: bool) -> None:
    """draft-ietf-ccwg-bbr, 5.5.10.1: it goes on when the losses prove to be none."""
    link = Link(delay=_DELAY, rate=40 * _RATE, queue=1000, reorder=0.1, reorder_delay=0.004)
    _, flow = _run(link, 2.0, same_implementation=same_implementation, seed=seed)
    assert flow.goodput(0.6) >= 0.85 * 5 * _LIMIT


@pytest.mark.parametrize(
    ("jitter", "share", "repeated"),
    [(0.005, 0.93, 0.005), (0.020, 0.90, 0.015)],
    ids=["5 ms", "20 ms"],
)
@pytest.mark.parametrize("same_implementation", [True, False], ids=["same", "other"])
def test_jitter_is_not_taken_for_loss(
    jitter: float, share: float, repeated: float, same_implementation: bool
) -> None:
    # Packets leave every half millisecond, so that 20 ms put each behind dozens of later ones, and
    # some of them later than the mean round trip by more than an eighth: RFC 8985, 6.2, step 4.
    network, flow = _run(
        Link(delay=_DELAY, rate=8 * _RATE, jitter=jitter),
        8.0,
        same_implementation=same_implementation,
    )
    stats = flow.sender.stats()
    assert flow.goodput(2.0) >= share * _LIMIT
    assert network.there.dropped == 0
    assert stats.chunks_retransmitted < repeated * stats.chunks_sent
    assert stats.timeouts == 0


@pytest.mark.parametrize(("loss", "share"), [(0.0, 0.97), (0.01, 0.93)], ids=["no loss", "1 %"])
def test_packets_that_arrive_twice_cost_nothing(loss: float, share: float) -> None:
    link = Link(delay=_DELAY, rate=8 * _RATE, duplicate=0.05, loss=loss)
    network, flow = _run(link, 8.0)
    stats = flow.sender.stats()
    assert flow.goodput(2.0) >= share * _LIMIT * (1 - loss)
    # A SACK that names a duplicate tells nothing of what was sent once.
    assert stats.chunks_retransmitted <= network.there.lost
    assert stats.spurious_losses <= 2


def test_peer_that_acknowledges_every_second_packet() -> None:
    network, flow = _run(Link(delay=_DELAY, rate=8 * _RATE), 6.0, same_implementation=False)
    assert flow.goodput(1.0) >= 0.97 * _LIMIT
    # RFC 9260, 6.2: at least every second packet, and hardly more often.
    assert network.there.sent * 0.45 <= network.back.sent <= network.there.sent * 0.60


def test_stretched_sacks_do_not_slow() -> None:
    # Both event loops wake up every five milliseconds: ten packets per SACK.
    network, flow = _run(Link(delay=_DELAY, rate=8 * _RATE), 6.0, tick=0.005)
    assert network.back.sent < network.there.sent / 5
    assert flow.goodput(1.0) >= 0.95 * _LIMIT


@pytest.mark.parametrize("loss", [0.0, 0.01], ids=["no loss", "1 %"])
def test_machines_that_stall_a_third_of_the_time_still_fill_most_of_the_path(loss: float) -> None:
    stalls = Stalls(every=0.04, length=0.02)
    _, flow = _run(Link(delay=_DELAY, rate=8 * _RATE, loss=loss), 10.0, stalls=stalls)
    assert flow.goodput(2.0) >= 0.75 * _LIMIT * (1 - loss)


def test_path_that_gets_faster_is_discovered() -> None:
    network, flow = _run(Link(delay=_DELAY, rate=2 * _RATE), 4.0)
    network.there.link = network.back.link = Link(delay=_DELAY, rate=8 * _RATE)
    network.run(14.0)
    assert flow.goodput(16.0) >= 0.9 * _LIMIT


def test_path_that_gets_much_faster_is_used_within_seconds() -> None:
    network, flow = _run(Link(delay=_DELAY, rate=_RATE), 4.0)
    network.there.link = network.back.link = Link(delay=_DELAY, rate=8 * _RATE)
    network.run(6.0)
    # Up to three seconds until it probes, and ten steps of a quarter more each.
    assert flow.goodput(9.0) >= 0.9 * _LIMIT


def test_path_that_gets_slower_is_not_flooded_for_long() -> None:
    network, flow = _run(Link(delay=_DELAY, rate=8 * _RATE), 4.0)
    slower = Link(delay=_DELAY, rate=2 * _RATE)
    network.there.link = network.back.link = slower
    network.run(10.0)
    assert flow.goodput(6.0) >= 0.9 * _LIMIT / 4
    assert network.mean_queue_delay(12.0) < 0.040
