"""Flows that share a bottleneck, in virtual time (see ``test_paths.py``)."""

from __future__ import annotations

import pytest

from lab.flows import Bottleneck, Flow, jain
from lab.link import Link
from peer.sctp.congestion import BBR, ControllerFactory, Cubic, NewReno

_RATE = 2_500_000.0
_LIMIT = _RATE * 1156 / 1253

pytestmark = pytest.mark.timeout(300)


def _share(
    controllers: list[ControllerFactory], *, queue: int, seconds: float
) -> tuple[Bottleneck, list[Flow]]:
    network = Bottleneck(Link(delay=0.025, rate=8 * _RATE, queue=queue), seed=5)
    flows = []
    for controller in controllers:
        flows.append(network.add(controller))
        network.run(0.2)
    network.run(seconds)
    return network, flows


def _rates(flows: list[Flow], since: float) -> list[float]:
    return [flow.goodput(since) for flow in flows]


def test_two_of_ours_share_fairly_and_keep_the_queue_short() -> None:
    network, flows = _share([BBR, BBR], queue=84, seconds=16.0)
    rates = _rates(flows, 6.0)
    assert jain(rates) > 0.9
    assert sum(rates) >= 0.90 * _LIMIT
    assert network.mean_queue_delay(6.0) < 0.030


def test_four_of_ours_share_fairly() -> None:
    # Shares even out over cycles of two to three seconds; six seeds give 0.93 to 0.97.
    _, flows = _share([BBR] * 4, queue=84, seconds=20.0)
    rates = _rates(flows, 12.0)
    assert jain(rates) > 0.9
    assert sum(rates) >= 0.90 * _LIMIT


@pytest.mark.parametrize("other", [Cubic, NewReno], ids=["CUBIC", "NewReno"])
def test_window_based_flow_is_neither_starved_nor_starves_us(other: ControllerFactory) -> None:
    _, flows = _share([BBR, other], queue=84, seconds=20.0)
    ours, theirs = _rates(flows, 5.0)
    assert 0.25 <= ours / (ours + theirs) <= 0.75
    assert ours + theirs >= 0.90 * _LIMIT


@pytest.mark.parametrize("controller", [Cubic, NewReno], ids=["CUBIC", "NewReno"])
def test_window_based_controllers_fill_a_path_without_random_loss(
    controller: ControllerFactory,
) -> None:
    network, flows = _share([controller], queue=100, seconds=10.0)
    assert flows[0].goodput(1.0) >= 0.93 * _LIMIT
    stats = flows[0].sender.stats()
    assert stats.spurious_losses == 0
    assert stats.timeouts == 0
    assert network.drop_rate < 0.03
