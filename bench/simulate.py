"""Judge congestion control in virtual time: a table, and plots of window, rate, RTT and queue.

    python -m bench.simulate [--controllers bbr,cubic,reno] [--only TEXT] [--seed 1]

Runs one situation after another; 100 Mbit cost about half a second of CPU per second. Plots go
to ``bench/out/simulate-*.svg``, the figures to ``bench/out/simulate.json``. Nothing is random
but for the seed, so two runs on any machines print the same.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from lab.bbr1 import BBRv1
from lab.flows import Bottleneck, jain
from lab.link import Link
from lab.virtual_network import Stalls
from peer.sctp.congestion import BBR, ControllerFactory, Cubic, NewReno

from .plot import Panel, write_svg

OUT = Path(__file__).resolve().parent / "out"
CONTROLLERS: dict[str, ControllerFactory] = {
    "bbr": BBR,
    "cubic": Cubic,
    "reno": NewReno,
    "bbr1": BBRv1,
}
_PAYLOAD = 1156 / 1253
"""Share of payload in what a full packet takes on the wire."""


@dataclass(frozen=True, slots=True)
class Situation:
    """A path, who uses it, and for how long."""

    name: str
    link: Link
    seconds: float
    flows: tuple[str, ...] = ()
    """Controllers that share it; empty for one flow of each controller in turn."""
    same_implementation: bool = True
    """Both ends are this engine: SACKs are stretched."""
    tick: float = 0.0
    """Both event loops wake up only so often."""
    stalls: Stalls | None = None
    """Both machines take the processor away now and then."""


def _link(
    delay_ms: float,
    mbit: float,
    *,
    queue: int = 1000,
    loss: float = 0.0,
    burst: float = 1.0,
    reorder: float = 0.0,
) -> Link:
    return Link(
        delay=delay_ms / 1000,
        rate=mbit * 1e6,
        queue=queue,
        loss=loss,
        burst=burst,
        reorder=reorder,
    )


_STALLS = Stalls(every=0.04, length=0.02)
"""A shared machine at a bad time: a third of each processor is taken away."""

SITUATIONS: tuple[Situation, ...] = (
    Situation("0.1 ms 1 Gbit", _link(0.1, 1000), 1),
    Situation("10 ms 1 Gbit 0.1 %", _link(10, 1000, loss=0.001, queue=1700), 2),
    Situation("25 ms 100 Mbit", _link(25, 100), 10),
    Situation("25 ms 100 Mbit 1 %", _link(25, 100, loss=0.01), 10),
    Situation("25 ms 100 Mbit 5 %", _link(25, 100, loss=0.05), 10),
    Situation("50 ms 50 Mbit 2 %", _link(50, 50, loss=0.02), 15),
    Situation("25 ms 100 Mbit queue 50", _link(25, 100, queue=50), 10),
    Situation("25 ms 100 Mbit bursts 1 %", _link(25, 100, loss=0.01, burst=8), 10),
    Situation("25 ms 100 Mbit reorder", _link(25, 100, reorder=0.02), 10),
    Situation("25 ms 100 Mbit, to another stack", _link(25, 100), 6, same_implementation=False),
    Situation(
        "reorder 10 %, to another stack", _link(25, 100, reorder=0.1), 10, same_implementation=False
    ),
    Situation("25 ms 100 Mbit, 5 ms wake-ups", _link(25, 100), 6, tick=0.005),
    *(
        Situation(f"25 ms 100 Mbit{what}, stalls", path, 10, stalls=_STALLS)
        for what, path in (
            ("", _link(25, 100)),
            (" 1 %", _link(25, 100, loss=0.01)),
            (" queue 50", _link(25, 100, queue=50)),
        )
    ),
    Situation("beside CUBIC, queue 200", _link(25, 100, queue=200), 30, ("bbr", "cubic")),
    Situation("beside CUBIC, queue 420", _link(25, 100, queue=420), 30, ("bbr", "cubic")),
    Situation("beside CUBIC, queue 1000", _link(25, 100), 30, ("bbr", "cubic")),
    Situation("beside the kernels' BBR, queue 200", _link(25, 100, queue=200), 30, ("bbr", "bbr1")),
    Situation("beside the kernels' BBR, queue 420", _link(25, 100, queue=420), 30, ("bbr", "bbr1")),
    Situation("beside the kernels' BBR, queue 1000", _link(25, 100), 30, ("bbr", "bbr1")),
    Situation("beside BBR, queue 200", _link(25, 100, queue=200), 30, ("bbr", "bbr")),
    Situation("beside BBR, queue 420", _link(25, 100, queue=420), 30, ("bbr", "bbr")),
    Situation("beside BBR, queue 1000", _link(25, 100), 30, ("bbr", "bbr")),
    Situation("four BBR, queue 420", _link(25, 100, queue=420), 30, ("bbr",) * 4),
)


@dataclass(frozen=True, slots=True)
class Row:
    """Result of a situation. Rates are MB/s of payload, times milliseconds."""

    situation: str
    controller: str
    goodput: float
    """With start-up."""
    steady: float
    """Without the first fifth."""
    of_limit: float
    """``steady`` as a percentage of what the path lets through."""
    shares: tuple[float, ...]
    """Percent of each flow."""
    jain: float
    dropped: float
    """Percent of the packets, by the full queue."""
    repeated: float
    """Percent of the chunks."""
    spurious: int
    timeouts: int
    queue_mean: float
    queue_max: float
    """After the first fifth."""
    startup_queue: float
    """Longest queueing delay in the first fifth."""
    rtt: float


def run(situation: Situation, controllers: tuple[str, ...], seed: int) -> Row:
    """Simulate, draw, and return the figures."""
    network = Bottleneck(situation.link, seed=seed, tick=situation.tick, stalls=situation.stalls)
    for name in controllers:
        network.add(CONTROLLERS[name], name=name, same_implementation=situation.same_implementation)
    network.run(situation.seconds)
    _draw(situation, controllers, network)
    start = situation.seconds / 5
    flows = network.flows
    rates = [flow.goodput(start) for flow in flows]
    stats = [flow.sender.stats() for flow in flows]
    limit = situation.link.rate / 8 * _PAYLOAD * (1 - situation.link.loss)
    early = [s.queue_delay for s in flows[0].samples if s.at < start]
    return Row(
        situation=situation.name,
        controller=" + ".join(controllers),
        goodput=sum(flow.goodput() for flow in flows) / 1e6,
        steady=sum(rates) / 1e6,
        of_limit=sum(rates) / limit * 100,
        shares=tuple(rate / sum(rates) * 100 for rate in rates),
        jain=jain(rates),
        dropped=network.drop_rate * 100,
        repeated=flows[0].retransmitted * 100,
        spurious=sum(s.spurious_losses for s in stats),
        timeouts=sum(s.timeouts for s in stats),
        queue_mean=network.mean_queue_delay(start) * 1e3,
        queue_max=network.max_queue_delay(start) * 1e3,
        startup_queue=max(early) * 1e3,
        rtt=flows[0].mean_rtt(start) * 1e3,
    )


def _draw(situation: Situation, controllers: tuple[str, ...], network: Bottleneck) -> None:
    names = [f"{name} {i + 1}" for i, name in enumerate(controllers)]
    step = max(1, len(network.flows[0].samples) // 600)
    windows, rates, trips = {}, {}, {}
    for name, flow in zip(names, network.flows, strict=True):
        samples = flow.samples[::step]
        windows[name] = [(s.at, s.cwnd / 1253) for s in samples]
        trips[name] = [(s.at, s.srtt * 1e3) for s in samples]
        rates[name] = [
            (b.at, (b.delivered - a.delivered) / (b.at - a.at) * 8e-6)
            for a, b in zip(samples[::5], samples[5::5], strict=False)
        ]
    queue = [(s.at, s.queue_delay * 1e3) for s in network.flows[0].samples[::step]]
    panels = [
        Panel("window, packets", windows),
        Panel("delivered, Mbit/s", rates, limit=situation.link.rate * 1e-6),
        Panel("smoothed round trip, ms", trips),
        Panel("queueing delay, ms", {"bottleneck": queue}),
    ]
    words = "".join(c if c.isalnum() else "-" for c in f"{situation.name} {'-'.join(controllers)}")
    OUT.mkdir(exist_ok=True)
    path = OUT / f"simulate-{'-'.join(filter(None, words.split('-')))}.svg"
    write_svg(path, f"{situation.name}: {' + '.join(controllers)}", panels, situation.seconds)


_HEAD = (
    f"{'situation':33}{'controller':>22}{'MB/s':>7}{'steady':>8}{'limit%':>8}{'shares%':>15}"
    f"{'Jain':>6}{'drop%':>7}{'rep%':>6}{'spur':>6}{'T3':>4}{'queue ms mean/max/start':>25}"
    f"{'RTT':>7}"
)


def _line(row: Row) -> str:
    shares = ":".join(f"{share:.0f}" for share in row.shares) if len(row.shares) > 1 else ""
    queue = f"{row.queue_mean:.1f}/{row.queue_max:.1f}/{row.startup_queue:.0f}"
    return (
        f"{row.situation:33}{row.controller:>22}{row.goodput:7.2f}{row.steady:8.2f}"
        f"{row.of_limit:8.1f}{shares:>15}{row.jain:6.2f}{row.dropped:7.2f}{row.repeated:6.2f}"
        f"{row.spurious:6}{row.timeouts:4}{queue:>25}{row.rtt:7.1f}"
    )


def main() -> None:
    """Run, print, save."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--controllers", default="bbr,cubic,reno")
    parser.add_argument("--only", default="", help="situations whose name contains this")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    rows: list[Row] = []
    print(_HEAD)
    for situation in SITUATIONS:
        if arguments.only not in situation.name:
            continue
        alone = [(name,) for name in arguments.controllers.split(",")]
        for controllers in [situation.flows] if situation.flows else alone:
            row = run(situation, controllers, arguments.seed)
            rows.append(row)
            print(_line(row), flush=True)
            saved = json.dumps([asdict(row) for row in rows], indent=1)
            (OUT / "simulate.json").write_text(saved + "\n")


if __name__ == "__main__":
    main()
