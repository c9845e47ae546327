"""Emulated networks, which tests and benchmarks share; nothing in `peer` or `signaling` imports it.

`link` describes a link once, for all emulators: `Link(delay=0.025, rate=100e6, loss=0.01)`.

In virtual time, without sockets or clocks:

- `association_pair`: two SCTP associations over a link, driven event by event.
  `pair = AssociationPair(link=Link(delay=0.01, loss=0.1)); pair.connect()`
- `virtual_network`: pipes with rates and queues that several endpoints share.
- `flows`: bulk transfers through one bottleneck. `python -m bench.simulate` prints and plots them.
- `bbr1`: version 1 of BBR, as in kernels, for comparison.

With real sockets:

- `lossy_relay`: a UDP relay between two WebRTC stacks of one process or computer.
- `wan`: two network namespaces with an emulated wide-area link (`wanlink.c`) between them.
  `with EmulatedLink(LINKS[3]) as link: subprocess.run(link.command("a", ["ping", ADDRESS_B]))`
- `namespaces`: networks of their own, for a thread or for programs.
"""
